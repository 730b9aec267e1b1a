#!/usr/bin/env python3
"""A sealgate with its store on local disk, to test against as an upstream that speaks OSS.

    itself.py run COMMAND…      starts one, runs the command with SEALGATE_TEST_UPSTREAM set, stops it
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def run(command):
    # The gateway under it keeps its objects here, whatever upstream was named before.
    os.environ.pop("SEALGATE_TEST_UPSTREAM", None)
    spec = importlib.util.spec_from_file_location("sealgate_clients", HERE.parent / "clients" / "conftest.py")
    clients = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(clients)
    with tempfile.TemporaryDirectory(prefix="sealgate-") as directory:
        gateway = clients.Gateway(directory, log_level="warn").start()
        try:
            named = f"{gateway.endpoint},{gateway.access_key},{gateway.secret_key},oss"
            return subprocess.run(command, env=os.environ | {"SEALGATE_TEST_UPSTREAM": named}).returncode
        finally:
            gateway.stop()


if __name__ == "__main__":
    if sys.argv[1:2] != ["run"] or not sys.argv[2:]:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(run(sys.argv[2:]))

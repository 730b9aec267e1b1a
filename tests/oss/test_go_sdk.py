"""The Go SDK v2: one program walks through what its users do, and says where it was surprised."""

import os
import secrets
import subprocess

import pytest
from faces import CACHE, REGION


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_the_go_sdk_finds_everything_as_expected(gateway, key_id, version):
    env = {"PATH": os.environ["PATH"], "OSS_ACCESS_KEY_ID": gateway.access_key, "OSS_ACCESS_KEY_SECRET": gateway.secret_key}
    program = [str(CACHE / "go" / "oss-go-v2"), gateway.endpoint, REGION, version, "go-" + secrets.token_hex(8), key_id]
    done = subprocess.run(program, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "as expected\n"), done.stderr

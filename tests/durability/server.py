"""A gateway process that is made to die: started, killed at any moment, started again on the same directory."""

import os
import pathlib
import re
import secrets
import signal
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path.home() / ".cache/sealgate/target"))
BINARY = os.environ.get("SEALGATE_BIN", str(TARGET / "release" / "sealgate"))


class Server:
    """One data directory and the process that serves it, if any does."""

    def __init__(self, directory, settings="", data=None):
        self.directory = pathlib.Path(directory)
        self.data = pathlib.Path(data) if data else self.directory / "data"
        self.log = self.directory / "sealgate.log"
        self.access_key = "AK" + secrets.token_hex(8).upper()
        self.secret_key = secrets.token_urlsafe(30)
        self.config = self.directory / "sealgate.toml"
        self.config.write_text(
            f'listen = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\ndata_dir = "{self.data}"\n'
            f'log_level = "warn"\n{settings}\n'
        )
        self.config.chmod(0o600)
        self.process = self.endpoint = self.admin = self.pid = None

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEALGATE_", "AWS_"))}
        return kept | {"SEALGATE_ACCESS_KEY_ID": self.access_key, "SEALGATE_SECRET_ACCESS_KEY": self.secret_key}

    def start(self, wrapper=()):
        """Starts the gateway; returns once it says that it serves. `wrapper` is a command to run it under, which may
        kill it before: then `None` is the answer."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*wrapper, BINARY, "serve", "--config", str(self.config)], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, env=self.environment(), text=True,
            )
        urls = re.findall(r"http://[0-9.:]+", self.process.stdout.readline())
        if not urls:
            self.process.wait(20)
            self.process.stdout.close()
            assert wrapper, f"sealgate did not start:\n{self.log.read_text()[-4000:]}"
            return None
        self.endpoint, self.admin = urls
        self.pid = self.process.pid
        if wrapper:
            children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            self.pid = int(children[0])
        return self

    def start_and_kill(self, delay):
        """Starts the gateway and kills it `delay` seconds later, wherever it is by then."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--config", str(self.config)], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, env=self.environment(), text=True,
            )
        self.pid = self.process.pid
        time.sleep(delay)
        self.kill()

    @property
    def address(self):
        host, port = self.endpoint.removeprefix("http://").split(":")
        return host, int(port)

    def kill(self):
        """Ends the process as `kill -9` does, wherever it is."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.reap()

    def stop(self):
        """Ends the process as an operator does; gives its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.reap()

    def reap(self, timeout=60):
        status = self.process.wait(timeout)
        self.process.stdout.close()
        self.process = None
        return status

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def ready(self):
        """What the readiness probe says: its status and text."""
        try:
            with urllib.request.urlopen(f"{self.admin}/health/ready", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        """The sum of a metric over its labels."""
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=10) as answer:
            rows = [row for row in answer.read().decode().splitlines() if row.startswith((name + " ", name + "{"))]
        assert rows, f"there is no metric {name}"
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)

    def body_files(self):
        """The body files on disk."""
        return [entry for part in os.scandir(self.data / "bodies") for entry in os.scandir(part)]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident(self, peak=False):
        """Memory in bytes: now, or the most there ever was."""
        name = "VmHWM" if peak else "VmRSS"
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024

"""Starts real gateways for real clients: each on port 0, in its own directory."""

import base64
import os
import pathlib
import secrets
import signal
import subprocess
import threading
import urllib.request

import boto3
import pytest
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = os.environ.get("SEALGATE_BIN", str(TARGET / "release" / "sealgate"))
REGION = "us-east-1"
# `endpoint,access key,secret key[,dialect]` of an object store: the gateways keep their objects there then.
UPSTREAM = os.environ.get("SEALGATE_TEST_UPSTREAM", "")


def local_only(why):
    """Marks a test that says nothing of a gateway over an upstream."""
    return pytest.mark.skipif(bool(UPSTREAM), reason=f"not through an upstream: {why}")


def upstream_settings(directory):
    """Settings of a gateway over the upstream, with a place of its own there."""
    endpoint, access_key, secret_key, *dialect = UPSTREAM.split(",")
    root_key = pathlib.Path(directory) / "root.key"
    root_key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    root_key.chmod(0o600)
    place = "g" + secrets.token_hex(5)
    return (
        f'store = "upstream"\nroot_key_file = "{root_key}"\nupstream_endpoint = "{endpoint}"\n'
        f'upstream_access_key_id = "{access_key}"\nupstream_secret_access_key = "{secret_key}"\n'
        f'upstream_reserved = "{place}-sys"\nupstream_bucket_prefix = "{place}-"\n'
        f'upstream_dialect = "{dialect[0] if dialect else "s3"}"\n'
    )


class Gateway:
    """A `sealgate serve` process and what a client needs to reach it."""

    def __init__(self, directory, settings="", log_level="trace", wrapper=()):
        self.directory = pathlib.Path(directory)
        self.data = self.directory / "data"
        self.log = self.directory / "sealgate.log"
        self.wrapper = list(wrapper)
        self.access_key = "AK" + secrets.token_hex(8).upper()
        self.secret_key = secrets.token_urlsafe(30)
        self.other_access_key = "AK" + secrets.token_hex(8).upper()
        self.other_secret_key = secrets.token_urlsafe(30)
        self.config = self.directory / "sealgate.toml"
        if UPSTREAM and "store =" not in settings:
            settings = upstream_settings(self.directory) + settings
        self.config.write_text(
            f'listen = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\ndata_dir = "{self.data}"\n'
            f'log_level = "{log_level}"\n{"" if "verify_writes_sample" in settings else "verify_writes_sample = 1"}\n{settings}\n'
            f'[[users]]\nname = "other"\naccess_key_id = "{self.other_access_key}"\n'
            f'secret_access_key = "{self.other_secret_key}"\n'
        )
        self.config.chmod(0o600)
        self.process = None
        self.endpoint = self.admin = None

    def start(self):
        env = {key: value for key, value in os.environ.items() if not key.startswith(("SEALGATE_", "AWS_"))}
        env |= {"SEALGATE_ACCESS_KEY_ID": self.access_key, "SEALGATE_SECRET_ACCESS_KEY": self.secret_key}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, BINARY, "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=env, text=True,
            )
        # The gateway says where it listens once it serves: an event to wait for, not a time.
        line = self.process.stdout.readline().split()
        if not line:
            raise RuntimeError(f"sealgate did not start:\n{self.log.read_text()[-4000:]}")
        urls = [word for word in line if word.startswith("http")]
        self.endpoint, self.admin = urls[0], urls[1]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def stop(self, how=signal.SIGTERM, timeout=30):
        self.process.send_signal(how)
        return self.process.wait(timeout)

    @property
    def address(self):
        host, port = self.endpoint.split("//")[1].split(":")
        return host, int(port)

    def client(self, service="s3", other=False, **config):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.other_access_key if other else self.access_key,
            aws_secret_access_key=self.other_secret_key if other else self.secret_key,
            config=Config(retries={"max_attempts": 0}, **config),
        )

    def env(self):
        """The environment of a command-line client."""
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        # aws-cli 1 presigns with SigV2 unless told otherwise.
        (home / "config").write_text("[default]\ns3 =\n  signature_version = s3v4\n")
        return {
            "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore",
            "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
            "AWS_CONFIG_FILE": str(home / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(home / "none"),
        }

    def aws(self, *words, fails=False):
        """Runs aws-cli; gives its standard output, or its standard error when it is to fail."""
        done = subprocess.run(
            ["aws", "--endpoint-url", self.endpoint, *map(str, words)],
            env=self.env(), capture_output=True, text=True, timeout=300,
        )
        assert (done.returncode != 0) == fails, f"aws {words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stderr if fails else done.stdout

    def metric(self, name):
        """The sum of a metric over its labels."""
        text = urllib.request.urlopen(f"{self.admin}/metrics", timeout=10).read().decode()
        rows = [row for row in text.splitlines() if row.startswith((name + " ", name + "{"))]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    """A gateway shared by the tests of one worker; each test has its own bucket."""
    running = Gateway(tmp_path_factory.mktemp("gateway")).start()
    yield running
    assert running.metric("sealgate_plaintext_suspects_total") == 0, "every write is looked at again"
    assert running.stop() == 0, "SIGTERM drains and exits 0"


@pytest.fixture
def own_gateway(tmp_path):
    """Starts gateways of a test's own, and ends them."""
    started = []

    def start(settings="", **options):
        directory = tmp_path / f"gateway-{len(started)}"
        directory.mkdir()
        started.append(Gateway(directory, settings, **options).start())
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()


@pytest.fixture
def s3(gateway):
    return gateway.client()


@pytest.fixture
def kms(gateway):
    return gateway.client("kms")


@pytest.fixture
def bucket(s3):
    name = "b-" + secrets.token_hex(8)
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def key_arn(kms):
    return kms.create_key()["KeyMetadata"]["Arn"]

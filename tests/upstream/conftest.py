"""Gateways over a real upstream: `SEALGATE_TEST_UPSTREAM` names it (tests/upstream/ceph.py starts one)."""

import base64
import importlib.util
import os
import pathlib
import secrets

import boto3
import pytest
from botocore.config import Config

HERE = pathlib.Path(__file__).resolve().parent
UPSTREAM = os.environ.get("SEALGATE_TEST_UPSTREAM", "")


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


clients = load("sealgate_clients", HERE.parent / "clients" / "conftest.py")
Proxy = load("sealgate_proxy", HERE / "proxy.py").Proxy

if not UPSTREAM:
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header():
    return f"upstream: {UPSTREAM.split(',')[0] or 'LEFT OUT: SEALGATE_TEST_UPSTREAM names none'}"


class Place:
    """A place upstream, a root key to it, and gateways over both."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.endpoint, self.access_key, self.secret_key, *dialect = UPSTREAM.split(",")
        self.dialect = dialect[0] if dialect else "s3"
        self.name = "p" + secrets.token_hex(5)
        self.root_key = self.directory / "root.key"
        self.root_key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
        self.root_key.chmod(0o600)
        self.reserved, self.prefix = f"{self.name}-sys", f"{self.name}-"
        self.gateways = []
        # All gateways of a place have the same users.
        self.user = None

    def gateway(self, endpoint=None, settings="", start=True):
        directory = self.directory / f"gateway-{len(self.gateways)}"
        directory.mkdir()
        text = (
            f'store = "upstream"\nroot_key_file = "{self.root_key}"\nupstream_endpoint = "{endpoint or self.endpoint}"\n'
            f'upstream_reserved = "{self.reserved}"\nupstream_dialect = "{self.dialect}"\n'
        )
        if "upstream_credentials_file" not in settings:
            text += f'upstream_access_key_id = "{self.access_key}"\nupstream_secret_access_key = "{self.secret_key}"\n'
        if "upstream_bucket_prefix" not in settings:
            text += f'upstream_bucket_prefix = "{self.prefix}"\n'
        made = clients.Gateway(directory, text + settings)
        if self.user:
            made.access_key, made.secret_key = self.user
        self.user = (made.access_key, made.secret_key)
        self.gateways.append(made)
        return made.start() if start else made

    def straight(self, **config):
        """A client of the upstream itself, which speaks S3 whatever else it speaks."""
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key, config=Config(s3={"addressing_style": "path"}, **config),
        )

    def bucket(self, name):
        """The upstream's name of a bucket."""
        return self.prefix + name

    def stop(self):
        for gateway in self.gateways:
            if gateway.process and gateway.process.poll() is None:
                gateway.stop()


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def proxy(place):
    host, port = place.endpoint.split("//")[1].split(":")
    made = Proxy(host, port)
    yield made
    made.close()

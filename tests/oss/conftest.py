"""Real gateways for real OSS clients. The gateway itself is started as tests/clients starts it."""

import importlib.util
import pathlib
import secrets
import sys

import boto3
import pytest
from botocore.config import Config

HERE = pathlib.Path(__file__).parent
CLIENTS = HERE.parent / "clients"
# `wire` and `modes` are the S3 clients'.
sys.path[:0] = [str(HERE), str(CLIENTS)]
spec = importlib.util.spec_from_file_location("clients_conftest", CLIENTS / "conftest.py")
clients = importlib.util.module_from_spec(spec)
spec.loader.exec_module(clients)

from faces import ALL, REGION, Who, face_of  # noqa: E402


UPSTREAM = clients.UPSTREAM


class Gateway(clients.Gateway):
    """A gateway in an OSS region, with a user whose credential is a temporary one."""

    def __init__(self, directory, settings="", **options):
        self.temporary = Who("STS." + secrets.token_hex(10), secrets.token_urlsafe(30), "CAIS/" + secrets.token_urlsafe(60) + "+==")
        self.expired = Who("STS." + secrets.token_hex(10), secrets.token_urlsafe(30), "CAIS" + secrets.token_urlsafe(60))
        users = "".join(
            f'[[users]]\nname = "{name}"\naccess_key_id = "{who.key_id}"\nsecret_access_key = "{who.secret}"\n'
            f'security_token = "{who.token}"\nexpires = "{expires}"\n'
            for name, who, expires in [
                ("temporary", self.temporary, "2099-01-01T00:00:00Z"), ("expired", self.expired, "2020-01-01T00:00:00Z")]
        )
        common = (f'region = "{REGION}"\nbase_domains = ["localhost", "both.test"]\noss_domains = ["oss.test"]\n'
                  'oss_cnames = ["img.example.com=bound-to-a-domain"]\n')
        super().__init__(directory, common + settings + "\n" + users, **options)

    @property
    def root(self):
        return Who(self.access_key, self.secret_key)

    @property
    def other(self):
        return Who(self.other_access_key, self.other_secret_key)

    def client(self, service="s3", other=False, **config):
        who = self.other if other else self.root
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=who.key_id,
            aws_secret_access_key=who.secret, config=Config(retries={"max_attempts": 0}, **config),
        )


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


@pytest.fixture(scope="session")
def faces(gateway):
    """Clients by name, each made once: `faces("oss2 V4")`, or for another credential `faces("oss2 V4", who)`."""
    made = {}

    def face(name, who=None):
        who = who or gateway.root
        if (name, who.key_id) not in made:
            made[name, who.key_id] = face_of(gateway, name, who)
        return made[name, who.key_id]

    yield face
    for client in made.values():
        client.close()


@pytest.fixture(params=ALL)
def face(request, faces):
    """Each client with each signature."""
    return faces(request.param)


@pytest.fixture
def oss(faces):
    """One client, for what does not depend on which."""
    return faces("oss2 V4")


@pytest.fixture
def s3(gateway):
    return gateway.client()


@pytest.fixture(scope="session")
def kms(gateway):
    return gateway.client("kms")


@pytest.fixture
def bucket(oss):
    name = "o-" + secrets.token_hex(8)
    oss.make_bucket(name)
    return name


@pytest.fixture
def key_id(kms):
    """A customer master key, as OSS names one: by its bare id."""
    return kms.create_key()["KeyMetadata"]["KeyId"]

"""The files of `deploy/` keep to their schemas, and what they start works: two gateways over one store, which answer the probes,
share their objects, and end by themselves within the time that they are given."""

import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import tempfile

import boto3
import in_compose
import in_kubernetes
import jsonschema
import kubernetes_validate
import pytest
from botocore.config import Config
from check_jsonschema.builtin_schemas import get_builtin_schema
from conftest import UPSTREAM, clients
from deployed import DEPLOY, SECRET, documents, image
from test_balance import nginx

VERSION = "1.35"
KEY_ID = "AKDEPLOYTEST00000001"


def check_compose(document):
    jsonschema.validate(document, get_builtin_schema("vendor.compose-spec"))


def check_kubernetes(document):
    kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize(("check", "name"), [(check_compose, "compose.yaml"), (check_kubernetes, "kubernetes.yaml")])
def test_each_document_keeps_to_its_schema(check, name):
    for document in documents(name):
        check(document)
    # A word that nobody knows is found, wherever it stands.
    broken = documents(name)[-1]
    broken["spec" if "spec" in broken else "services"]["replica"] = 2
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(broken)


def test_names_and_ports_refer_to_each_other():
    env, _ = image()
    assert env["SEALGATE_LISTEN"] == f"0.0.0.0:{in_kubernetes.port('s3')}"
    assert env["SEALGATE_ADMIN_LISTEN"] == f"0.0.0.0:{in_kubernetes.port('admin')}"
    service, budget, deployment = map(in_kubernetes.of_kind, ("Service", "PodDisruptionBudget", "Deployment"))
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for selector in (service["spec"]["selector"], *(one["spec"]["selector"]["matchLabels"] for one in (budget, deployment))):
        assert selector.items() <= labels
    assert in_kubernetes.port(service["spec"]["ports"][0]["targetPort"])
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]
    [document] = documents("compose.yaml")
    balanced = re.findall(r"server ([\w-]+):(\d+)", (DEPLOY / "nginx-balance.conf").read_text())
    gateways = [name for name, service in document["services"].items() if service["image"] == "sealgate"]
    assert balanced == [(name, env["SEALGATE_LISTEN"].split(":")[1]) for name in gateways]
    assert document["services"]["nginx"]["depends_on"] == gateways


def test_a_gateway_is_given_longer_than_it_drains():
    drain = int(re.search(r'^drain_timeout = "(\d+)s"$', (DEPLOY / "sealgate.toml").read_text(), re.M).group(1))
    [document] = documents("compose.yaml")
    assert int(document["services"]["gateway-1"]["stop_grace_period"].removesuffix("s")) > drain
    assert in_kubernetes.pod_spec()["terminationGracePeriodSeconds"] > drain


@pytest.fixture
def root():
    """A directory that the image's user can reach: pytest's own are for nobody else."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="deploy-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def gateways(kind, root):
    """Two gateways of a deployment."""
    endpoint, access_key, secret, *_ = UPSTREAM.split(",")
    given = {
        "SEALGATE_ACCESS_KEY_ID": KEY_ID, "SEALGATE_UPSTREAM_ENDPOINT": endpoint, "SEALGATE_UPSTREAM_ACCESS_KEY_ID": access_key,
    }
    # Other tests are in the same store.
    place = "d" + secrets.token_hex(5)
    extra = {"SEALGATE_UPSTREAM_RESERVED": place + "-sys", "SEALGATE_UPSTREAM_BUCKET_PREFIX": place + "-"}
    made = kind.containers(root, given, extra, secret)
    assert len(made) == 2
    yield [container.start(clients.BINARY) for container in made]
    for container in made:
        container.stop()


def client(endpoint):
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def begin_put(gateway, key, length):
    """A PUT whose head the gateway has read, and which it waits for the body of."""
    url = client(gateway.endpoint).generate_presigned_url("put_object", Params={"Bucket": "shared", "Key": key})
    host = gateway.endpoint.removeprefix("http://")
    connection = socket.create_connection(host.split(":"), timeout=gateway.grace)
    target = url.removeprefix(gateway.endpoint)
    head = [f"PUT {target} HTTP/1.1", f"Host: {host}", f"Content-Length: {length}", "Expect: 100-continue", "", ""]
    connection.sendall("\r\n".join(head).encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    return connection


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be the image's user")
@pytest.mark.parametrize("kind", [in_compose, in_kubernetes], ids=["compose", "kubernetes"])
def test_gateways_share_their_objects_answer_probes_and_drain(kind, gateways, root):
    first, second = gateways
    probes = [in_kubernetes.gateway()[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    for gateway in gateways:
        for probe in probes:
            assert probe["port"] == "admin" and gateway.probe(probe["path"]) == 200
    body = os.urandom(300_000)
    client(first.endpoint).create_bucket(Bucket="shared")
    client(first.endpoint).put_object(Bucket="shared", Key="k", Body=body)
    assert client(second.endpoint).get_object(Bucket="shared", Key="k")["Body"].read() == body
    if kind is in_compose:
        balancer, endpoint = nginx(root, [gateway.endpoint.rpartition(":")[2] for gateway in gateways])
        try:
            for _ in gateways:
                assert client(endpoint).get_object(Bucket="shared", Key="k")["Body"].read() == body
        finally:
            balancer.terminate()
            balancer.wait(10)

    connection = begin_put(first, "late", len(body))
    connection.sendall(body[:1000])
    first.process.send_signal(signal.SIGTERM)
    # No new requests come here from now on; the one that is under way goes on.
    first.wait_for(probes[-1]["path"], 503)
    connection.sendall(body[1000:])
    assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    connection.close()
    assert first.process.wait(first.grace) == 0
    assert client(second.endpoint).get_object(Bucket="shared", Key="late")["Body"].read() == body

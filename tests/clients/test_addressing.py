"""Buckets named by the host, as SDKs do by default, and by the path: the same objects."""

import pytest
from wire import Request, Signer, send, sha

DOMAINS = 'base_domains = ["s3.example.com", "localhost"]'


@pytest.fixture
def named(own_gateway):
    gateway = own_gateway(DOMAINS)
    gateway.client().create_bucket(Bucket="by-host")
    return gateway


def ask(gateway, method, host, path, body=b"", query=()):
    port = gateway.address[1]
    request = Request(method, path, body=body, query=list(query))
    if body:
        request.set("Content-Length", str(len(body)))
    Signer(gateway, host=f"{host}:{port}").sign(request, sha(body))
    return send(gateway, request)


def test_the_host_names_the_bucket_and_the_path_the_key(named):
    s3 = named.client()
    for host in ("by-host.s3.example.com", "BY-HOST.S3.example.com", "by-host.localhost"):
        assert ask(named, "PUT", host, "/a/b", host.encode()).status == 200
        assert s3.get_object(Bucket="by-host", Key="a/b")["Body"].read() == host.encode()
        assert ask(named, "GET", host, "/a/b").body == host.encode()
        listing = ask(named, "GET", host, "/", query=[("list-type", "2")])
        assert listing.status == 200 and b"<Key>a/b</Key>" in listing.body
    # The base domain itself, and a host that is nobody's, leave the bucket in the path.
    for host in ("s3.example.com", "by-host.s3.example.org", "127.0.0.1"):
        assert ask(named, "GET", host, "/by-host/a/b").body == b"by-host.localhost"
    assert ask(named, "GET", "by-host.s3.example.com", "/by-host/a/b").code == "NoSuchKey"
    assert ask(named, "GET", "other-bucket.s3.example.com", "/a/b").code == "NoSuchBucket"


def test_without_base_domains_a_host_names_nothing(own_gateway):
    gateway = own_gateway()
    gateway.client().create_bucket(Bucket="by-host")
    assert ask(gateway, "PUT", "by-host.s3.example.com", "/key", b"x").status != 200
    assert "Contents" not in gateway.client().list_objects_v2(Bucket="by-host")

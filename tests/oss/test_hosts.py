"""Which dialect a request speaks and which bucket it names: by its words, by its host, by its path."""

import os
import secrets
from urllib.parse import quote

import pytest
from faces import REGION, AliOss
from oss_wire import VARIANTS, Signer, post, signed
from wire import Request, send

BOUND = "bound-to-a-domain"


def at(host, method="GET", path="/", headers=(), body=b"", query=()):
    request = Request(method, path, [("Host", host), *headers], body, list(query))
    request.set("Content-Length", str(len(body)))
    return request


@pytest.fixture
def public(oss, bucket):
    oss.put_acl(bucket, None, "public-read")
    oss.put(bucket, "dir/é +", b"body", {"x-oss-object-acl": "public-read"})
    return bucket


def test_anonymous_requests_speak_the_dialect_of_their_host_or_words(gateway, public):
    path = "/" + quote("dir/é +")
    is_oss = [
        at(f"{public}.oss.test", path=path), at(f"{public}.OSS.test:80", path=path), at("oss.test", path=f"/{public}{path}"),
        at(f"{public}.oss-{REGION}.aliyuncs.com", path=path), at(f"{public}.oss-{REGION}-internal.aliyuncs.com", path=path),
        at(f"{public}.{REGION}.oss.aliyuncs.com", path=path),
        at("127.0.0.1", path=f"/{public}{path}", headers=[("x-oss-range-behavior", "standard")]),
        at(f"{public}.both.test", path=path, headers=[("x-oss-range-behavior", "standard")]),
    ]
    is_s3 = [at("127.0.0.1", path=f"/{public}{path}"), at("unknown.example.com", path=f"/{public}{path}"), at(f"{public}.both.test", path=path)]
    for request in is_oss + is_s3:
        answer = send(gateway, request)
        assert (answer.status, answer.body) == (200, b"body"), request.head()
        assert ("x-oss-request-id" in answer.headers) == (request in is_oss), request.head()
        assert ("x-amz-request-id" in answer.headers) == (request in is_s3), request.head()
        request.path += "-absent"
        answer = send(gateway, request)
        assert answer.code in ("NoSuchKey", "AccessDenied")
        assert (b"<HostId>" in answer.body and b"x-oss" not in answer.body) or request in is_s3


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_signature_holds_whichever_way_the_bucket_is_named(gateway, oss, bucket, variant):
    """The signed resource is `/bucket/key`, whatever the host and the path are."""
    oss.put(bucket, "dir/k", b"body")
    for host, path in (
        ("127.0.0.1", f"/{bucket}/dir/k"), ("127.0.0.1", f"/{bucket}/dir%2Fk"), (f"{bucket}.oss.test", "/dir/k"), (f"{bucket}.both.test", "/dir%2Fk"),
        ("oss.test", f"/{bucket}/dir/k"), (f"{bucket}.oss-{REGION}.aliyuncs.com", "/dir/k"),
        # What ali-oss writes with `sldEnable`: the bucket twice.
        (f"{bucket}.oss-{REGION}.aliyuncs.com", f"/{bucket}/dir/k"),
    ):
        request = signed(gateway, "GET", f"/{bucket}/dir/k", variant=variant)
        request.path = path
        request.set("Host", host)
        answer = send(gateway, request)
        assert (answer.status, answer.body) == (200, b"body"), (host, path, answer.body)
        request.set("Host", "other-bucket.oss.test")
        assert send(gateway, request).status in (403, 404), "and it holds for that bucket alone"


def test_a_domain_is_bound_to_its_bucket(gateway, oss):
    if BOUND not in oss.buckets(BOUND):
        oss.make_bucket(BOUND)
    key, body = "key " + secrets.token_hex(8), os.urandom(100)
    for variant in VARIANTS:
        request = signed(gateway, "PUT", f"/{BOUND}/{quote(key)}", body, variant)
        request.path = "/" + quote(key)
        request.set("Host", "img.example.com")
        assert send(gateway, request).status == 200, variant
    assert oss.get(BOUND, key).body == body
    oss.put_acl(BOUND, key, "public-read")
    answer = send(gateway, at("IMG.example.com:80", path="/" + quote(key)))
    assert (answer.status, answer.body) == (200, body)
    assert "x-oss-request-id" in answer.headers


@pytest.mark.parametrize("signature", AliOss.signatures)
def test_ali_oss_names_buckets_in_every_way_it_knows(gateway, oss, bucket, signature):
    port = gateway.address[1]
    for endpoint, options in (
        (gateway.endpoint, {}), (gateway.endpoint, {"sldEnable": True}), (f"http://localhost:{port}", {"sldEnable": True}),
    ):
        face = AliOss(gateway, signature, gateway.root, endpoint, **options)
        try:
            key = "dir/é +" + secrets.token_hex(4)
            face.put(bucket, key, b"body")
            assert face.get(bucket, key).body == b"body"
            assert oss.get(bucket, key).body == b"body", (endpoint, options)
            assert key in [row[0] for row in face.list(bucket, prefix="dir/")[0]]
            assert bucket in face.buckets(bucket)
        finally:
            face.close()


def test_a_form_speaks_the_dialect_of_its_fields(gateway, oss, s3, bucket):
    form = Signer(gateway).form("V4", bucket, "oss")
    for host, path in ((f"{bucket}.oss.test", "/"), (f"{bucket}.both.test", "/"), ("127.0.0.1", f"/{bucket}"), (f"{bucket}.oss-{REGION}.aliyuncs.com", "/")):
        request = post(gateway, bucket, form, os.urandom(5))
        request.set("Host", host)
        request.path = path
        answer = send(gateway, request)
        assert answer.status == 204 and "x-oss-request-id" in answer.headers, (host, answer.body)
    made = gateway.client(signature_version="s3v4").generate_presigned_post(bucket, "s3")["fields"]
    request = post(gateway, bucket, made, b"12345")
    request.set("Host", "127.0.0.1")
    request.path = f"/{bucket}"
    answer = send(gateway, request)
    assert answer.status == 204 and "x-amz-request-id" in answer.headers, answer.body
    assert [row[:2] for row in oss.list(bucket)[0]] == [("oss", 5), ("s3", 5)]

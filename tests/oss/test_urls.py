"""Presigned URLs, HTML forms, temporary credentials, and anonymous callers."""

import os
import time
from urllib.parse import urlsplit

import pytest
from crc import crc64
from encryption import KEY, SSE
from faces import ALL, Refused
from oss_wire import VARIANTS, Signer, post, signed
from wire import Request, send


def fetch(gateway, method, url, headers=None, body=b""):
    """Requests a URL as it is, wherever its name points: `bucket.localhost` is this gateway too."""
    parts = urlsplit(url)
    request = Request(method, parts.path + ("?" + parts.query if parts.query else ""), [("Host", parts.netloc), *(headers or {}).items()], body)
    request.set("Content-Length", str(len(body)))
    return send(gateway, request)


def test_signed_urls_read_and_write(gateway, face, bucket, key_id):
    key, body = "dir/a b é 中", os.urandom(1000)
    kms = {SSE: "KMS", KEY: key_id}
    url, headers = face.url("PUT", bucket, key, kms | {"Content-Type": "text/u"})
    assert fetch(gateway, "PUT", url, {"Content-Type": "text/u"}, body).code in ("SignatureDoesNotMatch", "AccessDenied"), "SSE was signed"
    put = fetch(gateway, "PUT", url, headers, body)
    assert (put.status, put.headers.get(SSE), put.headers.get(KEY)) == (200, "KMS", key_id), put.body
    assert put.headers["x-oss-hash-crc64ecma"] == crc64(body)
    url, headers = face.url("GET", bucket, key, params={"response-content-type": "a/b c"})
    got = fetch(gateway, "GET", url, headers)
    assert (got.status, got.body, got.headers["content-type"]) == (200, body, "a/b c")
    assert fetch(gateway, "GET", url, headers | {"Range": "bytes=1-3"}).body == body[1:4]
    assert fetch(gateway, "HEAD", url, headers).status == 403, "a URL is for one method"
    assert fetch(gateway, "GET", url.replace("%20b", "%20c")).code == "SignatureDoesNotMatch"


def test_signed_urls_expire(gateway, faces, bucket):
    for name in ("oss2 V1", "oss2 V4"):
        url, headers = faces(name).url("GET", bucket, "k", seconds=1)
        ends = time.time() + 2.1
        while time.time() < ends and fetch(gateway, "GET", url).status != 403:
            time.sleep(0.2)
        answer = fetch(gateway, "GET", url)
        assert (answer.status, answer.code) == (403, "AccessDenied"), name


@pytest.mark.parametrize("scheme", ["V1", "V4"])
@pytest.mark.parametrize("status", [None, "200", "201", "204"])
def test_forms_upload(gateway, oss, bucket, key_id, scheme, status):
    body = os.urandom(100_001)
    fields = {"x-oss-meta-a": "b", "Content-Type": "text/f", SSE: "KMS", KEY: key_id} | ({"success_action_status": status} if status else {})
    form = Signer(gateway).form(scheme, bucket, "dir/${filename}", fields=fields)
    answer = send(gateway, post(gateway, bucket, form, body, "née 中.txt"))
    assert answer.status == int(status or 204), answer.body
    assert (answer.headers.get(SSE), answer.headers.get(KEY)) == ("KMS", key_id)
    if status == "201":
        assert b"<PostResponse>" in answer.body and b"<Key>dir/n" in answer.body
    got = oss.get(bucket, "dir/née 中.txt")
    assert (got.body, got.headers["content-type"], got.headers["x-oss-meta-a"]) == (body, "text/f", "b")
    assert (got.headers[SSE], got.headers[KEY], got.headers["x-oss-hash-crc64ecma"]) == ("KMS", key_id, crc64(body))


FORM_FAULTS = [
    ("an ACL that was not allowed", {}, {"x-oss-object-acl": "public-read"}, 403, "AccessDenied"),
    ("an altered field", {"fields": {"x-oss-meta-a": "b"}}, {"x-oss-meta-a": "c"}, 403, "AccessDenied"),
    ("another key", {}, {"key": "other"}, 403, "AccessDenied"),
    ("encryption that was not allowed", {}, {SSE: "AES256"}, 403, "AccessDenied"),
    ("expired", {"expires": -1}, {}, 403, "AccessDenied"),
    ("too large", {"conditions": [["content-length-range", 0, 3]]}, {}, 400, "EntityTooLarge"),
    ("too small", {"conditions": [["content-length-range", 100, 200]]}, {}, 400, "EntityTooSmall"),
    ("an altered policy", {}, {"policy": "e30="}, 403, "SignatureDoesNotMatch"),
]


@pytest.mark.parametrize("scheme", ["V1", "V4"])
@pytest.mark.parametrize("what, made, changed, status, code", FORM_FAULTS, ids=[row[0] for row in FORM_FAULTS])
def test_forms_are_refused(gateway, oss, bucket, scheme, what, made, changed, status, code):
    form = Signer(gateway).form(scheme, bucket, "k", **made) | changed
    answer = send(gateway, post(gateway, bucket, form, b"12345"))
    assert (answer.status, answer.code) == (status, code), answer.body
    assert oss.list(bucket) == ([], [])


@pytest.mark.parametrize("scheme", ["V1", "V4"])
def test_form_signatures_are_checked(gateway, oss, bucket, scheme):
    for wrong, code in (({"secret": "made up"}, "SignatureDoesNotMatch"), ({"access_key": "nobody"}, "InvalidAccessKeyId")):
        answer = send(gateway, post(gateway, bucket, Signer(gateway, **wrong).form(scheme, bucket, "k"), b"x"))
        assert (answer.status, answer.code) == (403, code)
    form = Signer(gateway).form(scheme, bucket, "k")
    for name in ("policy", "Signature", "OSSAccessKeyId", "x-oss-signature", "x-oss-credential", "x-oss-date"):
        if name in form:
            answer = send(gateway, post(gateway, bucket, {key: value for key, value in form.items() if key != name}, b"x"))
            assert 400 <= answer.status < 500, name
    assert send(gateway, post(gateway, bucket, {"key": "k"}, b"x")).status == 403, "anonymous"
    assert oss.list(bucket) == ([], [])


@pytest.mark.parametrize("name", ALL)
def test_temporary_credentials_work_until_they_expire(gateway, faces, name):
    bucket = "sts-" + os.urandom(8).hex()
    face = faces(name, gateway.temporary)
    face.make_bucket(bucket)
    face.put(bucket, "k é", b"body")
    assert face.get(bucket, "k é").body == b"body"
    url, headers = face.url("GET", bucket, "k é")
    assert fetch(gateway, "GET", url, headers).body == b"body"
    with pytest.raises(Refused) as refused:
        faces(name, gateway.expired).get(bucket, "k é")
    assert (refused.value.status, refused.value.code) == (403, "SecurityTokenExpired")


TOKEN_FAULTS = [
    ("no token", lambda gateway: {"token": None}, {"InvalidSecurityToken", "InvalidAccessKeyId", "AccessDenied"}),
    ("a wrong token", lambda gateway: {"token": "CAIS" + "0" * 60}, {"InvalidSecurityToken"}),
    ("another's token", lambda gateway: {"token": gateway.expired.token}, {"AccessKeyIdAndSecurityTokenNotMatch", "InvalidSecurityToken"}),
    ("a token nobody asked for", lambda gateway: {"access_key": gateway.access_key, "secret": gateway.secret_key},
     {"InvalidSecurityToken", "AccessKeyIdAndSecurityTokenNotMatch"}),
]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("what, change, codes", TOKEN_FAULTS, ids=[row[0] for row in TOKEN_FAULTS])
def test_tokens_belong_to_their_credential(gateway, variant, what, change, codes):
    temporary = gateway.temporary
    right = {"access_key": temporary.key_id, "secret": temporary.secret, "token": temporary.token}
    assert send(gateway, signed(gateway, "GET", "/", variant=variant, **right)).status == 200
    answer = send(gateway, signed(gateway, "GET", "/", variant=variant, **(right | change(gateway))))
    assert answer.status == 403 and answer.code in codes, answer.body


def test_s3_clients_use_temporary_credentials_too(gateway):
    import boto3
    from botocore.exceptions import ClientError

    def client(who):
        return boto3.client("s3", endpoint_url=gateway.endpoint, region_name="cn-hangzhou", aws_access_key_id=who.key_id,
                            aws_secret_access_key=who.secret, aws_session_token=who.token)

    bucket = "sts-" + os.urandom(8).hex()
    client(gateway.temporary).create_bucket(Bucket=bucket)
    with pytest.raises(ClientError) as caught:
        client(gateway.expired).list_buckets()
    assert caught.value.response["Error"]["Code"] == "ExpiredToken"


def anonymous(gateway, method, bucket, path, headers=(), body=b"", query=()):
    request = Request(method, path, [("Host", f"{bucket}.oss.test"), *headers], body, list(query))
    request.set("Content-Length", str(len(body)))
    return send(gateway, request)


def test_anonymous_callers_read_what_is_public(gateway, oss, bucket, key_id):
    oss.put(bucket, "plain", b"body")
    oss.put(bucket, "kms", b"body", {SSE: "KMS", KEY: key_id})
    oss.put(bucket, "mine", b"body", {"x-oss-object-acl": "private"})
    mark = [("x-oss-range-behavior", "standard")]  # Says that it speaks OSS.
    assert anonymous(gateway, "GET", bucket, "/plain", mark).code == "AccessDenied"
    oss.put_acl(bucket, None, "public-read")
    assert anonymous(gateway, "GET", bucket, "/plain", mark).body == b"body"
    for method, path, query in (("GET", "/kms", []), ("GET", "/mine", []), ("PUT", "/new", []), ("DELETE", "/plain", [])):
        answer = anonymous(gateway, method, bucket, path, mark, query=query)
        assert (answer.status, answer.code) == (403, "AccessDenied"), (method, path, answer.body)
    answer = anonymous(gateway, "GET", bucket, "/plain", mark, query=[("response-content-type", "a/b")])
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert oss.get(bucket, "plain").body == b"body"

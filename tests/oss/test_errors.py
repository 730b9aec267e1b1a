"""Errors by a table: what is asked for, and the status and code that answer it. Signed by oss2's own signer."""

import base64
import hashlib
import re
import secrets
import xml.etree.ElementTree as tree

import oss2
import pytest
import requests
from faces import REGION

UPLOAD = "0004B9895DBBB6EC98E36"
OSS_POLICY = (b'{"Version":"1","Statement":[{"Effect":"Allow","Principal":["*"],"Action":["oss:GetObject"],'
              b'"Resource":["acs:oss:*:*:B/*"]}]}')
CASES = [
    # Method, path, parameters, headers, body, status, code.
    ("GET", "/B/absent", {}, {}, b"", 404, "NoSuchKey"),
    ("GET", "/B/absent", {"objectMeta": ""}, {}, b"", 404, "NoSuchKey"),
    ("GET", "/B/absent", {"acl": ""}, {}, b"", 404, "NoSuchKey"),
    ("GET", "/B/absent", {"tagging": ""}, {}, b"", 404, "NoSuchKey"),
    ("GET", "/B/absent", {"symlink": ""}, {}, b"", 404, "NoSuchKey"),
    ("GET", "/B/kept", {"symlink": ""}, {}, b"", 400, "NotSymlink"),
    ("GET", "/B-absent/", {}, {}, b"", 404, "NoSuchBucket"),
    ("GET", "/B-absent/", {"bucketInfo": ""}, {}, b"", 404, "NoSuchBucket"),
    ("GET", "/B-absent/", {"acl": ""}, {}, b"", 404, "NoSuchBucket"),
    ("DELETE", "/B-absent/", {}, {}, b"", 404, "NoSuchBucket"),
    ("DELETE", "/B/", {}, {}, b"", 409, "BucketNotEmpty"),
    ("PUT", "/Upper-Case/", {}, {}, b"", 400, "InvalidBucketName"),
    ("PUT", "/-dash/", {}, {}, b"", 400, "InvalidBucketName"),
    ("PUT", "/dash-/", {}, {}, b"", 400, "InvalidBucketName"),
    ("PUT", "/ab/", {}, {}, b"", 400, "InvalidBucketName"),
    ("PUT", "/B/", {"acl": ""}, {"x-oss-acl": "wrong"}, b"", 400, "InvalidArgument"),
    ("PUT", "/B/kept", {"acl": ""}, {"x-oss-object-acl": "wrong"}, b"", 400, "InvalidArgument"),
    ("GET", "/B/", {"max-keys": "0"}, {}, b"", 400, "InvalidArgument"),
    ("GET", "/B/", {"max-keys": "1001"}, {}, b"", 400, "InvalidArgument"),
    ("GET", "/B/", {"max-keys": "x"}, {}, b"", 400, "InvalidArgument"),
    ("GET", "/B/", {"encoding-type": "base64"}, {}, b"", 400, "InvalidArgument"),
    ("GET", "/B/", {"encryption": ""}, {}, b"", 404, "NoSuchServerSideEncryptionRule"),
    ("GET", "/B/", {"cors": ""}, {}, b"", 404, "NoSuchCORSConfiguration"),
    ("GET", "/B/", {"policy": ""}, {}, b"", 404, "NoSuchBucketPolicy"),
    ("GET", "/B/", {"lifecycle": ""}, {}, b"", 404, "NoSuchLifecycle"),
    ("PUT", "/B/k", {}, {"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}, b"not hello", 400, "InvalidDigest"),
    ("PUT", "/B/k", {}, {"Content-MD5": "short"}, b"body", 400, "InvalidDigest"),
    ("PUT", "/B/k", {}, {"x-oss-storage-class": "Nonesuch"}, b"body", 400, "InvalidArgument"),
    ("PUT", "/B/k", {}, {"x-oss-storage-class": "IA"}, b"body", 400, "NotImplemented"),
    ("PUT", "/B/k", {}, {"x-oss-object-acl": "wrong"}, b"body", 400, "InvalidArgument"),
    ("PUT", "/B/k", {}, {"x-oss-tagging": "a=b&a=c"}, b"body", 400, "InvalidTag"),
    ("PUT", "/B/k", {}, {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"}, b"body", 400, "NotImplemented"),
    ("PUT", "/B/k", {}, {"x-oss-callback": "e30="}, b"body", 400, "NotImplemented"),
    ("PUT", "/B/" + "k" * 1024, {}, {}, b"body", 400, "InvalidObjectName"),
    ("PUT", "/B/kept", {}, {"x-oss-forbid-overwrite": "true"}, b"body", 409, "FileAlreadyExists"),
    ("PUT", "/B/k", {}, {"x-oss-copy-source": "/B/absent"}, b"", 404, "NoSuchKey"),
    ("PUT", "/B/k", {}, {"x-oss-copy-source": "/B-absent/k"}, b"", 404, "NoSuchBucket"),
    ("PUT", "/B/k", {}, {"x-oss-copy-source": "/B/kept", "x-oss-copy-source-if-match": '"0"'}, b"", 412, "PreconditionFailed"),
    ("PUT", "/B/k", {}, {"x-oss-copy-source": "/B/kept", "x-oss-metadata-directive": "MOVE"}, b"", 400, "InvalidArgument"),
    ("GET", "/B/kept", {}, {"If-Match": '"0"'}, b"", 412, "PreconditionFailed"),
    ("GET", "/B/kept", {}, {"Range": "bytes=9-", "x-oss-range-behavior": "standard"}, b"", 416, "InvalidRange"),
    ("GET", "/B/kept", {"x-oss-process": "image/resize,w_1"}, {}, b"", 400, "NotImplemented"),
    ("POST", "/B/kept", {"append": "", "position": "4"}, {}, b"x", 409, "ObjectNotAppendable"),
    ("POST", "/B/log", {"append": "", "position": "1"}, {}, b"x", 409, "PositionNotEqualToLength"),
    ("POST", "/B/log", {"append": "", "position": "x"}, {}, b"x", 400, "InvalidArgument"),
    ("PUT", "/B/k", {"partNumber": "1", "uploadId": UPLOAD}, {}, b"x", 404, "NoSuchUpload"),
    ("GET", "/B/k", {"uploadId": UPLOAD}, {}, b"", 404, "NoSuchUpload"),
    ("DELETE", "/B/k", {"uploadId": UPLOAD}, {}, b"", 404, "NoSuchUpload"),
    ("POST", "/B/", {"delete": ""}, {"Content-MD5": "MD5"}, b"<Delete><Object>", 400, "MalformedXML"),
    ("PUT", "/B/", {"versioning": ""}, {}, b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>", 400, "MalformedXML"),
    ("PUT", "/B/kept", {"tagging": ""}, {}, b"<Tagging>", 400, "MalformedXML"),
    ("GET", "/B/kept", {"versionId": "nonesuch"}, {}, b"", 404, "NoSuchVersion"),
    ("PUT", "/B/k", {}, {"x-oss-meta-a": "x" * 3000}, b"body", 400, "InvalidArgument"),
    ("PUT", "/B-zrs/", {}, {}, b"<CreateBucketConfiguration><DataRedundancyType>ZRS</DataRedundancyType></CreateBucketConfiguration>", 400,
     "NotImplemented"),
    ("PUT", "/B/", {"policy": ""}, {}, OSS_POLICY, 400, "InvalidPolicyDocument"),
    ("PUT", "/B/", {"website": ""}, {}, b"<WebsiteConfiguration/>", 400, "NotImplemented"),
    ("PUT", "/B/", {"lifecycle": ""}, {}, b"<LifecycleConfiguration/>", 400, "NotImplemented"),
    ("PUT", "/B/", {"logging": ""}, {}, b"<BucketLoggingStatus/>", 400, "NotImplemented"),
]
OUT = {"MD5": base64.b64encode(hashlib.md5(b"<Delete><Object>").digest()).decode()}


def call(gateway, auth, method, path, params, headers, body):
    """A request as oss2 signs it, sent without what its API would make of it."""
    bucket, _, key = path[1:].partition("/")
    url = gateway.endpoint + "/" + bucket + "/" + oss2.compat.urlquote(key, "")
    request = oss2.http.Request(method, url, data=body, params=params, headers=headers, region=REGION, product="oss")
    auth._sign_request(request, bucket, key)
    query = "&".join(f"{name}={oss2.compat.urlquote(value, '')}" if value else name for name, value in params.items())
    return requests.request(method, url + ("?" + query if query else ""), data=body, headers=request.headers, timeout=30)


@pytest.fixture(scope="module")
def house(gateway):
    auth = {"V1": oss2.Auth(gateway.access_key, gateway.secret_key), "V4": oss2.AuthV4(gateway.access_key, gateway.secret_key)}
    name = "e-" + secrets.token_hex(8)
    bucket = oss2.Bucket(auth["V4"], gateway.endpoint, name, region=REGION)
    bucket.create_bucket()
    bucket.put_object("kept", b"kept")
    bucket.append_object("log", 0, b"")
    return name, auth


@pytest.mark.parametrize("signature", ["V1", "V4"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1][:20]} {' '.join(case[2])} {' '.join(case[3])} {case[6]}")
def test_every_error_has_its_code(gateway, house, case, signature):
    method, path, params, headers, body, status, code = case
    name, auth = house
    headers = {key: OUT.get(value, value).replace("/B", "/" + name) for key, value in headers.items()}
    answer = call(gateway, auth[signature], method, path.replace("/B", "/" + name, 1), dict(params), headers, body)
    error = tree.fromstring(answer.content)
    assert (answer.status_code, error.findtext("Code")) == (status, code), answer.text
    assert error.tag == "Error", "without a namespace"
    assert answer.headers["Content-Type"] == "application/xml"
    assert error.findtext("Message") and error.findtext("HostId") == gateway.endpoint.split("//")[1]
    assert re.fullmatch("[0-9A-F]{24}", error.findtext("RequestId"))
    assert error.findtext("RequestId") == answer.headers["x-oss-request-id"]


HEADS = [("/B/absent", {}, 404, "NoSuchKey"), ("/B/absent", {"objectMeta": ""}, 404, "NoSuchKey"), ("/B-absent/k", {}, 404, "NoSuchBucket"),
         ("/B/dangling", {}, 404, "SymlinkTargetNotExist"), ("/B/", {}, 405, "MethodNotAllowed")]


@pytest.mark.parametrize("path, params, status, code", HEADS, ids=[row[0] + row[3] for row in HEADS])
def test_errors_of_head_are_told_in_a_header(gateway, house, path, params, status, code):
    name, auth = house
    oss2.Bucket(auth["V4"], gateway.endpoint, name, region=REGION).put_symlink("nothing", "dangling")
    answer = call(gateway, auth["V4"], "HEAD", path.replace("/B", "/" + name, 1), params, {}, b"")
    error = tree.fromstring(base64.b64decode(answer.headers["x-oss-err"]))
    assert (answer.status_code, error.findtext("Code"), answer.content) == (status, code, b"")
    assert error.findtext("RequestId") == answer.headers["x-oss-request-id"]


def test_a_wrong_position_tells_the_right_one(gateway, house):
    name, auth = house
    bucket = oss2.Bucket(auth["V4"], gateway.endpoint, name, region=REGION)
    bucket.append_object("positions", 0, b"12345")
    answer = call(gateway, auth["V1"], "POST", f"/{name}/positions", {"append": "", "position": "3"}, {}, b"x")
    assert (answer.status_code, answer.headers["x-oss-next-append-position"]) == (409, "5")


def test_the_string_to_sign_is_shown_to_who_signed_wrongly(gateway, house):
    name, _ = house
    for signature, wrong in (("V1", oss2.Auth(gateway.access_key, "wrong")), ("V4", oss2.AuthV4(gateway.access_key, "wrong"))):
        answer = call(gateway, wrong, "GET", f"/{name}/kept", {}, {}, b"")
        error = tree.fromstring(answer.content)
        assert (answer.status_code, error.findtext("Code")) == (403, "SignatureDoesNotMatch"), signature
        text = error.findtext("StringToSign")
        assert f"/{name}/kept" in text if signature == "V1" else text.startswith("OSS4-HMAC-SHA256"), signature
        shown = bytes.fromhex(error.findtext("StringToSignBytes").replace(" ", "")).decode()
        assert shown.split() == text.split()
        assert error.findtext("OSSAccessKeyId") == gateway.access_key and error.findtext("SignatureProvided")

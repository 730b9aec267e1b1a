"""Every route × every kind of signature × everything that can be wrong with it: nothing is accepted, nothing changes."""

import copy
import datetime

import pytest
from wire import EMPTY_HASH, UNSIGNED, VARIANTS, Request, send, signed

DELETE = b"<Delete><Object><Key>kept</Key></Object></Delete>"
ENCRYPTION = (
    b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
    b"</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
)
COMPLETE = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>ETAG</ETag></Part></CompleteMultipartUpload>"
COPY = [("x-amz-copy-source", "/BUCKET/kept")]
TARGET = [("X-Amz-Target", "TrentService.CreateKey"), ("Content-Type", "application/x-amz-json-1.1")]
FORM = [("Content-Type", "multipart/form-data; boundary=x")]
UPLOAD = ("uploadId", "UPLOAD")

# Method, path, query in canonical order, headers, body.
ROUTES = [
    ("GET", "/", [], [], b""),
    ("POST", "/", [], TARGET, b"{}"),
    ("PUT", "/BUCKET-new", [], [], b""),
    ("HEAD", "/BUCKET", [], [], b""),
    ("DELETE", "/BUCKET", [], [], b""),
    ("GET", "/BUCKET", [], [], b""),
    ("GET", "/BUCKET", [("list-type", "2"), ("prefix", "k")], [], b""),
    ("GET", "/BUCKET", [("location", "")], [], b""),
    ("GET", "/BUCKET", [("uploads", "")], [], b""),
    ("GET", "/BUCKET", [("encryption", "")], [], b""),
    ("PUT", "/BUCKET", [("encryption", "")], [], ENCRYPTION),
    ("DELETE", "/BUCKET", [("encryption", "")], [], b""),
    ("POST", "/BUCKET", [("delete", "")], [], DELETE),
    ("POST", "/BUCKET", [("delete", "")], FORM, DELETE),
    ("GET", "/BUCKET/kept", [], [], b""),
    ("HEAD", "/BUCKET/kept", [], [], b""),
    ("DELETE", "/BUCKET/kept", [], [], b""),
    ("PUT", "/BUCKET/kept", [], [], b"replaced"),
    ("PUT", "/BUCKET/new", [], [("x-amz-meta-snowball-auto-extract", "true")], b"new"),
    ("PUT", "/BUCKET/copy", [], COPY, b""),
    ("POST", "/BUCKET/new", [("uploads", "")], [], b""),
    ("PUT", "/BUCKET/upload", [("partNumber", "2"), UPLOAD], [], b"part"),
    ("PUT", "/BUCKET/upload", [("partNumber", "2"), UPLOAD], COPY, b""),
    ("GET", "/BUCKET/upload", [UPLOAD], [], b""),
    ("POST", "/BUCKET/upload", [UPLOAD], [], COMPLETE),
    ("POST", "/BUCKET/upload", [UPLOAD], FORM, COMPLETE),
    ("DELETE", "/BUCKET/upload", [UPLOAD], [], b""),
]


@pytest.fixture
def house(gateway, s3, bucket):
    """A bucket with an object and an upload, and what can be seen of it all."""
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept", Metadata={"a": "b"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="upload")["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key="upload", PartNumber=1, UploadId=upload, Body=b"one")["ETag"]
    kms = gateway.client("kms")

    def state():
        got = s3.get_object(Bucket=bucket, Key="kept")
        parts = s3.list_parts(Bucket=bucket, Key="upload", UploadId=upload)["Parts"]
        return {
            "buckets": sorted(row["Name"] for row in s3.list_buckets()["Buckets"] if bucket in row["Name"]),
            "objects": [(row["Key"], row["ETag"], row["LastModified"]) for row in s3.list_objects_v2(Bucket=bucket)["Contents"]],
            "uploads": [row["UploadId"] for row in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]],
            "parts": [(row["PartNumber"], row["ETag"]) for row in parts],
            "object": (got["Body"].read(), got["Metadata"]),
            "encryption": s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"],
            "keys": len(kms.list_keys()["Keys"]),
        }

    fill = {"BUCKET": bucket, "UPLOAD": upload, "ETAG": etag}
    before = state()
    yield fill
    assert state() == before, "nothing has changed"


def filled(route, fill):
    def text(value):
        for name, stands_for in fill.items():
            value = value.replace(name, stands_for)
        return value

    method, path, query, headers, body = route
    pairs = lambda pairs: [(name, text(value)) for name, value in pairs]
    return method, text(path), pairs(query), pairs(headers), text(body.decode()).encode()


def flip(text, at):
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


def time_of(**delta):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**delta)


# Wrong before signing: the signature is right for what was signed. Times are told when they are used, however long the tests before
# this one take.
SIGNED_WRONG = {
    "another secret": {"secret": "made up"},
    "an unknown key id": {"access_key": "AKNOBODY"},
    "another's key id": "other",
    "too early": lambda: {"now": time_of(minutes=-16)},
    "too late": lambda: {"now": time_of(minutes=20)},
    "another day": {"scope_date": "20200101"},
    "another region": {"region": "eu-west-1"},
    "another service": {"service": "execute-api"},
    "another terminator": {"terminator": "aws4_requests"},
}


def query_with(request, name, change):
    return [(key, change(value) if key == name else value) for key, value in request.query]


def altered(request, url):
    """Wrong after signing: each as (what, request)."""

    def mutant(what, edit):
        changed = copy.deepcopy(request)
        edit(changed)
        return what, changed

    def header(name, value):
        return lambda changed: changed.set(name, value)

    def more(name, value):
        return lambda changed: changed.headers.append((name, value))

    def attribute(name, value):
        return lambda changed: setattr(changed, name, value)

    own = [pair for pair in request.query if not pair[0].startswith("X-Amz-")]
    auth = [pair for pair in request.query if pair[0].startswith("X-Amz-")]
    other = {"GET": "DELETE", "HEAD": "GET", "PUT": "POST", "POST": "PUT", "DELETE": "GET"}[request.method]
    yield mutant("another method", attribute("method", other))
    yield mutant("a longer path", attribute("path", request.path.rstrip("/") + "/x"))
    yield mutant("a parameter more", attribute("query", [("acl", ""), *request.query]))
    yield mutant("an ordinary parameter more", attribute("query", [("x-id", "PutObject"), *request.query]))
    for index, (name, value) in enumerate(own):
        changed = [*own[:index], (name, value + "0"), *own[index + 1 :]]
        yield mutant(f"{name} changed", attribute("query", changed + auth))
        yield mutant(f"{name} removed", attribute("query", own[:index] + own[index + 1 :] + auth))
    yield mutant("another host", header("Host", "elsewhere.example"))
    yield mutant("two hosts", more("Host", request.get("Host")))
    yield mutant("an unsigned copy source", more("x-amz-copy-source", "/other/secret"))
    yield mutant("an unsigned ACL", more("x-amz-acl", "public-read"))
    yield mutant("a session token", more("x-amz-security-token", "token"))
    for name, value in request.headers:
        if name.lower().startswith("x-amz-"):
            yield mutant(f"{name} changed", header(name, flip(value, len(value) // 2)))
            yield mutant(f"{name} removed", lambda changed, name=name: changed.drop(name))
            yield mutant(f"{name} twice", more(name, value))
    if url:
        mark = dict(auth)["X-Amz-Signature"]
        for what, value in marks(mark):
            yield mutant(what, attribute("query", query_with(request, "X-Amz-Signature", lambda _, value=value: value)))
        for name, value in auth:
            gone = [pair for pair in request.query if pair[0] != name]
            yield mutant(f"{name} removed", attribute("query", gone))
            yield mutant(f"{name} twice", attribute("query", [*request.query, (name, value)]))
        for expires in ("604801", "0", "-1", "301", "99999999999999999999"):
            yield mutant(f"expires in {expires}", attribute("query", query_with(request, "X-Amz-Expires", lambda _, e=expires: e)))
        yield mutant("two mechanisms", header("Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=" + mark))
        yield mutant("another algorithm", attribute("query", query_with(request, "X-Amz-Algorithm", lambda _: "AWS4-HMAC-SHA1")))
        return
    text = request.get("Authorization")
    mark = text[-64:]
    for what, value in marks(mark):
        yield mutant(what, header("Authorization", text[:-64] + value))
    yield mutant("no authorization", lambda changed: changed.drop("Authorization"))
    yield mutant("authorization twice", more("Authorization", text))
    yield mutant("another algorithm", header("Authorization", text.replace("SHA256", "SHA1", 1)))
    yield mutant("another scheme", header("Authorization", text.replace("AWS4-HMAC-SHA256", "Bearer", 1)))
    yield mutant("host not signed", header("Authorization", text.replace("host;", "", 1)))
    yield mutant("a signed header absent", header("Authorization", text.replace("host;", "host;x-absent;", 1)))
    yield mutant("nothing signed", header("Authorization", text[: text.index("SignedHeaders=") + 14] + ", Signature=" + mark))
    payload = request.get("x-amz-content-sha256")
    yield mutant("another payload", header("x-amz-content-sha256", UNSIGNED if payload != UNSIGNED else EMPTY_HASH))
    yield mutant("two mechanisms", attribute("query", [*request.query, ("X-Amz-Signature", mark)]))


def marks(mark):
    yield "first digit", flip(mark, 0)
    yield "last digit", flip(mark, 63)
    yield "no signature", ""
    yield "a shorter signature", mark[:-1]
    yield "a longer signature", mark + "0"
    yield "zeros", "0" * 64


AUTH_CODES = {
    "AccessDenied", "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError", "InvalidAccessKeyId",
    "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidToken", "MissingSecurityHeader",
}


def variants_of(route):
    # The key service takes its body whole, signed by its hash.
    return ["hash"] if route[3] is TARGET else VARIANTS


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: " ".join([route[0], route[1], *(name for name, _ in route[2])]))
def test_nothing_wrong_is_accepted(gateway, house, route):
    method, path, query, headers, body = filled(route, house)
    kms = {"service": "kms"} if route[3] is TARGET else {}
    count = 0

    def refused(what, request):
        nonlocal count
        count += 1
        answer = send(gateway, request)
        assert 400 <= answer.status < 500, (what, answer.status, answer.body, request.head())

    for variant in variants_of(route):
        for what, wrong in SIGNED_WRONG.items():
            wrong = {"access_key": gateway.other_access_key} if wrong == "other" else wrong() if callable(wrong) else wrong
            if what == "too early" and variant == "url":
                continue  # A URL has its own time: see below.
            request, _, _ = signed(gateway, method, path, body, variant, headers, query, **{**kms, **wrong})
            refused((variant, what), request)
        good, _, _ = signed(gateway, method, path, body, variant, headers, query, **kms)
        for what, request in altered(good, variant == "url"):
            refused((variant, what), request)
        assert count >= 15
        if variant == "url":
            # Valid for 300 seconds from its date on.
            request, _, _ = signed(gateway, method, path, body, variant, headers, query, now=time_of(seconds=-302))
            refused((variant, "expired"), request)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_requests_pass_when_nothing_is_wrong(gateway, variant):
    """Without this, a matrix over requests that are never right would prove nothing."""
    fill = {"BUCKET": "no-such-bucket", "UPLOAD": "0" * 32, "ETAG": "e"}
    for route in ROUTES:
        if variant not in variants_of(route) or route[0:2] == ("PUT", "/BUCKET-new"):
            continue
        method, path, query, headers, body = filled(route, fill)
        kms = {"service": "kms"} if route[3] is TARGET else {}
        request, _, _ = signed(gateway, method, path, body, variant, headers, query, **kms)
        answer = send(gateway, request)
        assert answer.status in (200, 400, 404) and answer.code not in AUTH_CODES, (route, answer.body)

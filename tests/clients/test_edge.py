"""The edge, row by row of threats.toml, A: everything wrong is refused with S3's code, and stores nothing."""

import datetime
import itertools
import secrets
import socket

import pytest
from wire import (
    EMPTY_HASH, SIGNED_CHUNKS, UNSIGNED, UNSIGNED_TRAILER, VARIANTS, Request, Signer, crc32, get, put, receive, send, sha,
)

BODY = secrets.token_bytes(153_600)
DENIED = (403, "SignatureDoesNotMatch")
CHUNKED = [variant for variant in VARIANTS if "chunk" in variant or "trailer" in variant]


@pytest.fixture
def absent(s3, bucket):
    """Checks at the end that nothing was stored."""
    yield
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def outcome(gateway, request, **options):
    answer = send(gateway, request, **options)
    return answer.status, answer.code


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_accepted_when_right(gateway, s3, bucket, variant):
    for body in (BODY, b"x", b""):
        request, _, _ = put(gateway, bucket, "k", body, variant)
        assert send(gateway, request).status == 200, variant
        got = s3.get_object(Bucket=bucket, Key="k")
        assert got["Body"].read() == body and "ContentEncoding" not in got


@pytest.mark.parametrize("variant", VARIANTS)
def test_a1_one_bit_of_anything_signed(gateway, bucket, absent, variant):
    def flipped(text, at=-1):
        changed = chr(ord(text[at]) ^ 1)
        return text[:at] + changed + (text[at + 1 :] if at != -1 else "")

    request, _, _ = put(gateway, bucket, "k", BODY, variant, [("x-amz-meta-a", "b"), ("Content-Type", "text/plain")])
    mutants = []

    def mutant(what, expected, **parts):
        mutants.append((what, expected, Request(**(vars(request) | parts))))

    # What has a form of its own is refused for its form; everything else reaches the comparison.
    forms = {
        "x-amz-date": [(403, "RequestTimeTooSkewed"), (400, "AuthorizationHeaderMalformed")],
        "x-amz-content-sha256": [DENIED, (400, "InvalidArgument")],
    }
    for index, (name, value) in enumerate(request.headers):
        if name.lower() in ("content-length", "authorization"):
            continue
        headers = list(request.headers)
        headers[index] = (name, flipped(value, 3 if name.lower() == "x-amz-date" else -1))
        mutant(name, forms.get(name.lower(), [DENIED]), headers=headers)
    for method in ("POST", "DELETE"):
        mutant(method, [DENIED], method=method)
    mutant("path", [DENIED], path=flipped(request.path))
    mutant("query", [DENIED], query=[*request.query, ("x-id", "y")])
    mutant("sub-resource", [DENIED], query=[*request.query, ("tagging", "")])
    form = (400, "AuthorizationQueryParametersError")
    for index, (name, value) in enumerate(request.query):
        query = list(request.query)
        query[index] = (name, flipped(value, len(value) // 2))
        mutant(name, [DENIED, form, (403, "InvalidAccessKeyId"), (400, "InvalidRequest")], query=query)
        mutant("no " + name, [form], query=[pair for pair in request.query if pair[0] != name])
    if variant != "url":
        authorization = request.get("Authorization")
        for at in range(len(authorization) - 64, len(authorization), 9):
            wrong = authorization[:at] + ("0" if authorization[at] != "0" else "1") + authorization[at + 1 :]
            headers = [(name, wrong if name == "Authorization" else value) for name, value in request.headers]
            mutant(f"signature at {at}", [DENIED], headers=headers)
    assert len(mutants) > 10
    for what, expected, sent in mutants:
        assert outcome(gateway, sent) in expected, (what, sent.head())


ROUTES = [
    ("GET", "", []), ("PUT", "/BUCKET", []), ("DELETE", "/BUCKET", []), ("HEAD", "/BUCKET", []),
    ("GET", "/BUCKET", [("location", "")]), ("GET", "/BUCKET", [("encryption", "")]),
    ("PUT", "/BUCKET", [("encryption", "")]), ("DELETE", "/BUCKET", [("encryption", "")]),
    ("GET", "/BUCKET", []), ("GET", "/BUCKET", [("list-type", "2")]), ("GET", "/BUCKET", [("uploads", "")]),
    ("POST", "/BUCKET", [("delete", "")]), ("PUT", "/BUCKET/k", []), ("GET", "/BUCKET/k", []),
    ("HEAD", "/BUCKET/k", []), ("DELETE", "/BUCKET/k", []), ("POST", "/BUCKET/k", [("uploads", "")]),
    ("PUT", "/BUCKET/k", [("partNumber", "1"), ("uploadId", "0" * 32)]),
    ("POST", "/BUCKET/k", [("uploadId", "0" * 32)]), ("DELETE", "/BUCKET/k", [("uploadId", "0" * 32)]),
    ("GET", "/BUCKET/k", [("uploadId", "0" * 32)]), ("POST", "/BUCKET", []), ("GET", "/BUCKET", [("policy", "")]),
]


def test_a2_a_known_access_key_with_a_made_up_signature_opens_no_route(gateway, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    payloads = [sha(b""), UNSIGNED, SIGNED_CHUNKS, SIGNED_CHUNKS + "-TRAILER", UNSIGNED_TRAILER, "url", "anonymous"]
    extra = [[], [("Content-Type", "multipart/form-data; boundary=x")], [("x-amz-meta-snowball-auto-extract", "true")]]
    for (method, path, query), payload, headers in itertools.product(ROUTES, payloads, extra):
        request = Request(method, path.replace("BUCKET", bucket) or "/", list(headers), b"", list(query))
        request.set("Content-Length", "0")
        signer = Signer(gateway, secret="made up")
        if payload == "url":
            signer.presign(request)
        elif payload == "anonymous":
            request.set("Host", signer.host)
        else:
            request.set("x-amz-decoded-content-length", "0")
            signer.sign(request, payload)
        assert send(gateway, request).status in (400, 403), request.head()
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


def test_a2_the_code_is_signature_does_not_match(gateway, bucket, absent):
    for variant in VARIANTS:
        request, _, _ = put(gateway, bucket, "k", BODY, variant, secret="made up")
        assert outcome(gateway, request) == DENIED
        request, _, _ = put(gateway, bucket, "k", BODY, variant, access_key="AKNOBODY")
        assert outcome(gateway, request) == (403, "InvalidAccessKeyId")


def test_a3_streaming_modes_need_the_header(gateway, bucket, absent):
    for payload in (UNSIGNED_TRAILER, SIGNED_CHUNKS, SIGNED_CHUNKS + "-TRAILER"):
        signer = Signer(gateway)
        request = Request("PUT", f"/{bucket}/k", [
            ("x-amz-content-sha256", payload), ("x-amz-decoded-content-length", "1"),
            ("x-amz-trailer", "x-amz-checksum-crc32"), ("Content-Encoding", "aws-chunked"),
        ])
        signer.presign(request, payload=payload)
        request.body = b"".join(signer.chunks("0" * 64, [b"x"], False, [("x-amz-checksum-crc32", crc32(b"x"))]))
        request.set("Content-Length", str(len(request.body)))
        status, _ = outcome(gateway, request)
        assert status in (400, 403)
        # And with the credentials' names only, in the query of an otherwise unsigned request.
        request.query = [pair for pair in request.query if pair[0] != "X-Amz-Signature"]
        status, _ = outcome(gateway, request)
        assert status in (400, 403)


@pytest.mark.parametrize("variant", CHUNKED)
def test_a6_chunks_altered_swapped_or_removed(gateway, bucket, absent, variant):
    request, signer, chunks = put(gateway, bucket, "k", BODY, variant)
    altered = bytearray(chunks[1])
    altered[len(altered) // 2] ^= 1
    expected = (400, "BadDigest") if variant == "unsigned-trailer" else DENIED
    for changed in ([chunks[0], bytes(altered), *chunks[2:]], [chunks[1], chunks[0], *chunks[2:]]):
        request.body = b"".join(changed)
        assert outcome(gateway, request) == expected
    request.body = b"".join([chunks[0], *chunks[2:]])
    request.set("Content-Length", str(len(request.body)))
    status, _ = outcome(gateway, request)
    assert status in (400, 403)
    if variant != "unsigned-trailer":
        first, second = chunks[0].split(b"\r\n", 1)[0], chunks[1].split(b"\r\n", 1)[0]
        mark = len(b";chunk-signature=") + 64
        swapped = b"".join(chunks).replace(first[-mark:], b"@" * mark).replace(second[-mark:], first[-mark:])
        request.body = swapped.replace(b"@" * mark, second[-mark:])
        request.set("Content-Length", str(len(request.body)))
        assert outcome(gateway, request) == DENIED


@pytest.mark.parametrize("variant", CHUNKED)
def test_a7_the_final_chunk_is_needed(gateway, bucket, absent, variant):
    request, _, chunks = put(gateway, bucket, "k", BODY, variant)
    for cut in (chunks[:-1] if variant == "chunked" else chunks[:-2], chunks[:1], []):
        request.body = b"".join(cut)
        request.set("Content-Length", str(len(request.body)))
        assert outcome(gateway, request) == (400, "IncompleteBody")
    if variant == "chunked":
        wrong = chunks[-1].replace(b"signature=", b"signature=0")[:-3] + b"\r\n"
        request.body = b"".join([*chunks[:-1], wrong[: len(chunks[-1]) - 4] + b"\r\n\r\n"])
        request.set("Content-Length", str(len(request.body)))
        status, _ = outcome(gateway, request)
        assert status in (400, 403)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a7_a_connection_cut_before_the_end_stores_nothing(gateway, bucket, absent, variant):
    request, _, _ = put(gateway, bucket, "k", BODY, variant)
    data = request.bytes()
    for keep in (len(request.head()), len(data) // 2, len(data) - 1):
        assert send(gateway, data[:keep], cut=True).status in (0, 400)


@pytest.mark.parametrize("variant", CHUNKED)
def test_a8_the_decoded_length_must_be_right(gateway, bucket, absent, variant):
    for length, expected in ((None, [411]), ("-1", [400]), ("1e3", [400]), (str(len(BODY) + 1), [400]),
                             (str(len(BODY) - 1), [400]), ("", [400, 411])):
        request, signer, _ = put(gateway, bucket, "k", BODY, variant)
        request.drop("Authorization")
        if length is None:
            request.drop("x-amz-decoded-content-length")
        else:
            request.set("x-amz-decoded-content-length", length)
        seed = signer.sign(request, request.get("x-amz-content-sha256"))
        trailer = [("x-amz-checksum-crc32", crc32(BODY))] if "trailer" in variant else None
        request.body = b"".join(signer.chunks(seed, [BODY], variant != "unsigned-trailer", trailer))
        request.set("Content-Length", str(len(request.body)))
        assert outcome(gateway, request)[0] in expected, length
    request, signer, _ = put(gateway, bucket, "k", BODY, variant)
    request.drop("x-amz-decoded-content-length")
    signer.sign(request, request.get("x-amz-content-sha256"))
    request.set("x-amz-decoded-content-length", str(len(BODY)))
    assert outcome(gateway, request) == (403, "AccessDenied"), "a decoded length that nobody signed"


@pytest.mark.parametrize("variant", ["chunked-trailer", "unsigned-trailer"])
def test_a9_trailers(gateway, s3, bucket, absent, variant):
    good = [("x-amz-checksum-crc32", crc32(BODY))]
    signed = variant == "chunked-trailer"

    def sent(trailer, announced="x-amz-checksum-crc32", mangle=lambda body: body):
        request, signer, _ = put(gateway, bucket, "k", BODY, variant)
        request.set("x-amz-trailer", announced)
        seed = signer.sign(request, request.get("x-amz-content-sha256"))
        request.body = mangle(b"".join(signer.chunks(seed, [BODY], signed, trailer)))
        request.set("Content-Length", str(len(request.body)))
        return outcome(gateway, request)

    malformed = (400, "MalformedTrailerError")
    assert sent([("x-amz-checksum-sha1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")]) == malformed
    assert sent([("x-amz-meta-sneaked", "in"), *good]) == malformed
    assert sent(good + good) == malformed
    assert sent([*good, ("x-amz-checksum-crc32", "AAAAAA==")]) == malformed
    assert sent([("x-amz-checksum-crc32", "A" * 20_000)])[0] == 400
    assert sent(good, mangle=lambda body: body.replace(b"crc32:", b"crc32 "))[0] in (400, 403)
    assert sent([("x-amz-checksum-crc32", "AAAAAA==")]) == (400, "BadDigest")
    stripped = sent(None)
    assert stripped[0] in (400, 403), "a trailer that was announced and stripped"
    if signed:
        cut = lambda body: body[: body.index(b"x-amz-trailer-signature")] + b"\r\n"
        assert sent(good, mangle=cut)[0] in (400, 403)
        at = lambda body: body[:-6] + (b"0" if body[-6:-5] != b"0" else b"1") + body[-5:]
        assert sent(good, mangle=at) == DENIED


def trailers():
    """The right checksums of BODY, as botocore computes them for its own uploads."""
    from botocore.httpchecksum import _CHECKSUM_CLS

    return {f"x-amz-checksum-{name}": _CHECKSUM_CLS[name]().handle(BODY)
            for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")}


def flip_base64(text):
    return ("A" if text[0] != "A" else "B") + text[1:]


TRAILERS = trailers()
CHECKSUMS = {
    "x-amz-checksum-crc32": 4, "x-amz-checksum-crc32c": 4, "x-amz-checksum-crc64nvme": 8, "x-amz-checksum-sha1": 20,
    "x-amz-checksum-sha256": 32, "content-md5": 16,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a10_a_declared_checksum_that_is_not_the_bodys(gateway, bucket, absent, variant):
    import base64

    for name, size in CHECKSUMS.items():
        wrong = base64.b64encode(secrets.token_bytes(size)).decode()
        request, _, _ = put(gateway, bucket, "k", BODY, variant, [(name, wrong)])
        status, code = outcome(gateway, request)
        # With a trailer announced too, two checksums are declared at once: that alone is refused.
        both = "trailer" in variant and name != "content-md5"
        assert (status, code) in ([(400, "InvalidRequest"), (400, "BadDigest")] if both else [(400, "BadDigest")]), name


@pytest.mark.parametrize("name", sorted(TRAILERS))
def test_a10_a_trailing_checksum_that_is_not_the_bodys(gateway, s3, bucket, name):
    for variant in ("chunked-trailer", "unsigned-trailer"):
        for value, expected in ((TRAILERS[name], (200, None)), (flip_base64(TRAILERS[name]), (400, "BadDigest")),
                                (TRAILERS[name][:4], (400, "InvalidRequest")), ("=", (400, "InvalidRequest"))):
            request, signer, _ = put(gateway, bucket, "k", BODY, variant)
            request.set("x-amz-trailer", name)
            seed = signer.sign(request, request.get("x-amz-content-sha256"))
            request.body = b"".join(signer.chunks(seed, [BODY], variant == "chunked-trailer", [(name, value)]))
            request.set("Content-Length", str(len(request.body)))
            assert outcome(gateway, request) == expected, (variant, value)
            if expected[0] == 200:
                s3.delete_object(Bucket=bucket, Key="k")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a12_the_signed_hash_must_be_the_bodys(gateway, bucket, absent):
    for body in (BODY, b"x"):
        request, _, _ = put(gateway, bucket, "k", body, "hash")
        request.body = request.body[:-1] + b"?"
        assert outcome(gateway, request) == (400, "XAmzContentSHA256Mismatch")
    presigned = Request("PUT", f"/{bucket}/k", [("x-amz-content-sha256", sha(BODY))], BODY[:-1] + b"?")
    Signer(gateway).presign(presigned, payload=sha(BODY))
    presigned.set("Content-Length", str(len(BODY)))
    assert outcome(gateway, presigned) == (400, "XAmzContentSHA256Mismatch")
    empty, signer, _ = put(gateway, bucket, "k", b"", "hash")
    signer.sign(empty, sha(b"not empty"))
    assert outcome(gateway, empty) == (400, "XAmzContentSHA256Mismatch")
    for method in ("GET", "DELETE"):
        bodiless = Request(method, f"/{bucket}/k")
        Signer(gateway).sign(bodiless, sha(b"a body that does not come"))
        assert outcome(gateway, bodiless) == (400, "XAmzContentSHA256Mismatch")
    delete = Request("POST", f"/{bucket}", query=[("delete", "")])
    Signer(gateway).sign(delete, sha(b"another body"))
    delete.body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    delete.set("Content-Length", str(len(delete.body)))
    assert outcome(gateway, delete) == (400, "XAmzContentSHA256Mismatch")


@pytest.mark.parametrize("seconds,accepted", [(-905, False), (905, False), (-895, True), (895, True)])
def test_a13_the_clock_may_differ_by_15_minutes(gateway, bucket, seconds, accepted):
    # The exact edge (±15:00) is a unit test with a clock that stands still.
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    for variant in VARIANTS[:-1]:
        request, _, _ = put(gateway, bucket, "k", BODY, variant, now=now)
        assert outcome(gateway, request) == ((200, None) if accepted else (403, "RequestTimeTooSkewed"))


@pytest.mark.parametrize("wrong", [
    {"scope_date": "20200101"}, {"region": "eu-west-1"}, {"service": "ec2"}, {"terminator": "aws3_request"},
], ids=str)
def test_a14_the_scope_must_be_ours(gateway, bucket, absent, wrong):
    for variant in VARIANTS:
        request, _, _ = put(gateway, bucket, "k", BODY, variant, **wrong)
        code = "AuthorizationQueryParametersError" if variant == "url" else "AuthorizationHeaderMalformed"
        assert outcome(gateway, request) == (400, code)


@pytest.mark.parametrize("name,value", [
    ("x-amz-acl", "public-read"), ("x-amz-server-side-encryption", "aws:kms"), ("x-amz-copy-source", "/other/secret"),
    ("x-amz-security-token", "t"), ("x-amz-tagging", "a=b"), ("x-amz-meta-a", "b"), ("x-amz-website-redirect-location", "/"),
])
def test_a15_an_amz_header_that_nobody_signed(gateway, bucket, absent, name, value):
    for variant in VARIANTS:
        request, _, _ = put(gateway, bucket, "k", BODY, variant)
        request.headers.append((name, value))
        status, code = outcome(gateway, request)
        assert (status, code) == (403, "AccessDenied") or (name, status) == ("x-amz-security-token", 400), variant


def test_a17_what_stands_twice(gateway, bucket, absent):
    for name in ("Authorization", "x-amz-date", "x-amz-content-sha256", "Host"):
        request, _, _ = put(gateway, bucket, "k", BODY, "hash")
        request.headers.append((name, request.get(name)))
        assert outcome(gateway, request)[0] in (400, 403), name
    for signed in ("", "host;x-amz-content-sha256;x-amz-date;x-absent", "x-amz-content-sha256;x-amz-date"):
        request, signer, _ = put(gateway, bucket, "k", BODY, "hash")
        names = signed.split(";") if signed else []
        signature = signer.signature("AWS4-HMAC-SHA256", signer.canonical(request, names, sha(BODY)))
        request.set("Authorization", f"AWS4-HMAC-SHA256 Credential={signer.access_key}/{signer.scope}, "
                                     f"SignedHeaders={signed}, Signature={signature}")
        assert outcome(gateway, request)[0] in (400, 403), signed
    request, signer, _ = put(gateway, bucket, "k", BODY, "hash")
    signer.presign(request)
    assert outcome(gateway, request)[0] == 400, "credentials in the header and in the URL"


def test_a18_presigned_urls(gateway, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")

    def presigned(method="GET", path=f"/{bucket}/k", expires=60, change=lambda request: None, **wrong):
        request = Request(method, path)
        Signer(gateway, **wrong).presign(request, expires)
        change(request)
        request.set("Content-Length", "0") if method == "PUT" else None
        return outcome(gateway, request)

    assert presigned()[0] == 200
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=10)
    assert presigned(now=past) == (403, "AccessDenied")
    future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=20)
    assert presigned(now=future)[0] == 403
    for expires in (0, -1, 604_801, 10**10, "x"):
        assert presigned(expires=expires) == (400, "AuthorizationQueryParametersError"), expires
    assert presigned(change=lambda request: setattr(request, "method", "PUT")) == DENIED
    assert presigned(change=lambda request: request.query.append(("versionId", "null"))) == DENIED
    assert presigned(change=lambda request: request.query.append(request.query[3])) in [
        DENIED, (400, "AuthorizationQueryParametersError")
    ]
    assert presigned(change=lambda request: request.set("Host", "elsewhere")) == DENIED
    assert presigned(change=lambda request: setattr(request, "path", f"/{bucket}/other")) == DENIED
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


def test_a21_sigv2_is_refused_unless_switched_on(gateway, bucket, absent):
    request = Request("PUT", f"/{bucket}/k", [("Host", gateway.endpoint[7:]), ("Content-Length", "0"),
                                              ("Authorization", f"AWS {gateway.access_key}:c2lnbmF0dXJl")])
    assert outcome(gateway, request) == (400, "InvalidRequest")
    query = [("AWSAccessKeyId", gateway.access_key), ("Expires", "99999999999"), ("Signature", "c2lnbmF0dXJl")]
    request = Request("GET", f"/{bucket}/k", [("Host", gateway.endpoint[7:])], query=query)
    assert outcome(gateway, request)[0] in (400, 403)


def sigv2(gateway, method, path, headers=(), date=True, resource=None, secret=None):
    """A request signed with version 2 in its header."""
    import base64
    import email.utils
    import hmac

    request = Request(method, path, [("Host", gateway.endpoint[7:]), ("Content-Length", "0"), *headers])
    if date:
        request.set("Date", email.utils.formatdate(usegmt=True) if date is True else date)
    amz = "".join(f"{name.lower()}:{value}\n" for name, value in sorted(headers) if name.lower().startswith("x-amz-"))
    text = "\n".join([method, "", "", request.get("Date") or "", amz + (resource or path)])
    mark = base64.b64encode(hmac.digest((secret or gateway.secret_key).encode(), text.encode(), "sha1")).decode()
    request.set("Authorization", f"AWS {gateway.access_key}:{mark}")
    return request


def test_a21_sigv2_where_it_is_allowed_is_verified(own_gateway):
    gateway = own_gateway("allow_sigv2 = true")
    s3 = gateway.client(signature_version="s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"kept")
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"kept"
    assert outcome(gateway, sigv2(gateway, "GET", "/bucket/k"))[0] == 200
    assert outcome(gateway, sigv2(gateway, "DELETE", "/bucket/k", date=False)) == (403, "AccessDenied"), "no Date at all"
    assert outcome(gateway, sigv2(gateway, "DELETE", "/bucket/k", date="yesterday")) == (403, "AccessDenied")
    old = "Tue, 27 Mar 2007 19:36:42 GMT"
    assert outcome(gateway, sigv2(gateway, "DELETE", "/bucket/k", date=old)) == (403, "RequestTimeTooSkewed")
    assert outcome(gateway, sigv2(gateway, "DELETE", "/bucket/k", secret="made up")) == DENIED
    for change in (
        lambda request: setattr(request, "method", "DELETE"), lambda request: setattr(request, "path", "/bucket/l"),
        lambda request: request.headers.append(("x-amz-acl", "public-read")),
        lambda request: request.query.append(("uploads", "")), lambda request: request.query.append(("versionId", "null")),
        lambda request: request.set("Content-Type", "text/html"), lambda request: request.set("Content-MD5", "AAAA"),
        lambda request: request.set("Date", "Tue, 27 Mar 2007 19:36:43 GMT"),
    ):
        request = sigv2(gateway, "GET", "/bucket/k")
        change(request)
        assert outcome(gateway, request)[0] == 403, request.head()
    # What carries no signature of its own in chunks cannot come in any.
    for payload in (UNSIGNED_TRAILER, SIGNED_CHUNKS):
        request = sigv2(gateway, "PUT", "/bucket/k", [("x-amz-content-sha256", payload), ("x-amz-decoded-content-length", "0")])
        assert outcome(gateway, request) == (403, "AccessDenied")
    url = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "k"}, ExpiresIn=60).split("?", 1)[1]
    query = [tuple(pair.split("=", 1)) for pair in url.split("&")]
    host = [("Host", gateway.endpoint[7:])]
    assert send(gateway, Request("GET", "/bucket/k", host, query=query)).body == b"kept"
    for index in range(len(query)):
        name, value = query[index]
        changed = [*query[:index], (name, value[:-4] + ("1111" if value[-4:] != "1111" else "2222")), *query[index + 1 :]]
        for wrong in (changed, [*query, query[index]], query[:index] + query[index + 1 :], [*query, ("uploads", "")]):
            assert outcome(gateway, Request("GET", "/bucket/k", host, query=wrong))[0] in (400, 403), wrong
    assert outcome(gateway, Request("DELETE", "/bucket/k", host, query=query)) == DENIED
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"kept"


def test_a22_no_answer_tells_the_right_signature(gateway, bucket):
    for variant in VARIANTS:
        moment = datetime.datetime.now(datetime.timezone.utc)
        right, signer, _ = put(gateway, bucket, "k", BODY, variant, now=moment)
        wrong, _, _ = put(gateway, bucket, "k", BODY, variant, now=moment, secret="made up")
        mark = dict(right.query).get("X-Amz-Signature") or right.get("Authorization")[-64:]
        answer = send(gateway, wrong)
        said = answer.body.decode() + str(answer.headers)
        assert (answer.status, answer.code) == DENIED and mark not in said and signer.key().hex() not in said
        assert gateway.secret_key not in said
        assert mark not in gateway.log.read_text(), "not in the log either, at any level"


def test_nobody_may_do_nothing(gateway, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    host = [("Host", gateway.endpoint[7:]), ("Content-Length", "0")]
    for method, path, query in ROUTES:
        request = Request(method, path.replace("BUCKET", bucket) or "/", list(host), b"", list(query))
        status = send(gateway, request).status
        assert status == 403, (method, path, query, status)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


def test_expect_100_continue_is_answered_only_to_a_right_signature(gateway, s3, bucket):
    for secret, expected in ((gateway.secret_key, 100), ("made up", 403)):
        request, _, _ = put(gateway, bucket, "k", BODY, "hash", secret=secret)
        request.headers.append(("Expect", "100-continue"))
        with socket.create_connection(gateway.address, 20) as connection:
            connection.sendall(request.head())
            answer = receive(connection)
            assert answer.status == expected
            if expected == 100:
                connection.sendall(request.body)
                assert receive(connection).status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY


def test_b9_what_could_smuggle_a_second_request(gateway, bucket, absent):
    host = gateway.endpoint[7:]
    heads = [
        f"Host: {host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        f"Host: {host}\r\nContent-Length: 4\r\nContent-Length: 5\r\n",
        f"Host: {host}\r\nTransfer-Encoding: identity, chunked\r\n",
        f"Host: {host}\r\nTransfer-Encoding: chunked, identity\r\n",
        f"Host: {host}\r\nTransfer-Encoding: \x0bchunked\r\n",
        f"Host: {host}\r\nHost: elsewhere\r\n", "",
        f"Host: {host}\r\nContent-Length: +4\r\n", f"Host: {host}\r\nContent-Length: 4, 4\r\n",
        f"Host: {host}\r\nX: a\r\n b\r\n",
        f"Host: {host}\nContent-Length: 4\r\n", f"Host: {host}\r\nX : a\r\n", f"Host: {host}\r\nX\r\n",
        f"Host: {host}\r\nContent-Length: 4\r\nContent-Length: 4\r\n", f"Host: {host}\r\nX: a\rb\r\n",
        f"Host: {host}\r\nContent-Length: 99999999999999999999\r\n", f"Host: {host}\r\nX: \x00\r\n",
        f"Host: {host}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ]
    # The second request is a right one: if it ran, it would store something.
    second = put(gateway, bucket, "smuggled", b"x")[0].bytes().decode("latin-1")
    for head in heads:
        data = f"PUT /{bucket}/k HTTP/1.1\r\n{head}\r\n0\r\n\r\n{second}".encode("latin-1")
        with socket.create_connection(gateway.address, 20) as connection:
            connection.sendall(data)
            answers = b""
            try:
                while more := connection.recv(65536):
                    answers += more
            except ConnectionResetError:
                pass
        assert answers.count(b"HTTP/1.1 ") == 1, (head, answers)
        assert answers.startswith(b"HTTP/1.1 4"), (head, answers)


def test_b9_chunks_that_are_none(gateway, bucket, absent):
    """HTTP's own chunks, before anything of S3's is looked at: malformed ones end the connection."""
    second = put(gateway, bucket, "smuggled", b"x")[0].bytes()
    for chunks in (b"ffffffffffffffff1\r\nx\r\n0\r\n\r\n", b"-1\r\nx\r\n0\r\n\r\n", b"0x1\r\nx\r\n0\r\n\r\n", b"1\nx\n0\n\n",
                   b"1\r\nxy\r\n0\r\n\r\n", b"1;a\nb\r\nx\r\n0\r\n\r\n", b" 1\r\nx\r\n0\r\n\r\n", b"1 \r\nx\r\n0\r\n\r\n"):
        request = Request("PUT", f"/{bucket}/k")
        Signer(gateway).sign(request, UNSIGNED)
        request.set("Transfer-Encoding", "chunked")
        with socket.create_connection(gateway.address, 20) as connection:
            connection.sendall(request.head() + chunks + second)
            answers = b""
            try:
                while more := connection.recv(65536):
                    answers += more
            except ConnectionResetError:
                pass
        assert answers.count(b"HTTP/1.1 ") <= 1 and b"HTTP/1.1 200" not in answers, (chunks, answers)

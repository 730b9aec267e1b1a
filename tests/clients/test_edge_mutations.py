"""B14: requests that are nearly right, by the thousand. Nothing panics, nothing hangs, nothing is answered with a 5xx.

`SEALGATE_MUTATIONS` asks for more than the few thousand that each run sends; `SEALGATE_SEED` for others.
"""

import os
import random
import urllib.parse

import pytest
from test_edge_matrix import ROUTES, filled, variants_of
from wire import VARIANTS, Request, send, signed

COUNT = int(os.environ.get("SEALGATE_MUTATIONS", "6000"))
SEED = int(os.environ.get("SEALGATE_SEED", "1"))

ODD = [
    "", "0", "-1", "1", "10001", "18446744073709551616", "9" * 40, "1e9", "null", "true", "*", "/", "..", "../../x", "%", "%%",
    "%00", "a b", "a+b", "é", "\u202e", "\x00", "\x01", "\r\n", "\n", "\t", '"', "'", "<", "&amp;", "]]>", "${filename}",
    "x" * 1025, "x" * 3000, "arn:aws:s3:::b/k", "AES256", "aws:kms", "aws:kms:dsse", "bytes=0-", "bytes=-0", "bytes=9-1",
    "Thu, 01 Jan 1970 00:00:00 GMT", "20200101T000000Z", "AAAA", "AAAA==", "=", "url", "STANDARD", "ENABLED", "COPY", "REPLACE",
]
PARAMETERS = [
    "acl", "attributes", "continuation-token", "cors", "delete", "delimiter", "encoding-type", "encryption", "fetch-owner",
    "key-marker", "list-type", "location", "marker", "max-keys", "max-parts", "max-uploads", "part-number-marker",
    "partNumber", "policy", "prefix", "response-content-type", "response-expires", "restore", "select", "start-after",
    "tagging", "torrent", "uploadId", "upload-id-marker", "uploads", "versionId", "versioning", "versions", "x-id",
]
HEADERS = [
    "cache-control", "content-encoding", "content-md5", "content-type", "expires", "if-match", "if-modified-since",
    "if-none-match", "if-range", "if-unmodified-since", "range", "x-amz-acl", "x-amz-bucket-object-lock-enabled",
    "x-amz-checksum-algorithm", "x-amz-checksum-crc32", "x-amz-checksum-mode", "x-amz-checksum-sha256", "x-amz-checksum-type",
    "x-amz-copy-source", "x-amz-copy-source-if-match", "x-amz-copy-source-range",
    "x-amz-copy-source-server-side-encryption-customer-key", "x-amz-expected-bucket-owner", "x-amz-meta-", "x-amz-meta-a",
    "x-amz-metadata-directive", "x-amz-mp-object-size", "x-amz-object-attributes", "x-amz-object-lock-mode",
    "x-amz-sdk-checksum-algorithm", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled", "x-amz-server-side-encryption-context",
    "x-amz-server-side-encryption-customer-algorithm", "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5", "x-amz-storage-class", "x-amz-tagging", "x-amz-trailer",
]
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY"]


def quoted(text):
    return urllib.parse.quote(text, safe="-_.~")


def signed_but_odd(rng, gateway, fill):
    """A request whose signature is right and whose content is not."""
    route = rng.choice(ROUTES)
    method, path, query, headers, body = filled(route, fill)
    variant = rng.choice(variants_of(route))
    query, headers = dict(query), dict(headers)
    for _ in range(rng.randint(1, 3)):
        match rng.randrange(7):
            case 0:
                query[rng.choice(PARAMETERS)] = quoted(rng.choice(ODD))
            case 1 if query:
                query[rng.choice(list(query))] = quoted(rng.choice(ODD))
            case 2:
                name = rng.choice(HEADERS)
                if not (name == "x-amz-trailer" and "trailer" in variant):
                    value = "".join(c for c in rng.choice(ODD) if c not in "\r\n\0")
                    headers = {key: old for key, old in headers.items() if key.lower() != name} | {name: value}
            case 3:
                path = "/" + quoted(fill["BUCKET"]) + "/" + urllib.parse.quote(rng.choice(ODD), safe="/-_.~")
            case 4:
                at = rng.randrange(len(body) + 1)
                body = body[:at] + rng.choice(ODD).encode() + body[at + rng.randrange(4) :]
            case 5:
                body = bytes(rng.choice(b"<>/abKey&;\"' \x00\xff") for _ in range(rng.randrange(200)))
            case _:
                method = rng.choice(METHODS)
    pairs = sorted(query.items())
    wrong = {"service": "kms"} if "X-Amz-Target" in headers else {}
    request, _, _ = signed(gateway, method, path, body, variant, list(headers.items()), pairs, **wrong)
    return request.bytes()


def bytes_changed(rng, data):
    """A right request with some of its bytes changed."""
    data = bytearray(data)
    telling = b"\r\n\0 \t:;,=&?%/\"\\\x7f\x80\xff09AZaz"
    for _ in range(rng.randint(1, 4)):
        # The head is where the parsers are.
        at = rng.randrange(min(len(data), 900) if rng.random() < 0.8 else len(data))
        match rng.randrange(5):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice(telling)
            case 2:
                data[at:at] = bytes([rng.choice(telling)]) * rng.choice([1, 2, 50])
            case 3:
                del data[at : at + rng.randrange(1, 20)]
            case _:
                data[at:at] = data[at : at + rng.randrange(1, 60)]
        if not data:
            return b"\r\n"
    return bytes(data)


@pytest.fixture
def target(own_gateway):
    """A gateway of the test's own, since what is signed may well succeed."""
    gateway = own_gateway('body_idle_timeout = "2s"\nheader_read_timeout = "2s"', log_level="warn")
    gateway.client().create_bucket(Bucket="bucket")
    yield gateway
    assert gateway.process.poll() is None, "the process lives"
    log = gateway.log.read_text()
    assert "panicked" not in log and "RUST_BACKTRACE" not in log, log[-3000:]


def checked(gateway, seed, data, answered):
    # Our side ends after what is sent: a request that claims more than it has is cut, not waited for.
    answer = send(gateway, data, cut=True)
    assert answer.status < 500 or answer.status == 501, (seed, data[:3000], answer)
    assert answer.status != 0 or not answered, (seed, data[:3000], "no answer")


def prepared(gateway):
    s3 = gateway.client()
    if "bucket" not in [row["Name"] for row in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="kept", Body=b"kept")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="upload")["UploadId"]
    etag = s3.upload_part(Bucket="bucket", Key="upload", PartNumber=1, UploadId=upload, Body=b"one")["ETag"]
    return {"BUCKET": "bucket", "UPLOAD": upload, "ETAG": etag}


def test_what_is_signed_and_odd_is_answered_in_the_400s(target):
    rng = random.Random(SEED)
    for index in range(COUNT // 2):
        if index % 200 == 0:
            fill = prepared(target)
        checked(target, (SEED, index), signed_but_odd(rng, target, fill), answered=True)


def test_what_is_broken_on_its_way_is_answered_in_the_400s_or_cut(target):
    rng = random.Random(SEED)
    fill = prepared(target)
    s3 = target.client()
    s3.create_bucket(Bucket="untouched")
    s3.put_object(Bucket="untouched", Key="kept", Body=b"kept")
    for index in range(COUNT // 2):
        # A change may mean nothing (a space where spaces are free); then one who may do it has done it.
        forged = index % 2 == 0
        route = filled(rng.choice(ROUTES), {**fill, "BUCKET": "untouched"} if forged else fill)
        method, path, query, headers, body = route
        wrong = {"secret": "made up"} if forged else {}
        request, _, _ = signed(target, method, path, body, rng.choice(VARIANTS), headers, query, **wrong)
        checked(target, (SEED, index), bytes_changed(rng, request.bytes()), answered=False)
    assert [row["Key"] for row in s3.list_objects_v2(Bucket="untouched")["Contents"]] == ["kept"]
    assert s3.get_object(Bucket="untouched", Key="kept")["Body"].read() == b"kept"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="untouched")


def test_a_form_that_is_broken_stores_nothing_else(target):
    from test_edge_forms import encode

    s3 = target.client(signature_version="s3v4")
    rng = random.Random(SEED)
    fields = s3.generate_presigned_post("bucket", "form", ExpiresIn=3600)["fields"]
    for index in range(COUNT // 6):
        body = bytes_changed(rng, encode(fields, b"file"))
        request = Request("POST", "/bucket", [
            ("Host", target.endpoint[7:]), ("Content-Type", "multipart/form-data; boundary=--b0undary"),
            ("Content-Length", str(len(body)))], body)
        data = request.bytes() if rng.random() < 0.8 else bytes_changed(rng, request.bytes())
        checked(target, (SEED, index), data, answered=False)
    assert {row["Key"] for row in s3.list_objects_v2(Bucket="bucket").get("Contents", [])} <= {"form"}

"""What encrypts an object: the request, then the bucket, then nothing of the client's; what is refused, and how."""

import hashlib
import os
import secrets

import pytest
from crc import crc64
from encryption import DATA, KEY, NAMES, SSE, modes
from faces import Refused
from oss_wire import Signer, post, signed
from wire import send

PART = 100 << 10
CONTEXT = SSE + "-context"


@pytest.fixture
def table(kms, key_id):
    return modes(kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"])


def by_put(gateway, oss, bucket, headers):
    oss.put(bucket, "k", b"body", headers)
    return [oss.put(bucket, "k", b"body", headers)], b"body"


def by_form(gateway, oss, bucket, headers):
    form = Signer(gateway).form("V4", bucket, "k", fields=headers)
    answer = send(gateway, post(gateway, bucket, form, b"body"))
    assert answer.status == 204, answer.body
    return [answer], b"body"


def by_copy(gateway, oss, bucket, headers):
    oss.put(bucket, "source", b"body", {SSE: "SM4"})
    return [oss.copy(bucket, "k", bucket, "source", headers)], b"body"


def by_append(gateway, oss, bucket, headers):
    return [oss.append(bucket, "k", 0, b"bo", headers), oss.append(bucket, "k", 2, b"dy")], b"body"


def by_parts(gateway, oss, bucket, headers):
    body = os.urandom(PART + 5)
    oss.put(bucket, "source", body[PART:])
    made = oss.initiate(bucket, "k", headers)
    first = oss.part(bucket, "k", made.value, 1, body[:PART])
    second = oss.part_copy(bucket, "k", made.value, 2, bucket, "source", 0, 4)
    done = oss.complete(bucket, "k", made.value, [first.value, second.value])
    return [made, first, second, done], body


WRITES = {"put": by_put, "form": by_form, "copy": by_copy, "append": by_append, "multipart": by_parts}


@pytest.mark.parametrize("way", WRITES)
@pytest.mark.parametrize("name", NAMES)
def test_a_request_chooses_and_every_answer_says_so(gateway, oss, bucket, table, name, way):
    mode = table[name]
    if way == "append" and KEY in mode.headers:
        with pytest.raises(Refused) as refused:
            WRITES[way](gateway, oss, bucket, mode.headers)
        assert (refused.value.status, refused.value.code) == (400, "InvalidArgument"), "no chosen key for appendable objects"
        return
    answers, body = WRITES[way](gateway, oss, bucket, mode.headers)
    for answer in [*answers, oss.get(bucket, "k"), oss.head(bucket, "k"), oss.get(bucket, "k", {"Range": "bytes=0-1"})]:
        mode.check(answer.headers, way)
    assert oss.get(bucket, "k").body == body
    assert SSE not in oss.meta(bucket, "k").headers
    assert oss.head(bucket, "k").headers["x-oss-hash-crc64ecma"] == crc64(body)


@pytest.mark.parametrize("way", WRITES)
@pytest.mark.parametrize("name", NAMES)
def test_a_buckets_default_applies_where_the_request_is_silent(gateway, oss, bucket, table, name, way):
    mode, other = table[name], table["SM4" if name == "AES256" else "AES256"]
    oss.put_encryption(bucket, *mode.rule)
    if way == "append" and KEY in mode.headers:
        # A default may name a key; it is the request that may not.
        answers, body = WRITES[way](gateway, oss, bucket, {})
    else:
        answers, body = WRITES[way](gateway, oss, bucket, {})
    for answer in [*answers, oss.get(bucket, "k"), oss.head(bucket, "k")]:
        mode.check(answer.headers, way)
    assert oss.get(bucket, "k").body == body
    oss.delete(bucket, "k")
    answers, body = WRITES[way](gateway, oss, bucket, other.headers)
    for answer in [*answers, oss.get(bucket, "k")]:
        other.check(answer.headers, f"{way}: the request replaces the default as a unit")
    oss.drop_encryption(bucket)
    other.check(oss.get(bucket, "k").headers, "a default that goes leaves objects as they are")


def test_a_copy_inherits_no_encryption(oss, bucket, table):
    source = table["KMS with key"]
    oss.put(bucket, "source", b"body", source.headers)
    plain = oss.put(bucket, "silent", b"x").headers
    for destination in ("copy", "source"):
        copied = oss.copy(bucket, destination, bucket, "source", {"x-oss-metadata-directive": "REPLACE"} if destination == "source" else None)
        got = oss.get(bucket, destination)
        assert got.body == b"body"
        for headers in (copied.headers, got.headers):
            assert (headers.get(SSE), headers.get(KEY)) == (plain.get(SSE), None), destination
        oss.put(bucket, "source", b"body", source.headers)


def test_copying_an_object_onto_itself_changes_its_key(kms, oss, bucket, table):
    old, new = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    oss.put(bucket, "k", b"body", {SSE: "KMS", KEY: old})
    oss.copy(bucket, "k", bucket, "k", {SSE: "KMS", KEY: new})
    kms.disable_key(KeyId=old)
    got = oss.get(bucket, "k")
    assert (got.body, got.headers[KEY]) == (b"body", new)


# Headers of a write that is refused, whichever way it comes.
REFUSALS = [
    ({SSE: "DES"}, 400, "InvalidEncryptionAlgorithmError"),
    ({SSE: "aes256"}, 400, "InvalidEncryptionAlgorithmError"),
    ({SSE: "kms"}, 400, "InvalidEncryptionAlgorithmError"),
    ({SSE: "aws:kms"}, 400, "InvalidEncryptionAlgorithmError"),
    ({SSE: "AES256", KEY: "ID"}, 400, "InvalidArgument"),
    ({SSE: "SM4", KEY: "ID"}, 400, "InvalidArgument"),
    ({KEY: "ID"}, 400, "InvalidArgument"),
    ({SSE: "KMS", KEY: ""}, 400, "InvalidArgument"),
    ({SSE: "KMS", DATA: "AES256"}, 400, "InvalidDataEncryptionAlgorithmError"),
    ({SSE: "KMS", DATA: "sm4"}, 400, "InvalidDataEncryptionAlgorithmError"),
    ({SSE: "AES256", DATA: "SM4"}, 400, "InvalidArgument"),
    ({DATA: "SM4"}, 400, "InvalidArgument"),
    ({SSE: "KMS", CONTEXT: '{"team": "blue"}'}, 400, "InvalidArgument"),
    ({SSE: "KMS", KEY: "ID", CONTEXT: "team=blue"}, 400, "InvalidArgument"),
    ({SSE: "AES256", CONTEXT: '{"team": "blue"}'}, 400, "InvalidArgument"),
    ({SSE: "KMS", KEY: "9468da86-3509-4f8d-a61e-6eab1eac0000"}, 404, "KeyNotFound"),
    ({SSE: "KMS", KEY: "alias/no-such-alias"}, 404, "AliasNotFound"),
    ({SSE: "KMS", KEY: "DISABLED"}, 409, "KeyDisabled"),
    ({SSE: "KMS", KEY: "PENDING DELETION"}, 409, "KeyPendingDeletion"),
    ({SSE: "KMS", KEY: "PENDING IMPORT"}, 409, "KeyPendingImport"),
]


@pytest.fixture(scope="module")
def keys(kms):
    """A usable key and others."""
    found = {name: kms.create_key()["KeyMetadata"]["KeyId"] for name in ("ID", "DISABLED", "PENDING DELETION")}
    kms.disable_key(KeyId=found["DISABLED"])
    kms.schedule_key_deletion(KeyId=found["PENDING DELETION"])
    found["PENDING IMPORT"] = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    return found


WAYS = {
    "put": ("PUT", "/BUCKET/new", [], [], b"body"),
    "copy": ("PUT", "/BUCKET/new", [], [("x-oss-copy-source", "/BUCKET/source")], b""),
    "initiate": ("POST", "/BUCKET/new", [("uploads", None)], [], b""),
    "append": ("POST", "/BUCKET/new", [("append", None), ("position", "0")], [], b"body"),
}


@pytest.mark.parametrize("way", [*WAYS, "form"])
@pytest.mark.parametrize("headers, status, code", REFUSALS, ids=[" ".join(row[0].values()) + " " + str(len(row[0])) + row[2] for row in REFUSALS])
def test_what_cannot_be_done_is_refused(gateway, oss, bucket, keys, headers, status, code, way):
    headers = {name: keys.get(value, value) for name, value in headers.items()}
    oss.put(bucket, "source", b"body")
    if way == "append" and headers.get(KEY) and headers.get(SSE) == "KMS":
        status, code = 400, "InvalidArgument"  # No chosen key there, whatever it is.
    if way == "form":
        answer = send(gateway, post(gateway, bucket, Signer(gateway).form("V1", bucket, "new", fields=headers), b"body"))
    else:
        method, path, query, more, body = WAYS[way]
        more = [(name, value.replace("BUCKET", bucket)) for name, value in more]
        answer = send(gateway, signed(gateway, method, path.replace("BUCKET", bucket), body, "V4 header", [*more, *headers.items()], query))
    assert (answer.status, answer.code) == (status, code), answer.body
    assert [row[0] for row in oss.list(bucket)[0]] == ["source"]
    assert oss.uploads(bucket) == []


ELSEWHERE = {
    "GET": ("GET", "/BUCKET/source", [], [], b""),
    "HEAD": ("HEAD", "/BUCKET/source", [], [], b""),
    "DELETE": ("DELETE", "/BUCKET/source", [], [], b""),
    "UploadPart": ("PUT", "/BUCKET/upload", [("partNumber", "1"), ("uploadId", "UPLOAD")], [], b"part"),
    "UploadPartCopy": ("PUT", "/BUCKET/upload", [("partNumber", "1"), ("uploadId", "UPLOAD")], [("x-oss-copy-source", "/BUCKET/source")], b""),
    "Complete": ("POST", "/BUCKET/upload", [("uploadId", "UPLOAD")], [], b"<CompleteMultipartUpload></CompleteMultipartUpload>"),
    "PutSymlink": ("PUT", "/BUCKET/link", [("symlink", None)], [("x-oss-symlink-target", "source")], b""),
    "GetBucket": ("GET", "/BUCKET/", [], [], b""),
    "PutBucketAcl": ("PUT", "/BUCKET/", [("acl", None)], [("x-oss-acl", "private")], b""),
}


@pytest.mark.parametrize("operation", ELSEWHERE)
def test_other_operations_take_no_encryption_header(gateway, oss, bucket, operation):
    oss.put(bucket, "source", b"body")
    upload = oss.initiate(bucket, "upload").value

    def filled(text):
        return text.replace("BUCKET", bucket).replace("UPLOAD", upload)

    method, path, query, headers, body = ELSEWHERE[operation]
    query = [(name, value and filled(value)) for name, value in query]
    headers = [*((name, filled(value)) for name, value in headers), (SSE, "AES256")]
    answer = send(gateway, signed(gateway, method, filled(path), body, "V4 header", headers, query))
    assert answer.status == 400
    if method != "HEAD":
        assert answer.code == "InvalidArgument", answer.body
        assert b"x-oss-server-side-encryption header is not supported for this operation." in answer.body
    assert oss.get(bucket, "source").body == b"body"
    assert oss.parts(bucket, "upload", upload) == []


RULES = [
    ("<SSEAlgorithm>DES</SSEAlgorithm>", 400, "InvalidEncryptionAlgorithmError"),
    ("<SSEAlgorithm>aws:kms</SSEAlgorithm>", 400, "InvalidEncryptionAlgorithmError"),
    ("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>ID</KMSMasterKeyID>", 400, "InvalidArgument"),
    ("<SSEAlgorithm>SM4</SSEAlgorithm><KMSMasterKeyID>ID</KMSMasterKeyID>", 400, "InvalidArgument"),
    ("<SSEAlgorithm>KMS</SSEAlgorithm><KMSDataEncryption>AES256</KMSDataEncryption>", 400, "InvalidArgument"),
    ("", 400, "MalformedXML"),
    ("<SSEAlgorithm>KMS</SSEAlgorithm>", 200, None),
    ("<KMSDataEncryption></KMSDataEncryption><KMSMasterKeyID></KMSMasterKeyID><SSEAlgorithm>SM4</SSEAlgorithm>", 200, None),
    ("<KMSMasterKeyID>ID</KMSMasterKeyID><KMSDataEncryption>SM4</KMSDataEncryption><SSEAlgorithm>KMS</SSEAlgorithm>", 200, None),
]


@pytest.mark.parametrize("rule, status, code", RULES, ids=[row[0] or "nothing" for row in RULES])
def test_rules_of_buckets_are_judged_when_set(gateway, oss, bucket, keys, rule, status, code):
    tag = "ServerSideEncryptionRule"
    inner = "ApplyServerSideEncryptionByDefault"
    body = f"<?xml version=\"1.0\"?><{tag}><{inner}>{rule.replace('ID<', keys['ID'] + '<')}</{inner}></{tag}>".encode()
    answer = send(gateway, signed(gateway, "PUT", f"/{bucket}/", body, "V4 header", [], [("encryption", None)]))
    assert (answer.status, answer.code) == (status, code), answer.body
    malformed = signed(gateway, "PUT", f"/{bucket}/", b"<ServerSideEncryptionRule><", "V1 header", [], [("encryption", None)])
    assert send(gateway, malformed).code == "MalformedXML"


def test_only_the_owner_configures_encryption(faces, gateway, oss, bucket):
    other = faces("python-v2 V4", gateway.other)
    oss.put_encryption(bucket, "AES256")
    for attempt in (lambda: other.encryption(bucket), lambda: other.put_encryption(bucket, "SM4"), lambda: other.drop_encryption(bucket)):
        with pytest.raises(Refused) as refused:
            attempt()
        assert (refused.value.status, refused.value.code) == (403, "AccessDenied")
    assert oss.encryption(bucket) == ("AES256", None, None)


@pytest.mark.parametrize("close, reopen, code", [
    (("disable_key",), ("enable_key",), "KeyDisabled"),
    (("schedule_key_deletion",), ("cancel_key_deletion", "enable_key"), "KeyPendingDeletion"),
])
def test_a_closed_key_closes_its_objects(face, kms, bucket, close, reopen, code):
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    mode = {SSE: "KMS", KEY: key}
    face.put(bucket, "k", b"body", mode)
    face.put_encryption(bucket, "KMS", key)
    for call in close:
        getattr(kms, call)(KeyId=key)
    for attempt in (lambda: face.get(bucket, "k"), lambda: face.copy(bucket, "to", bucket, "k", {SSE: "AES256"}),
                    lambda: face.put(bucket, "new", b"x", mode), lambda: face.put(bucket, "by default", b"x")):
        with pytest.raises(Refused) as refused:
            attempt()
        assert (refused.value.status, refused.value.code) == (409, code)
    head = face.head(bucket, "k").headers
    assert (head["content-length"], head[KEY]) == ("4", key), "HEAD needs no key"
    assert [row[0] for row in face.list(bucket)[0]] == ["k"]
    for call in reopen:
        getattr(kms, call)(KeyId=key)
    assert face.get(bucket, "k").body == b"body"


def test_an_alias_stands_for_its_key(kms, face, bucket, key_id):
    alias = "alias/oss-" + secrets.token_hex(8)
    kms.create_alias(AliasName=alias, TargetKeyId=key_id)
    assert face.put(bucket, "k", b"body", {SSE: "KMS", KEY: alias}).headers[KEY] == key_id
    assert face.head(bucket, "k").headers[KEY] == key_id


def test_the_etag_tells_an_md5_only_where_the_gateways_own_key_is_used(oss, bucket, table):
    md5 = hashlib.md5(b"body").hexdigest().upper()
    for name, mode in table.items():
        etag = oss.put(bucket, name, b"body", mode.headers).headers["etag"].strip('"')
        assert (etag == md5) == (mode.headers[SSE] != "KMS"), name
        assert len(etag) == 32 and etag == etag.upper(), name


def test_a_context_is_taken_beside_a_key(oss, bucket, key_id):
    oss.put(bucket, "k", b"body", {SSE: "KMS", KEY: key_id, CONTEXT: '{"team": "blue"}'})
    got = oss.get(bucket, "k")
    assert (got.body, got.headers[KEY]) == (b"body", key_id) and CONTEXT not in got.headers


def test_sse_c_is_served(oss, bucket):
    import base64

    def customer(key):
        prefix = SSE + "-customer-"
        return {prefix + "algorithm": "AES256", prefix + "key": base64.b64encode(key).decode(),
                prefix + "key-MD5": base64.b64encode(hashlib.md5(key).digest()).decode()}

    right, wrong = customer(os.urandom(32)), customer(os.urandom(32))
    put = oss.put(bucket, "k", b"body", right)
    assert put.headers[SSE + "-customer-algorithm"] == "AES256" and SSE not in put.headers
    assert oss.get(bucket, "k", right).body == b"body"
    for headers in (wrong, {}):
        with pytest.raises(Refused) as refused:
            oss.get(bucket, "k", headers)
        assert refused.value.status in (400, 403)

"""One object store, two dialects: what boto3 wrote, oss2 reads, and the reverse, by operation and encryption mode."""

import base64
import hashlib
import os
import secrets

import pytest
from botocore.exceptions import ClientError
from crc import crc64
from encryption import NAMES, SSE, Mode, modes
from faces import Refused

PART = 5 << 20
BODY = os.urandom((64 << 10) + 77)
LONG = os.urandom(PART + 1000)
SIDES = ["S3 writes", "OSS writes"]
MODES = [*NAMES, "customer key"]


def customer():
    key = hashlib.sha256(b"one").digest()
    md5 = base64.b64encode(hashlib.md5(key).digest()).decode()
    prefix = SSE + "-customer-"
    oss = {prefix + "algorithm": "AES256", prefix + "key": base64.b64encode(key).decode(), prefix + "key-MD5": md5}
    s3 = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    return Mode("customer key", oss, s3, {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": md5}, answer={})


class S3:
    """boto3, in the words of the OSS faces."""

    def __init__(self, client, world):
        self.client, self.world = client, world

    @property
    def mode(self):
        return self.world.mode

    @property
    def asks(self):
        return self.mode.s3

    @property
    def repeats(self):
        return self.mode.s3 if "SSECustomerKey" in self.mode.s3 else {}

    def at(self, key, version=None):
        return {"Bucket": self.world.bucket, "Key": key} | ({"VersionId": version} if version else {})

    def put(self, key, body, **more):
        done = self.client.put_object(**self.at(key), Body=body, ContentType="text/x", Metadata={"a": "b"}, **self.asks, **more)
        return done.get("VersionId")

    def tagged(self, key, body, tags):
        return self.put(key, body, Tagging="&".join(f"{name}={value}" for name, value in tags.items()))

    def shared(self, key, body, acl):
        return self.put(key, body, ACL=acl)

    def multipart(self, key, pieces):
        upload = self.client.create_multipart_upload(**self.at(key), ContentType="text/x", Metadata={"a": "b"}, **self.asks)["UploadId"]
        parts = [
            {"PartNumber": number, "ETag": self.client.upload_part(
                **self.at(key), UploadId=upload, PartNumber=number, Body=piece, **self.repeats)["ETag"]}
            for number, piece in enumerate(pieces, 1)
        ]
        self.client.complete_multipart_upload(**self.at(key), UploadId=upload, MultipartUpload={"Parts": parts})

    def copy(self, key, source):
        origin = {"CopySource" + name: value for name, value in self.repeats.items()}
        self.client.copy_object(**self.at(key), CopySource=self.at(source), **origin, **self.asks)

    def default(self, rule):
        algorithm, key_id, _ = rule
        inner = {"SSEAlgorithm": {"KMS": "aws:kms"}.get(algorithm, algorithm)} | ({"KMSMasterKeyID": key_id} if key_id else {})
        self.client.put_bucket_encryption(
            Bucket=self.world.bucket, ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": inner}]})

    def default_said(self):
        rule = self.client.get_bucket_encryption(Bucket=self.world.bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        inner = rule["ApplyServerSideEncryptionByDefault"]
        return {"aws:kms": "KMS"}.get(inner["SSEAlgorithm"], inner["SSEAlgorithm"]), (inner.get("KMSMasterKeyID") or "").rsplit("/", 1)[-1] or None

    def keep_versions(self):
        self.client.put_bucket_versioning(Bucket=self.world.bucket, VersioningConfiguration={"Status": "Enabled"})

    def delete(self, key, version=None):
        done = self.client.delete_object(**self.at(key, version))
        return done.get("VersionId")

    def read(self, key, version=None):
        got = self.client.get_object(**self.at(key, version), **self.repeats)
        self.mode.check_s3(got, f"read of {key}")
        assert (got["ContentType"], got["Metadata"]) == ("text/x", {"a": "b"})
        return got["Body"].read(), got["ETag"].strip('"').lower()

    def head(self, key):
        got = self.client.head_object(**self.at(key), **self.repeats)
        self.mode.check_s3(got, f"head of {key}")
        return got["ContentLength"], got["ETag"].strip('"').lower()

    def listed(self):
        rows = self.client.list_objects_v2(Bucket=self.world.bucket).get("Contents", [])
        return [(row["Key"], row["Size"], row["ETag"].strip('"').lower()) for row in rows]

    def versions(self):
        got = self.client.list_object_versions(Bucket=self.world.bucket)
        return [sorted((row["Key"], row["VersionId"], row["IsLatest"]) for row in got.get(kind, [])) for kind in ("Versions", "DeleteMarkers")]

    def tags(self, key):
        return {row["Key"]: row["Value"] for row in self.client.get_object_tagging(**self.at(key))["TagSet"]}

    def is_public(self, key):
        grants = self.client.get_object_acl(**self.at(key))["Grants"]
        return any(grant["Grantee"].get("URI", "").endswith("AllUsers") for grant in grants)

    def gone(self, key):
        with pytest.raises(ClientError) as caught:
            self.client.get_object(**self.at(key))
        return caught.value.response["Error"]["Code"] == "NoSuchKey"


class Oss:
    """oss2, likewise."""

    HEADERS = {"Content-Type": "text/x", "x-oss-meta-a": "b"}

    def __init__(self, face, world):
        self.face, self.world = face, world

    @property
    def bucket(self):
        return self.world.bucket

    @property
    def mode(self):
        return self.world.mode

    @property
    def asks(self):
        return self.mode.headers if self.world.says_mode else {}

    @property
    def repeats(self):
        return self.mode.headers if self.mode.answer == {} else {}

    def put(self, key, body, **more):
        done = self.face.put(self.bucket, key, body, self.HEADERS | self.asks | more)
        self.mode.check(done.headers, "put")
        return done.headers.get("x-oss-version-id")

    def tagged(self, key, body, tags):
        return self.put(key, body, **{"x-oss-tagging": "&".join(f"{name}={value}" for name, value in tags.items())})

    def shared(self, key, body, acl):
        return self.put(key, body, **{"x-oss-object-acl": acl})

    def multipart(self, key, pieces):
        upload = self.face.initiate(self.bucket, key, self.HEADERS | self.asks).value
        parts = [self.face.part(self.bucket, key, upload, number, piece, self.repeats).value for number, piece in enumerate(pieces, 1)]
        self.mode.check(self.face.complete(self.bucket, key, upload, parts).headers, "complete")

    def copy(self, key, source):
        origin = {name.replace("x-oss-", "x-oss-copy-source-", 1): value for name, value in self.repeats.items()}
        self.mode.check(self.face.copy(self.bucket, key, self.bucket, source, self.asks | origin).headers, "copy")

    def default(self, rule):
        self.face.put_encryption(self.bucket, *rule)

    def default_said(self):
        return self.face.encryption(self.bucket)[:2]

    def keep_versions(self):
        self.face.put_versioning(self.bucket, "Enabled")

    def delete(self, key, version=None):
        return self.face.delete(self.bucket, key, version).headers.get("x-oss-version-id")

    def read(self, key, version=None):
        got = self.face.get(self.bucket, key, self.repeats, {"versionId": version} if version else None)
        self.mode.check(got.headers, f"read of {key}")
        assert (got.headers["content-type"], got.headers["x-oss-meta-a"]) == ("text/x", "b")
        assert got.headers.get("x-oss-hash-crc64ecma") == crc64(got.body), "whichever client wrote it"
        return got.body, got.headers["etag"].strip('"').lower()

    def head(self, key):
        got = self.face.head(self.bucket, key, self.repeats)
        self.mode.check(got.headers, f"head of {key}")
        return int(got.headers["content-length"]), got.headers["etag"].strip('"').lower()

    def listed(self):
        return [(key, size, etag.lower()) for key, size, etag in self.face.list(self.bucket)[0]]

    def versions(self):
        return [sorted(rows) for rows in self.face.list_versions(self.bucket)]

    def tags(self, key):
        return self.face.tags(self.bucket, key)

    def is_public(self, key):
        return self.face.acl(self.bucket, key) == "public-read"

    def gone(self, key):
        with pytest.raises(Refused) as refused:
            self.face.get(self.bucket, key)
        return refused.value.code == "NoSuchKey"


class World:
    """A bucket, a mode, a writer and a reader. Where S3 has no word for the mode, the bucket's default asks for it."""

    def __init__(self, bucket, mode, s3, oss, side):
        self.bucket, self.mode, self.says_mode = bucket, mode, True
        ours = S3(s3, self), Oss(oss, self)
        self.writer, self.reader = ours if side == "S3 writes" else ours[::-1]
        if side == "S3 writes" and not mode.s3:
            ours[1].default(mode.rule)

    def agree(self, key, body, version=None):
        """Both sides read the same bytes, and their heads and listings the same size and ETag."""
        assert self.reader.read(key, version)[0] == body
        read, written = self.reader.read(key, version), self.writer.read(key, version)
        assert read == written
        if version is None:
            assert self.reader.head(key) == self.writer.head(key) == (len(body), read[1])
            assert self.reader.listed() == self.writer.listed()
            assert (key, len(body), read[1]) in self.reader.listed()


def put(world):
    world.writer.put("dir/é +", BODY)
    world.agree("dir/é +", BODY)


def empty(world):
    world.writer.put("empty", b"")
    world.agree("empty", b"")


def multipart(world):
    world.writer.multipart("k", [LONG[:PART], LONG[PART:]])
    world.agree("k", LONG)


def copy(world):
    world.writer.put("source", BODY)
    world.writer.copy("k", "source")
    world.agree("k", BODY)
    world.reader.copy("back", "k") if world.reader.asks else None
    if world.reader.asks:
        world.agree("back", BODY)


def tagging(world):
    world.writer.tagged("k", BODY, {"a": "b", "c": "d"})
    assert world.reader.tags("k") == world.writer.tags("k") == {"a": "b", "c": "d"}
    world.agree("k", BODY)


def acl(world):
    world.writer.shared("k", BODY, "public-read")
    world.writer.shared("other", BODY, "private")
    for side in (world.reader, world.writer):
        assert side.is_public("k") and not side.is_public("other")
    world.agree("k", BODY)


def versioning(world):
    world.writer.keep_versions()
    bodies = [BODY, BODY[:100], b""]
    ids = [world.writer.put("k", body) for body in bodies]
    for version, body in zip(ids, bodies):
        world.agree("k", body, version)
    world.agree("k", b"")
    assert world.reader.versions() == world.writer.versions()
    assert {row[1] for row in world.reader.versions()[0]} == set(ids)


def delete(world):
    world.writer.put("k", BODY)
    world.reader.delete("k")
    assert world.writer.gone("k") and world.reader.gone("k")
    assert world.reader.listed() == world.writer.listed() == []
    world.writer.keep_versions()
    kept = world.writer.put("k", BODY)
    marker = world.reader.delete("k")
    assert world.writer.gone("k") and world.reader.gone("k")
    assert world.reader.versions() == world.writer.versions() == [[("k", kept, False)], [("k", marker, True)]]
    world.agree("k", BODY, kept)
    world.writer.delete("k", marker)
    world.agree("k", BODY)


OPERATIONS = {work.__name__: work for work in (put, empty, multipart, copy, tagging, acl, versioning, delete)}


@pytest.fixture
def table(kms, key_id):
    arn = kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
    return modes(arn) | {"customer key": customer()}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_one_dialect_writes_the_other_reads(s3, oss, bucket, table, operation, name, side):
    OPERATIONS[operation](World(bucket, table[name], s3, oss, side))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", NAMES)
def test_a_default_set_in_one_dialect_applies_in_the_other(s3, oss, bucket, table, name, side):
    mode = table[name]
    world = World(bucket, mode, s3, oss, side)
    if side == "OSS writes" or mode.s3:
        world.writer.default(mode.rule)
    assert world.reader.default_said() == world.writer.default_said() == mode.rule[:2]
    silent = Mode(name, {}, {}, mode.s3_answer, mode.rule, answer=mode.headers)
    world.mode = silent
    for side_of in (world.writer, world.reader):
        side_of.put("k", BODY)
        world.agree("k", BODY)


@pytest.mark.parametrize("name", ["AES256", "SM4", "KMS default key"])
def test_appended_objects_are_read_by_s3(s3, oss, bucket, table, name):
    mode = table[name]
    world = World(bucket, mode, s3, oss, "OSS writes")
    whole = b""
    for piece in (BODY[:10], BODY[10:70_000], BODY[:3]):
        oss.append(bucket, "log", len(whole), piece, Oss.HEADERS | (mode.headers if not whole else {}))
        whole += piece
        world.agree("log", whole)
    assert s3.get_object(Bucket=bucket, Key="log", Range="bytes=9-11")["Body"].read() == whole[9:12]


def test_errors_speak_the_dialect_of_the_request(s3, oss, bucket, kms, key_id):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    kms.disable_key(KeyId=key_id)
    with pytest.raises(Refused) as refused:
        oss.get(bucket, "k")
    assert (refused.value.status, refused.value.code) == (409, "KeyDisabled")
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k")
    assert caught.value.response["Error"]["Code"] == "KMS.DisabledException"


def test_both_dialects_list_the_same_buckets(s3, oss):
    prefix = "x-" + secrets.token_hex(6)
    s3.create_bucket(Bucket=prefix + "-s3")
    oss.make_bucket(prefix + "-oss")
    assert oss.buckets(prefix) == [prefix + "-oss", prefix + "-s3"]
    assert [row["Name"] for row in s3.list_buckets()["Buckets"] if row["Name"].startswith(prefix)] == [prefix + "-oss", prefix + "-s3"]

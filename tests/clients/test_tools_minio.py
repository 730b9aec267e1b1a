"""minio-py as the client, into buckets with and without SSE-KMS as their default."""

import hashlib
import io
import os
import secrets

import pytest
from minio import Minio
from minio.commonconfig import CopySource
from minio.error import S3Error
from minio.sse import SseKMS, SseS3
from minio.sseconfig import AWS_KMS, Rule, SSEConfig

BIG = 11_000_001


@pytest.fixture
def minio(gateway):
    host = gateway.endpoint.removeprefix("http://")
    return Minio(host, gateway.access_key, gateway.secret_key, secure=False, region="us-east-1")


@pytest.fixture(params=["default", "aws:kms"])
def target(request, minio, key_arn):
    name = "m-" + secrets.token_hex(8)
    minio.make_bucket(name)
    if request.param == "aws:kms":
        minio.set_bucket_encryption(name, SSEConfig(Rule(AWS_KMS, key_arn)))
        assert minio.get_bucket_encryption(name).rule.sse_algorithm == AWS_KMS
    return name


def read(minio, bucket, name, **options):
    response = minio.get_object(bucket, name, **options)
    try:
        return response.read()
    finally:
        response.close()
        response.release_conn()


@pytest.mark.parametrize("size", [0, 5, 65_536, BIG])
def test_what_goes_up_comes_back_and_is_copied_and_removed(minio, target, size):
    body = os.urandom(size)
    minio.put_object(target, "a b/ü", io.BytesIO(body), size, part_size=5 << 20, metadata={"colour": "blue"})
    stat = minio.stat_object(target, "a b/ü")
    assert (stat.size, stat.metadata["x-amz-meta-colour"]) == (size, "blue")
    minio.copy_object(target, "copy", CopySource(target, "a b/ü"))
    assert hashlib.sha256(read(minio, target, "copy")).digest() == hashlib.sha256(body).digest()
    assert read(minio, target, "copy", offset=size // 2, length=3) == body[size // 2:size // 2 + 3] if size else True
    assert {entry.object_name for entry in minio.list_objects(target, recursive=True)} == {"a b/ü", "copy"}
    minio.remove_object(target, "a b/ü")
    minio.remove_object(target, "copy")
    with pytest.raises(S3Error) as refused:
        minio.stat_object(target, "copy")
    assert refused.value.code == "NoSuchKey"
    minio.remove_bucket(target)
    assert not minio.bucket_exists(target)


def test_a_write_says_how_it_is_encrypted(minio, target, s3, key_arn):
    for sse, expected in [(SseS3(), "AES256"), (SseKMS(key_arn, {"team": "blue"}), "aws:kms")]:
        minio.put_object(target, expected, io.BytesIO(b"x"), 1, sse=sse)
        assert s3.head_object(Bucket=target, Key=expected)["ServerSideEncryption"] == expected
        assert read(minio, target, expected) == b"x"

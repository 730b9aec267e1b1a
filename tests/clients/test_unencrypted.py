"""`default_encryption = "none"`: objects that nobody asked to encrypt stay plaintext, and all others do not."""

import os

import pytest
from botocore.exceptions import ClientError
from stored import kept
from test_leaks import read

NONE = 'default_encryption = "none"\n'
SIZES = [0, 1, 5000, 70_000, 3 << 20]


def is_kept(gateway, needle):
    return any(needle in read(path) for path in kept(gateway))


@pytest.fixture
def plain(own_gateway):
    gateway = own_gateway(NONE)
    gateway.client().create_bucket(Bucket="plain")
    return gateway


def test_what_nobody_encrypts_is_kept_as_it_is_and_comes_back(plain):
    s3 = plain.client()
    for size in SIZES:
        body, key = os.urandom(size), f"k-{size}"
        put = s3.put_object(Bucket="plain", Key=key, Body=body)
        got = s3.get_object(Bucket="plain", Key=key)
        assert got["Body"].read() == body and put["ETag"] == got["ETag"]
        for answer in (put, got, s3.head_object(Bucket="plain", Key=key)):
            assert "ServerSideEncryption" not in answer
        if size > 1:
            part = s3.get_object(Bucket="plain", Key=key, Range=f"bytes=1-{size - 2}")["Body"].read()
            assert part == body[1 : size - 1]
            # No segment is longer than 64 KiB, and a header may stand between two.
            assert is_kept(plain, body[:4000])


def test_multipart_bodies_are_plain_too(plain):
    s3 = plain.client()
    parts = [os.urandom(5 << 20), os.urandom(100)]
    upload = s3.create_multipart_upload(Bucket="plain", Key="m")
    assert "ServerSideEncryption" not in upload
    named = []
    for number, body in enumerate(parts, 1):
        part = s3.upload_part(Bucket="plain", Key="m", UploadId=upload["UploadId"], PartNumber=number, Body=body)
        named.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(
        Bucket="plain", Key="m", UploadId=upload["UploadId"], MultipartUpload={"Parts": named}
    )
    assert s3.get_object(Bucket="plain", Key="m")["Body"].read() == b"".join(parts)
    assert is_kept(plain, parts[1])


def test_a_request_or_a_bucket_still_encrypts(plain):
    s3 = plain.client()
    with pytest.raises(ClientError) as error:
        s3.get_bucket_encryption(Bucket="plain")
    assert error.value.response["Error"]["Code"] == "ServerSideEncryptionConfigurationNotFoundError"
    for mode in ("AES256", "aws:kms"):
        body = os.urandom(9000)
        answer = s3.put_object(Bucket="plain", Key=mode, Body=body, ServerSideEncryption=mode)
        assert answer["ServerSideEncryption"] == mode and not is_kept(plain, body[:100])
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket="plain", ServerSideEncryptionConfiguration={"Rules": [rule]})
    body = os.urandom(9000)
    assert s3.put_object(Bucket="plain", Key="rule", Body=body)["ServerSideEncryption"] == "AES256"
    assert not is_kept(plain, body[:100])


def test_copies_seal_or_open_as_the_target_says(plain):
    s3 = plain.client()
    body = os.urandom(20_000)
    s3.put_object(Bucket="plain", Key="source", Body=body)
    modes = {"kms": {"ServerSideEncryption": "aws:kms"}, "s3": {"ServerSideEncryption": "AES256"}, "none": {}}
    for source in ("source", "kms", "s3"):
        for name, header in modes.items():
            key = name if source == "source" else f"{source}-{name}"
            s3.copy_object(Bucket="plain", Key=key, CopySource={"Bucket": "plain", "Key": source}, **header)
            got = s3.get_object(Bucket="plain", Key=key)
            assert got["Body"].read() == body
            assert got.get("ServerSideEncryption") == header.get("ServerSideEncryption"), (source, name)


def test_objects_stay_as_they_are_when_the_default_changes(plain):
    body = os.urandom(9000)
    plain.client().put_object(Bucket="plain", Key="old", Body=body)
    assert plain.stop() == 0
    plain.config.write_text(plain.config.read_text().replace(NONE, ""))
    s3 = plain.start().client()
    assert s3.get_object(Bucket="plain", Key="old")["Body"].read() == body
    assert "ServerSideEncryption" not in s3.head_object(Bucket="plain", Key="old")
    # Copied onto itself under the new default, it is encrypted.
    s3.copy_object(Bucket="plain", Key="new", CopySource={"Bucket": "plain", "Key": "old"})
    assert s3.head_object(Bucket="plain", Key="new")["ServerSideEncryption"] == "AES256"
    assert s3.get_object(Bucket="plain", Key="new")["Body"].read() == body

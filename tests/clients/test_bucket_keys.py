"""The bucket-key flag: accepted, kept and answered."""

import pytest

FLAG = "BucketKeyEnabled"


@pytest.fixture
def kms_headers(key_arn):
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}


def default(s3, bucket, key, flag):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, FLAG: flag}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]


@pytest.mark.parametrize("flag", [True, False])
def test_a_write_keeps_its_flag_and_every_answer_says_it(s3, bucket, kms_headers, flag):
    named = {"Bucket": bucket, "Key": "k"}
    put = s3.put_object(**named, Body=b"x", **kms_headers, BucketKeyEnabled=flag)
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", **kms_headers, BucketKeyEnabled=flag)
    upload = {"Bucket": bucket, "Key": "parts"}
    created = s3.create_multipart_upload(**upload, **kms_headers, BucketKeyEnabled=flag)
    upload["UploadId"] = created["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    done = s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    answers = [put, copied, created, part, done]
    for key in ("k", "copy", "parts"):
        answers += [s3.head_object(Bucket=bucket, Key=key), s3.get_object(Bucket=bucket, Key=key)]
    for answer in answers:
        assert answer.get(FLAG, False) == flag
        sent = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-server-side-encryption-bucket-key-enabled")
        assert sent == ("true" if flag else None)


def test_a_buckets_flag_is_for_writes_that_say_nothing(s3, bucket, key_arn, kms_headers):
    assert default(s3, bucket, key_arn, True)[FLAG] is True
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")[FLAG] is True
    # A header replaces the default as a whole.
    assert FLAG not in s3.put_object(Bucket=bucket, Key="k", Body=b"x", **kms_headers)
    assert FLAG not in s3.head_object(Bucket=bucket, Key="k")
    assert default(s3, bucket, key_arn, False)[FLAG] is False
    assert FLAG not in s3.put_object(Bucket=bucket, Key="k", Body=b"x")


def test_other_modes_know_no_bucket_key(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256", BucketKeyEnabled=True)
    assert FLAG not in put and FLAG not in s3.head_object(Bucket=bucket, Key="k")

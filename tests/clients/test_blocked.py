"""BlockedEncryptionTypes: a bucket's owner forbids writes under keys that clients hold (SSE-C)."""

import secrets

import pytest
from botocore.exceptions import ClientError

KEY = secrets.token_bytes(32)
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
PART = {"PartNumber": 1, "Body": b"x"}


def configure(s3, bucket, *types, default="AES256"):
    rule = {"BlockedEncryptionTypes": {"EncryptionType": list(types)}}
    if default:
        rule["ApplyServerSideEncryptionByDefault"] = {"SSEAlgorithm": default}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def rule(s3, bucket):
    return s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]


def denied(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 403 and error["Error"]["Code"] == "AccessDenied"
    assert "SSE-C" in error["Error"]["Message"]


@pytest.mark.parametrize("default", ["AES256", "aws:kms", None])
def test_a_bucket_that_blocks_sse_c_says_so(s3, bucket, default):
    configure(s3, bucket, "SSE-C", default=default)
    seen = rule(s3, bucket)
    assert seen["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}
    assert seen["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == (default or "AES256")
    configure(s3, bucket, "NONE", default=default)
    assert "BlockedEncryptionTypes" not in rule(s3, bucket)


def test_every_write_under_a_clients_key_is_refused_and_reads_go_on(s3, bucket):
    s3.put_object(Bucket=bucket, Key="old", Body=b"before", **CUSTOMER)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="begun", **CUSTOMER)["UploadId"]
    begun = {"Bucket": bucket, "Key": "begun", "UploadId": upload}
    source = {"CopySource": f"{bucket}/plain"}
    s3.put_object(Bucket=bucket, Key="plain", Body=b"plain")
    configure(s3, bucket, "SSE-C")

    denied(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **CUSTOMER)
    denied(s3.create_multipart_upload, Bucket=bucket, Key="k", **CUSTOMER)
    denied(s3.copy_object, Bucket=bucket, Key="k", **source, **CUSTOMER)
    denied(s3.upload_part, **begun, **PART, **CUSTOMER)
    denied(s3.upload_part_copy, **begun, PartNumber=1, **source, **CUSTOMER)
    assert s3.get_object(Bucket=bucket, Key="old", **CUSTOMER)["Body"].read() == b"before"
    assert s3.head_object(Bucket=bucket, Key="old", **CUSTOMER)["SSECustomerAlgorithm"] == "AES256"
    moved = {f"CopySource{name}": value for name, value in CUSTOMER.items()}
    s3.copy_object(Bucket=bucket, Key="old", CopySource=f"{bucket}/old", **moved)
    assert s3.get_object(Bucket=bucket, Key="old")["Body"].read() == b"before"
    listed = {row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert listed == {"old", "plain"}

    configure(s3, bucket, "NONE")
    s3.upload_part(**begun, **PART, **CUSTOMER)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **CUSTOMER)


def test_deleting_the_encryption_lifts_the_block(s3, bucket):
    configure(s3, bucket, "SSE-C")
    s3.delete_bucket_encryption(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **CUSTOMER)


@pytest.mark.parametrize("types", [[], ["SSE-KMS"], ["NONE", "SSE-C"]], ids=str)
def test_a_document_that_says_something_else_is_refused_and_changes_nothing(s3, bucket, types):
    configure(s3, bucket, "SSE-C")
    with pytest.raises(ClientError) as caught:
        configure(s3, bucket, *types)
    assert caught.value.response["Error"]["Code"] == "MalformedXML"
    assert rule(s3, bucket)["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}

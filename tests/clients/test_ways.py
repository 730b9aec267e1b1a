"""The plainest GET, HEAD and PUT pass `s3s` by. Who asks in another way for the same gets the same answer."""

import pytest
from botocore.exceptions import ClientError

from modes import modes

# A parameter that changes nothing here, since the objects are of this type; with it a request goes the long way.
LONG = {"ResponseContentType": "text/plain"}
OWN = ("date", "x-amz-request-id", "x-amz-id-2", "connection")

READS = [
    {},
    {"Range": "bytes=3-70000"},
    {"Range": "bytes=-5"},
    {"Range": "bytes=900000-"},
    {"ChecksumMode": "ENABLED"},
    {"IfNoneMatch": "*"},
    {"IfMatch": '"other"'},
    {"ExpectedBucketOwner": "000000000001"},
]


def answer(call, **arguments):
    """Everything that a client sees of an answer, save what each answer has for itself."""
    try:
        response = call(**arguments)
    except ClientError as error:
        response = error.response
    metadata = response["ResponseMetadata"]
    headers = {name: value for name, value in metadata["HTTPHeaders"].items() if name not in OWN}
    error = {name: value for name, value in response.get("Error", {}).items() if name not in ("RequestId", "HostId")}
    body = response["Body"].read() if "Body" in response else None
    return metadata["HTTPStatusCode"], headers, error, body, response.get("Metadata")


@pytest.mark.parametrize("arguments", READS, ids=str)
def test_both_ways_answer_alike(s3, kms, bucket, key_arn, arguments):
    body = bytes(range(256)) * 400
    for mode in modes(s3, kms, bucket, key_arn):
        s3.put_object(Bucket=bucket, Key="k a/é", Body=body, ContentType="text/plain", CacheControl="no-cache",
                      Tagging="a=b", ChecksumAlgorithm="CRC32C", **mode.write)
        for call in (s3.get_object, s3.head_object):
            asked = {"Bucket": bucket, "Key": "k a/é"} | mode.repeat | arguments
            assert answer(call, **asked) == answer(call, **asked, **LONG), f"{mode.name} {call}"


def test_both_ways_refuse_alike(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    for arguments in [
        {"Key": "none"},
        {"Key": "k" * 1024},
        {"Key": "k" * 1025},
        {"Key": "k", "Bucket": "there-is-none"},
        {"Key": "k"} | key,
    ]:
        asked = {"Bucket": bucket} | arguments
        for call in (s3.get_object, s3.head_object):
            assert answer(call, **asked) == answer(call, **asked, **LONG), f"{arguments} {call}"


def test_metadata_that_is_no_plain_text_comes_back(s3, bucket):
    """Text that no header can carry goes as encoded words, also where `s3s` is not asked."""
    given = {"plain": "a b", "words": "=?UTF-8?B?Y2Fmw6kg?= =?UTF-8?B?5Lit5paH?=", "long": "=?UTF-8?B?" + "w6k=" + "?="}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain", Metadata=given)
    short, long = s3.head_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k", **LONG)
    assert short["Metadata"] == long["Metadata"]
    assert short["Metadata"]["plain"] == "a b" and short["Metadata"]["long"] == "=?UTF-8?B?w6k=?="
    # Two words are one text here; it is encoded anew.
    assert short["Metadata"]["words"] == "=?UTF-8?B?Y2Fmw6kg5Lit5paH?="


def test_both_ways_write_alike(s3, bucket):
    refusals = {}
    for extra in ({}, {"Metadata": {"long": "way"}}):
        s3.put_object(Bucket=bucket, Key="k", Body=b"first", ContentType="text/plain", **extra)
        for arguments in (
            {"IfNoneMatch": "*"},
            {"ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="},
            {"ChecksumCRC32": "AAAAAA=="},
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/there-is-none"},
            {"StorageClass": "GLACIER"},
        ):
            refused = answer(s3.put_object, Bucket=bucket, Key="k", Body=b"second", **arguments, **extra)
            known = refusals.setdefault(str(arguments), refused)
            assert refused == known and refused[0] >= 400
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"

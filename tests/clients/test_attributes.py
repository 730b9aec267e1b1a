"""What is known of an object: its parts by number, GetObjectAttributes, composite checksums at completion."""

import base64
import hashlib

import pytest
from botocore.exceptions import ClientError

from modes import Mode, customer

KEY = "object"
PART = 5 << 20
EVERYTHING = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def sha256(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def composite(bodies):
    digests = b"".join(hashlib.sha256(body).digest() for body in bodies)
    return f"{sha256(digests)}-{len(bodies)}"


def upload(s3, bucket, bodies, write=None, read=None, **create):
    """A multipart object; gives the names of the upload and its parts, not yet completed."""
    created = s3.create_multipart_upload(Bucket=bucket, Key=KEY, **create, **(write or {}))
    named = {"Bucket": bucket, "Key": KEY, "UploadId": created["UploadId"]}
    parts = []
    for number, body in enumerate(bodies, 1):
        more = {"ChecksumAlgorithm": create["ChecksumAlgorithm"]} if "ChecksumAlgorithm" in create else {}
        part = s3.upload_part(**named, PartNumber=number, Body=body, **more, **(read or {}))
        row = {"PartNumber": number, "ETag": part["ETag"]}
        parts.append(row | {name: part[name] for name in part if name in ("ChecksumSHA256", "ChecksumCRC32")})
    return named, parts


@pytest.fixture(params=["SSE-S3", "SSE-KMS", "SSE-C"])
def mode(request, key_arn):
    named = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}
    return {"SSE-S3": Mode("SSE-S3"), "SSE-KMS": Mode("SSE-KMS", named), "SSE-C": customer("parts")}[request.param]


BODIES = [b"a" * PART, b"b" * PART, b"the end"]


def test_a_part_is_read_by_its_number(s3, bucket, mode):
    write, read = mode.write, mode.repeat
    named, parts = upload(s3, bucket, BODIES, write, read)
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts}, **read)
    first = 0
    for number, body in enumerate(BODIES, 1):
        got = s3.get_object(Bucket=bucket, Key=KEY, PartNumber=number, **read)
        assert got["Body"].read() == body
        last = first + len(body) - 1
        head = s3.head_object(Bucket=bucket, Key=KEY, PartNumber=number, **read)
        for answer in (got, head):
            assert (answer["PartsCount"], answer["ContentLength"]) == (3, len(body))
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
            assert answer["ContentRange"] == f"bytes {first}-{last}/{sum(map(len, BODIES))}"
        first += len(body)
    for call in (s3.get_object, s3.head_object):
        assert refused(call, Bucket=bucket, Key=KEY, PartNumber=4, **read)[0] == 416
    assert refused(s3.get_object, Bucket=bucket, Key=KEY, PartNumber=4, **read)[1] == "InvalidPartNumber"
    both = {"PartNumber": 1, "Range": "bytes=0-1"}
    assert refused(s3.get_object, Bucket=bucket, Key=KEY, **both, **read) == (400, "InvalidRequest")
    for number in (0, 10_001):
        assert refused(s3.get_object, Bucket=bucket, Key=KEY, PartNumber=number, **read) == (400, "InvalidArgument")


def test_an_object_of_one_put_is_its_own_first_part(s3, bucket):
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"whole")
    got = s3.get_object(Bucket=bucket, Key=KEY, PartNumber=1)
    assert got["Body"].read() == b"whole" and "PartsCount" not in got
    assert got["ContentRange"] == "bytes 0-4/5"
    assert refused(s3.get_object, Bucket=bucket, Key=KEY, PartNumber=2) == (416, "InvalidPartNumber")
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"")
    assert s3.get_object(Bucket=bucket, Key=KEY, PartNumber=1)["Body"].read() == b""


def test_attributes_are_those_that_are_asked_for(s3, bucket, mode):
    write, read = mode.write, dict(mode.repeat)
    if read:
        # botocore encodes the key for other operations, not for this one.
        read["SSECustomerKeyMD5"] = mode.answer["SSECustomerKeyMD5"]
        read["SSECustomerKey"] = base64.b64encode(read["SSECustomerKey"]).decode()
    put = s3.put_object(Bucket=bucket, Key=KEY, Body=b"body", ChecksumAlgorithm="SHA256", **write)
    found = s3.get_object_attributes(Bucket=bucket, Key=KEY, ObjectAttributes=EVERYTHING, **read)
    assert found["ETag"] == put["ETag"].strip('"')
    assert (found["ObjectSize"], found["StorageClass"]) == (4, "STANDARD")
    assert found["Checksum"] == {"ChecksumSHA256": sha256(b"body"), "ChecksumType": "FULL_OBJECT"}
    assert "ObjectParts" not in found
    some = s3.get_object_attributes(Bucket=bucket, Key=KEY, ObjectAttributes=["ObjectSize"], **read)
    assert some["ObjectSize"] == 4 and not {"ETag", "Checksum", "StorageClass"} & some.keys()


def test_attributes_of_what_is_not_there_or_no_attribute_are_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"body")
    assert refused(s3.get_object_attributes, Bucket=bucket, Key="x", ObjectAttributes=["ETag"]) == (404, "NoSuchKey")
    assert refused(s3.get_object_attributes, Bucket=bucket, Key=KEY, ObjectAttributes=["Size"]) == (
        400, "InvalidArgument")


def test_attributes_of_a_multipart_object_have_its_parts_in_pages(s3, bucket):
    named, parts = upload(s3, bucket, BODIES, ChecksumAlgorithm="SHA256")
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts}, ChecksumSHA256=composite(BODIES))
    found = s3.get_object_attributes(Bucket=bucket, Key=KEY, ObjectAttributes=EVERYTHING)
    assert found["Checksum"] == {"ChecksumSHA256": composite(BODIES), "ChecksumType": "COMPOSITE"}
    expected = [
        {"PartNumber": n, "Size": len(body), "ChecksumSHA256": sha256(body)} for n, body in enumerate(BODIES, 1)
    ]
    assert found["ObjectParts"]["TotalPartsCount"] == 3 and found["ObjectParts"]["Parts"] == expected
    seen, marker = [], 0
    while True:
        page = s3.get_object_attributes(
            Bucket=bucket, Key=KEY, ObjectAttributes=["ObjectParts"], MaxParts=2, PartNumberMarker=marker
        )["ObjectParts"]
        seen += page["Parts"]
        if not page["IsTruncated"]:
            break
        marker = page["NextPartNumberMarker"]
    assert seen == expected


@pytest.mark.parametrize(("declared", "accepted"), [
    (composite(BODIES), True), (composite(BODIES[:2]), False), (composite(BODIES).replace("-3", "-2"), False),
    (composite(BODIES).removesuffix("-3"), False), (f"{sha256(b'')}-3", False),
])
def test_a_composite_checksum_at_completion_is_verified(s3, bucket, declared, accepted):
    named, parts = upload(s3, bucket, BODIES, ChecksumAlgorithm="SHA256")
    complete = {**named, "MultipartUpload": {"Parts": parts}, "ChecksumSHA256": declared}
    if accepted:
        assert s3.complete_multipart_upload(**complete)["ChecksumSHA256"] == declared
        return
    assert refused(s3.complete_multipart_upload, **complete) == (400, "BadDigest")
    assert refused(s3.head_object, Bucket=bucket, Key=KEY)[0] == 404
    assert len(s3.list_parts(**named)["Parts"]) == 3

"""boto3 as the client: each encryption mode with each operation, by tables."""

import base64
import hashlib
import io
import os

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from modes import customer, modes

PART = 5 << 20
SEGMENT = 64 << 10


@pytest.fixture
def all_modes(s3, kms, bucket, key_arn):
    return modes(s3, kms, bucket, key_arn)


def read(s3, bucket, key, **extra):
    return s3.get_object(Bucket=bucket, Key=key, **extra)["Body"].read()


def refused(call, **arguments):
    """The status and code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_every_mode_reads_back_what_was_written_and_says_how_it_is_encrypted(s3, bucket, all_modes):
    for mode in all_modes:
        for size in (0, 1, 4096, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT + 17, 1 << 20):
            body = os.urandom(size)
            mode.check(s3.put_object(Bucket=bucket, Key="k", Body=body, **mode.write), context=True)
            got = s3.get_object(Bucket=bucket, Key="k", **mode.repeat)
            assert got["Body"].read() == body, (mode.name, size)
            assert got["ContentLength"] == size
            mode.check(got)
            head = s3.head_object(Bucket=bucket, Key="k", **mode.repeat)
            mode.check(head)
            assert (head["ContentLength"], head["ETag"]) == (size, got["ETag"])


def test_only_sse_s3_etags_are_the_md5_of_the_plaintext(s3, bucket, all_modes):
    body = os.urandom(100_000)
    for mode in all_modes:
        etag = s3.put_object(Bucket=bucket, Key="k", Body=body, **mode.write)["ETag"].strip('"')
        is_md5 = etag == hashlib.md5(body).hexdigest()
        assert is_md5 == (mode.answer.get("ServerSideEncryption") == "AES256"), mode.name
        assert s3.head_object(Bucket=bucket, Key="k", **mode.repeat)["ETag"].strip('"') == etag


def test_ranges_are_slices_of_the_plaintext(s3, bucket, all_modes):
    body = os.urandom(3 * SEGMENT + 100)
    edges = [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, len(body) - 1]
    for mode in all_modes:
        s3.put_object(Bucket=bucket, Key="k", Body=body, **mode.write)
        for first in edges:
            for last in [edge for edge in edges if edge >= first] + [len(body) + 5]:
                got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}", **mode.repeat)
                assert got["Body"].read() == body[first : last + 1]
                assert got["ContentRange"] == f"bytes {first}-{min(last, len(body) - 1)}/{len(body)}"
                assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        for suffix in (1, SEGMENT, len(body), len(body) + 1):
            assert read(s3, bucket, "k", Range=f"bytes=-{suffix}", **mode.repeat) == body[-suffix:]
        outside = {"Range": f"bytes={len(body)}-"} | mode.repeat
        assert refused(s3.get_object, Bucket=bucket, Key="k", **outside) == (416, "InvalidRange")


def test_multipart_in_every_mode(s3, bucket, all_modes):
    parts = [os.urandom(PART), os.urandom(PART + 12_345), os.urandom(7)]
    whole = b"".join(parts)
    for mode in all_modes:
        made = s3.create_multipart_upload(Bucket=bucket, Key="m", **mode.write)
        mode.check(made, context=True)
        upload = {"Bucket": bucket, "Key": "m", "UploadId": made["UploadId"]}
        s3.upload_part(PartNumber=2, Body=b"an earlier attempt", **upload, **mode.repeat)
        etags = {}
        for number in (3, 1, 2):
            sent = s3.upload_part(PartNumber=number, Body=parts[number - 1], **upload, **mode.repeat)
            mode.check(sent)
            etags[number] = sent["ETag"]
        listed = s3.list_parts(**upload)["Parts"]
        assert [(row["PartNumber"], row["Size"], row["ETag"]) for row in listed] == [
            (number, len(parts[number - 1]), etags[number]) for number in (1, 2, 3)
        ]
        named = [{"PartNumber": number, "ETag": etags[number]} for number in (1, 2, 3)]
        done = s3.complete_multipart_upload(MultipartUpload={"Parts": named}, **upload)
        answer = {name: value for name, value in mode.answer.items() if not name.startswith("SSECustomer")}
        assert {name: done.get(name) for name in answer} == answer
        assert done["ETag"].endswith('-3"')
        got = s3.get_object(Bucket=bucket, Key="m", **mode.repeat)
        assert got["Body"].read() == whole, mode.name
        mode.check(got)
        for first, last in ((0, 0), (PART - 1, PART), (PART - 70_000, 2 * PART), (2 * PART + 12_344, len(whole) - 1)):
            assert read(s3, bucket, "m", Range=f"bytes={first}-{last}", **mode.repeat) == whole[first : last + 1]
        row = s3.list_objects_v2(Bucket=bucket, Prefix="m")["Contents"][0]
        assert (row["Size"], row["ETag"]) == (len(whole), done["ETag"])


def test_copies_between_every_two_modes(s3, bucket, all_modes):
    body = os.urandom(2 * SEGMENT + 5)
    two = customer("two")
    for source in all_modes:
        s3.put_object(Bucket=bucket, Key="from", Body=body, ContentType="text/x", Metadata={"a": "b"}, **source.write)
        for target in [*all_modes, two]:
            done = s3.copy_object(
                Bucket=bucket, Key="to", CopySource=f"{bucket}/from", **source.source(), **target.write
            )
            target.check(done, context=True)
            got = s3.get_object(Bucket=bucket, Key="to", **target.repeat)
            assert got["Body"].read() == body, (source.name, target.name)
            target.check(got)
            assert (got["ContentType"], got["Metadata"]) == ("text/x", {"a": "b"})
            assert got["ETag"] == done["CopyObjectResult"]["ETag"]
            if target.answer.get("ServerSideEncryption") == "AES256":
                assert got["ETag"].strip('"') == hashlib.md5(body).hexdigest(), (source.name, target.name)
            elif source.answer.get("ServerSideEncryption") == "AES256":
                assert got["ETag"].strip('"') != hashlib.md5(body).hexdigest(), (source.name, target.name)
        assert read(s3, bucket, "from", **source.repeat) == body


def test_parts_copied_from_every_mode(s3, bucket, all_modes):
    body = os.urandom(PART + 3 * SEGMENT)
    for source in all_modes:
        s3.put_object(Bucket=bucket, Key="from", Body=body, **source.write)
        for target in all_modes:
            upload = s3.create_multipart_upload(Bucket=bucket, Key="to", **target.write)["UploadId"]
            at = {"Bucket": bucket, "Key": "to", "UploadId": upload}
            etags = []
            for number, extra in ((1, {}), (2, {"CopySourceRange": f"bytes={SEGMENT - 3}-{2 * SEGMENT + 3}"})):
                done = s3.upload_part_copy(
                    PartNumber=number, CopySource=f"{bucket}/from", **at, **extra, **source.source(), **target.repeat
                )
                etags.append({"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]})
            s3.complete_multipart_upload(MultipartUpload={"Parts": etags}, **at)
            assert read(s3, bucket, "to", **target.repeat) == body + body[SEGMENT - 3 : 2 * SEGMENT + 4]


def test_the_buckets_default_applies_and_a_header_replaces_it_as_a_unit(s3, kms, bucket, key_arn):
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    s3.put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]}
    )
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == rule
    put = s3.put_object(Bucket=bucket, Key="d", Body=b"x")
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key_arn)
    made = s3.create_multipart_upload(Bucket=bucket, Key="m")
    assert (made["ServerSideEncryption"], made["SSEKMSKeyId"]) == ("aws:kms", key_arn)
    copied = s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/d")
    assert copied["SSEKMSKeyId"] == key_arn
    plain = s3.put_object(Bucket=bucket, Key="d", Body=b"x", ServerSideEncryption="AES256")
    assert plain["ServerSideEncryption"] == "AES256" and "SSEKMSKeyId" not in plain
    own = s3.put_object(Bucket=bucket, Key="d", Body=b"x", ServerSideEncryption="aws:kms")
    assert own["SSEKMSKeyId"] != key_arn
    s3.delete_bucket_encryption(Bucket=bucket)
    s3.delete_bucket_encryption(Bucket=bucket)
    assert s3.put_object(Bucket=bucket, Key="d", Body=b"x")["ServerSideEncryption"] == "AES256"
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


WRONG_WRITES = [
    ({"ServerSideEncryption": "rot13"}, (400, "InvalidArgument")),
    ({"ServerSideEncryption": "aws:kms:dsse"}, (400, "InvalidArgument")),
    ({"SSEKMSKeyId": "alias/x"}, (400, "InvalidArgument")),
    ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": "alias/x"}, (400, "InvalidArgument")),
    ({"ServerSideEncryption": "AES256"} | customer("x").write, (400, "InvalidArgument")),
    ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/unknown"}, (400, "KMS.NotFoundException")),
    (
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "11111111-2222-3333-4444-555555555555"},
        (400, "KMS.NotFoundException"),
    ),
    ({"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "bm90IGpzb24="}, (400, "InvalidArgument")),
    ({"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "!"}, (400, "InvalidArgument")),
    (
        {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSEncryptionContext": base64.b64encode(b'{"a": 1}').decode(),
        },
        (400, "InvalidArgument"),
    ),
    ({"SSECustomerAlgorithm": "AES128", "SSECustomerKey": b"k" * 32}, (400, "InvalidEncryptionAlgorithmError")),
    ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 31}, (400, "InvalidArgument")),
    (
        {
            "SSECustomerAlgorithm": "AES256", "SSECustomerKey": base64.b64encode(b"k" * 32).decode(),
            "SSECustomerKeyMD5": "AAAAAAAAAAAAAAAAAAAAAA==",
        },
        (400, "InvalidArgument"),
    ),
]


@pytest.mark.parametrize("extra,expected", WRONG_WRITES, ids=lambda value: str(value)[:60])
def test_a_wrong_encryption_header_is_refused_and_stores_nothing(s3, bucket, extra, expected):
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **extra) == expected
    assert refused(s3.create_multipart_upload, Bucket=bucket, Key="k", **extra) == expected
    s3.put_object(Bucket=bucket, Key="from", Body=b"y")
    assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/from", **extra) == expected
    assert refused(s3.head_object, Bucket=bucket, Key="k")[0] == 404


def test_customer_keys_are_asked_for_and_compared(s3, bucket):
    mine, other = customer("mine"), customer("other")
    s3.put_object(Bucket=bucket, Key="c", Body=b"secret", **mine.write)
    s3.put_object(Bucket=bucket, Key="s", Body=b"plain")
    at = {"Bucket": bucket, "Key": "c"}
    assert refused(s3.get_object, **at) == (400, "InvalidRequest")
    assert refused(s3.head_object, **at)[0] == 400
    assert refused(s3.get_object, **at, **other.repeat) == (403, "AccessDenied")
    assert refused(s3.head_object, **at, **other.repeat)[0] == 403
    assert refused(s3.get_object, Bucket=bucket, Key="s", **mine.repeat) == (400, "InvalidRequest")
    copy = {"Bucket": bucket, "Key": "t", "CopySource": f"{bucket}/c"}
    assert refused(s3.copy_object, **copy) == (400, "InvalidRequest")
    assert refused(s3.copy_object, **copy, **other.source()) == (403, "AccessDenied")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", **mine.write)["UploadId"]
    part = {"Bucket": bucket, "Key": "m", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
    assert refused(s3.upload_part, **part) == (400, "InvalidRequest")
    assert refused(s3.upload_part, **part, **other.repeat) == (400, "InvalidRequest")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="n")["UploadId"]
    part = {"Bucket": bucket, "Key": "n", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
    assert refused(s3.upload_part, **part, **mine.repeat) == (400, "InvalidRequest")
    s3.delete_object(**at)
    assert refused(s3.head_object, **at, **mine.repeat)[0] == 404


def test_a_disabled_key_stops_reads_and_writes_but_not_head_and_list(s3, kms, bucket, key_arn):
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}
    s3.put_object(Bucket=bucket, Key="k", Body=b"under the key", **write)
    kms.disable_key(KeyId=key_arn)
    assert refused(s3.get_object, Bucket=bucket, Key="k") == (400, "KMS.DisabledException")
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"y", **write) == (400, "KMS.DisabledException")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 13
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == 13
    kms.enable_key(KeyId=key_arn)
    assert read(s3, bucket, "k") == b"under the key"


def test_what_belongs_to_another_user_is_refused(gateway, s3, bucket, key_arn):
    other = gateway.client(other=True)
    s3.put_object(Bucket=bucket, Key="k", Body=b"mine")
    denied = (403, "AccessDenied")
    at = {"Bucket": bucket, "Key": "k"}
    assert refused(other.get_object, **at) == denied
    assert refused(other.put_object, **at, Body=b"x") == denied
    assert refused(other.delete_object, **at) == denied
    assert refused(other.list_objects_v2, Bucket=bucket) == denied
    assert refused(other.create_multipart_upload, **at) == denied
    assert refused(other.delete_bucket, Bucket=bucket) == denied
    assert refused(other.create_bucket, Bucket=bucket) == (409, "BucketAlreadyExists")
    assert bucket not in [row["Name"] for row in other.list_buckets()["Buckets"]]
    own = bucket + "-other"
    other.create_bucket(Bucket=own)
    assert refused(other.copy_object, Bucket=own, Key="c", CopySource=f"{bucket}/k") == denied
    kms_write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}
    assert refused(other.put_object, Bucket=own, Key="k", Body=b"x", **kms_write) == denied
    assert read(s3, bucket, "k") == b"mine"


def test_listings_are_complete_and_in_order(s3, bucket):
    keys = sorted([f"dir/{n:03}" for n in range(25)] + [f"dir/sub/{n}" for n in range(3)] + ["a", "b+c d", "é", "z/"])
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for size in (1, 7, 1000):
        found, token = [], {}
        while True:
            page = s3.list_objects_v2(Bucket=bucket, MaxKeys=size, **token)
            found += [(row["Key"], row["Size"]) for row in page.get("Contents", [])]
            assert page["KeyCount"] == len(page.get("Contents", []))
            if not page["IsTruncated"]:
                break
            token = {"ContinuationToken": page["NextContinuationToken"]}
        assert found == [(key, len(key.encode())) for key in sorted(keys, key=str.encode)]
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [row["Prefix"] for row in page["CommonPrefixes"]] == ["dir/", "z/"]
    assert [row["Key"] for row in page["Contents"]] == ["a", "b+c d", "é"]
    page = s3.list_objects_v2(Bucket=bucket, Prefix="dir/", Delimiter="/", StartAfter="dir/023")
    assert [row["Key"] for row in page["Contents"]] == ["dir/024"]
    assert [row["Prefix"] for row in page["CommonPrefixes"]] == ["dir/sub/"]
    found, marker = [], ""
    while True:
        page = s3.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=2, Marker=marker)
        found += [row["Key"] for row in page.get("Contents", [])] + [p["Prefix"] for p in page.get("CommonPrefixes", [])]
        if not page["IsTruncated"]:
            break
        marker = page["NextMarker"]
    assert sorted(found) == sorted(["a", "b+c d", "dir/", "z/", "é"])
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, MaxKeys=0)


def test_headers_and_metadata_come_back(s3, bucket):
    headers = {
        "ContentType": "text/plain; charset=utf-8", "CacheControl": "max-age=60", "ContentEncoding": "gzip",
        "ContentDisposition": 'attachment; filename="x"', "ContentLanguage": "de", "Metadata": {"one": "1", "two": "b c"},
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **headers)
    for got in (s3.get_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k")):
        assert {name: got[name] for name in headers} == headers
    s3.copy_object(
        Bucket=bucket, Key="k", CopySource=f"{bucket}/k", MetadataDirective="REPLACE", Metadata={"new": "x"},
        ContentType="text/html",
    )
    got = s3.head_object(Bucket=bucket, Key="k")
    assert (got["Metadata"], got["ContentType"]) == ({"new": "x"}, "text/html")
    assert "CacheControl" not in got
    assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/k") == (400, "InvalidRequest")
    s3.put_object(Bucket=bucket, Key="m", Body=b"", Metadata={"k": "v" * 2047})
    too_much = {"k": "v" * 2048}
    assert refused(s3.put_object, Bucket=bucket, Key="m", Body=b"", Metadata=too_much) == (400, "MetadataTooLarge")


def test_conditional_requests(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    at = {"Bucket": bucket, "Key": "k"}
    assert read(s3, bucket, "k", IfMatch=etag) == b"x"
    assert refused(s3.get_object, **at, IfMatch='"other"') == (412, "PreconditionFailed")
    assert refused(s3.get_object, **at, IfNoneMatch=etag)[0] == 304
    assert read(s3, bucket, "k", IfNoneMatch='"other"') == b"x"
    modified = s3.head_object(**at)["LastModified"]
    assert refused(s3.get_object, **at, IfModifiedSince=modified)[0] == 304
    assert read(s3, bucket, "k", IfUnmodifiedSince=modified) == b"x"
    assert refused(s3.put_object, **at, Body=b"y", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refused(s3.put_object, **at, Body=b"y", IfMatch='"other"') == (412, "PreconditionFailed")
    s3.put_object(**at, Body=b"z", IfMatch=etag)
    assert read(s3, bucket, "k") == b"z"
    copy = {"Bucket": bucket, "Key": "c", "CopySource": f"{bucket}/k"}
    assert refused(s3.copy_object, **copy, CopySourceIfMatch=etag) == (412, "PreconditionFailed")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_verified_kept_and_returned(s3, bucket, algorithm):
    body = os.urandom(100_000)
    name = "Checksum" + algorithm
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got[name] == put[name] == s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[name]
    sizes = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
    wrong = {name: base64.b64encode(bytes(sizes[algorithm])).decode()}
    assert refused(s3.put_object, Bucket=bucket, Key="w", Body=body, **wrong) == (400, "BadDigest")
    assert refused(s3.put_object, Bucket=bucket, Key="w", Body=body, **{name: "x"})[0] == 400
    assert refused(s3.head_object, Bucket=bucket, Key="w")[0] == 404


def test_a_wrong_content_md5_is_refused(s3, bucket):
    wrong = base64.b64encode(bytes(16)).decode()
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", ContentMD5=wrong) == (400, "BadDigest")
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", ContentMD5="junk") == (400, "InvalidDigest")
    assert refused(s3.head_object, Bucket=bucket, Key="k")[0] == 404


def test_multipart_mistakes(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    at = {"Bucket": bucket, "Key": "m", "UploadId": upload}
    one = s3.upload_part(PartNumber=1, Body=b"small", **at)["ETag"]
    two = s3.upload_part(PartNumber=2, Body=b"last", **at)["ETag"]

    def complete(*parts, **extra):
        named = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]}
        return refused(s3.complete_multipart_upload, MultipartUpload=named, **at | extra)

    assert complete((1, one), (2, two)) == (400, "EntityTooSmall")
    assert complete((2, two), (1, one)) == (400, "InvalidPartOrder")
    assert complete((1, two)) == (400, "InvalidPart")
    assert complete((1, one), (7, two)) == (400, "InvalidPart")
    assert complete((1, one), UploadId="0" * 32) == (404, "NoSuchUpload")
    assert complete((1, one), Key="other") == (404, "NoSuchUpload")
    assert [row["UploadId"] for row in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    assert refused(s3.delete_bucket, Bucket=bucket)[0] in (409, 204)
    s3.abort_multipart_upload(**at)
    assert refused(s3.upload_part, PartNumber=1, Body=b"late", **at) == (404, "NoSuchUpload")
    assert refused(s3.list_parts, **at) == (404, "NoSuchUpload")
    assert refused(s3.abort_multipart_upload, **at) == (404, "NoSuchUpload")


def test_deletes(s3, bucket):
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "missing"}]})
    assert sorted(row["Key"] for row in done["Deleted"]) == ["a", "missing"]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    s3.delete_object(Bucket=bucket, Key="c")
    s3.delete_object(Bucket=bucket, Key="c")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)
    assert refused(s3.head_bucket, Bucket=bucket)[0] == 404
    assert refused(s3.get_object, Bucket=bucket, Key="a") == (404, "NoSuchBucket")


@pytest.mark.parametrize("call,arguments", [
    ("get_bucket_lifecycle_configuration", {}),
    ("get_object_lock_configuration", {}),
    ("get_object_retention", {"Key": "k"}),
    ("get_object_legal_hold", {"Key": "k"}), ("get_bucket_website", {}), ("get_bucket_replication", {}),
])
def test_what_is_not_implemented_says_so(s3, bucket, call, arguments):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert refused(getattr(s3, call), Bucket=bucket, **arguments) == (501, "NotImplemented")


@pytest.mark.parametrize("extra", [
    {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": "2030-01-01T00:00:00Z"},
    {"ObjectLockLegalHoldStatus": "ON"}, {"WebsiteRedirectLocation": "/x"},
    {"StorageClass": "GLACIER"},
], ids=lambda value: next(iter(value)))
def test_an_argument_that_would_be_ignored_is_refused(s3, bucket, extra):
    status, code = refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **extra)
    assert (status, code) in [(501, "NotImplemented"), (400, "InvalidStorageClass")]
    assert refused(s3.head_object, Bucket=bucket, Key="k")[0] == 404


def test_managed_transfers(s3, bucket, key_arn):
    body = os.urandom(20 << 20)
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
    for extra in ({}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}):
        s3.upload_fileobj(io.BytesIO(body), bucket, "big", ExtraArgs=extra, Config=config)
        out = io.BytesIO()
        s3.download_fileobj(bucket, "big", out, Config=config)
        assert out.getvalue() == body


def test_objects_survive_a_restart(own_gateway):
    gateway = own_gateway()
    s3, kms = gateway.client(), gateway.client("kms")
    s3.create_bucket(Bucket="kept")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    big = os.urandom(300_000)
    s3.put_object(Bucket="kept", Key="small", Body=b"small", ServerSideEncryption="aws:kms", SSEKMSKeyId=arn)
    s3.put_object(Bucket="kept", Key="big", Body=big)
    assert gateway.stop() == 0
    s3 = gateway.start().client()
    assert read(s3, "kept", "small") == b"small"
    assert read(s3, "kept", "big") == big


def test_an_empty_object_does_not_hold_up_what_follows_it_on_the_connection(gateway, bucket):
    s3 = gateway.client(read_timeout=20)
    for size in (1, 0, 2, 0, 0, 3):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x" * size)
        assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == size
    # One after the other, nothing between.
    for size in (1, 0, 2, 0, 0, 3):
        s3.put_object(Bucket=bucket, Key=f"k{size}", Body=b"x" * size)

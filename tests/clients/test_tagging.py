"""Tags of objects and buckets: set, read, copied, bound to versions, kept within S3's limits."""

import pytest
from botocore.exceptions import ClientError

KEY = "tagged"


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def as_set(tags):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def tags_of(s3, bucket, key=KEY, **more):
    return {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key, **more)["TagSet"]}


def test_tags_come_with_a_write_and_change_without_touching_the_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"body" * 30_000, Tagging="team=red&empty=&a%20b=%C3%A9", Metadata={"m": "1"})
    before = s3.head_object(Bucket=bucket, Key=KEY)
    assert tags_of(s3, bucket) == {"team": "red", "empty": "", "a b": "é"}
    assert before["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "3"
    assert s3.get_object(Bucket=bucket, Key=KEY)["TagCount"] == 3
    s3.put_object_tagging(Bucket=bucket, Key=KEY, Tagging=as_set({"team": "blue"}))
    assert tags_of(s3, bucket) == {"team": "blue"}
    after = s3.head_object(Bucket=bucket, Key=KEY)
    for name in ("ETag", "LastModified", "ContentLength", "Metadata"):
        assert before[name] == after[name]
    assert s3.get_object(Bucket=bucket, Key=KEY)["Body"].read() == b"body" * 30_000
    s3.delete_object_tagging(Bucket=bucket, Key=KEY)
    assert tags_of(s3, bucket) == {}
    assert "x-amz-tagging-count" not in s3.head_object(Bucket=bucket, Key=KEY)["ResponseMetadata"]["HTTPHeaders"]
    assert refused(s3.get_object_tagging, Bucket=bucket, Key="missing") == (404, "NoSuchKey")
    assert refused(s3.put_object_tagging, Bucket=bucket, Key="missing", Tagging=as_set({})) == (404, "NoSuchKey")


def test_copies_keep_tags_unless_told_otherwise(s3, bucket):
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"x", Tagging="a=1")
    source = {"Bucket": bucket, "Key": KEY}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="other", CopySource=source, TaggingDirective="REPLACE", Tagging="b=2")
    s3.copy_object(Bucket=bucket, Key="none", CopySource=source, TaggingDirective="REPLACE")
    s3.copy_object(Bucket=bucket, Key="meta", CopySource=source, MetadataDirective="REPLACE", Metadata={"x": "y"})
    found = {key: tags_of(s3, bucket, key) for key in ("kept", "other", "none", "meta")}
    assert found == {"kept": {"a": "1"}, "other": {"b": "2"}, "none": {}, "meta": {"a": "1"}}
    s3.copy_object(Bucket=bucket, Key=KEY, CopySource=source, TaggingDirective="REPLACE", Tagging="c=3")
    assert tags_of(s3, bucket) == {"c": "3"}


def test_a_multipart_upload_has_the_tags_of_its_creation(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=KEY, Tagging="a=1&b=2")["UploadId"]
    named = {"Bucket": bucket, "Key": KEY, "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=b"part")
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert tags_of(s3, bucket) == {"a": "1", "b": "2"}


def test_each_version_has_its_own_tags(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key=KEY, Body=b"old", Tagging="n=old")["VersionId"]
    new = s3.put_object(Bucket=bucket, Key=KEY, Body=b"new", Tagging="n=new")["VersionId"]
    changed = s3.put_object_tagging(Bucket=bucket, Key=KEY, VersionId=old, Tagging=as_set({"n": "older"}))
    assert changed["VersionId"] == old
    assert (tags_of(s3, bucket, VersionId=old), tags_of(s3, bucket)) == ({"n": "older"}, {"n": "new"})
    s3.delete_object_tagging(Bucket=bucket, Key=KEY)
    assert tags_of(s3, bucket, VersionId=new) == {} and tags_of(s3, bucket, VersionId=old) == {"n": "older"}
    s3.delete_object(Bucket=bucket, Key=KEY)
    assert refused(s3.get_object_tagging, Bucket=bucket, Key=KEY)[0] == 404
    assert s3.get_object(Bucket=bucket, Key=KEY, VersionId=old)["Body"].read() == b"old"


@pytest.mark.parametrize(("tags", "code"), [
    ({str(n): "" for n in range(11)}, "BadRequest"), ({"k" * 129: ""}, "InvalidTag"), ({"k": "v" * 257}, "InvalidTag"),
    ({"aws:k": "v"}, "InvalidTag"), ({"a<b": "v"}, "InvalidTag"),
])
def test_tags_beyond_the_limits_are_refused_and_change_nothing(s3, bucket, tags, code):
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"x", Tagging="a=1")
    assert refused(s3.put_object_tagging, Bucket=bucket, Key=KEY, Tagging=as_set(tags)) == (400, code)
    assert tags_of(s3, bucket) == {"a": "1"}


def test_a_duplicate_key_is_refused_in_header_and_body(s3, bucket):
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"x")
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    assert refused(s3.put_object_tagging, Bucket=bucket, Key=KEY, Tagging=twice) == (400, "InvalidTag")
    assert refused(s3.put_object, Bucket=bucket, Key="b", Body=b"x", Tagging="a=1&a=2") == (400, "InvalidArgument")
    assert refused(s3.head_object, Bucket=bucket, Key="b")[0] == 404


def test_a_bucket_has_tags_of_its_own(s3, bucket):
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")
    fifty = {f"key {n}": "v" for n in range(50)}
    s3.put_bucket_tagging(Bucket=bucket, Tagging=as_set(fifty))
    found = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert found == fifty
    assert refused(s3.put_bucket_tagging, Bucket=bucket, Tagging=as_set(fifty | {"more": ""})) == (400, "BadRequest")
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")
    assert refused(s3.get_bucket_tagging, Bucket="no-such-bucket") == (404, "NoSuchBucket")

"""Buckets that keep versions: ids on every operation, delete markers, listings, suspended buckets, copies of versions."""

import pytest
from botocore.exceptions import ClientError

KEY = "dir/object"


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response


def set_state(s3, bucket, status):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


@pytest.fixture
def versioned(s3, bucket):
    set_state(s3, bucket, "Enabled")
    return bucket


def put(s3, bucket, body, key=KEY, **more):
    return s3.put_object(Bucket=bucket, Key=key, Body=body, **more).get("VersionId")


def get(s3, bucket, key=KEY, **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def rows(s3, bucket, **more):
    """Versions and markers as (key, version, latest, is a marker), by key, newest first."""
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, **more):
        found += [(r["Key"], r["VersionId"], r["IsLatest"], False) for r in page.get("Versions", [])]
        found += [(r["Key"], r["VersionId"], r["IsLatest"], True) for r in page.get("DeleteMarkers", [])]
    return found


def test_the_state_is_set_and_told_and_a_wrong_one_is_refused(s3, bucket):
    for status in ("Enabled", "Suspended", "Enabled"):
        set_state(s3, bucket, status)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    wrong = {"Status": "Enabled", "MFADelete": "Enabled"}
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=wrong)[:2] == (501, "NotImplemented")
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "On"})[:2] == (
        400, "MalformedXML")
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={})[:2] == (
        400, "IllegalVersioningConfigurationException")
    missing = {"Bucket": "no-such-bucket", "VersioningConfiguration": {"Status": "Enabled"}}
    assert refused(s3.put_bucket_versioning, **missing)[:2] == (404, "NoSuchBucket")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_a_bucket_without_versions_names_none(s3, bucket):
    assert put(s3, bucket, b"1") is None
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key=KEY)
    assert "VersionId" not in s3.head_object(Bucket=bucket, Key=KEY)
    deleted = s3.delete_object(Bucket=bucket, Key=KEY)
    assert "VersionId" not in deleted and "DeleteMarker" not in deleted


def test_each_write_is_a_version_that_can_be_read_and_looked_at(s3, versioned):
    bodies = [b"one", b"two" * 40_000, b""]
    ids = [put(s3, versioned, body, Metadata={"n": str(nth)}) for nth, body in enumerate(bodies)]
    assert len(set(ids)) == 3 and "null" not in ids
    assert get(s3, versioned) == bodies[-1]
    for nth, (version, body) in enumerate(zip(ids, bodies, strict=True)):
        assert get(s3, versioned, VersionId=version) == body
        head = s3.head_object(Bucket=versioned, Key=KEY, VersionId=version)
        assert (head["VersionId"], head["ContentLength"], head["Metadata"]) == (version, len(body), {"n": str(nth)})
    assert s3.head_object(Bucket=versioned, Key=KEY)["VersionId"] == ids[-1]
    assert [row[1] for row in rows(s3, versioned)] == ids[::-1]
    assert get(s3, versioned, VersionId=ids[1], Range="bytes=3-5") == b"two"


def test_versions_that_are_not_there_have_their_codes(s3, versioned):
    put(s3, versioned, b"1")
    for version, expected in (("0" * 31 + "1", (404, "NoSuchVersion")), ("null", (404, "NoSuchVersion")),
                              ("not-an-id", (400, "InvalidArgument"))):
        assert refused(s3.get_object, Bucket=versioned, Key=KEY, VersionId=version)[:2] == expected
    unknown = s3.delete_object(Bucket=versioned, Key=KEY, VersionId="0" * 31 + "1")
    assert unknown["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert get(s3, versioned) == b"1"


def test_a_delete_leaves_a_marker_and_its_removal_brings_the_object_back(s3, versioned):
    kept = put(s3, versioned, b"kept")
    deleted = s3.delete_object(Bucket=versioned, Key=KEY)
    marker = deleted["VersionId"]
    assert deleted["DeleteMarker"] is True and marker != kept
    status, code, response = refused(s3.get_object, Bucket=versioned, Key=KEY)
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert (status, code) == (404, "NoSuchKey")
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)
    status, _, response = refused(s3.head_object, Bucket=versioned, Key=KEY)
    assert status == 404 and response["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    for call in (s3.get_object, s3.head_object):
        status, _, response = refused(call, Bucket=versioned, Key=KEY, VersionId=marker)
        assert status == 405 and response["ResponseMetadata"]["HTTPHeaders"]["allow"] == "DELETE"
    assert get(s3, versioned, VersionId=kept) == b"kept"
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
    assert "CommonPrefixes" not in s3.list_objects_v2(Bucket=versioned, Delimiter="/")
    assert sorted(rows(s3, versioned)) == sorted([(KEY, marker, True, True), (KEY, kept, False, False)])
    gone = s3.delete_object(Bucket=versioned, Key=KEY, VersionId=marker)
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker)
    assert get(s3, versioned) == b"kept"


def test_many_deletes_at_once_with_versions_and_markers(s3, versioned):
    first, second = put(s3, versioned, b"1", key="a"), put(s3, versioned, b"2", key="a")
    put(s3, versioned, b"3", key="b")
    objects = [{"Key": "a", "VersionId": first}, {"Key": "b"}, {"Key": "c"}]
    deleted = {row["Key"]: row for row in s3.delete_objects(Bucket=versioned, Delete={"Objects": objects})["Deleted"]}
    assert deleted["a"]["VersionId"] == first and "DeleteMarker" not in deleted["a"]
    for key in ("b", "c"):
        assert deleted[key]["DeleteMarker"] is True and deleted[key]["DeleteMarkerVersionId"]
    assert get(s3, versioned, key="a", VersionId=second) == b"2"
    assert [row[0] for row in rows(s3, versioned)] == ["a", "b", "b", "c"]


def test_a_suspended_bucket_keeps_what_there_was_and_replaces_the_null_version(s3, bucket):
    put(s3, bucket, b"null 0")
    set_state(s3, bucket, "Enabled")
    assert s3.head_object(Bucket=bucket, Key=KEY)["VersionId"] == "null"
    kept = put(s3, bucket, b"kept")
    set_state(s3, bucket, "Suspended")
    assert put(s3, bucket, b"null 1") == "null" == put(s3, bucket, b"null 2")
    assert get(s3, bucket) == get(s3, bucket, VersionId="null") == b"null 2"
    assert [row[1] for row in rows(s3, bucket)] == ["null", kept]
    deleted = s3.delete_object(Bucket=bucket, Key=KEY)
    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, "null")
    assert [row[1:] for row in sorted(rows(s3, bucket))] == sorted([(kept, False, False), ("null", True, True)])
    s3.delete_object(Bucket=bucket, Key=KEY, VersionId="null")
    assert get(s3, bucket) == b"kept"


def test_a_version_can_be_the_source_of_a_copy_and_of_a_part(s3, versioned):
    old = put(s3, versioned, b"old" * 10_000)
    put(s3, versioned, b"new")
    source = {"Bucket": versioned, "Key": KEY, "VersionId": old}
    copied = s3.copy_object(Bucket=versioned, Key=KEY, CopySource=source)
    assert copied["CopySourceVersionId"] == old and copied["VersionId"] not in (old, None)
    assert get(s3, versioned) == b"old" * 10_000
    upload = s3.create_multipart_upload(Bucket=versioned, Key=KEY)["UploadId"]
    named = {"Bucket": versioned, "Key": KEY, "UploadId": upload}
    part = s3.upload_part_copy(**named, PartNumber=1, CopySource=source)
    parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert part["CopySourceVersionId"] == old
    assert get(s3, versioned, VersionId=done["VersionId"]) == b"old" * 10_000
    marker = s3.delete_object(Bucket=versioned, Key=KEY)["VersionId"]
    assert refused(s3.copy_object, Bucket=versioned, Key="x", CopySource={**source, "VersionId": marker})[:2] == (
        400, "InvalidRequest")
    assert refused(s3.copy_object, Bucket=versioned, Key="x", CopySource=f"{versioned}/{KEY}")[:2] == (404, "NoSuchKey")


def test_pages_of_every_length_give_every_version_once_in_order(s3, versioned):
    for nth in range(3):
        for key in ("a", "b/1", "b/2", "c"):
            put(s3, versioned, bytes([nth]), key=key)
    s3.delete_object(Bucket=versioned, Key="b/1")
    whole = rows(s3, versioned)
    assert len(whole) == 13 and len({row[1] for row in whole}) == 13
    for length in range(1, 14):
        assert sorted(rows(s3, versioned, PaginationConfig={"PageSize": length})) == sorted(whole), length
    page = s3.list_object_versions(Bucket=versioned, KeyMarker="a", VersionIdMarker=whole[0][1], MaxKeys=2)
    assert [row["VersionId"] for row in page["Versions"]] == [whole[1][1], whole[2][1]]
    rolled = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert [row["Prefix"] for row in rolled["CommonPrefixes"]] == ["b/"]
    assert len(rolled["Versions"]) == 6


def test_a_bucket_with_versions_left_is_not_empty(s3, versioned):
    version = put(s3, versioned, b"1")
    marker = s3.delete_object(Bucket=versioned, Key=KEY)["VersionId"]
    assert refused(s3.delete_bucket, Bucket=versioned)[:2] == (409, "BucketNotEmpty")
    for each in (version, marker):
        s3.delete_object(Bucket=versioned, Key=KEY, VersionId=each)
    assert rows(s3, versioned) == []


@pytest.mark.parametrize("status", ["Never", "Enabled"])
def test_conditional_deletes_remove_only_what_was_meant(s3, bucket, status):
    if status == "Enabled":
        set_state(s3, bucket, status)
    etag = s3.put_object(Bucket=bucket, Key=KEY, Body=b"1")["ETag"]
    assert refused(s3.delete_object, Bucket=bucket, Key=KEY, IfMatch='"other"')[:2] == (412, "PreconditionFailed")
    failed = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": KEY, "ETag": '"other"'}]})["Errors"]
    assert [row["Code"] for row in failed] == ["PreconditionFailed"]
    assert get(s3, bucket) == b"1"
    s3.delete_object(Bucket=bucket, Key=KEY, IfMatch=etag)
    assert refused(s3.get_object, Bucket=bucket, Key=KEY)[:2] == (404, "NoSuchKey")
    assert refused(s3.delete_object, Bucket=bucket, Key=KEY, IfMatch=etag)[:2] == (404, "NoSuchKey")
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"2", IfNoneMatch="*")
    s3.delete_object(Bucket=bucket, Key=KEY, IfMatch="*")

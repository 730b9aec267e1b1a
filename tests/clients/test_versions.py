"""Buckets that keep no versions, seen by clients that ask for versions."""

import pytest
from botocore.exceptions import ClientError

KEYS = ["a b+é", "d/1", "d/2", "e", "z"]


@pytest.fixture
def filled(s3, bucket):
    for nth, key in enumerate(KEYS, 1):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x" * nth)
    return bucket


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_a_bucket_never_versioned_has_no_versioning_state(s3, bucket):
    answer = s3.get_bucket_versioning(Bucket=bucket)
    assert "Status" not in answer and "MFADelete" not in answer
    assert refused(s3.get_bucket_versioning, Bucket="no-such-bucket") == (404, "NoSuchBucket")


def test_every_object_is_its_own_latest_null_version(s3, filled):
    versions = s3.list_object_versions(Bucket=filled)
    assert versions["IsTruncated"] is False and "DeleteMarkers" not in versions
    assert [row["Key"] for row in versions["Versions"]] == KEYS
    objects = s3.list_objects_v2(Bucket=filled)["Contents"]
    for nth, (row, known) in enumerate(zip(versions["Versions"], objects, strict=True), 1):
        assert (row["VersionId"], row["IsLatest"], row["Size"]) == ("null", True, nth)
        assert (row["ETag"], row["LastModified"]) == (known["ETag"], known["LastModified"])
    assert refused(s3.list_object_versions, Bucket="no-such-bucket") == (404, "NoSuchBucket")


def test_pages_of_every_length_give_each_version_and_prefix_once(s3, filled):
    for delimiter, keys, prefixes in (("", KEYS, []), ("/", [KEYS[0], "e", "z"], ["d/"])):
        for length in range(1, len(KEYS) + 2):
            pages = s3.get_paginator("list_object_versions").paginate(
                Bucket=filled, Delimiter=delimiter, PaginationConfig={"PageSize": length}
            )
            found, groups = [], []
            for page in pages:
                rows, common = page.get("Versions", []), page.get("CommonPrefixes", [])
                assert len(rows) + len(common) <= length
                found += [row["Key"] for row in rows]
                groups += [group["Prefix"] for group in common]
            assert (found, groups) == (keys, prefixes), (delimiter, length)


def test_a_listing_narrows_and_starts_as_asked(s3, filled):
    def keys(**query):
        return [row["Key"] for row in s3.list_object_versions(Bucket=filled, **query).get("Versions", [])]

    assert keys(Prefix="d/") == ["d/1", "d/2"]
    assert keys(KeyMarker="d/1") == ["d/2", "e", "z"]
    assert keys(KeyMarker="d/1", VersionIdMarker="null") == ["d/2", "e", "z"]
    assert keys(MaxKeys=0) == []
    without_key = {"Bucket": filled, "VersionIdMarker": "null"}
    assert refused(s3.list_object_versions, **without_key) == (400, "InvalidArgument")
    unknown = {"Bucket": filled, "KeyMarker": "e", "VersionIdMarker": "never-given"}
    assert refused(s3.list_object_versions, **unknown) == (400, "InvalidArgument")


def test_the_versions_that_a_listing_names_can_be_deleted(s3, filled):
    listed = s3.list_object_versions(Bucket=filled)["Versions"]
    names = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in listed]
    answer = s3.delete_objects(Bucket=filled, Delete={"Objects": names})
    assert sorted(row["Key"] for row in answer["Deleted"]) == sorted(KEYS) and "Errors" not in answer
    assert "Versions" not in s3.list_object_versions(Bucket=filled)

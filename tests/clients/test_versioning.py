"""Buckets that keep versions: ids on every operation, delete markers, listings, suspended buckets, copies."""

import json
import os
import signal
import urllib.request

import pytest
from botocore.exceptions import ClientError
from modes import modes

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
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=wrong)[:2] == (
        501, "NotImplemented")
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


def test_a_copy_names_the_version_that_it_copied(s3, bucket):
    put(s3, bucket, b"x")
    source = {"Bucket": bucket, "Key": KEY}
    assert "CopySourceVersionId" not in s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    named = {"Bucket": bucket, "Key": KEY, "CopySource": source | {"VersionId": "null"}}
    assert refused(s3.copy_object, **named)[:2] == (400, "InvalidRequest"), "the only version, onto itself"
    set_state(s3, bucket, "Enabled")
    assert s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)["CopySourceVersionId"] == "null"
    old, new = put(s3, bucket, b"old"), put(s3, bucket, b"new")
    kms = {"ServerSideEncryption": "aws:kms"}
    for extra in ({}, kms):
        assert s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, **extra)["CopySourceVersionId"] == new
    # Opened and sealed anew, not shared.
    assert s3.copy_object(Bucket=bucket, Key="back", CopySource=f"{bucket}/copy")["CopySourceVersionId"]
    upload = {"Bucket": bucket, "Key": "m", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]}
    assert s3.upload_part_copy(**upload, PartNumber=1, CopySource=source)["CopySourceVersionId"] == new
    assert refused(s3.copy_object, Bucket=bucket, Key=KEY, CopySource=source)[:2] == (400, "InvalidRequest")
    back = s3.copy_object(Bucket=bucket, Key=KEY, CopySource=source | {"VersionId": old})
    assert get(s3, bucket, VersionId=back["VersionId"]) == get(s3, bucket) == b"old"


def test_each_version_has_its_own_encryption(s3, kms, versioned, key_arn):
    table = modes(s3, kms, versioned, key_arn)
    ids = []
    for mode in table:
        written = s3.put_object(Bucket=versioned, Key=KEY, Body=mode.name.encode(), **mode.write)
        mode.check(written, context=True)
        ids.append(written["VersionId"])
    for mode, version in zip(table, ids, strict=True):
        for call in (s3.get_object, s3.head_object):
            mode.check(call(Bucket=versioned, Key=KEY, VersionId=version, **mode.repeat))
        assert get(s3, versioned, VersionId=version, **mode.repeat) == mode.name.encode()
    # Neither a customer's key nor a CMK is needed to delete, and what was there before comes back as it was.
    kms.disable_key(KeyId=key_arn)
    for mode, version in list(zip(table, ids, strict=True))[::-1]:
        head = s3.head_object(Bucket=versioned, Key=KEY, **mode.repeat)
        assert head["VersionId"] == version
        mode.check(head)
        s3.delete_object(Bucket=versioned, Key=KEY, VersionId=version)
    assert refused(s3.head_object, Bucket=versioned, Key=KEY)[0] == 404


def test_conditions_and_presigned_urls_are_about_the_version_named(gateway, s3, versioned):
    old, new = put(s3, versioned, b"old"), put(s3, versioned, b"new")
    etag = {version: s3.head_object(Bucket=versioned, Key=KEY, VersionId=version)["ETag"] for version in (old, new)}
    assert get(s3, versioned, VersionId=old, IfMatch=etag[old]) == b"old"
    assert refused(s3.get_object, Bucket=versioned, Key=KEY, VersionId=old, IfMatch=etag[new])[0] == 412
    assert refused(s3.get_object, Bucket=versioned, Key=KEY, VersionId=old, IfNoneMatch=etag[old])[0] == 304
    source = {"Bucket": versioned, "Key": KEY, "VersionId": old}
    copy = {"Bucket": versioned, "Key": "c", "CopySource": source}
    assert refused(s3.copy_object, **copy, CopySourceIfMatch=etag[new])[0] == 412
    assert s3.copy_object(**copy, CopySourceIfMatch=etag[old])["CopySourceVersionId"] == old
    assert refused(s3.delete_object, Bucket=versioned, Key=KEY, VersionId=old, IfMatch=etag[new])[0] == 412
    assert get(s3, versioned, VersionId=old) == b"old"
    for version, body in ((old, b"old"), (new, b"new")):
        signer = gateway.client(signature_version="s3v4")
        url = signer.generate_presigned_url("get_object", {"Bucket": versioned, "Key": KEY, "VersionId": version})
        answer = urllib.request.urlopen(url, timeout=10)
        assert (answer.read(), answer.headers["x-amz-version-id"]) == (body, version)


@pytest.mark.parametrize("begun,ended", [
    ("Never", "Enabled"), ("Never", "Suspended"), ("Enabled", "Suspended"), ("Suspended", "Enabled"),
])
def test_an_upload_becomes_what_the_bucket_keeps_when_it_is_completed(s3, bucket, begun, ended):
    if begun != "Never":
        put(s3, bucket, b"null")
        set_state(s3, bucket, begun)
    before = put(s3, bucket, b"before") or "null"
    upload = {"Bucket": bucket, "Key": KEY, "UploadId": s3.create_multipart_upload(Bucket=bucket, Key=KEY)["UploadId"]}
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    set_state(s3, bucket, ended)
    # An upload is no version yet.
    assert [row[1] for row in rows(s3, bucket)][0] == before
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert (done["VersionId"] == "null") == (ended == "Suspended")
    assert get(s3, bucket) == get(s3, bucket, VersionId=done["VersionId"]) == b"part"
    replaced = ended == "Suspended" and before == "null"
    left = {row[1] for row in rows(s3, bucket)}
    assert (before in left - {done["VersionId"]}) == (not replaced)
    s3.delete_object(Bucket=bucket, Key=KEY, VersionId=done["VersionId"])
    if not replaced:
        assert get(s3, bucket) == b"before"


def test_a_reader_keeps_its_version_while_that_is_deleted(s3, versioned):
    body = os.urandom(24 << 20)
    version = put(s3, versioned, body)
    source = {"Bucket": versioned, "Key": KEY, "VersionId": version}
    copied = s3.copy_object(Bucket=versioned, Key="copy", CopySource=source)["VersionId"]
    stream = s3.get_object(Bucket=versioned, Key=KEY, VersionId=version)["Body"]
    start = stream.read(1000)
    s3.delete_object(Bucket=versioned, Key=KEY, VersionId=version)
    s3.delete_object(Bucket=versioned, Key="copy", VersionId=copied)
    assert rows(s3, versioned) == []
    assert start + stream.read() == body


def test_versions_survive_a_kill(own_gateway):
    gateway = own_gateway()
    s3, name = gateway.client(), "survivor"
    s3.create_bucket(Bucket=name)
    put(s3, name, b"null")
    set_state(s3, name, "Enabled")
    ids = [put(s3, name, bytes([nth]) * 50_000) for nth in range(3)]
    s3.delete_object(Bucket=name, Key=KEY, VersionId=ids[1])
    marker = s3.delete_object(Bucket=name, Key=KEY)["VersionId"]
    before = rows(s3, name)
    gateway.stop(signal.SIGKILL)
    s3 = gateway.start().client()
    assert rows(s3, name) == before and len(before) == 4
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert get(s3, name, VersionId=ids[2]) == bytes([2]) * 50_000 and get(s3, name, VersionId="null") == b"null"
    s3.delete_object(Bucket=name, Key=KEY, VersionId=marker)
    assert s3.head_object(Bucket=name, Key=KEY)["VersionId"] == ids[2]


def test_a_page_of_versions_has_all_that_was_asked_for(s3, versioned):
    for key in ("a b", "a/1", "a/2", "\u00e9/x"):
        put(s3, versioned, b"1", key=key)
        put(s3, versioned, b"22", key=key)
    s3.delete_object(Bucket=versioned, Key="a/2")
    whole = s3.list_object_versions(Bucket=versioned)
    assert [(row["Key"], row["IsLatest"], row["Size"]) for row in whole["Versions"]] == [
        ("a b", True, 2), ("a b", False, 1), ("a/1", True, 2), ("a/1", False, 1), ("a/2", False, 2), ("a/2", False, 1),
        ("\u00e9/x", True, 2), ("\u00e9/x", False, 1),
    ]
    assert [(row["Key"], row["IsLatest"]) for row in whole["DeleteMarkers"]] == [("a/2", True)]
    owner = s3.list_buckets()["Owner"]["ID"]
    for row in whole["Versions"] + whole["DeleteMarkers"]:
        assert row["Owner"]["ID"] == owner and row["LastModified"]
    for row in whole["Versions"]:
        head = s3.head_object(Bucket=versioned, Key=row["Key"], VersionId=row["VersionId"])
        assert (row["ETag"], row["Size"]) == (head["ETag"], head["ContentLength"]) and row["StorageClass"] == "STANDARD"
    page = s3.list_object_versions(Bucket=versioned, Prefix="a", Delimiter="/", MaxKeys=2)
    assert (page["Prefix"], page["Delimiter"], page["MaxKeys"], page["IsTruncated"]) == ("a", "/", 2, True)
    assert (page["NextKeyMarker"], page["NextVersionIdMarker"]) == ("a b", page["Versions"][1]["VersionId"])
    raw = s3.list_object_versions(Bucket=versioned, Prefix="a", MaxKeys=2, EncodingType="url")
    assert (raw["EncodingType"], raw["NextKeyMarker"], raw["Versions"][0]["Key"]) == ("url", "a%20b", "a%20b")
    # A marker between the versions of a key goes on with the older ones; a prefix as a marker is passed.
    rest = {"KeyMarker": "a b", "VersionIdMarker": page["Versions"][0]["VersionId"]}
    page = s3.list_object_versions(Bucket=versioned, Delimiter="/", MaxKeys=2, **rest)
    assert [row["Size"] for row in page["Versions"]] == [1] and page["CommonPrefixes"] == [{"Prefix": "a/"}]
    assert page["NextKeyMarker"] == "a/" and "NextVersionIdMarker" not in page
    page = s3.list_object_versions(Bucket=versioned, Delimiter="/", KeyMarker="a/")
    assert "Versions" not in page and page["CommonPrefixes"] == [{"Prefix": "\u00e9/"}]
    # A prefix shows though the newest of all under it is a marker: versions are there.
    s3.delete_object(Bucket=versioned, Key="a/1")
    assert s3.list_object_versions(Bucket=versioned, Delimiter="/")["CommonPrefixes"][0] == {"Prefix": "a/"}


def test_a_version_named_is_another_right_than_the_current_one(gateway, s3, versioned):
    old, new = put(s3, versioned, b"old"), put(s3, versioned, b"new")
    other = gateway.client(other=True)
    source = {"Bucket": versioned, "Key": KEY, "VersionId": old}
    made = s3.create_multipart_upload(Bucket=versioned, Key="m")
    upload = {"Key": "m", "UploadId": made["UploadId"], "PartNumber": 1}
    # What each call takes; the calls that take a version's right come last, the one that deletes after those that read.
    calls = [
        ({"s3:GetObject"}, other.get_object, {"Key": KEY}),
        ({"s3:GetObject", "s3:PutObject"}, other.copy_object, {"Key": "c", "CopySource": f"{versioned}/{KEY}"}),
        ({"s3:DeleteObject"}, other.delete_object, {"Key": "none"}),
        ({"s3:ListBucketVersions"}, other.list_object_versions, {}),
        ({"s3:GetBucketVersioning"}, other.get_bucket_versioning, {}),
        ({"s3:GetObjectVersion"}, other.get_object, {"Key": KEY, "VersionId": old}),
        ({"s3:GetObjectVersion"}, other.head_object, {"Key": KEY, "VersionId": new}),
        ({"s3:GetObjectVersion", "s3:PutObject"}, other.copy_object, {"Key": "c", "CopySource": source}),
        ({"s3:GetObjectVersion", "s3:PutObject"}, other.upload_part_copy, upload | {"CopySource": source}),
        ({"s3:DeleteObjectVersion"}, other.delete_object, {"Key": KEY, "VersionId": old}),
    ]
    every = set().union(*(needed for needed, _, _ in calls)) | {"s3:PutBucketVersioning"}
    user = {"AWS": "arn:aws:iam::000000000000:user/other"}
    where = [f"arn:aws:s3:::{versioned}", f"arn:aws:s3:::{versioned}/*"]
    for needed, call, arguments in calls:
        arguments = {"Bucket": versioned, **arguments}
        for missing in sorted(needed):
            allow(s3, versioned, user, every - {missing}, where)
            assert refused(call, **arguments)[0] == 403, (missing, arguments)
        allow(s3, versioned, user, needed, where)
        call(**arguments)
    assert old not in {row[1] for row in rows(s3, versioned)}
    s3.delete_bucket_policy(Bucket=versioned)


def allow(s3, bucket, user, actions, where):
    statement = {"Effect": "Allow", "Principal": user, "Action": sorted(actions), "Resource": where}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


LOCK = {"ObjectLockEnabled": "Enabled"}
RULE = {"ID": "r", "Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
UNTIL = "2099-01-01T00:00:00Z"


@pytest.mark.parametrize("call,arguments", [
    ("get_bucket_lifecycle_configuration", {}),
    ("put_bucket_lifecycle_configuration", {"LifecycleConfiguration": {"Rules": [RULE]}}),
    ("delete_bucket_lifecycle", {}),
    ("get_object_lock_configuration", {}),
    ("put_object_lock_configuration", {"ObjectLockConfiguration": LOCK}),
    ("get_object_retention", {"Key": KEY}),
    ("put_object_retention", {"Key": KEY, "Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": UNTIL}}),
    ("get_object_legal_hold", {"Key": KEY}),
    ("put_object_legal_hold", {"Key": KEY, "LegalHold": {"Status": "ON"}}),
    ("put_object", {"Key": KEY, "Body": b"2", "ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": UNTIL}),
    ("put_object", {"Key": KEY, "Body": b"2", "ObjectLockLegalHoldStatus": "ON"}),
    ("copy_object", {"Key": "c", "ObjectLockLegalHoldStatus": "ON"}),
    ("create_multipart_upload", {"Key": KEY, "ObjectLockLegalHoldStatus": "ON"}),
    ("delete_object", {"Key": KEY, "MFA": "serial 123456"}),
    ("delete_objects", {"Delete": {"Objects": [{"Key": KEY}]}, "MFA": "serial 123456"}),
    ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}, "MFA": "serial 123456"}),
    ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended", "MFADelete": "Enabled"}}),
])
def test_locks_lifecycles_and_second_factors_are_refused_and_change_nothing(s3, versioned, call, arguments):
    version = put(s3, versioned, b"1")
    asked = [{"Bucket": versioned, **arguments}]
    if call == "copy_object":
        asked[0]["CopySource"] = {"Bucket": versioned, "Key": KEY}
    if call == "delete_object" or call.endswith(("retention", "hold")):
        asked.append(asked[0] | {"VersionId": version})
    for each in asked:
        assert refused(getattr(s3, call), **each)[:2] == (501, "NotImplemented")
    assert rows(s3, versioned) == [(KEY, version, True, False)]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=versioned)
    assert s3.get_bucket_versioning(Bucket=versioned)["Status"] == "Enabled"

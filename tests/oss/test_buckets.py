"""Buckets, their settings and their listings, through every OSS client with every signature."""

import secrets

import pytest
from faces import Refused


def code_of(call, *arguments):
    with pytest.raises(Refused) as refused:
        call(*arguments)
    return refused.value.status, refused.value.code


def test_buckets_are_made_described_and_dropped(face):
    prefix = "t-" + secrets.token_hex(6)
    names = [f"{prefix}-{number}" for number in range(3)]
    for name in names:
        face.make_bucket(name)
    face.make_bucket(names[0])  # Its owner may say so again.
    assert face.buckets(prefix) == names
    assert face.bucket_location(names[0]) == "oss-cn-hangzhou"
    info = face.bucket_info(names[0])
    assert (info["name"], info["location"], info["acl"], info["versioning"]) == (names[0], "oss-cn-hangzhou", "private", None)
    assert info["algorithm"] in ("None", None)
    assert face.bucket_stat(names[0]) == (0, 0, 0)
    face.put(names[0], "a", b"12345")
    face.put(names[0], "b", b"678")
    face.initiate(names[0], "c")
    assert face.bucket_stat(names[0]) == (8, 2, 1)
    assert code_of(face.drop_bucket, names[0]) == (409, "BucketNotEmpty")
    for name in names[1:]:
        assert face.drop_bucket(name).status == 204
    assert face.buckets(prefix) == names[:1]
    assert code_of(face.bucket_info, names[1]) == (404, "NoSuchBucket")
    assert code_of(face.drop_bucket, names[1]) == (404, "NoSuchBucket")


def test_a_bucket_of_another_owner_is_taken(faces, gateway, face, bucket):
    other = faces("oss2 V1", gateway.other)
    assert code_of(other.make_bucket, bucket) == (409, "BucketAlreadyExists")


def test_acls_of_buckets_and_objects(face, bucket):
    for acl in ("public-read", "public-read-write", "private"):
        face.put_acl(bucket, None, acl)
        assert face.acl(bucket) == acl
    face.put(bucket, "k", b"x")
    assert face.acl(bucket, "k") == "default"
    for acl in ("public-read", "private", "default"):
        face.put_acl(bucket, "k", acl)
        assert face.acl(bucket, "k") == acl


def test_tags_of_buckets_and_objects(face, bucket):
    tags = {"team": "blue", "stage": "one two", "中": "é+"} if type(face).__name__ != "AliOss" else {"team": "blue", "stage": "one two"}
    face.put(bucket, "k", b"x")
    for key in (None, "k"):
        face.put_tags(bucket, key, tags)
        assert face.tags(bucket, key) == tags
        assert face.drop_tags(bucket, key).status == 204
        assert face.tags(bucket, key) == {}
    face.put(bucket, "k", b"x", {"x-oss-tagging": "a=b&c=d"})
    assert face.tags(bucket, "k") == {"a": "b", "c": "d"}
    assert face.head(bucket, "k").headers["x-oss-tagging-count"] == "2"


def test_versions_are_kept_listed_and_removed(face, bucket):
    assert face.versioning(bucket) is None
    face.put_versioning(bucket, "Enabled")
    assert face.versioning(bucket) == "Enabled"
    assert face.bucket_info(bucket)["versioning"] == "Enabled"
    ids = [face.put(bucket, "k", body).headers["x-oss-version-id"] for body in (b"one", b"two")]
    deleted = face.delete(bucket, "k")
    marker = deleted.headers["x-oss-version-id"]
    assert deleted.headers["x-oss-delete-marker"] == "true"
    assert code_of(face.get, bucket, "k") == (404, "NoSuchKey")
    for version, body in zip(ids, (b"one", b"two")):
        got = face.get(bucket, "k", params={"versionId": version})
        assert (got.body, got.headers["x-oss-version-id"]) == (body, version)
    for size in (1000, 1):
        versions, markers = face.list_versions(bucket, size=size)
        assert versions == [("k", ids[1], False), ("k", ids[0], False)]
        assert [row[:2] for row in markers] == [("k", marker)]
    copied = face.copy(bucket, "k2", bucket, "k", version=ids[0])
    assert copied.headers["x-oss-copy-source-version-id"] == ids[0]
    assert face.get(bucket, "k2").body == b"one"
    gone = face.delete(bucket, "k", marker)
    assert (gone.headers["x-oss-version-id"], gone.headers["x-oss-delete-marker"]) == (marker, "true")
    assert face.get(bucket, "k").body == b"two"
    face.delete(bucket, "k", ids[1])
    assert face.get(bucket, "k").body == b"one"
    face.put_versioning(bucket, "Suspended")
    assert face.put(bucket, "k", b"three").headers["x-oss-version-id"] == "null"


def test_listings_go_by_pages_prefixes_and_delimiters(face, bucket):
    keys = sorted([f"a/{number}" for number in range(5)] + ["a b", "b+c/x", "b+c/y", "z&<>", "é/1", "中"], key=str.encode)
    for key in keys:
        face.put(bucket, key, key.encode())
    for listing in (face.list, face.list2):
        for size in (1000, 4):
            rows, prefixes = listing(bucket, size=size)
            assert [row[0] for row in rows] == keys and prefixes == []
            assert [row[1] for row in rows] == [len(key.encode()) for key in keys]
            rows, prefixes = listing(bucket, delimiter="/", size=size)
            assert [row[0] for row in rows] == ["a b", "z&<>", "中"]
            assert prefixes == ["a/", "b+c/", "é/"]
        rows, prefixes = listing(bucket, prefix="b+c/")
        assert [row[0] for row in rows] == ["b+c/x", "b+c/y"]


RULES = [("AES256", None, None), ("SM4", None, None), ("KMS", None, None), ("KMS", "key", None), ("KMS", "key", "SM4"), ("KMS", None, "SM4")]


def test_the_default_encryption_is_put_read_and_dropped(face, bucket, key_id):
    assert code_of(face.encryption, bucket) == (404, "NoSuchServerSideEncryptionRule")
    for algorithm, key, data in RULES:
        if data and type(face).__name__ == "AliOss":
            continue  # It has no word for it.
        key = key and key_id
        face.put_encryption(bucket, algorithm, key, data)
        assert face.encryption(bucket) == (algorithm, key, data)
        info = face.bucket_info(bucket)
        assert (info["algorithm"], info["key"] or None) == (algorithm, key)
    assert face.drop_encryption(bucket).status == 204
    assert code_of(face.encryption, bucket) == (404, "NoSuchServerSideEncryptionRule")
    assert face.drop_encryption(bucket).status == 204

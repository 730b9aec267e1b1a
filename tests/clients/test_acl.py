"""Canned ACLs of buckets and objects for several users, and the public access block."""

import pytest
from botocore.exceptions import ClientError
from test_access import KEY, House, house, outcome

__all__ = ["House", "house"]

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"


def code(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"], caught.value.response["Error"]["Code"]


def granted(answer):
    """What an ACL grants to others than its owner."""
    owner = answer["Owner"]["ID"]
    rows = [(grant["Grantee"].get("URI") or grant["Grantee"]["ID"], grant["Permission"]) for grant in answer["Grants"]]
    assert (owner, "FULL_CONTROL") in rows
    rows.remove((owner, "FULL_CONTROL"))
    return rows


OBJECT_ACLS = {
    "private": ([], 403, 403),
    "public-read": ([(EVERYBODY, "READ")], 200, 200),
    "public-read-write": ([(EVERYBODY, "READ"), (EVERYBODY, "WRITE")], 200, 200),
    "authenticated-read": ([(USERS, "READ")], 200, 403),
    "bucket-owner-read": ([], 403, 403),
    "bucket-owner-full-control": ([], 403, 403),
}


@pytest.mark.parametrize("acl", OBJECT_ACLS)
def test_an_objects_acl_lets_others_read_it_and_answers_as_it_was_set(house, acl):
    grants, bob, nobody = OBJECT_ACLS[acl]
    ann, named = house.ann, {"Bucket": house.bucket}
    ann.put_object(**named, Key="put", Body=b"x", ACL=acl)
    ann.put_object(**named, Key="set", Body=b"x")
    before = ann.head_object(**named, Key="set")
    ann.put_object_acl(**named, Key="set", ACL=acl)
    ann.copy_object(**named, Key="copied", CopySource=f"{house.bucket}/{KEY}", ACL=acl)
    upload = ann.create_multipart_upload(**named, Key="parts", ACL=acl)["UploadId"]
    part = ann.upload_part(**named, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    ann.complete_multipart_upload(**named, Key="parts", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    for key in ("put", "set", "copied", "parts"):
        assert granted(ann.get_object_acl(**named, Key=key)) == grants, key
        for client, status in ((house.bob, bob), (house.nobody, nobody)):
            assert outcome(client.get_object, **named, Key=key) == status, key
            assert outcome(client.head_object, **named, Key=key) == status, key
            assert outcome(client.put_object, **named, Key=key, Body=b"y") == 403
            assert outcome(client.get_object_acl, **named, Key=key) == 403
            assert outcome(client.delete_object, **named, Key=key) == 403
    after = ann.head_object(**named, Key="set")
    assert (before["ETag"], before["LastModified"]) == (after["ETag"], after["LastModified"])
    # A copy and an overwrite do not keep the ACL.
    ann.copy_object(**named, Key="again", CopySource=f"{house.bucket}/put")
    assert granted(ann.get_object_acl(**named, Key="again")) == []
    ann.put_object_acl(**named, Key="put", ACL="private")
    assert outcome(house.nobody.get_object, **named, Key="put") == 403


BUCKET_ACLS = {
    # grants, may bob list, may nobody list, may they write
    "private": ([], False, False, False),
    "public-read": ([(EVERYBODY, "READ")], True, True, False),
    "public-read-write": ([(EVERYBODY, "READ"), (EVERYBODY, "WRITE")], True, True, True),
    "authenticated-read": ([(USERS, "READ")], True, False, False),
}


@pytest.mark.parametrize("acl", BUCKET_ACLS)
def test_a_buckets_acl_lets_others_list_and_write(house, acl):
    grants, bob_lists, nobody_lists, writes = BUCKET_ACLS[acl]
    house.ann.create_bucket(Bucket="made-with-acl", ACL=acl)
    house.ann.put_bucket_acl(Bucket=house.bucket, ACL=acl)
    for bucket in ("made-with-acl", house.bucket):
        named = {"Bucket": bucket}
        assert granted(house.ann.get_bucket_acl(**named)) == grants
        for client, lists in ((house.bob, bob_lists), (house.nobody, nobody_lists)):
            assert outcome(client.list_objects_v2, **named) == (200 if lists else 403)
            assert outcome(client.head_bucket, **named) == (200 if lists else 403)
            assert outcome(client.put_object, **named, Key="theirs", Body=b"x") == (200 if writes else 403)
            assert outcome(client.delete_object, **named, Key="theirs") == (204 if writes else 403)
            assert outcome(client.get_bucket_acl, **named) == 403
            assert outcome(client.put_bucket_acl, **named, ACL="public-read") == 403
    # A bucket's ACL says nothing of its objects.
    assert outcome(house.nobody.get_object, Bucket=house.bucket, Key=KEY) == 403


def test_who_writes_into_anothers_bucket_owns_the_object_there(house):
    named = {"Bucket": house.bucket}
    house.ann.put_bucket_acl(**named, ACL="public-read-write")
    for key, acl in (("own", "private"), ("shared", "bucket-owner-full-control")):
        house.bob.put_object(**named, Key=key, Body=b"bobs", ACL=acl)
        assert house.bob.get_object(**named, Key=key)["Body"].read() == b"bobs"
        seen = house.ann.get_object_acl(**named, Key=key)
        assert seen["Owner"]["DisplayName"] == "bob"
        full = [(house.ann.list_buckets()["Owner"]["ID"], "FULL_CONTROL")]
        assert granted(seen) == (full if acl != "private" else [])
    house.bob.put_object_acl(**named, Key="own", ACL="public-read")
    assert outcome(house.nobody.get_object, **named, Key="own") == 200
    assert outcome(house.nobody.get_object, **named, Key="shared") == 403


def test_a_document_that_says_what_a_canned_acl_does_is_taken_and_another_refused(house):
    named = {"Bucket": house.bucket, "Key": KEY}
    house.ann.put_object_acl(**named, ACL="public-read")
    answer = house.ann.get_object_acl(**named)
    document = {"Owner": answer["Owner"], "Grants": answer["Grants"]}
    house.ann.put_object_acl(**named, ACL="private")
    house.ann.put_object_acl(**named, AccessControlPolicy=document)
    assert granted(house.ann.get_object_acl(**named)) == [(EVERYBODY, "READ")]
    house.ann.put_bucket_acl(Bucket=house.bucket, AccessControlPolicy=document)
    assert granted(house.ann.get_bucket_acl(Bucket=house.bucket)) == [(EVERYBODY, "READ")]
    document["Grants"][1]["Permission"] = "WRITE_ACP"
    assert code(house.ann.put_object_acl, **named, AccessControlPolicy=document) == (501, "NotImplemented")
    assert code(house.ann.put_object_acl, **named) == (400, "MissingSecurityHeader")
    assert code(house.ann.put_object, Bucket=house.bucket, Key="x", Body=b"", ACL="everyone") == (400, "InvalidArgument")
    assert code(house.ann.put_object_acl, **named, GrantRead=f'uri="{EVERYBODY}"') == (501, "NotImplemented")
    assert code(house.ann.get_object_acl, Bucket=house.bucket, Key="missing") == (404, "NoSuchKey")


def test_acls_are_of_versions(house):
    named = {"Bucket": house.bucket, "Key": KEY}
    house.ann.put_bucket_versioning(Bucket=house.bucket, VersioningConfiguration={"Status": "Enabled"})
    old = house.ann.put_object(**named, Body=b"old")["VersionId"]
    house.ann.put_object(**named, Body=b"new")
    house.ann.put_object_acl(**named, VersionId=old, ACL="public-read")
    assert house.nobody.get_object(**named, VersionId=old)["Body"].read() == b"old"
    assert outcome(house.nobody.get_object, **named) == 403
    assert granted(house.ann.get_object_acl(**named)) == []


def test_a_policy_that_denies_wins_over_an_acl(house):
    house.ann.put_object_acl(Bucket=house.bucket, Key=KEY, ACL="public-read")
    assert outcome(house.nobody.get_object, Bucket=house.bucket, Key=KEY) == 200
    house.policy(house.statement("Deny", "*", "s3:GetObject"))
    assert outcome(house.nobody.get_object, Bucket=house.bucket, Key=KEY) == 403


def block(house, **settings):
    house.ann.put_public_access_block(Bucket=house.bucket, PublicAccessBlockConfiguration=settings)


def test_a_public_access_block_blocks_what_it_says(house):
    named = {"Bucket": house.bucket}
    assert code(house.ann.get_public_access_block, **named) == (404, "NoSuchPublicAccessBlockConfiguration")
    house.ann.put_object(**named, Key="open", Body=b"x", ACL="public-read")
    block(house, BlockPublicAcls=True)
    for acl, status in (("public-read", 403), ("authenticated-read", 403), ("private", 200)):
        assert outcome(house.ann.put_object, **named, Key="new", Body=b"x", ACL=acl) == status
        assert outcome(house.ann.put_object_acl, **named, Key=KEY, ACL=acl) == status
        assert outcome(house.ann.put_bucket_acl, **named, ACL=acl) == status
        assert outcome(house.ann.create_multipart_upload, **named, Key="up", ACL=acl) == status
    assert outcome(house.nobody.get_object, **named, Key="open") == 200
    block(house, IgnorePublicAcls=True)
    assert outcome(house.nobody.get_object, **named, Key="open") == 403
    assert house.ann.get_public_access_block(**named)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": False, "IgnorePublicAcls": True, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}
    block(house, BlockPublicPolicy=True)
    with pytest.raises(ClientError, match="blocked"):
        house.policy(house.statement("Allow", "*", "s3:GetObject"))
    house.ann.delete_public_access_block(**named)
    house.policy(house.statement("Allow", "*", "s3:GetObject"))
    assert outcome(house.nobody.get_object, **named, Key=KEY) == 200
    block(house, RestrictPublicBuckets=True)
    assert outcome(house.nobody.get_object, **named, Key=KEY) == 403
    assert outcome(house.bob.get_object, **named, Key=KEY) == 200

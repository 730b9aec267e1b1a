"""Keys that come and go, as their owners see it: states, deletion, names, tags."""

import datetime
import json
import secrets

import pytest
from botocore.exceptions import ClientError


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


STATE = ("KMSInvalidStateException", 400)


def test_a_key_waits_for_its_deletion_and_can_be_kept(kms, key_arn):
    key = key_arn.rsplit("/", 1)[1]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert refused(kms.cancel_key_deletion, KeyId=key) == STATE
    for days in (6, 31):
        assert refused(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=days)[0] == "ValidationException"
    before = datetime.datetime.now(datetime.timezone.utc)
    scheduled = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (scheduled["KeyId"], scheduled["KeyState"], scheduled["PendingWindowInDays"]) == (key_arn, "PendingDeletion", 7)
    assert abs(scheduled["DeletionDate"] - before - datetime.timedelta(days=7)) < datetime.timedelta(minutes=5)
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (described["KeyState"], described["Enabled"]) == ("PendingDeletion", False)
    assert described["DeletionDate"] == scheduled["DeletionDate"]
    for call, arguments in [
        (kms.encrypt, {"Plaintext": b"x"}), (kms.generate_data_key, {"KeySpec": "AES_256"}), (kms.enable_key, {}),
        (kms.disable_key, {}), (kms.schedule_key_deletion, {}), (kms.tag_resource, {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        (kms.update_key_description, {"Description": "x"}),
    ]:
        assert refused(call, KeyId=key, **arguments) == STATE, call
    assert refused(kms.decrypt, CiphertextBlob=blob) == STATE
    assert refused(kms.create_alias, AliasName="alias/" + secrets.token_hex(8), TargetKeyId=key) == STATE
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key_arn
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert described["KeyState"] == "Disabled" and "DeletionDate" not in described
    assert refused(kms.decrypt, CiphertextBlob=blob) == ("DisabledException", 400)
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert kms.schedule_key_deletion(KeyId=key)["PendingWindowInDays"] == 30


def test_a_pending_key_closes_its_objects_but_not_head_and_list(s3, kms, bucket, key_arn):
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}
    pending = ("KMS.KMSInvalidStateException", 400)
    s3.put_object(Bucket=bucket, Key="k", Body=b"under the key", **write)
    kms.schedule_key_deletion(KeyId=key_arn)
    assert refused(s3.get_object, Bucket=bucket, Key="k") == pending
    assert refused(s3.put_object, Bucket=bucket, Key="new", Body=b"x", **write) == pending
    assert refused(s3.copy_object, Bucket=bucket, Key="to", CopySource=f"{bucket}/k", ServerSideEncryption="AES256") == pending
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 13
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]
    kms.cancel_key_deletion(KeyId=key_arn)
    kms.enable_key(KeyId=key_arn)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"under the key"


def test_a_key_without_material_writes_nothing(s3, kms, bucket):
    made = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    assert (made["Origin"], made["KeyState"], made["Enabled"]) == ("EXTERNAL", "PendingImport", False)
    assert refused(kms.enable_key, KeyId=made["KeyId"]) == STATE
    assert refused(kms.encrypt, KeyId=made["KeyId"], Plaintext=b"x") == STATE
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": made["Arn"]}
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **write) == ("KMS.KMSInvalidStateException", 400)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_descriptions_and_tags_are_the_owners_to_change(kms, gateway):
    made = kms.create_key(Description="first", Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}])
    key = made["KeyMetadata"]["KeyId"]
    kms.update_key_description(KeyId=key, Description="second")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "second"
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "3"}, {"TagKey": "c", "TagValue": ""}])
    kms.untag_resource(KeyId=key, TagKeys=["a"])
    first = kms.list_resource_tags(KeyId=key, Limit=1)
    assert (first["Tags"], first["Truncated"]) == ([{"TagKey": "b", "TagValue": "3"}], True)
    rest = kms.list_resource_tags(KeyId=key, Marker=first["NextMarker"])
    assert (rest["Tags"], rest["Truncated"]) == ([{"TagKey": "c", "TagValue": ""}], False)
    many = [{"TagKey": str(number), "TagValue": ""} for number in range(49)]
    assert refused(kms.tag_resource, KeyId=key, Tags=many) == ("LimitExceededException", 400)
    assert refused(kms.tag_resource, KeyId=key, Tags=[{"TagKey": "aws:a", "TagValue": ""}]) == ("TagException", 400)
    assert refused(kms.create_key, Tags=[{"TagKey": "aws:a", "TagValue": ""}]) == ("TagException", 400)
    stranger = gateway.client("kms", other=True)
    denied = ("AccessDeniedException", 400)
    assert refused(stranger.list_resource_tags, KeyId=key) == denied
    assert refused(stranger.schedule_key_deletion, KeyId=key) == denied
    assert refused(stranger.update_key_description, KeyId=key, Description="x") == denied


def test_a_name_moves_from_key_to_key(kms, gateway):
    one, two = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    name = "alias/" + secrets.token_hex(8)
    assert refused(kms.update_alias, AliasName=name, TargetKeyId=one) == ("NotFoundException", 400)
    kms.create_alias(AliasName=name, TargetKeyId=one)
    blob = kms.encrypt(KeyId=name, Plaintext=b"x")
    assert blob["KeyId"].endswith(one)
    kms.update_alias(AliasName=name, TargetKeyId=two)
    assert kms.encrypt(KeyId=name, Plaintext=b"x")["KeyId"].endswith(two)
    assert kms.decrypt(CiphertextBlob=blob["CiphertextBlob"])["Plaintext"] == b"x"
    assert refused(kms.decrypt, KeyId=name, CiphertextBlob=blob["CiphertextBlob"]) == ("IncorrectKeyException", 400)
    row, = kms.list_aliases(KeyId=two)["Aliases"]
    assert row["LastUpdatedDate"] >= row["CreationDate"]
    assert refused(gateway.client("kms", other=True).delete_alias, AliasName=name) == ("AccessDeniedException", 400)
    kms.delete_alias(AliasName=name)
    assert refused(kms.describe_key, KeyId=name) == ("NotFoundException", 400)
    assert refused(kms.delete_alias, AliasName=name) == ("NotFoundException", 400)
    assert refused(kms.delete_alias, AliasName="alias/aws/s3") == ("NotAuthorizedException", 400)


def test_states_survive_a_restart(own_gateway):
    gateway = own_gateway()
    kms, s3 = gateway.client("kms"), gateway.client()
    key = kms.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key["Arn"])
    deletion = kms.schedule_key_deletion(KeyId=key["KeyId"])["DeletionDate"]
    assert gateway.stop() == 0
    gateway.start()
    kms, s3 = gateway.client("kms"), gateway.client()
    described = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert (described["KeyState"], described["DeletionDate"]) == ("PendingDeletion", deletion)
    assert refused(s3.get_object, Bucket="bucket", Key="k")[0] == "KMS.KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=key["KeyId"])
    kms.enable_key(KeyId=key["KeyId"])
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"x"
    assert kms.list_resource_tags(KeyId=key["KeyId"])["Tags"] == [{"TagKey": "a", "TagValue": "b"}]


def test_the_commands_of_a_key_owner(gateway):
    def kms(*words, **options):
        said = gateway.aws("kms", *words, **options)
        return said if options.get("fails") or not said else json.loads(said)

    key = kms("create-key", "--tags", "TagKey=team,TagValue=blue")["KeyMetadata"]["KeyId"]
    assert kms("list-resource-tags", "--key-id", key)["Tags"] == [{"TagKey": "team", "TagValue": "blue"}]
    kms("tag-resource", "--key-id", key, "--tags", "TagKey=team,TagValue=red")
    kms("untag-resource", "--key-id", key, "--tag-keys", "team")
    assert kms("list-resource-tags", "--key-id", key)["Tags"] == []
    assert kms("schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7")["KeyState"] == "PendingDeletion"
    assert "KMSInvalidStateException" in kms("encrypt", "--key-id", key, "--plaintext", "x", fails=True)
    kms("cancel-key-deletion", "--key-id", key)
    kms("enable-key", "--key-id", key)
    assert kms("describe-key", "--key-id", key)["KeyMetadata"]["KeyState"] == "Enabled"

"""Who may do what: bucket policies by user, action and the request's own words; anonymous callers."""

import json
import urllib.error
import urllib.request

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"
KEY = "dir/object"


class House:
    """A gateway with an owner, another user and nobody, and a bucket of the owner's."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.root = gateway.client()
        self.ann = gateway.client(other=True)
        self.bob = self.client("AKBOBBOBBOBBOB", "bobs-secret-bobs-secret-bobs")
        self.nobody = self.client(None, None)
        self.bucket = "b-of-ann"
        self.ann.create_bucket(Bucket=self.bucket)
        self.ann.put_object(Bucket=self.bucket, Key=KEY, Body=b"anns")

    def client(self, key, secret):
        unsigned = {} if key else {"signature_version": UNSIGNED}
        return boto3.client(
            "s3", endpoint_url=self.gateway.endpoint, region_name="us-east-1", aws_access_key_id=key,
            aws_secret_access_key=secret, config=Config(retries={"max_attempts": 0}, **unsigned),
        )

    def policy(self, *statements):
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        self.root.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(document))

    def statement(self, effect, principal, actions, where="/*", **more):
        resource = f"arn:aws:s3:::{self.bucket}{where}"
        return {"Effect": effect, "Principal": principal, "Action": actions, "Resource": resource} | more


BOB = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}


@pytest.fixture
def house(own_gateway):
    users = (
        '[[users]]\nname = "bob"\naccess_key_id = "AKBOBBOBBOBBOB"\n'
        'secret_access_key = "bobs-secret-bobs-secret-bobs"\n'
    )
    return House(own_gateway(users))


def outcome(call, **arguments):
    """The status of a call: what it answered, or how it was refused."""
    try:
        return call(**arguments)["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_without_a_policy_a_bucket_is_its_owners_and_roots_alone(house):
    named = {"Bucket": house.bucket}
    for client, allowed in ((house.root, True), (house.ann, True), (house.bob, False), (house.nobody, False)):
        for call, arguments in (
            (client.get_object, {"Key": KEY}), (client.head_object, {"Key": KEY}), (client.list_objects_v2, {}),
            (client.list_object_versions, {}), (client.get_bucket_policy, {}), (client.get_bucket_encryption, {}),
            (client.put_object, {"Key": "x", "Body": b"x"}), (client.get_object_tagging, {"Key": KEY}),
            (client.get_object_attributes, {"Key": KEY, "ObjectAttributes": ["ETag"]}),
            (client.create_multipart_upload, {"Key": "x"}), (client.delete_object, {"Key": "x"}),
        ):
            status = outcome(call, **named, **arguments)
            assert (status in (200, 204, 404)) == allowed, (call, status)
            assert allowed or status == 403
    assert house.ann.get_object(**named, Key=KEY)["Body"].read() == b"anns"


def test_a_policy_lets_others_do_what_it_names_and_nothing_else(house):
    house.policy(
        house.statement("Allow", BOB, ["s3:GetObject", "s3:PutObject"]),
        house.statement("Allow", "*", "s3:GetObject", "/public/*"),
        house.statement("Allow", BOB, "s3:ListBucket", "", Condition={"StringLike": {"s3:prefix": "dir/*"}}),
    )
    named = {"Bucket": house.bucket}
    house.ann.put_object(**named, Key="public/a", Body=b"for all")
    assert house.bob.get_object(**named, Key=KEY)["Body"].read() == b"anns"
    assert house.nobody.get_object(**named, Key="public/a")["Body"].read() == b"for all"
    assert outcome(house.nobody.head_object, **named, Key="public/a") == 200
    for call, arguments, status in (
        (house.nobody.get_object, {"Key": KEY}, 403),
        (house.nobody.list_objects_v2, {}, 403),
        (house.nobody.put_object, {"Key": "public/b", "Body": b"x"}, 403),
        (house.bob.put_object, {"Key": "bobs", "Body": b"x"}, 200),
        (house.bob.delete_object, {"Key": "bobs"}, 403),
        (house.bob.list_objects_v2, {}, 403),
        (house.bob.list_objects_v2, {"Prefix": "dir/"}, 200),
        (house.bob.get_object_tagging, {"Key": KEY}, 403),
        (house.bob.get_object, {"Key": KEY, "VersionId": "null"}, 403),
        (house.bob.put_bucket_policy, {"Policy": "{}"}, 403),
    ):
        assert outcome(call, **named, **arguments) == status, (call, arguments)


def test_a_missing_key_is_told_only_to_who_may_list(house):
    named = {"Bucket": house.bucket, "Key": "missing"}
    house.policy(house.statement("Allow", "*", "s3:GetObject"))
    assert [outcome(client.get_object, **named) for client in (house.ann, house.bob, house.nobody)] == [404, 403, 403]
    house.policy(house.statement("Allow", "*", "s3:GetObject"), house.statement("Allow", BOB, "s3:ListBucket", ""))
    assert [outcome(client.get_object, **named) for client in (house.ann, house.bob, house.nobody)] == [404, 404, 403]


def test_writes_can_be_held_to_an_encryption_judged_on_their_own_headers(house):
    key = house.gateway.client("kms", other=True).create_key()["KeyMetadata"]["Arn"]
    header = "s3:x-amz-server-side-encryption"
    house.policy(
        house.statement("Deny", "*", "s3:PutObject", Condition={"StringNotEquals": {header: "aws:kms"}}),
        house.statement("Deny", "*", "s3:PutObject", Condition={"Null": {f"{header}-aws-kms-key-id": "true"}}),
    )
    # A default that would encrypt as wanted does not say so in the request.
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    house.ann.put_bucket_encryption(Bucket=house.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    for sse, status in (
        ({}, 403), ({"ServerSideEncryption": "AES256"}, 403), ({"ServerSideEncryption": "aws:kms"}, 403),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}, 200),
    ):
        assert outcome(house.ann.put_object, Bucket=house.bucket, Key="x", Body=b"x", **sse) == status, sse
        assert outcome(house.ann.create_multipart_upload, Bucket=house.bucket, Key="y", **sse) == status, sse
        source = f"{house.bucket}/{KEY}"
        assert outcome(house.ann.copy_object, Bucket=house.bucket, Key="z", CopySource=source, **sse) == status, sse


@pytest.mark.parametrize(("condition", "allowed"), [
    ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
    ({"NotIpAddress": {"aws:SourceIp": "127.0.0.1/32"}}, False),
    ({"Bool": {"aws:SecureTransport": "false"}}, True),
    ({"Bool": {"aws:SecureTransport": "true"}}, False),
    ({"StringEquals": {"aws:username": "bob"}}, True),
    ({"StringEquals": {"aws:username": "ann"}}, False),
    ({"StringEquals": {"s3:authType": "REST-HEADER"}}, True),
    ({"DateGreaterThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}, False),
])
def test_conditions_are_judged_on_the_request(house, condition, allowed):
    house.policy(house.statement("Allow", BOB, "s3:GetObject", Condition=condition))
    assert outcome(house.bob.get_object, Bucket=house.bucket, Key=KEY) == (200 if allowed else 403)


def test_a_denial_wins_over_the_owner_and_root_can_repair_it(house):
    house.policy(house.statement("Allow", BOB, "s3:*"), house.statement("Deny", "*", "s3:*"),
                 house.statement("Deny", "*", "s3:*", ""))
    named = {"Bucket": house.bucket}
    for client in (house.ann, house.bob, house.root):
        assert outcome(client.get_object, **named, Key=KEY) == 403
    assert outcome(house.ann.delete_bucket_policy, **named) == 403
    house.root.delete_bucket_policy(**named)
    assert house.ann.get_object(**named, Key=KEY)["Body"].read() == b"anns"


def test_a_copy_takes_the_right_to_its_source_and_to_its_target(house):
    house.bob.create_bucket(Bucket="b-of-bob")
    copy = {"Bucket": "b-of-bob", "Key": "copy", "CopySource": f"{house.bucket}/{KEY}"}
    assert outcome(house.bob.copy_object, **copy) == 403
    house.policy(house.statement("Allow", BOB, "s3:GetObject"))
    assert outcome(house.bob.copy_object, **copy) == 200
    back = {"Bucket": house.bucket, "Key": "back", "CopySource": "b-of-bob/copy"}
    assert outcome(house.bob.copy_object, **back) == 403
    assert outcome(house.ann.copy_object, **back) == 403


def test_a_policy_is_kept_as_it_was_set_and_a_wrong_one_refused(house):
    named = {"Bucket": house.bucket}
    assert outcome(house.ann.get_bucket_policy, **named) == 404
    house.policy(house.statement("Allow", "*", "s3:GetObject"))
    kept = json.loads(house.ann.get_bucket_policy(**named)["Policy"])
    assert kept["Statement"] == [house.statement("Allow", "*", "s3:GetObject")]
    assert house.ann.get_bucket_policy_status(**named)["PolicyStatus"] == {"IsPublic": True}
    good = house.statement("Allow", "*", "s3:GetObject")
    for wrong in (
        "", "{}", "[]", '{"Statement": []}', json.dumps({"Statement": good | {"Effect": "Maybe"}}),
        json.dumps({"Statement": good | {"Action": "s3:Frobnicate"}}),
        json.dumps({"Statement": good | {"Resource": "arn:aws:s3:::other/*"}}),
        json.dumps({"Statement": good | {"Condition": {"StringSounds": {"s3:prefix": "a"}}}}),
        json.dumps({"Statement": good | {"Principal": {"AWS": "arn:aws:iam::999999999999:root"}}}),
        json.dumps({"Statement": good, "Padding": "x" * 21_000}),
    ):
        with pytest.raises(ClientError) as caught:
            house.ann.put_bucket_policy(**named, Policy=wrong)
        assert caught.value.response["Error"]["Code"] in ("MalformedPolicy", "MissingRequestBodyError"), wrong
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert json.loads(house.ann.get_bucket_policy(**named)["Policy"]) == kept
    house.ann.delete_bucket_policy(**named)
    assert outcome(house.ann.get_bucket_policy_status, **named) == 404


def test_nobody_never_uses_a_cmk_and_reads_what_needs_none(house):
    house.policy(house.statement("Allow", "*", ["s3:GetObject", "s3:PutObject"]))
    key = house.gateway.client("kms", other=True).create_key()["KeyMetadata"]["Arn"]
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    house.ann.put_object(Bucket=house.bucket, Key="secret", Body=b"x", **kms)
    calls = house.gateway.metric("sealgate_kms_requests_total")
    assert outcome(house.nobody.get_object, Bucket=house.bucket, Key="secret") in (400, 403)
    assert outcome(house.nobody.put_object, Bucket=house.bucket, Key="mine", Body=b"x", **kms) in (400, 403)
    assert house.gateway.metric("sealgate_kms_requests_total") == calls
    assert outcome(house.nobody.put_object, Bucket=house.bucket, Key="mine", Body=b"anybodys") == 200
    assert house.nobody.get_object(Bucket=house.bucket, Key="mine")["Body"].read() == b"anybodys"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{house.gateway.endpoint}/{house.bucket}/mine?response-content-type=text/html")
    assert refused.value.code == 400


def test_nobody_learns_nothing_of_buckets_and_configures_none(house):
    assert outcome(house.nobody.head_bucket, Bucket="no-such-bucket") == 403
    assert outcome(house.nobody.get_object, Bucket="no-such-bucket", Key="x") == 403
    assert outcome(house.nobody.list_buckets) == 403
    assert outcome(house.nobody.create_bucket, Bucket="anybodys") == 403
    house.policy(house.statement("Allow", "*", "s3:*"), house.statement("Allow", "*", "s3:*", ""))
    versioning = {"VersioningConfiguration": {"Status": "Enabled"}}
    assert outcome(house.nobody.put_bucket_versioning, Bucket=house.bucket, **versioning) == 403
    assert outcome(house.nobody.put_bucket_policy, Bucket=house.bucket, Policy="{}") == 403
    assert outcome(house.nobody.delete_bucket, Bucket=house.bucket) == 403

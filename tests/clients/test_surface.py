"""Every operation that boto3 knows of S3, by the tables of `surface.py`."""

import functools
import secrets
from functools import cached_property

import boto3
import pytest
from botocore.exceptions import ClientError
from surface import BODY, CASES, CUSTOMER, EVERYWHERE, REFUSED, WORKING, Case, Of

MODEL = boto3.client("s3", region_name="us-east-1").meta.service_model
METHODS = {operation: name for name, operation in boto3.client("s3", region_name="us-east-1").meta.method_to_api_mapping.items()}
SMALL_CONFIGS = [
    "get_bucket_acl", "get_bucket_cors", "get_bucket_encryption", "get_bucket_policy", "get_bucket_tagging",
    "get_bucket_versioning", "get_public_access_block",
]


def members(operation):
    shape = MODEL.operation_model(operation).input_shape
    return set(shape.members) if shape else set()


def minimal(shape, name=""):
    """The least that botocore lets through for a shape."""
    if shape.type_name == "structure":
        return {member: minimal(shape.members[member], member) for member in shape.required_members}
    if shape.type_name in ("list", "map"):
        return [minimal(shape.member)] if shape.type_name == "list" else {}
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else "k"
    return {"integer": 1, "long": 1, "boolean": True, "blob": b"x", "timestamp": 0}[shape.type_name]


@functools.cache
def unchecked(_, gateway):
    """A client that sends what botocore would refuse. Making one takes longer than most cases."""
    return gateway.client(parameter_validation=False, inject_host_prefix=False)


class World:
    """What a case finds: a bucket with all that can be asked for, and nothing that it need not have."""

    def __init__(self, gateway):
        self.gateway, self.s3 = gateway, unchecked(gateway.endpoint, gateway)
        self.bucket = "surface-" + secrets.token_hex(6)
        bucket, public = {"Bucket": self.bucket}, {"IgnorePublicAcls": True}
        self.s3.create_bucket(**bucket)
        tags = {"TagSet": [{"Key": "a", "Value": "1"}]}
        self.s3.put_bucket_tagging(**bucket, Tagging=tags)
        self.s3.put_bucket_policy(**bucket, Policy=self.policy("s3:GetObjectAcl"))
        self.s3.put_bucket_cors(**bucket, CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]})
        self.s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=public)
        for key in ("dir/a b", "dir/sub/c", "k", "l"):
            done = self.s3.put_object(**bucket, Key=key, Body=BODY, Tagging="a=1", Metadata={"kept": "yes"})
        self.etag = done["ETag"]
        self.started, self.has_empty = {}, False

    def policy(self, action):
        user = '{"AWS": "arn:aws:iam::000000000000:user/other"}'
        return ('{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": %s, "Action": "%s", '
                '"Resource": "arn:aws:s3:::%s/*"}]}' % (user, action, self.bucket))

    @cached_property
    def owner(self):
        return self.s3.get_bucket_acl(Bucket=self.bucket)["Owner"]["ID"]

    @cached_property
    def cmk(self):
        return self.gateway.client("kms").create_key()["KeyMetadata"]["Arn"]

    @cached_property
    def modified(self):
        return self.s3.head_object(Bucket=self.bucket, Key="k")["LastModified"]

    @cached_property
    def version(self):
        """A version of `k` that has an id."""
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        return self.s3.put_object(Bucket=self.bucket, Key="k", Body=BODY)["VersionId"]

    def sealed(self):
        self.s3.put_object(Bucket=self.bucket, Key="sealed", Body=BODY, **CUSTOMER)
        return "sealed"

    def upload(self, key="up", parts=1, **arguments):
        """An upload with parts, each the body; the same one when it is asked for again."""
        name = (key, parts, *sorted(arguments))
        if name not in self.started:
            at = {"Bucket": self.bucket, "Key": key}
            at["UploadId"] = self.s3.create_multipart_upload(**at, **arguments)["UploadId"]
            repeat = {member: value for member, value in arguments.items() if member in CUSTOMER}
            sums = {"ChecksumAlgorithm": arguments["ChecksumAlgorithm"]} if "ChecksumAlgorithm" in arguments else {}
            for number in range(1, parts + 1):
                self.s3.upload_part(**at, PartNumber=number, Body=BODY, **repeat, **sums)
            self.started[name] = at["UploadId"]
        return self.started[name]

    def listed(self, key="up", upload=None):
        return self.s3.list_parts(Bucket=self.bucket, Key=key, UploadId=upload or self.upload())["Parts"]

    def parts(self, key="up", upload=None):
        """All parts of an upload, as a completion names them."""
        return {"Parts": [
            {name: value for name, value in part.items() if name in ("PartNumber", "ETag") or name.startswith("Checksum")}
            for part in self.listed(key, upload)]}

    def complete(self, key, upload, **repeat):
        self.s3.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload=self.parts(key, upload), **repeat)

    def multipart(self, algorithm):
        self.complete("parts", self.upload("parts", ChecksumAlgorithm=algorithm))
        return "parts"

    def uploads(self, *names):
        for name in names:
            self.s3.create_multipart_upload(Bucket=self.bucket, Key=f"up-{name}")
        return "up-"

    def empty(self):
        if not self.has_empty:
            self.s3.create_bucket(Bucket=self.bucket + "-empty")
            self.has_empty = True
        return self.bucket + "-empty"

    def other_bucket(self):
        self.gateway.client(other=True).create_bucket(Bucket=self.bucket + "-other")
        return self.bucket + "-other"

    def token(self):
        return self.s3.list_objects_v2(Bucket=self.bucket, MaxKeys=1)["NextContinuationToken"]

    def bucket_token(self):
        self.empty()
        return self.s3.list_buckets(Prefix=self.bucket, MaxBuckets=1)["ContinuationToken"]

    def private(self):
        """The document that says what the canned ACL `private` says."""
        found = self.s3.get_bucket_acl(Bucket=self.bucket)
        return {"Owner": found["Owner"], "Grants": found["Grants"]}

    def written(self, case, answer):
        """The key of the object that a case wrote. What was only begun is brought to its end."""
        key = case.arguments.get("Key", WORKING[case.operation][0].get("Key", "k"))
        if case.operation == "CreateMultipartUpload":
            at = {"Bucket": self.bucket, "Key": key, "UploadId": answer["UploadId"]}
            algorithm = case.arguments.get("ChecksumAlgorithm")
            sums = {"ChecksumAlgorithm": algorithm} if algorithm else {}
            self.s3.upload_part(**at, PartNumber=1, Body=BODY, **case.customer(), **sums)
            self.complete(key, answer["UploadId"], **case.customer())
        return key

    def call(self, case):
        """Makes the call of a case; gives its arguments filled in, and its answer."""
        usual, _ = WORKING[case.operation]
        given = ({"Bucket": self.bucket} if "Bucket" in members(case.operation) else {}) | {"Key": "k"} | usual | case.arguments
        given = {name: value(self) if callable(value) else value for name, value in given.items() if name in members(case.operation)}
        # A completion names the parts of its own upload.
        if case.operation == "CompleteMultipartUpload" and "MultipartUpload" not in case.arguments and given["UploadId"] in \
                self.started.values():
            given["MultipartUpload"] = self.parts(given["Key"], given["UploadId"])
        return lambda: getattr(self.s3, METHODS[case.operation])(
            **{name: value for name, value in given.items() if value is not None})

    def refused(self, call, **arguments):
        arguments = {name: value(self) if callable(value) else value for name, value in arguments.items()}
        with pytest.raises(ClientError) as caught:
            getattr(self.s3, call)(**arguments)
        return status_and_code(caught.value)

    def matches(self, found, wanted):
        for name, value in wanted.items():
            value = value.say(self) if isinstance(value, Of) else value
            told = found.get(name)
            assert value(told) if callable(value) else told == value, f"{name} is {told!r}, not {value!r}"

    def same(self, found, wanted):
        assert found == wanted

    def snapshot(self):
        """All of the bucket that can be looked at."""
        found = {}
        for call in SMALL_CONFIGS:
            try:
                found[call] = getattr(self.s3, call)(Bucket=self.bucket)
                del found[call]["ResponseMetadata"]
            except ClientError as error:
                found[call] = status_and_code(error)
        rows = self.s3.list_object_versions(Bucket=self.bucket)
        found["versions"] = [(row["Key"], row["VersionId"], row["ETag"], row["LastModified"]) for row in rows["Versions"]]
        found["markers"] = rows.get("DeleteMarkers")
        found["tags"] = self.s3.get_object_tagging(Bucket=self.bucket, Key="k")["TagSet"]
        found["acl"] = self.s3.get_object_acl(Bucket=self.bucket, Key="k")["Grants"]
        found["uploads"] = [row["UploadId"] for row in self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]
        found["parts"] = {name: self.s3.list_parts(Bucket=self.bucket, Key=name[0], UploadId=upload).get("Parts")
                          for name, upload in self.started.items() if upload in found["uploads"]}
        found["buckets"] = [row["Name"] for row in self.s3.list_buckets(Prefix=self.bucket)["Buckets"]]
        return found


def status_and_code(error):
    return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


def same_refusal(found, wanted, operation):
    # The answer to a HEAD has no body, so no code.
    head = MODEL.operation_model(operation).http["method"] == "HEAD"
    assert found == ((wanted[0], str(wanted[0])) if head else wanted)


@pytest.fixture
def world(gateway):
    return World(gateway)


def test_every_operation_has_a_row_and_no_row_is_of_none():
    assert sorted([*WORKING, *REFUSED]) == sorted(MODEL.operation_names)
    assert not set(WORKING) & set(REFUSED)


@pytest.mark.parametrize("operation", WORKING)
def test_every_parameter_of_a_working_operation_is_in_a_row(operation):
    told = set(WORKING[operation][0]) | {name for name, *_ in EVERYWHERE} | {"Bucket", "Key"}
    for case in CASES:
        if case.operation == operation:
            told |= set(case.arguments)
    assert not members(operation) - told


@pytest.mark.parametrize("operation", WORKING)
def test_an_answer_has_these_members_and_no_others(world, operation):
    answer = world.call(Case(operation))()
    assert set(answer) - {"ResponseMetadata"} == WORKING[operation][1]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] in (200, 204)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_parameter_does_what_it_says(world, case):
    run(world, case)


def run(world, case):
    call = world.call(case)
    if isinstance(case.answer, tuple):
        before = world.snapshot()
        with pytest.raises(ClientError) as caught:
            call()
        same_refusal(status_and_code(caught.value), case.answer, case.operation)
        assert world.snapshot() == before, "a refusal changes nothing"
        return
    answer = call()
    world.matches(answer, case.answer)
    if case.after:
        case.after(world, case, answer)


@pytest.mark.parametrize("operation", WORKING)
def test_a_parameter_means_the_same_everywhere(gateway, operation):
    rows = [row for row in EVERYWHERE if row[0] in members(operation)]
    # Refusals change nothing, so one world is enough for all of them.
    world = World(gateway)
    for name, value, refusal in sorted(rows, key=lambda row: row[2] is None):
        run(world, Case(operation, {name: value}, refusal or {}))
        if not refusal:
            world = World(gateway)


@pytest.mark.parametrize("operation", REFUSED)
def test_every_other_operation_is_refused_and_changes_nothing(world, operation):
    before = world.snapshot()
    shape = MODEL.operation_model(operation).input_shape
    arguments = minimal(shape) | ({"Bucket": world.bucket} if "Bucket" in shape.members else {})
    with pytest.raises(ClientError) as caught:
        getattr(world.s3, METHODS[operation])(**arguments)
    same_refusal(status_and_code(caught.value), REFUSED[operation], operation)
    assert world.snapshot() == before

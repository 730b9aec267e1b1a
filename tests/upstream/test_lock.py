"""Object lock: the upstream keeps it, the gateway hands it on and shows it."""

import datetime
import json
import time

import oss2
import oss2.credentials
import pytest
from botocore.exceptions import ClientError

LOCKS = (
    'upstream_pass_through = ["GET object-lock", "PUT object-lock", "GET retention", "PUT retention", '
    '"GET legal-hold", "PUT legal-hold"]\n'
)
LATER = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)
EVEN_LATER = datetime.datetime(2099, 6, 1, tzinfo=datetime.timezone.utc)
GOVERNED = {"Mode": "GOVERNANCE", "RetainUntilDate": LATER}
LOCKED = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": LATER}
KEY = "a folder/ü+x"


def code(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def shown(answer):
    return answer.get("ObjectLockMode"), answer.get("ObjectLockRetainUntilDate"), answer.get("ObjectLockLegalHoldStatus")


@pytest.fixture
def house(place):
    gateway = place.gateway(settings=LOCKS)
    s3 = gateway.client()
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    return place, gateway, s3


def upstreams(place, version):
    """The upstream's own id of a version."""
    return version.partition(".")[2]


def test_a_bucket_is_made_with_object_lock(house):
    place, _, s3 = house
    assert s3.get_bucket_versioning(Bucket="locked")["Status"] == "Enabled"
    for client, bucket in ((s3, "locked"), (place.straight(), place.bucket("locked"))):
        found = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        assert found["ObjectLockEnabled"] == "Enabled"
    place.straight().create_bucket(Bucket=place.bucket("plain"))
    assert code(s3.create_bucket, Bucket="plain", ObjectLockEnabledForBucket=True) == ("NotImplemented", 501)
    assert code(s3.head_bucket, Bucket="plain") == ("404", 404)
    s3.create_bucket(Bucket="plain", ObjectLockEnabledForBucket=False)
    assert code(s3.get_object_lock_configuration, Bucket="plain") == ("ObjectLockConfigurationNotFoundError", 404)


def test_retention_and_legal_hold_of_one_version_go_through(house):
    place, _, s3 = house
    old = s3.put_object(Bucket="locked", Key=KEY, Body=b"old")["VersionId"]
    new = s3.put_object(Bucket="locked", Key=KEY, Body=b"new")["VersionId"]
    s3.put_object_retention(Bucket="locked", Key=KEY, VersionId=old, Retention=GOVERNED)
    assert s3.get_object_retention(Bucket="locked", Key=KEY, VersionId=old)["Retention"] == GOVERNED
    found = place.straight().get_object_retention(
        Bucket=place.bucket("locked"), Key=KEY, VersionId=upstreams(place, old))["Retention"]
    assert found == GOVERNED
    # Without an id the current version is meant, and it alone.
    assert code(s3.get_object_retention, Bucket="locked", Key=KEY)[1] == 404
    s3.put_object_legal_hold(Bucket="locked", Key=KEY, LegalHold={"Status": "ON"})
    assert s3.get_object_legal_hold(Bucket="locked", Key=KEY, VersionId=new)["LegalHold"] == {"Status": "ON"}
    assert shown(s3.head_object(Bucket="locked", Key=KEY, VersionId=old))[:2] == ("GOVERNANCE", LATER)
    assert shown(s3.head_object(Bucket="locked", Key=KEY)) == (None, None, "ON")
    for version in (old, new):
        assert code(s3.delete_object, Bucket="locked", Key=KEY, VersionId=version) == ("AccessDenied", 403)
    failed = s3.delete_objects(
        Bucket="locked", Delete={"Objects": [{"Key": KEY, "VersionId": old}, {"Key": KEY, "VersionId": new}]})
    assert [error["Code"] for error in failed["Errors"]] == ["AccessDenied"] * 2
    # What is held is not passed by who may bypass governance; what is governed is.
    governed = {"Bucket": "locked", "Key": KEY, "BypassGovernanceRetention": True}
    assert code(s3.delete_object, VersionId=new, **governed) == ("AccessDenied", 403)
    s3.delete_object(VersionId=old, **governed)
    s3.put_object_legal_hold(Bucket="locked", Key=KEY, VersionId=new, LegalHold={"Status": "OFF"})
    assert s3.get_object(Bucket="locked", Key=KEY)["Body"].read() == b"new"
    s3.delete_object(Bucket="locked", Key=KEY, VersionId=new)
    assert code(s3.head_object, Bucket="locked", Key=KEY) == ("404", 404)


def test_a_period_is_shortened_by_who_may_bypass_it_only(house):
    place, gateway, s3 = house
    version = s3.put_object(Bucket="locked", Key=KEY, Body=b"x", **LOCKED)["VersionId"]
    named = {"Bucket": "locked", "Key": KEY, "VersionId": version}
    longer, shorter = GOVERNED | {"RetainUntilDate": EVEN_LATER}, GOVERNED
    s3.put_object_retention(Retention=longer, **named)
    assert code(s3.put_object_retention, Retention=shorter, **named) == ("AccessDenied", 403)
    s3.put_object_retention(Retention=shorter, BypassGovernanceRetention=True, **named)
    assert s3.get_object_retention(**named)["Retention"] == shorter
    other = gateway.client(other=True)
    allowed = ["s3:PutObjectRetention", "s3:DeleteObjectVersion", "s3:GetObjectVersion", "s3:PutObject"]
    statement = {
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/other"}, "Action": allowed,
        "Resource": "arn:aws:s3:::locked/*",
    }
    s3.put_bucket_policy(Bucket="locked", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    other.put_object_retention(Retention=longer, **named)
    for call, arguments in (
        (other.put_object_retention, {"Retention": shorter, "BypassGovernanceRetention": True}),
        (other.delete_object, {"BypassGovernanceRetention": True}),
        (other.get_object_retention, {}),
        (other.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
    ):
        assert code(call, **named, **arguments) == ("AccessDenied", 403)
    # Who may read the object and not its lock does not see it.
    assert shown(other.get_object(**named)) == (None, None, None)
    assert shown(s3.get_object(**named))[:2] == ("GOVERNANCE", EVEN_LATER)
    assert code(other.put_object, Bucket="locked", Key="n", Body=b"", ObjectLockLegalHoldStatus="ON") == ("AccessDenied", 403)
    s3.put_object_retention(Retention=shorter, BypassGovernanceRetention=True, **named)
    s3.delete_object(BypassGovernanceRetention=True, **named)


@pytest.mark.parametrize("size", [0, 5, 300 << 10])
def test_what_is_put_under_a_lock_is_locked_when_the_answer_comes(house, size):
    place, _, s3 = house
    body = bytes(size)
    put = s3.put_object(Bucket="locked", Key=KEY, Body=body, ObjectLockLegalHoldStatus="ON", **LOCKED)
    # Another gateway, which knows nothing of it.
    there = place.gateway(settings=LOCKS).client()
    for client in (s3, there):
        got = client.get_object(Bucket="locked", Key=KEY)
        assert got["Body"].read() == body and shown(got) == ("GOVERNANCE", LATER, "ON")
    there.put_object_legal_hold(Bucket="locked", Key=KEY, LegalHold={"Status": "OFF"})
    assert shown(s3.get_object(Bucket="locked", Key=KEY)) == ("GOVERNANCE", LATER, "OFF")
    assert code(s3.delete_object, Bucket="locked", Key=KEY, VersionId=put["VersionId"]) == ("AccessDenied", 403)
    s3.delete_object(Bucket="locked", Key=KEY, VersionId=put["VersionId"], BypassGovernanceRetention=True)


@pytest.mark.parametrize("sse", [{}, {"ServerSideEncryption": "aws:kms"}])
def test_a_copy_has_the_lock_that_it_is_given_and_not_its_sources(house, sse):
    _, _, s3 = house
    source = s3.put_object(Bucket="locked", Key="source", Body=b"copied", ObjectLockLegalHoldStatus="ON")["VersionId"]
    plain = s3.copy_object(Bucket="locked", Key="plain", CopySource={"Bucket": "locked", "Key": "source"}, **sse)
    assert shown(s3.head_object(Bucket="locked", Key="plain")) == (None, None, None)
    s3.delete_object(Bucket="locked", Key="plain", VersionId=plain["VersionId"])
    copied = s3.copy_object(
        Bucket="locked", Key="copy", CopySource={"Bucket": "locked", "Key": "source", "VersionId": source},
        **LOCKED, **sse)
    got = s3.get_object(Bucket="locked", Key="copy")
    assert got["Body"].read() == b"copied" and shown(got) == ("GOVERNANCE", LATER, None)
    assert code(s3.delete_object, Bucket="locked", Key="copy", VersionId=copied["VersionId"]) == ("AccessDenied", 403)
    s3.delete_object(Bucket="locked", Key="copy", VersionId=copied["VersionId"], BypassGovernanceRetention=True)
    s3.put_object_legal_hold(Bucket="locked", Key="source", LegalHold={"Status": "OFF"})


def test_an_upload_is_locked_at_its_completion_by_any_gateway(house):
    place, _, s3 = house
    other = place.gateway(settings=LOCKS).client()
    named = {"Bucket": "locked", "Key": KEY}
    upload = s3.create_multipart_upload(**named, ObjectLockLegalHoldStatus="ON", **LOCKED)["UploadId"]
    bodies = [b"a" * (5 << 20), b"b"]
    parts = [
        {"PartNumber": number, "ETag": other.upload_part(
            **named, UploadId=upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(bodies, 1)
    ]
    done = other.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": parts})
    got = s3.get_object(**named)
    assert got["Body"].read() == b"".join(bodies) and shown(got) == ("GOVERNANCE", LATER, "ON")
    assert got["VersionId"] == done["VersionId"]
    assert code(s3.delete_object, **named, VersionId=done["VersionId"]) == ("AccessDenied", 403)


def test_what_is_locked_is_not_moved_to_another_key(house):
    _, gateway, s3 = house
    key = gateway.client("kms").create_key()["KeyMetadata"]["Arn"]
    version = s3.put_object(Bucket="locked", Key=KEY, Body=b"x", ServerSideEncryption="AES256", **LOCKED)["VersionId"]
    moved = {
        "Bucket": "locked", "Key": KEY, "VersionId": version,
        "ObjectEncryption": {"SSEKMS": {"KMSKeyArn": key}},
    }
    assert code(s3.update_object_encryption, **moved) == ("AccessDenied", 403)
    s3.put_object_retention(
        Bucket="locked", Key=KEY, VersionId=version, BypassGovernanceRetention=True,
        Retention=GOVERNED | {"RetainUntilDate": datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)})
    while s3.get_object_retention(Bucket="locked", Key=KEY, VersionId=version)["Retention"]["RetainUntilDate"] > \
            datetime.datetime.now(datetime.timezone.utc):
        time.sleep(0.1)
    s3.update_object_encryption(**moved)
    assert s3.head_object(Bucket="locked", Key=KEY)["SSEKMSKeyId"] == key


def test_wrong_locks_are_refused_before_anything_is_written(house):
    place, gateway, s3 = house
    s3.create_bucket(Bucket="plain")
    past = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime.datetime(2020, 1, 1)}
    for bucket, arguments, expected in (
        ("plain", LOCKED, ("InvalidRequest", 400)),
        ("locked", past, ("InvalidArgument", 400)),
        ("locked", LOCKED | {"ObjectLockRetainUntilDate": datetime.datetime(2199, 1, 1)}, ("InvalidArgument", 400)),
        ("locked", {"ObjectLockMode": "GOVERNANCE"}, ("InvalidArgument", 400)),
        ("locked", {"ObjectLockRetainUntilDate": LATER}, ("InvalidArgument", 400)),
        ("locked", LOCKED | {"ObjectLockMode": "FOREVER"}, ("InvalidArgument", 400)),
        ("locked", {"ObjectLockLegalHoldStatus": "maybe"}, ("InvalidArgument", 400)),
    ):
        assert code(s3.put_object, Bucket=bucket, Key=KEY, Body=b"x", **arguments) == expected, arguments
        assert code(s3.create_multipart_upload, Bucket=bucket, Key=KEY, **arguments) == expected
    assert "Versions" not in s3.list_object_versions(Bucket="locked")
    assert "Contents" not in s3.list_objects_v2(Bucket="plain")
    assert code(s3.put_object_retention, Bucket="plain", Key=KEY, Retention=GOVERNED) == ("NoSuchKey", 404)
    s3.put_object(Bucket="plain", Key=KEY, Body=b"x")
    assert code(s3.put_object_retention, Bucket="plain", Key=KEY, Retention=GOVERNED) == ("InvalidRequest", 400)
    version = s3.put_object(Bucket="locked", Key=KEY, Body=b"x")["VersionId"]
    # An id of ours with the upstream's of another version names nothing.
    other = s3.put_object(Bucket="locked", Key=KEY, Body=b"y")["VersionId"]
    mixed = version.partition(".")[0] + "." + upstreams(place, other)
    assert code(s3.put_object_retention, Bucket="locked", Key=KEY, VersionId=mixed, Retention=GOVERNED) == ("NoSuchVersion", 404)
    marker = s3.delete_object(Bucket="locked", Key=KEY)["VersionId"]
    assert code(s3.get_object_legal_hold, Bucket="locked", Key=KEY, VersionId=marker) == ("MethodNotAllowed", 405)
    assert code(s3.get_object_legal_hold, Bucket="locked", Key=KEY) == ("NoSuchKey", 404)


def test_what_is_not_listed_is_not_implemented(place):
    s3 = place.gateway(settings='upstream_pass_through = ["GET object-lock", "PUT object-lock", "GET retention"]\n').client()
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    assert code(s3.put_object, Bucket="locked", Key=KEY, Body=b"x", **LOCKED) == ("NotImplemented", 501)
    s3.put_object(Bucket="locked", Key=KEY, Body=b"x")
    assert code(s3.put_object_retention, Bucket="locked", Key=KEY, Retention=GOVERNED) == ("NotImplemented", 501)
    assert code(s3.get_object_legal_hold, Bucket="locked", Key=KEY) == ("NotImplemented", 501)
    assert s3.get_object(Bucket="locked", Key=KEY)["Body"].read() == b"x"
    none = place.gateway().client()
    assert code(none.create_bucket, Bucket="other", ObjectLockEnabledForBucket=True) == ("NotImplemented", 501)
    assert code(none.get_object_retention, Bucket="locked", Key=KEY) == ("NotImplemented", 501)


def test_a_lock_that_fails_is_no_success(place, proxy):
    s3 = place.gateway(f"http://127.0.0.1:{proxy.port}", LOCKS).client()
    named = {"Bucket": "locked", "Key": KEY}
    held = {"ObjectLockLegalHoldStatus": "ON"}
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    # Once is not seen.
    once = proxy.add("PUT /[^ ]*legal-hold", "status", times=1, status=503, code="SlowDown")
    s3.put_object(**named, Body=b"1", **held)
    assert once.met == 1 and shown(s3.head_object(**named)) == (None, None, "ON")
    proxy.add("PUT /[^ ]*legal-hold", "status", status=403, code="AccessDenied")
    assert code(s3.put_object, **named, Body=b"2", **held) == ("AccessDenied", 403)
    upload = s3.create_multipart_upload(**named, **held)["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"3")["ETag"]
    whole = {**named, "UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part}]}}
    assert code(s3.complete_multipart_upload, **whole) == ("AccessDenied", 403)
    proxy.clear()
    # Who completes again gets what was asked for.
    done = s3.complete_multipart_upload(**whole)
    assert shown(s3.head_object(**named, VersionId=done["VersionId"])) == (None, None, "ON")
    assert s3.get_object(**named, VersionId=done["VersionId"])["Body"].read() == b"3"


def test_an_upload_whose_lock_failed_is_not_laid_over_what_came_since(place, proxy):
    s3 = place.gateway(f"http://127.0.0.1:{proxy.port}", LOCKS).client()
    named = {"Bucket": "locked", "Key": KEY}
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": soon, "ObjectLockLegalHoldStatus": "ON"}
    upload = s3.create_multipart_upload(**named, **lock)["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    whole = {**named, "UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part}]}}
    proxy.add("PUT /[^ ]*legal-hold", "status", status=403, code="AccessDenied")
    assert code(s3.complete_multipart_upload, **whole) == ("AccessDenied", 403)
    proxy.clear()
    newer = s3.put_object(**named, Body=b"newer")["VersionId"]
    # By now the period that was asked for is over: that is no reason not to complete, and the hold has no end.
    while datetime.datetime.now(datetime.timezone.utc) <= soon:
        time.sleep(0.1)
    done = s3.complete_multipart_upload(**whole)["VersionId"]
    assert s3.head_object(**named)["VersionId"] == newer
    assert len(s3.list_object_versions(Bucket="locked")["Versions"]) == 2
    assert shown(s3.head_object(**named, VersionId=done))[2] == "ON"


def test_a_bucket_with_object_lock_keeps_versions(house):
    _, _, s3 = house
    suspended = {"Status": "Suspended"}
    assert code(s3.put_bucket_versioning, Bucket="locked", VersioningConfiguration=suspended) == ("InvalidBucketState", 409)
    assert s3.get_bucket_versioning(Bucket="locked")["Status"] == "Enabled"


def test_a_stricter_default_stays(house):
    _, _, s3 = house
    s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 2}}})
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    version = s3.put_object(
        Bucket="locked", Key=KEY, Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)["VersionId"]
    mode, kept_until, _ = shown(s3.head_object(Bucket="locked", Key=KEY, VersionId=version))
    assert mode == "COMPLIANCE" and kept_until > until


def test_through_a_link_its_lock_is_shown_to_those_who_may_see_it_only(house):
    _, gateway, s3 = house
    s3.put_object(Bucket="locked", Key="target", Body=b"x")
    auth = oss2.ProviderAuthV4(oss2.credentials.StaticCredentialsProvider(gateway.access_key, gateway.secret_key))
    oss2.Bucket(auth, gateway.endpoint, "locked", region="us-east-1").put_symlink("target", "link")
    s3.put_object_legal_hold(Bucket="locked", Key="link", LegalHold={"Status": "ON"})
    statement = {
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/other"}, "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::locked/*",
    }
    s3.put_bucket_policy(Bucket="locked", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    other = gateway.client(other=True)
    for call in ("get_object", "head_object"):
        assert shown(getattr(s3, call)(Bucket="locked", Key="link")) == (None, None, "ON")
        assert shown(getattr(other, call)(Bucket="locked", Key="link")) == (None, None, None)

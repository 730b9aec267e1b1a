"""Rotation as key owners see it: a new version wraps, every old one unwraps."""

import datetime
import json

import pytest
from botocore.exceptions import ClientError


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def version_of(blob):
    return int.from_bytes(blob[17:21], "big")


def test_what_older_versions_wrapped_stays_readable(own_gateway):
    gateway = own_gateway()
    kms, s3 = gateway.client("kms"), gateway.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.create_bucket(Bucket="bucket")
    blobs = []
    for version in range(1, 5):
        if version > 1:
            assert kms.rotate_key_on_demand(KeyId=key)["KeyId"].endswith(key)
        blobs.append(kms.encrypt(KeyId=key, Plaintext=b"%d" % version)["CiphertextBlob"])
        s3.put_object(Bucket="bucket", Key=str(version), Body=b"%d" % version, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    for _ in range(2):
        for version, blob in enumerate(blobs, 1):
            assert version_of(blob) == version
            assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"%d" % version
            assert s3.get_object(Bucket="bucket", Key=str(version))["Body"].read() == b"%d" % version
        gateway.stop()
        gateway.start()
        kms, s3 = gateway.client("kms"), gateway.client()
    again = kms.re_encrypt(CiphertextBlob=blobs[0], DestinationKeyId=key)["CiphertextBlob"]
    assert version_of(again) == 4 and kms.decrypt(CiphertextBlob=again)["Plaintext"] == b"1"


def test_automatic_rotation_has_a_period_and_a_next_date(kms, key_arn):
    key = key_arn.rsplit("/", 1)[1]
    status = kms.get_key_rotation_status(KeyId=key)
    assert status["KeyRotationEnabled"] is False and "NextRotationDate" not in status
    kms.enable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 365
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"], status["KeyId"]) == (True, 90, key_arn)
    ahead = status["NextRotationDate"] - datetime.datetime.now(datetime.timezone.utc)
    assert abs(ahead - datetime.timedelta(days=90)) < datetime.timedelta(minutes=5)
    for days in (2561, 70000):
        assert refused(kms.enable_key_rotation, KeyId=key, RotationPeriodInDays=days) == "ValidationException"
    kms.disable_key(KeyId=key)
    for call in (kms.enable_key_rotation, kms.disable_key_rotation, kms.rotate_key_on_demand):
        assert refused(call, KeyId=key) == "DisabledException"
    kms.enable_key(KeyId=key)
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key)
    kms.schedule_key_deletion(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    assert refused(kms.rotate_key_on_demand, KeyId=key) == "KMSInvalidStateException"


def test_rotations_are_listed_by_page_and_have_a_quota(kms, key_arn):
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=key_arn)
    assert refused(kms.rotate_key_on_demand, KeyId=key_arn) == "LimitExceededException"
    rows, marker = [], {}
    while True:
        page = kms.list_key_rotations(KeyId=key_arn, Limit=10, **marker)
        rows += page["Rotations"]
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert len(rows) == 25 and {row["RotationType"] for row in rows} == {"ON_DEMAND"}
    assert refused(kms.list_key_rotations, KeyId=key_arn, Marker="x") == "InvalidMarkerException"


def test_the_commands_of_rotation(gateway):
    def kms(*words):
        said = gateway.aws("kms", *words)
        return json.loads(said) if said else None

    key = kms("create-key")["KeyMetadata"]["KeyId"]
    kms("enable-key-rotation", "--key-id", key, "--rotation-period-in-days", "180")
    assert kms("get-key-rotation-status", "--key-id", key)["RotationPeriodInDays"] == 180
    kms("rotate-key-on-demand", "--key-id", key)
    row, = kms("list-key-rotations", "--key-id", key)["Rotations"]
    assert row["RotationType"] == "ON_DEMAND"
    kms("disable-key-rotation", "--key-id", key)


def test_strangers_rotate_nothing(gateway, key_arn):
    stranger = gateway.client("kms", other=True)
    for call in (stranger.rotate_key_on_demand, stranger.enable_key_rotation, stranger.get_key_rotation_status,
                 stranger.list_key_rotations):
        assert refused(call, KeyId=key_arn) == "AccessDeniedException"

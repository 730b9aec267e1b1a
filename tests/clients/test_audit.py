"""The trail that every use and change of a master key leaves, as its owner reads it."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from botocore.exceptions import ClientError
from conftest import BINARY, UPSTREAM


def audit(gateway, *words):
    # Over an upstream the root key is the fleet's, and not in the data directory.
    key = ["--root-key-file", str(gateway.directory / "root.key")] if UPSTREAM else []
    done = subprocess.run([BINARY, "audit", *words, "--data-dir", str(gateway.data), *key], capture_output=True, text=True, check=False)
    return done


def events(gateway, *words):
    done = audit(gateway, "query", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def settled(gateway, arn, count):
    """The events of a key, once there are so many: uses are told of within moments, not at once."""
    kms = gateway.client("kms")
    # A change is durable with everything before it when it is answered.
    kms.tag_resource(KeyId=arn, Tags=[{"TagKey": "t", "TagValue": "v"}])
    found = [event for event in events(gateway, "--key", arn) if event["eventName"] != "TagResource"]
    assert len(found) == count, [event["eventName"] for event in found]
    return found


@pytest.fixture
def house(own_gateway):
    gateway = own_gateway()
    gateway.client().create_bucket(Bucket="audited")
    gateway.arn = gateway.client("kms").create_key()["KeyMetadata"]["Arn"]
    return gateway


def test_each_use_is_told_with_its_request_user_key_and_object(house):
    s3 = house.client()
    put = s3.put_object(Bucket="audited", Key="a b/ü", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=house.arn)
    got = s3.get_object(Bucket="audited", Key="a b/ü")
    assert got["Body"].read() == b"x"
    created, wrapped, unwrapped = settled(house, house.arn, 3)
    assert (created["eventName"], wrapped["eventName"], unwrapped["eventName"]) == ("CreateKey", "GenerateDataKey", "Decrypt")
    for event, answer in ((wrapped, put), (unwrapped, got)):
        assert event["requestID"] == answer["ResponseMetadata"]["RequestId"]
        assert event["sourceIPAddress"] == "127.0.0.1"
        assert event["userIdentity"] == {"type": "Root", "userName": "root"}
        assert event["requestParameters"]["encryptionContext"]["aws:s3:arn"] == "arn:aws:s3:::audited/a b/ü"
        assert event["resources"] == [{"ARN": house.arn, "type": "AWS::KMS::Key"}]
        assert event["additionalEventData"]["keyVersion"] == 1
        assert "errorCode" not in event
    assert audit(house, "verify").returncode == 0


def test_sse_s3_and_heads_leave_no_event(house):
    s3 = house.client()
    s3.put_object(Bucket="audited", Key="plain", Body=b"x", ServerSideEncryption="AES256")
    s3.get_object(Bucket="audited", Key="plain")["Body"].read()
    s3.put_object(Bucket="audited", Key="kms", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=house.arn)
    s3.head_object(Bucket="audited", Key="kms")
    s3.list_objects_v2(Bucket="audited")
    settled(house, house.arn, 2)
    contexts = [event["requestParameters"].get("encryptionContext", {}) for event in events(house)]
    assert not [context for context in contexts if "plain" in json.dumps(context)]


def test_refusals_are_told_too(house):
    s3, kms = house.client(), house.client("kms")
    s3.put_object(Bucket="audited", Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=house.arn)
    kms.disable_key(KeyId=house.arn)
    with pytest.raises(ClientError):
        s3.get_object(Bucket="audited", Key="k")
    stranger = house.client("kms", other=True)
    with pytest.raises(ClientError):
        stranger.schedule_key_deletion(KeyId=house.arn)
    names = [(event["eventName"], event.get("errorCode"), event["userIdentity"]["userName"]) for event in settled(house, house.arn, 5)]
    assert names[2:] == [
        ("DisableKey", None, "root"),
        ("Decrypt", "DisabledException", "root"),
        ("ScheduleKeyDeletion", "AccessDeniedException", "other"),
    ]
    denied = events(house, "--principal", "other")
    assert [event["eventName"] for event in denied] == ["ScheduleKeyDeletion"]


def test_a_change_is_in_the_trail_when_it_is_answered_whatever_happens_then(house):
    house.client("kms").disable_key(KeyId=house.arn)
    os.kill(house.process.pid, signal.SIGKILL)
    house.process.wait()
    assert [event["eventName"] for event in events(house, "--key", house.arn)] == ["CreateKey", "DisableKey"]
    assert audit(house, "verify").returncode == 0
    # The trail of a stopped gateway, with a line taken out of it.
    [file] = (house.data / "audit").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-2] + lines[-1:]))
    done = audit(house, "verify")
    assert done.returncode == 1 and "are missing" in done.stderr, done
    file.write_bytes(b"".join(lines[:-1]))
    done = audit(house, "verify")
    assert done.returncode == 1 and "missing at the end" in done.stderr, done


def test_no_key_and_no_secret_is_in_the_trail(house):
    kms = house.client("kms")
    data_key = kms.generate_data_key(KeyId=house.arn, KeySpec="AES_256")
    kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])
    settled(house, house.arn, 3)
    from test_leaks import hits

    files = list((house.data / "audit").iterdir())
    for secret in (data_key["Plaintext"], house.secret_key.encode(), house.other_secret_key.encode()):
        assert hits(files, secret) == []
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_times_that_are_none_are_refused(house):
    done = audit(house, "query", "--since", "yesterday")
    assert done.returncode == 2 and "yesterday" in done.stderr
    assert events(house, "--since", "0s") == []
    assert len(events(house, "--since", "1h")) == len(events(house, "--until", "2999-01-01"))


def delivered(gateway, bucket, count):
    """The delivered files, once there are so many."""
    s3, deadline = gateway.client(), time.monotonic() + 60
    while len(found := s3.list_objects_v2(Bucket=bucket).get("Contents", [])) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} files are delivered"
        time.sleep(0.05)
    assert len(found) == count
    return {item["Key"]: s3.get_object(Bucket=bucket, Key=item["Key"]) for item in found}


def test_finished_files_are_delivered_into_a_bucket_encrypted_and_once(own_gateway):
    """A start finishes the file of the run before; hours are the unit tests', with a clock of their own."""
    gateway = own_gateway('audit_bucket = "trail"\naudit_prefix = "of-keys/"\ndefault_encryption = "none"')
    s3, kms = gateway.client(), gateway.client("kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    gateway.stop()
    gateway.start()
    # There is no such bucket yet: the gateway goes on without, and delivers when there is.
    gateway.client().create_bucket(Bucket="trail")
    gateway.stop()
    gateway.start()
    [(key, got)] = delivered(gateway, "trail", 1).items()
    assert re.fullmatch(r"of-keys/us-east-1/\d{4}/\d\d/\d\d/[0-9a-f]{16}-trail-0{19}1-\d{8}T\d\d\.jsonl", key), key
    assert got["ServerSideEncryption"] == "AES256", "the gateway's default is none; a trail is never in the clear"
    lines = [json.loads(line) for line in got["Body"].read().splitlines()]
    assert [line["eventName"] for line in lines if arn in line["requestParameters"]["keyId"]] == ["CreateKey"]
    assert gateway.client().get_object_acl(Bucket="trail", Key=key)["Grants"][0]["Permission"] == "FULL_CONTROL"

    # Under the bucket's own CMK from now on; a delivery is a use of it.
    gateway.client().put_bucket_encryption(Bucket="trail", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}}]})
    gateway.client("kms").disable_key_rotation(KeyId=arn)
    # Without its mark it delivers the first again, and finds it there.
    first = gateway.client().head_object(Bucket="trail", Key=key)["LastModified"]
    (gateway.data / "audit/delivered").unlink()
    gateway.stop()
    gateway.start()
    found = delivered(gateway, "trail", 2)
    assert found[max(found)]["SSEKMSKeyId"] == arn
    assert found[key]["LastModified"] == first
    used = [event for event in events(gateway, "--principal", "sealgate audit") if event["eventName"] == "GenerateDataKey"]
    assert used and all(arn in event["requestParameters"]["keyId"] for event in used)


def test_a_bucket_that_refuses_stops_neither_the_gateway_nor_the_trail(own_gateway):
    gateway = own_gateway('audit_bucket = "trail"')
    s3, kms = gateway.client(), gateway.client("kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket="trail")
    s3.put_bucket_encryption(Bucket="trail", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}}]})
    kms.disable_key(KeyId=arn)
    gateway.stop()
    gateway.start()
    assert not gateway.client().list_objects_v2(Bucket="trail").get("Contents")
    gateway.client("kms").enable_key(KeyId=arn)
    gateway.stop()
    gateway.start()
    assert len(delivered(gateway, "trail", 2)) == 2
    assert audit(gateway, "verify").returncode == 0

"""What depends on a master key, as `sealgate keys usage` counts it."""

import json
import secrets
import subprocess

from conftest import BINARY
from test_bucket_keys import default


def usage(gateway, key, *words, fails=False):
    command = [BINARY, "keys", "usage", "--config", str(gateway.config), key, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode != 0) == fails, f"{done.stdout}\n{done.stderr}"
    return done.stderr if fails else done.stdout


def counted(gateway, key):
    return json.loads(usage(gateway, key, "--json"))


def test_what_depends_on_each_version_is_counted_until_nothing_does(own_gateway):
    gateway = own_gateway(log_level="warn")
    s3, kms = gateway.client(), gateway.client("kms")
    one, two = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    kms.create_alias(AliasName="alias/ours", TargetKeyId=one)
    direct = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": one}
    first, second = (f"b-{secrets.token_hex(8)}" for _ in range(2))
    for bucket in (first, second):
        s3.create_bucket(Bucket=bucket)
    empty = counted(gateway, one)
    assert (empty["versions"], empty["defaults"], empty["enabled"]) == ({}, [], True)
    default(s3, first, "alias/ours", True)
    for n in range(7):
        s3.put_object(Bucket=first, Key=f"k{n}", Body=b"x")
    for n in range(3):
        s3.put_object(Bucket=second, Key=f"k{n}", Body=b"x", **direct)
    s3.put_object(Bucket=second, Key="other", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=two)
    kms.rotate_key_on_demand(KeyId=one)
    s3.put_object(Bucket=second, Key="newer", Body=b"x", **direct)
    upload = s3.create_multipart_upload(Bucket=second, Key="parts", **direct)["UploadId"]
    found = counted(gateway, "alias/ours")
    assert (found["key"], found["current"], found["unknown"], found["defaults"]) == (one, 2, 0, [first])
    assert found["versions"] == {
        "1": {"buckets": sorted([first, second]), "epochs": 1, "by_bucket_key": 7, "direct": 3, "uploads": 0},
        "2": {"buckets": [second], "epochs": 0, "by_bucket_key": 0, "direct": 1, "uploads": 1},
    }
    text = usage(gateway, one)
    assert "version 1: 1 bucket keys with 7 objects; 3 objects directly" in text and "not safe to retire" in text
    # Moved away, it depends on nothing; and closed, nothing can come after.
    default(s3, first, two, True)
    s3.abort_multipart_upload(Bucket=second, Key="parts", UploadId=upload)
    for bucket in (first, second):
        command = [BINARY, "rewrap", "--config", str(gateway.config), "--bucket", bucket, "--to", two, "--full"]
        subprocess.run(command, capture_output=True, check=True)
    assert "disable it and look again" in usage(gateway, one)
    kms.disable_key(KeyId=one)
    assert usage(gateway, one).endswith("safe to retire\n") and "not safe" not in usage(gateway, one)
    moved = counted(gateway, two)["versions"]["1"]
    assert (moved["by_bucket_key"], moved["direct"]) == (7, 5)
    assert s3.get_object(Bucket=first, Key="k0")["Body"].read() == b"x"
    assert "does not exist" in usage(gateway, "alias/none", fails=True)
    gateway.stop()
    assert counted(gateway, two)["versions"]["1"] == moved

"""What /metrics says of keys used and of stored data that does not verify, after the requests of a real client."""

import re
import urllib.request

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from conftest import local_only


def metrics(gateway):
    text = urllib.request.urlopen(f"{gateway.admin}/metrics", timeout=10).read().decode()
    return {name: float(value) for name, value in re.findall(r"^(\S+) (\S+)$", text, re.M)}


def calls(gateway):
    return {
        tuple(re.findall('"([^"]*)"', name)): value
        for name, value in metrics(gateway).items()
        if name.startswith("sealgate_kms_requests_total")
    }


def test_each_use_of_a_cmk_is_counted_by_operation_and_outcome(own_gateway):
    gateway = own_gateway()
    s3, kms = gateway.client(), gateway.client("kms")
    s3.create_bucket(Bucket="counted")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(Bucket="counted", Key="k", Body=b"x" * 100, **sealed)
    assert calls(gateway) == {("generate_data_key", "ok"): 1}
    s3.get_object(Bucket="counted", Key="k")["Body"].read()
    # Neither needs the data key, so neither calls.
    s3.head_object(Bucket="counted", Key="k")
    s3.list_objects_v2(Bucket="counted")
    assert calls(gateway) == {("generate_data_key", "ok"): 1, ("unwrap_key", "ok"): 1}
    kms.disable_key(KeyId=key)
    with pytest.raises(ClientError):
        s3.get_object(Bucket="counted", Key="k")
    assert calls(gateway)["unwrap_key", "disabled"] == 1


@local_only("there are no bodies on disk")
def test_a_body_altered_on_disk_is_counted(own_gateway):
    gateway = own_gateway()
    s3 = gateway.client()
    s3.create_bucket(Bucket="altered")
    s3.put_object(Bucket="altered", Key="k", Body=bytes(300_000))
    assert metrics(gateway)["sealgate_integrity_failures_total"] == 0
    [body] = [path for path in gateway.data.glob("bodies/*/*") if path.stat().st_size > 300_000]
    with open(body, "r+b") as file:
        # In the second segment of several.
        file.seek(150_000)
        byte = file.read(1)[0]
        file.seek(150_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises((BotoCoreError, ClientError)):
        s3.get_object(Bucket="altered", Key="k")["Body"].read()
    assert metrics(gateway)["sealgate_integrity_failures_total"] >= 1

"""Several gateways, one upstream: nothing but caches lives on a gateway."""

import os
import random
import shutil
import signal
import time
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

MIB = 1 << 20


def body(length, seed=1):
    return random.Random(seed).randbytes(length)


def multipart_body(client, bucket, key):
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_a_new_gateway_with_an_empty_directory_serves_everything(place):
    first = place.gateway()
    s3, kms = first.client(), first.client("kms")
    s3.create_bucket(Bucket="bucket")
    cmk = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.put_object(Bucket="bucket", Key="plain", Body=body(1000), Metadata={"a_b": "x  y", "c": "=?UTF-8?B?w7w=?="})
    s3.put_object(Bucket="bucket", Key="kms", Body=body(2 * MIB), ServerSideEncryption="aws:kms", SSEKMSKeyId=cmk)
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    parts = []
    for number, length in ((1, 5 * MIB), (2, 6 * MIB), (3, 100)):
        part = s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=number, Body=body(length, number))
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    before = s3.list_objects_v2(Bucket="bucket")["Contents"]
    first.stop(signal.SIGKILL)
    shutil.rmtree(first.data)

    second = place.gateway().client()
    assert second.get_object(Bucket="bucket", Key="plain")["Body"].read() == body(1000)
    assert second.head_object(Bucket="bucket", Key="plain")["Metadata"] == {"a_b": "x  y", "c": "=?UTF-8?B?w7w=?="}
    assert second.get_object(Bucket="bucket", Key="kms")["Body"].read() == body(2 * MIB)
    whole = body(5 * MIB, 1) + body(6 * MIB, 2) + body(100, 3)
    assert multipart_body(second, "bucket", "parts") == whole
    ranged = second.get_object(Bucket="bucket", Key="parts", Range="bytes=5242870-5242899")["Body"].read()
    assert ranged == whole[5242870:5242900]
    after = second.list_objects_v2(Bucket="bucket")["Contents"]
    assert [(row["Key"], row["Size"], row["ETag"]) for row in after] == [(r["Key"], r["Size"], r["ETag"]) for r in before]
    for row in after:
        head = second.head_object(Bucket="bucket", Key=row["Key"])
        assert (head["ContentLength"], head["ETag"], head["LastModified"]) == (row["Size"], row["ETag"], row["LastModified"])


def test_the_upstream_holds_ciphertext_only(place):
    s3 = place.gateway().client()
    s3.create_bucket(Bucket="bucket")
    canary = b"canary-in-plaintext" * 1000
    s3.put_object(Bucket="bucket", Key="a", Body=canary, Metadata={"seen": "by the store"})
    upload = s3.create_multipart_upload(Bucket="bucket", Key="b")["UploadId"]
    s3.upload_part(Bucket="bucket", Key="b", UploadId=upload, PartNumber=1, Body=canary)
    straight = place.straight()
    for bucket in (place.bucket("bucket"), place.reserved):
        for row in straight.list_objects_v2(Bucket=bucket).get("Contents", []):
            assert b"canary" not in straight.get_object(Bucket=bucket, Key=row["Key"])["Body"].read(), row["Key"]


@pytest.mark.parametrize("bucket_key", [False, True])
def test_a_disabled_key_is_refused_by_every_gateway_within_two_seconds(place, bucket_key):
    """Also where the other gateway remembers a bucket key that it has just used."""
    one, two = place.gateway(), place.gateway()
    s3, kms = one.client(), one.client("kms")
    s3.create_bucket(Bucket="bucket")
    cmk = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.put_object(Bucket="bucket", Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=cmk, BucketKeyEnabled=bucket_key)
    time.sleep(2)
    assert two.client().get_object(Bucket="bucket", Key="k")["Body"].read() == b"x"
    kms.disable_key(KeyId=cmk)
    with pytest.raises(ClientError):
        s3.get_object(Bucket="bucket", Key="k")
    time.sleep(2)
    with pytest.raises(ClientError) as refused:
        two.client().get_object(Bucket="bucket", Key="k")
    assert refused.value.response["Error"]["Code"] == "KMS.DisabledException"
    # Made on the other gateway, at the same time as others here: none is lost.
    for gateway in (one, two, one, two):
        gateway.client("kms").create_key()
    time.sleep(2)
    assert {len(gateway.client("kms").list_keys()["Keys"]) for gateway in (one, two)} == {5}


def test_a_default_encryption_reaches_every_gateway_within_two_seconds(place):
    one, two = place.gateway().client(), place.gateway().client()
    one.create_bucket(Bucket="bucket")
    two.head_bucket(Bucket="bucket")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    one.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert one.put_object(Bucket="bucket", Key="a", Body=b"x")["ServerSideEncryption"] == "aws:kms"
    time.sleep(2)
    assert two.put_object(Bucket="bucket", Key="b", Body=b"x")["ServerSideEncryption"] == "aws:kms"


def test_an_upload_goes_through_gateways_that_are_killed_meanwhile(place):
    names = {"Bucket": "bucket", "Key": "big"}
    one = place.gateway()
    one.client().create_bucket(Bucket="bucket")
    upload = one.client().create_multipart_upload(**names)["UploadId"]
    one.stop(signal.SIGKILL)
    bodies = {1: body(6 * MIB, 1), 2: body(5 * MIB, 2), 3: body(10, 3)}
    etags = {}
    for number in (2, 3, 1):
        gateway = place.gateway()
        send = dict(names, UploadId=upload, PartNumber=number)
        gateway.client().upload_part(**send, Body=body(5 * MIB, 99))
        etags[number] = gateway.client().upload_part(**send, Body=bodies[number])["ETag"]
        gateway.stop(signal.SIGKILL)
    parts = [{"PartNumber": number, "ETag": etags[number]} for number in (1, 2, 3)]
    last = place.gateway().client()
    done = last.complete_multipart_upload(**names, UploadId=upload, MultipartUpload={"Parts": parts})
    again = place.gateway().client()
    repeated = again.complete_multipart_upload(**names, UploadId=upload, MultipartUpload={"Parts": parts})
    assert repeated["ETag"] == done["ETag"]
    assert multipart_body(again, "bucket", "big") == bodies[1] + bodies[2] + bodies[3]


def test_a_wrong_root_key_and_a_lost_keystore_are_refused_at_start(place, tmp_path):
    gateway = place.gateway()
    gateway.client().create_bucket(Bucket="bucket")
    gateway.stop()
    good = place.root_key.read_text()
    place.root_key.write_text("A" * 43 + "=")
    with pytest.raises(RuntimeError, match="does not verify|does not open"):
        place.gateway()
    place.root_key.write_text(good)
    straight = place.straight()
    for row in straight.list_objects_v2(Bucket=place.reserved, Prefix="keystore/")["Contents"]:
        straight.delete_object(Bucket=place.reserved, Key=row["Key"])
    with pytest.raises(RuntimeError, match="keystore"):
        place.gateway()


def test_what_was_altered_upstream_is_never_served(place):
    s3 = place.gateway().client()
    s3.create_bucket(Bucket="bucket")
    straight, bucket = place.straight(), place.bucket("bucket")
    s3.put_object(Bucket="bucket", Key="a", Body=body(300_000), ContentType="text/plain")
    s3.put_object(Bucket="bucket", Key="other", Body=body(300_000, 2))
    stored = straight.get_object(Bucket=bucket, Key="a")
    sealed, meta = stored["Body"].read(), stored["Metadata"]
    other = straight.get_object(Bucket=bucket, Key="other")
    flipped = bytearray(sealed)
    flipped[1000] ^= 1

    def attempt(what, **put):
        straight.put_object(Bucket=bucket, Key="a", **put)
        with pytest.raises((ClientError, Exception)):
            assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() is None, what

    attempt("a flipped bit", Body=bytes(flipped), Metadata=meta, ContentType="text/plain")
    attempt("a cut end", Body=sealed[:-100], Metadata=meta, ContentType="text/plain")
    attempt("another's body", Body=other["Body"].read(), Metadata=meta, ContentType="text/plain")
    attempt("another's metadata", Body=sealed, Metadata=other["Metadata"], ContentType="text/plain")
    attempt("another content type", Body=sealed, Metadata=meta, ContentType="text/html")
    attempt("no metadata", Body=b"plaintext of the attacker's")
    attempt("no metadata over ciphertext", Body=sealed)
    straight.put_object(Bucket=bucket, Key="a", Body=sealed, Metadata=meta, ContentType="text/plain")
    assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() == body(300_000)


def test_the_reserved_place_is_refused_to_clients(place):
    s3 = place.gateway(settings='upstream_bucket_prefix = ""\n').client()
    for call in (
        lambda: s3.list_objects_v2(Bucket=place.reserved),
        lambda: s3.get_object(Bucket=place.reserved, Key="keystore/x"),
        lambda: s3.create_bucket(Bucket=place.reserved),
        lambda: s3.delete_bucket(Bucket=place.reserved),
        lambda: s3.put_object(Bucket=place.reserved, Key="x", Body=b""),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] in ("NoSuchBucket", "BucketAlreadyExists")
    assert s3.list_buckets()["Buckets"] == []


def test_memory_of_a_put_does_not_grow_with_its_size(place):
    gateway = place.gateway()
    s3 = gateway.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="warm", Body=body(MIB))

    def resident():
        status = open(f"/proc/{gateway.process.pid}/status").read()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024

    before = resident()
    path = place.directory / "big"
    with open(path, "wb") as file:
        file.truncate(200 * MIB)
    with open(path, "rb") as file:
        s3.put_object(Bucket="bucket", Key="big", Body=file)
    assert s3.head_object(Bucket="bucket", Key="big")["ContentLength"] == 200 * MIB
    assert resident() - before < 60, "MiB"
    os.unlink(path)


def test_buckets_that_are_not_there_cost_the_upstream_next_to_nothing(place, proxy):
    """Anybody can ask for made-up names: no request upstream for each."""
    gateway = place.gateway(f"http://127.0.0.1:{proxy.port}")
    gateway.client().create_bucket(Bucket="there")
    before, began = len(proxy.seen), time.monotonic()
    for number in range(300):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{gateway.endpoint}/made-up-{number}/key", timeout=10)
    asked = len(proxy.seen) - before
    # What a gateway asks by itself is four requests a second.
    assert asked < 20 + 8 * (time.monotonic() - began), proxy.seen[-20:]
    gateway.client().head_bucket(Bucket="there")


def test_a_key_made_at_one_gateway_can_be_used_at_another_at_once(place):
    one, two = place.gateway(), place.gateway()
    one.client().create_bucket(Bucket="bucket")
    for nth in range(5):
        cmk = one.client("kms").create_key()["KeyMetadata"]["KeyId"]
        two.client().put_object(Bucket="bucket", Key=f"k{nth}", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=cmk)

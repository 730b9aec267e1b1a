"""How many requests an operation makes of the upstream."""

import random
import threading
import time

import pytest

MIB = 1 << 20
# How many looks at objects a page makes at the same time.
AT_ONCE = 16


def body(length):
    return random.Random(length).randbytes(length)


@pytest.fixture
def rig(place, proxy):
    """Two gateways behind the proxy: one has written what the other does not know."""
    place_of = [place.gateway(f"http://127.0.0.1:{proxy.port}", "") for _ in range(2)]
    wrote, reads = (gateway.client() for gateway in place_of)
    wrote.create_bucket(Bucket="bucket")
    return wrote, reads


def asked(proxy, call):
    """The requests about the object that a call makes; what a gateway asks by itself is about the reserved place."""
    before = len(proxy.seen)
    call()
    return [line for line in proxy.seen[before:] if "bucket/k-" in line]


def kinds(s3):
    s3.put_object(Bucket="bucket", Key="k-small", Body=body(4096))
    s3.put_object(Bucket="bucket", Key="k-kms", Body=body(3 * MIB), ServerSideEncryption="aws:kms", ChecksumAlgorithm="SHA256")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="k-parts")["UploadId"]
    parts = []
    for number in (1, 2):
        part = s3.upload_part(Bucket="bucket", Key="k-parts", UploadId=upload, PartNumber=number, Body=body(5 * MIB + number))
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket="bucket", Key="k-parts", UploadId=upload, MultipartUpload={"Parts": parts})
    return {"k-small": body(4096), "k-kms": body(3 * MIB), "k-parts": body(5 * MIB + 1) + body(5 * MIB + 2)}


def test_a_known_object_takes_one_request_and_an_unknown_one_more(rig, proxy):
    wrote, reads = rig
    for key, content in kinds(wrote).items():
        for arguments, expected in [
            # A small object comes whole with the look at it.
            ({"ChecksumMode": "ENABLED"}, content),
            ({}, content),
            ({"Range": "bytes=1000-2000", "ChecksumMode": "ENABLED"}, content[1000:2001]),
        ]:
            def get():
                got = reads.get_object(Bucket="bucket", Key=key, **arguments)
                assert got["Body"].read() == expected

            first, second = asked(proxy, get), asked(proxy, get)
            assert len(first) <= 2, (key, arguments, first)
            assert len(second) == 1, (key, arguments, second)
        head = asked(proxy, lambda: reads.head_object(Bucket="bucket", Key=key))
        assert len(head) == 1, (key, head)


def test_checksums_are_told_of_a_remembered_object(rig, proxy):
    wrote, reads = rig
    kinds(wrote)
    first = reads.get_object(Bucket="bucket", Key="k-kms", ChecksumMode="ENABLED")
    second = reads.get_object(Bucket="bucket", Key="k-kms", ChecksumMode="ENABLED")
    assert first["ChecksumSHA256"] == second["ChecksumSHA256"] and second["Body"].read() == body(3 * MIB)
    # Of another write it knows nothing.
    wrote.put_object(Bucket="bucket", Key="k-kms", Body=body(MIB), ChecksumAlgorithm="CRC32C")
    third = reads.get_object(Bucket="bucket", Key="k-kms", ChecksumMode="ENABLED")
    assert "ChecksumSHA256" not in third and third["ChecksumCRC32C"] and third["Body"].read() == body(MIB)


def test_a_page_of_unknown_objects_is_filled_in_parallel_and_a_known_one_asks_for_nothing(rig, proxy):
    wrote, reads = rig
    keys = [f"k-{nth:02}" for nth in range(40)]
    for nth, key in enumerate(keys):
        wrote.put_object(Bucket="bucket", Key=key, Body=body(100 + nth))

    def rows():
        return [(row["Key"], row["Size"], row["ETag"]) for row in reads.list_objects_v2(Bucket="bucket")["Contents"]]

    # The looks at objects are kept back, until as many are under way as ever are.
    goes_on = threading.Event()
    looks = proxy.add("GET /[^ ]*bucket/k-", "hold", event=goes_on, held=threading.Event())
    found = []
    listing = threading.Thread(target=lambda: found.append(rows()))
    before = len(proxy.seen)
    listing.start()
    while looks.met < AT_ONCE:
        assert listing.is_alive()
        time.sleep(0.01)
    time.sleep(0.3)
    assert looks.met == AT_ONCE
    goes_on.set()
    listing.join()
    assert len([line for line in proxy.seen[before:] if "bucket/k-" in line]) == len(keys)
    proxy.clear()
    assert asked(proxy, lambda: found.append(rows())) == []
    # Over-written by another gateway, one of them is looked at again, and no other.
    wrote.put_object(Bucket="bucket", Key=keys[7], Body=body(5))
    assert len(asked(proxy, lambda: found.append(rows()))) == 1
    heads = [wrote.head_object(Bucket="bucket", Key=key) for key in keys]
    assert found[2] == [(key, head["ContentLength"], head["ETag"]) for key, head in zip(keys, heads)]
    assert found[0] == found[1] and found[0][7] != found[2][7]


def test_an_object_whose_date_alone_is_another_costs_one_call_of_its_key(place):
    """What a write's answer says of its date can be a second off: such an object is looked at again, and is the same."""
    gateway, straight = place.gateway(), place.straight()
    s3 = gateway.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=body(100_000), ServerSideEncryption="aws:kms")
    at = {"Bucket": place.bucket("bucket"), "Key": "k"}
    before = there = straight.head_object(**at)
    while there["LastModified"] == before["LastModified"]:
        straight.copy_object(**at, CopySource=at, MetadataDirective="REPLACE", Metadata=before["Metadata"], ContentType=before["ContentType"])
        there = straight.head_object(**at)
    assert there["ETag"] == before["ETag"]
    calls = gateway.metric("sealgate_kms_requests_total")
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body(100_000)
    assert gateway.metric("sealgate_kms_requests_total") == calls + 1

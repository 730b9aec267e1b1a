"""How many requests an operation makes of the upstream."""

import random

import pytest

MIB = 1 << 20


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

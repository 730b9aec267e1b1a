"""Several upstreams behind one gateway: the store under test, and a second sealgate as another store."""

import random
import secrets
import socket

import pytest
from botocore.exceptions import ClientError

from conftest import clients

MIB = 1 << 20


def body(length, seed=1):
    return random.Random(seed).randbytes(length)


class Two:
    """Settings of a gateway over both, and what is in the second one."""

    def __init__(self, place):
        self.place = place
        below = place.directory / "below"
        below.mkdir()
        self.second = clients.Gateway(below, 'store = "local"\n').start()

    def entry(self, name, *more, endpoint=None, key=None, secret=None):
        first = name == "first"
        endpoint = endpoint or (self.place.endpoint if first else self.second.endpoint)
        key = key or (self.place.access_key if first else self.second.access_key)
        secret = secret or (self.place.secret_key if first else self.second.secret_key)
        lines = [
            "[[upstream]]", f'name = "{name}"', f'endpoint = "{endpoint}"', f'access_key_id = "{key}"',
            f'secret_access_key = "{secret}"', f'reserved = "{self.place.reserved}"',
        ]
        if first:
            lines += [f'dialect = "{self.place.dialect}"', f'bucket_prefix = "{self.place.prefix}"']
        return "\n".join([*lines, *more, ""])

    def settings(self, *entries):
        entries = entries or (
            self.entry("first", "default = true"), self.entry("second", 'buckets = { cold = "kept/cold", other = "other" }'),
        )
        return f'store = "upstream"\nroot_key_file = "{self.place.root_key}"\n' + "".join(entries)

    def gateway(self, *entries, start=True):
        directory = self.place.directory / secrets.token_hex(4)
        directory.mkdir()
        made = clients.Gateway(directory, self.settings(*entries))
        if self.place.user:
            made.access_key, made.secret_key = self.place.user
        self.place.user = (made.access_key, made.secret_key)
        self.place.gateways.append(made)
        return made.start() if start else made


@pytest.fixture
def two(place):
    made = Two(place)
    yield made
    place.stop()
    made.second.stop()


def uploaded(s3, bucket, key, lengths):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, length in enumerate(lengths, 1):
        part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body(length, number))
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    return b"".join(body(length, number) for number, length in enumerate(lengths, 1))


def test_buckets_of_two_upstreams_are_one_gateways(two):
    gateway = two.gateway()
    s3, kms = gateway.client(), gateway.client("kms")
    for bucket in ("warm", "cold"):
        s3.create_bucket(Bucket=bucket)
    assert [row["Name"] for row in s3.list_buckets()["Buckets"]] == ["cold", "warm"]
    cmk = kms.create_key()["KeyMetadata"]["KeyId"]
    kept = {"warm": uploaded(s3, "warm", "parts", [5 * MIB, 100]), "cold": uploaded(s3, "cold", "parts", [5 * MIB, 7])}
    for bucket in kept:
        s3.put_object(Bucket=bucket, Key="kms", Body=body(3000), ServerSideEncryption="aws:kms", SSEKMSKeyId=cmk)
        s3.put_object_tagging(Bucket=bucket, Key="kms", Tagging={"TagSet": [{"Key": "a", "Value": bucket}]})
    below = two.second.client()
    assert [row["Key"] for row in below.list_objects_v2(Bucket="kept")["Contents"]] == ["cold/kms", "cold/parts"]
    assert two.place.straight().head_object(Bucket=two.place.bucket("warm"), Key="kms")

    # A new gateway with an empty directory finds all of it.
    new = two.gateway().client()
    for bucket, whole in kept.items():
        assert new.get_object(Bucket=bucket, Key="parts")["Body"].read() == whole
        assert new.get_object(Bucket=bucket, Key="kms")["Body"].read() == body(3000)
        assert new.get_object_tagging(Bucket=bucket, Key="kms")["TagSet"] == [{"Key": "a", "Value": bucket}]
    with pytest.raises(ClientError):
        s3.delete_bucket(Bucket="cold")


def test_copies_go_from_one_upstream_to_the_other(two):
    gateway = two.gateway()
    s3, cmk = gateway.client(), gateway.client("kms").create_key()["KeyMetadata"]["KeyId"]
    for bucket in ("warm", "cold"):
        s3.create_bucket(Bucket=bucket)
    for source, target in (("warm", "cold"), ("cold", "warm")):
        whole = uploaded(s3, source, "parts", [5 * MIB, 1000])
        small = s3.put_object(Bucket=source, Key="small", Body=b"x" * 100, Metadata={"m": source})
        for key, data in (("parts", whole), ("small", b"x" * 100)):
            s3.copy_object(Bucket=target, Key=f"{key}-copy", CopySource={"Bucket": source, "Key": key})
            found = s3.get_object(Bucket=target, Key=f"{key}-copy")
            assert found["Body"].read() == data
        assert (found["ETag"], found["Metadata"]) == (small["ETag"], {"m": source})
        head = s3.head_object(Bucket=source, Key="parts"), s3.head_object(Bucket=target, Key="parts-copy")
        assert head[0]["ETag"] == head[1]["ETag"], "the ciphertext was taken as it is"
        s3.copy_object(
            Bucket=target, Key="kms", CopySource={"Bucket": source, "Key": "parts"}, ServerSideEncryption="aws:kms",
            SSEKMSKeyId=cmk,
        )
        assert s3.get_object(Bucket=target, Key="kms", Range="bytes=5242870-5242899")["Body"].read() == whole[5242870:5242900]
        upload = s3.create_multipart_upload(Bucket=target, Key="from-parts")["UploadId"]
        part = s3.upload_part_copy(
            Bucket=target, Key="from-parts", UploadId=upload, PartNumber=1, CopySource={"Bucket": source, "Key": "parts"}
        )
        parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
        s3.complete_multipart_upload(
            Bucket=target, Key="from-parts", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        assert s3.get_object(Bucket=target, Key="from-parts")["Body"].read() == whole


def test_without_a_default_only_named_buckets_can_be_made(two):
    named = two.entry("first", f'buckets = {{ warm = "{two.place.bucket("warm")}" }}')
    s3 = two.gateway(named, two.entry("second", 'buckets = ["cold"]')).client()
    for bucket in ("warm", "cold"):
        s3.create_bucket(Bucket=bucket)
    with pytest.raises(ClientError) as refused:
        s3.create_bucket(Bucket="elsewhere")
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    assert "without an upstream" in refused.value.response["Error"]["Message"]
    with pytest.raises(ClientError) as missing:
        s3.head_bucket(Bucket="elsewhere")
    assert missing.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def refused_start(gateway):
    with pytest.raises(RuntimeError):
        gateway.start()
    gateway.process.wait(30)
    return gateway.log.read_text().strip().splitlines()[-1]


def test_a_start_says_which_upstream_is_wrong_and_how(two):
    first = two.entry("first", "default = true")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        why = refused_start(two.gateway(first, two.entry("second", 'buckets = ["cold"]', endpoint=nowhere), start=False))
        assert f"upstream second ({nowhere}): cannot list the reserved bucket {two.place.reserved}" in why, why
    why = refused_start(two.gateway(first, two.entry("second", 'buckets = ["cold"]', secret="wrong-wrong"), start=False))
    assert f"upstream second ({two.second.endpoint})" in why and "SignatureDoesNotMatch" in why, why
    # Who may read and not write there is told so.
    below = two.second.client()
    below.create_bucket(Bucket=two.place.reserved)
    below.put_bucket_policy(Bucket=two.place.reserved, Policy=(
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/other"},'
        f'"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::{two.place.reserved}"}}]}}'
    ))
    other = {"key": two.second.other_access_key, "secret": two.second.other_secret_key}
    why = refused_start(two.gateway(first, two.entry("second", 'buckets = ["cold"]', **other), start=False))
    assert f"upstream second ({two.second.endpoint}): cannot write" in why and "AccessDenied" in why, why
    # Told apart: the order of a fleet's upstreams is not to be changed.
    below.delete_bucket_policy(Bucket=two.place.reserved)
    running = two.gateway()
    running.client().create_bucket(Bucket="warm")
    swapped = two.entry("second", 'buckets = ["cold"]'), first
    why = refused_start(two.gateway(*swapped, start=False))
    assert "upstream first" in why and "list it as the first upstream" in why, why


def test_readiness_names_the_upstream_that_is_away(two):
    import time
    import urllib.error
    import urllib.request

    gateway = two.gateway()
    two.second.process.kill()
    two.second.process.wait(30)
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{gateway.admin}/health/ready", timeout=10)
        except urllib.error.HTTPError as answer:
            assert answer.code == 503 and f"upstream second ({two.second.endpoint})" in answer.read().decode()
            break
        assert time.monotonic() < end, "the upstream is away and nobody notices"
        time.sleep(0.2)
    # What is in the other one is served.
    s3 = gateway.client()
    s3.create_bucket(Bucket="warm")
    s3.put_object(Bucket="warm", Key="k", Body=b"x")
    assert s3.get_object(Bucket="warm", Key="k")["Body"].read() == b"x"

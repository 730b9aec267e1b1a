"""`sealgate encrypt-bucket`: what was in the upstream before sealgate, brought under encryption while it is served."""

import hashlib
import os
import random
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError

MIB = 1 << 20


def body(length, seed=1):
    return random.Random(seed).randbytes(length)


OLD = {"a": body(0), "b/c": body(1000), "b/ü x": body(200_000, 2), "d": body(9 * MIB, 3)}


def encrypt(gateway, *words, fails=False):
    """Runs the command with a gateway's configuration; gives what it says."""
    from conftest import clients

    env = {key: value for key, value in os.environ.items() if not key.startswith(("SEALGATE_", "AWS_"))}
    env |= {"SEALGATE_ACCESS_KEY_ID": gateway.access_key, "SEALGATE_SECRET_ACCESS_KEY": gateway.secret_key}
    done = subprocess.run(
        [clients.BINARY, "encrypt-bucket", "--config", str(gateway.config), *words], env=env, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=120,
    )
    assert (done.returncode != 0) == fails, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture
def old(place):
    """A bucket that was there before, and a gateway that may serve what is in it."""
    straight = place.straight()
    straight.create_bucket(Bucket=place.bucket("old"))
    for key, content in OLD.items():
        straight.put_object(Bucket=place.bucket("old"), Key=key, Body=content, ContentType="text/x", Metadata={"k": "v"})
    return place.gateway(settings='upstream_foreign_buckets = ["old"]\n')


def stored(place, key):
    return place.straight().get_object(Bucket=place.bucket("old"), Key=key)


def reads(s3):
    for key, content in OLD.items():
        got = s3.get_object(Bucket="old", Key=key)
        assert got["Body"].read() == content, key
        assert (got["ContentType"], got["Metadata"]) == ("text/x", {"k": "v"}), key
    rows = s3.list_objects_v2(Bucket="old")["Contents"]
    assert [(row["Key"], row["Size"]) for row in rows] == [(key, len(OLD[key])) for key in sorted(OLD)]
    return {row["Key"]: row["ETag"] for row in rows}


def test_what_was_there_is_served_and_then_encrypted(place, old):
    s3 = old.client()
    reads(s3)
    assert "ServerSideEncryption" not in s3.head_object(Bucket="old", Key="b/c")
    assert s3.get_object(Bucket="old", Key="d", Range="bytes=100-300")["Body"].read() == OLD["d"][100:301]

    said = encrypt(old, "old", "--dry-run")
    assert "would encrypt 4 objects" in said and "0 were encrypted already" in said, said
    assert stored(place, "b/c")["Body"].read() == OLD["b/c"], "a dry run changes nothing"

    assert "encrypted 1 objects" in encrypt(old, "old", "--prefix", "b/c")
    said = encrypt(old, "old")
    assert "encrypted 3 objects" in said and "1 were encrypted already" in said, said
    assert "encrypted 0 objects" in encrypt(old, "old"), "what is done is done"
    for key, content in OLD.items():
        sealed = stored(place, key)["Body"].read()
        assert len(sealed) > len(content) and (not content or content[:100] not in sealed), key
    etags = reads(s3)
    assert etags["d"].strip('"') == hashlib.md5(OLD["d"]).hexdigest()
    assert s3.head_object(Bucket="old", Key="b/c")["ServerSideEncryption"] == "AES256"
    # Off the list, and nothing that is not encrypted is served any more.
    strict = place.gateway().client()
    reads(strict)
    place.straight().put_object(Bucket=place.bucket("old"), Key="late", Body=b"plaintext of somebody's")
    with pytest.raises(ClientError):
        strict.get_object(Bucket="old", Key="late")


def test_a_reader_sees_each_object_whole_all_the_time(place, old):
    s3 = old.client()
    stop, wrong, looks = threading.Event(), [], [0]

    def look():
        dice = random.Random(1)
        while not stop.is_set():
            key = dice.choice(sorted(OLD))
            try:
                if s3.get_object(Bucket="old", Key=key)["Body"].read() != OLD[key]:
                    wrong.append(f"{key}: another body")
                if s3.head_object(Bucket="old", Key=key)["ContentLength"] != len(OLD[key]):
                    wrong.append(f"{key}: another length")
                looks[0] += 1
            except Exception as error:  # a test must not lose a thread silently
                wrong.append(f"{key}: {error!r}")

    readers = [threading.Thread(target=look) for _ in range(4)]
    for reader in readers:
        reader.start()
    # Slowly enough that readers meet each state.
    encrypt(old, "old", "--rate", "5")
    before = looks[0]
    while looks[0] < before + 20 and not wrong:
        stop.wait(0.01)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong, wrong[:5]


def test_writers_lose_nothing_to_it(place, old):
    """Whatever is written through a gateway while the bucket is encrypted stands there afterwards."""
    other = place.gateway(settings='upstream_foreign_buckets = ["old"]\n').client()
    stop, last = threading.Event(), {}

    def write():
        number = 0
        while not stop.is_set():
            for key in ("b/c", "b/ü x", "d"):
                number += 1
                other.put_object(Bucket="old", Key=key, Body=b"new %d" % number)
                last[key] = b"new %d" % number

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        # Objects that changed meanwhile make it fail, and are said.
        subprocess_says = encrypt_any(old)
        assert "failed" in subprocess_says
    stop.set()
    writer.join()
    s3 = old.client()
    for key, content in last.items():
        assert s3.get_object(Bucket="old", Key=key)["Body"].read() == content, key


def encrypt_any(gateway):
    try:
        return encrypt(gateway, "old")
    except AssertionError as error:
        return str(error)


def test_a_bucket_that_may_hold_nothing_foreign_is_refused(place, old):
    assert "upstream_foreign_buckets" in encrypt(place.gateway(start=False), "other", fails=True)


def test_older_versions_are_told_of(place, old):
    straight, bucket = place.straight(), place.bucket("old")
    straight.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    straight.put_object(Bucket=bucket, Key="a", Body=b"newer")
    said = encrypt(old, "old")
    assert f"encrypted {len(OLD)} objects" in said and f"{len(OLD) + 1} older versions are not encrypted" in said
    s3 = old.client()
    assert s3.get_object(Bucket="old", Key="a")["ServerSideEncryption"] == "AES256"
    assert s3.get_object(Bucket="old", Key="a", VersionId="null")["Body"].read() == OLD["a"]


def test_an_empty_object_that_is_encrypted_between_two_looks_is_looked_at_anew(place, old, proxy):
    """An empty body has no end to ask for, so that its headers are a second look."""
    s3 = place.gateway(f"http://127.0.0.1:{proxy.port}", 'upstream_foreign_buckets = ["old"]\n').client()
    second = proxy.add("HEAD /[^ ]*old/a ", "status", times=1, status=503, code="SlowDown")

    def replace():
        while not second.met:
            threading.Event().wait(0.002)
        old.client().put_object(Bucket="old", Key="a", Body=b"no longer empty")

    replacing = threading.Thread(target=replace)
    replacing.start()
    assert s3.head_object(Bucket="old", Key="a")["ContentLength"] in (0, 15)
    replacing.join()
    assert s3.get_object(Bucket="old", Key="a")["Body"].read() == b"no longer empty"


@pytest.mark.parametrize("content", [b"", b"small"])
def test_what_was_there_is_remembered_only_as_long_as_it_is_there(place, old, content):
    place.straight().put_object(Bucket=place.bucket("old"), Key="k", Body=content)
    s3, other = (place.gateway(settings='upstream_foreign_buckets = ["old"]\n').client() for _ in range(2))
    for _ in range(2):
        assert s3.get_object(Bucket="old", Key="k")["Body"].read() == content
    other.put_object(Bucket="old", Key="k", Body=b"another")
    assert s3.get_object(Bucket="old", Key="k")["Body"].read() == b"another"

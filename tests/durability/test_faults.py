"""Disks that fail: a sync that fails is the last one, and a start on a failing disk says why it does not serve.

Whatever the answer was, reads go on, nothing acknowledged is lost, and a sync that failed is the last one.
"""

import re

import pytest

from client import Client
from crash import Crew, wait_until_clean
from inject import Trace, failing
from world import SHARED

# What fails, and where in the data directory; a put of this size does it.
SYNCS = [
    ("fdatasync", "body file", 100_000),
    ("fsync", "body directory", 100_000),
    ("fdatasync", "journal", 100),
]


@pytest.mark.parametrize("call, what, size", SYNCS)
def test_a_failed_sync_is_never_tried_again(server, call, what, size):
    server.start()
    client = Client(server)
    assert client.create_bucket(SHARED).ok and client.put(SHARED, "before", b"x" * size).ok
    with failing(server, call, "EIO", "1"):
        refused = client.put(SHARED, "lost", b"y" * size)
    assert (refused.status, refused.code) == (503, "ServiceUnavailable"), f"{what}: {refused.body}"
    status, why = server.ready()
    assert status == 503 and "read-only" in why and server.metric("sealgate_store_read_only") == 1
    with Trace(server, ["fdatasync", "fsync", "pwritev", "unlink"], "-y") as trace:
        for answer in [
            client.put(SHARED, "small", b"z"), client.put(SHARED, "large", b"z" * size), client.delete(SHARED, "before"),
            client.copy(SHARED, "before", "copy"), client.create_upload(SHARED, "upload"), client.create_bucket("other"),
        ]:
            assert (answer.status, answer.code) == (503, "ServiceUnavailable"), answer.body
        assert client.get(SHARED, "before").body == b"x" * size
        assert client.head(SHARED, "before").ok and "before" in client.list(SHARED)
        assert client.get(SHARED, "lost").status == 404
    touched = [line for line in trace.lines if re.search(r"/(bodies|journal)/", line)]
    assert not touched, f"written after a failed sync of a {what}: {touched}"
    client.close()
    server.kill()
    server.start()
    client = Client(server)
    assert client.get(SHARED, "before").body == b"x" * size
    # Refused without knowing whether it is on disk: now it is known, and for good.
    there = client.get(SHARED, "lost")
    assert there.status == 404 or there.body == b"y" * size
    assert client.put(SHARED, "after", b"x" * size).ok and server.ready()[0] == 200
    client.close()


def test_a_keystore_whose_sync_fails_makes_no_more_keys_and_reads_on(server):
    server.start()
    client = Client(server)
    arn = client.kms("CreateKey").json["KeyMetadata"]["Arn"]
    headers = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": arn}
    assert client.create_bucket(SHARED).ok and client.put(SHARED, "sealed", b"text", headers).ok
    with failing(server, "fdatasync", "EIO", "1"):
        assert client.kms("CreateKey").status >= 500
    status, why = server.ready()
    assert status == 503 and "keystore" in why
    assert client.kms("CreateKey").status >= 500 and client.kms("DisableKey", KeyId=arn).status >= 500
    assert client.get(SHARED, "sealed").body == b"text", "keys that were there go on being used"
    client.close()
    server.kill()
    server.start()
    client = Client(server)
    assert client.get(SHARED, "sealed").body == b"text" and client.kms("CreateKey").ok
    client.close()


def test_a_body_that_cannot_be_unlinked_is_unlinked_later(server):
    server.start()
    client = Client(server)
    assert client.create_bucket(SHARED).ok and client.put(SHARED, "large", b"x" * 100_000).ok
    with failing(server, "unlink", "EIO", "1+"):
        assert client.delete(SHARED, "large").ok
        assert client.get(SHARED, "large").status == 404
    wait_until_clean(server)
    assert not server.body_files()
    client.close()


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", ["openat", "pwrite64", "fdatasync", "fsync", "rename", "mkdir"])
def test_a_start_with_a_failing_disk_serves_or_says_why_not_and_loses_nothing(server, call, error):
    crew = Crew(server, ["ann"], f"start {call} {error}")
    [owner] = crew.owners
    server.start()
    crew.begin()
    for when in [1, 8]:
        client = Client(server)
        for _ in range(10):
            crew.send(owner, client, owner.step())
        client.close()
        server.kill()
        wrapper = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}",
                   "-e", f"inject={call}:error={error}:when={when}"]
        log = server.log.read_text()
        if server.start(wrapper):
            server.kill()
        else:
            said = server.log.read_text()[len(log):]
            assert server.process.returncode in (1, 2, 127), said
            assert "panicked" not in said, said
            server.process = None
        server.start()
        crew.verify()
        crew.verify_files()

"""A disk that fills up: what was acknowledged stays, reads and deletes go on, and with room writes do again."""

import os
import subprocess
import time

import pytest

from client import Client
from crash import wait_until_clean
from server import Server

BUCKET = "filling"


@pytest.fixture
def small_disk(tmp_path):
    """A server whose data lies on a file system of 192 MiB."""
    data = tmp_path / "small"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m", "none", str(data)], check=True)
    server = Server(tmp_path, data=data / "data")
    yield server
    if server.process:
        server.kill()
    subprocess.run(["umount", str(data)], check=True)


def fill(client, kept, size):
    """Puts until the store takes no more; gives the refusal."""
    while True:
        key, body = f"{size}-{len(kept)}", os.urandom(size)
        answer = client.put(BUCKET, key, body)
        if not answer.ok:
            return answer
        kept[key] = body


def test_a_full_disk_takes_nothing_new_and_loses_nothing(small_disk):
    server = small_disk
    server.start()
    client, kept = Client(server), {}
    assert client.create_bucket(BUCKET).ok
    for size in (5_000_000, 200_000, 4_000):
        answer = fill(client, kept, size)
        assert (answer.status, answer.code) == (503, "ServiceUnavailable"), answer.body
        assert answer.headers.get("retry-after"), "clients are asked to come back"
    assert len(kept) > 10
    assert server.metric("sealgate_store_full") == 1 and server.metric("sealgate_store_read_only") == 0
    assert server.ready()[0] == 200, "another gateway would have no more room"
    assert client.create_bucket("another").status == 503
    for key, body in kept.items():
        assert client.get(BUCKET, key).body == body, key
    assert set(client.list(BUCKET)) == set(kept)
    for key in [key for key in kept if key.startswith("5000000-")][:8]:
        assert client.delete(BUCKET, key).ok
        del kept[key]
    wait_until_clean(server)
    deadline = time.monotonic() + 30
    while server.metric("sealgate_store_full") == 1:
        assert time.monotonic() < deadline, "the room that deletes made is not seen"
        time.sleep(0.05)
    assert client.put(BUCKET, "again", b"room").ok
    kept["again"] = b"room"
    fill(client, kept, 1_000_000)
    client.close()
    server.kill()
    server.start()
    client = Client(server)
    assert set(client.list(BUCKET)) == set(kept)
    for key, body in kept.items():
        assert client.get(BUCKET, key).body == body, key
    client.close()

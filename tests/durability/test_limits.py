"""Crowds: idle connections, uploads at once, uploads that are given up. What is taken for them is bounded and given back."""

import resource
import socket
import time

import pytest

from client import Client
from crash import wait_until_clean

BUCKET = "crowded"
MEBI = 1 << 20


@pytest.fixture
def crowded(server):
    """A server whose clients may be many; the tests' own process needs as many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server.start()
    client = Client(server)
    assert client.create_bucket(BUCKET).ok
    client.close()
    yield server
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(server):
    return socket.create_connection(server.address, timeout=60)


def begin(server, signer, key, length, sent):
    """Begins an upload of `length` bytes and sends the first of them."""
    path = f"/{BUCKET}/{key}"
    headers = signer.sign("PUT", path, "", {"content-length": str(length)}, "s3", "UNSIGNED-PAYLOAD")
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection = connect(server)
    connection.sendall(f"PUT {path} HTTP/1.1\r\n{head}\r\n".encode() + sent)
    return connection


def wait_until_in_flight(server, fits, problem):
    """Waits until the number of requests under way is one that `fits`."""
    deadline = time.monotonic() + 60
    while not fits(server.metric("sealgate_http_requests_in_flight")):
        assert time.monotonic() < deadline, problem
        time.sleep(0.01)


def wait_until_quiet(server, client):
    """Waits until every cut request has ended and its files are gone."""
    wait_until_in_flight(server, lambda count: count == 0, "cut requests do not end")
    assert client.put(BUCKET, "k", b"x").ok
    wait_until_clean(server, timeout=60)


def test_ten_thousand_idle_connections_cost_little_and_keep_nobody_out(crowded):
    before = crowded.resident()
    idle = [connect(crowded) for _ in range(10_000)]
    client = Client(crowded)
    assert client.put(BUCKET, "k", b"x").ok and client.get(BUCKET, "k").body == b"x"
    assert crowded.metric("sealgate_http_connections") >= 10_000
    assert crowded.resident() - before < 400 * MEBI
    for connection in idle:
        connection.close()
    client.close()


def test_a_thousand_uploads_at_once_stay_under_a_gibibyte(crowded):
    signer, half = Client(crowded), b"h" * (MEBI // 2)
    uploads = [begin(crowded, signer, f"upload-{n}", MEBI, half) for n in range(1000)]
    for connection in uploads:
        connection.sendall(half)
    for connection in uploads:
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.close()
    assert crowded.resident(peak=True) < 1024 * MEBI
    assert len(signer.list(BUCKET)) == 1000
    signer.close()


CROWD = 1000


def give_up(server, signer, crowds):
    """Begins uploads and cuts them, `CROWD` at a time: most in their first bytes, some after a file was begun for them.

    All of a crowd are under way before the first is cut, so that each crowd takes as much as the others, on any machine.
    """
    for _ in range(crowds):
        uploads = [begin(server, signer, f"cut-{n}", MEBI, b"g" * (300_000 if n % 20 == 0 else 2000)) for n in range(CROWD)]
        wait_until_in_flight(server, lambda count: count >= CROWD, "requests do not begin")
        for upload in uploads:
            upload.close()
        wait_until_quiet(server, signer)


def test_ten_thousand_uploads_that_are_given_up_leave_nothing(crowded):
    signer = Client(crowded)
    # The first crowds show how much memory so many at a time take; the others must do with it.
    give_up(crowded, signer, 2)
    descriptors, memory = crowded.descriptors(), crowded.resident(peak=True)
    give_up(crowded, signer, 10)
    assert not crowded.body_files()
    assert list(signer.list(BUCKET)) == ["k"]
    assert crowded.descriptors() <= descriptors + 8
    assert crowded.resident() < memory + 64 * MEBI
    signer.close()

"""Clients at one key: what they saw can be put in an order, in which each read sees the last write before it."""

import concurrent.futures
import random
import threading
import time

import pytest

from client import Client
from linear import Op, is_atomic_register, is_linearizable

BUCKET = "raced"


def w(start, end, value):
    return Op(start, end, "write", value)


def r(start, end, value):
    return Op(start, end, "read", value)


def d(start, end):
    return Op(start, end, "delete")


def c(start, end, stamp):
    """A change: the last letter stays and gets a stamp before it."""
    return Op(start, end, "change", lambda value: stamp + value[-1])


@pytest.mark.parametrize(("history", "expected"), [
    ([], True),
    ([r(0, 1, None)], True),
    ([r(0, 1, "a")], False),
    ([w(0, 1, "a"), r(2, 3, "a")], True),
    ([w(0, 1, "a"), r(2, 3, None)], False),
    ([w(0, 3, "a"), r(1, 2, None), r(4, 5, "a")], True),
    ([w(0, 3, "a"), r(1, 2, "a")], True),
    ([w(0, 9, "a"), r(1, 2, "a"), r(3, 4, None)], False),
    ([w(0, 1, "a"), w(2, 3, "b"), r(4, 5, "a")], False),
    ([w(0, 3, "a"), w(1, 4, "b"), r(5, 6, "a"), r(7, 8, "a")], True),
    ([w(0, 3, "a"), w(1, 4, "b"), r(5, 6, "a"), r(7, 8, "b")], False),
    ([w(0, 1, "a"), d(2, 5), r(3, 4, "a"), r(6, 7, None)], True),
    ([w(0, 1, "a"), d(2, 3), r(4, 5, "a")], False),
    ([w(0, None, "a"), r(1, 2, None), r(3, 4, "a"), r(5, 6, "a")], True),
    ([w(0, None, "a"), r(1, 2, "a"), r(3, 4, None)], False),
    ([w(0, None, "a"), r(1, 2, None)], True),
    ([w(0, 1, "a"), c(2, 3, "x"), r(4, 5, "xa")], True),
    ([w(0, 1, "a"), c(2, 3, "x"), r(4, 5, "a")], False),
    ([c(0, 1, "x")], False),
    ([w(0, 1, "a"), d(2, 3), c(4, 5, "x")], False),
    ([w(0, 1, "a"), w(2, 5, "b"), c(3, 6, "x"), r(7, 8, "xb")], True),
    ([w(0, 1, "a"), w(2, 5, "b"), c(3, 6, "x"), r(7, 8, "b")], True),
    # The change brought back what was overwritten.
    ([w(0, 1, "a"), w(2, 5, "b"), c(3, 6, "x"), r(7, 8, "xa")], False),
    ([w(0, 1, "a"), d(2, 5), c(3, 6, "x"), r(7, 8, "xa")], False),
])
def test_the_checker_tells_histories_apart(history, expected):
    assert is_linearizable(history) == expected
    assert is_linearizable(history[::-1]) == expected
    if all(op.kind in ("read", "write") and op.end is not None for op in history):
        assert is_atomic_register(history) == expected


def plain(client, key, kind, body):
    """One operation on bodies. Gives its kind and value for the history."""
    if kind == "write":
        answer, seen = client.put(BUCKET, key, body), body
    elif kind == "delete":
        answer, seen = client.delete(BUCKET, key), None
    else:
        answer = client.get(BUCKET, key)
        seen = answer.body if answer.ok else None
    assert answer.ok or (kind, answer.status) == ("read", 404), (kind, answer.status, answer.body)
    return kind, seen


def record(server, key, scripts, do=plain):
    """Runs each script in a thread of its own; gives what happened. A script is a list of steps, which `do` does: it gives the
    kind and the value of what it did, or nothing if that was nothing."""
    history, lock, gate = [], threading.Lock(), threading.Barrier(len(scripts))

    def run(script):
        client = Client(server)
        gate.wait()
        for step in script:
            start = time.monotonic()
            done = do(client, key, *step)
            end = time.monotonic()
            if done:
                with lock:
                    history.append(Op(start, end, *done))
        client.close()

    with concurrent.futures.ThreadPoolExecutor(len(scripts)) as threads:
        # A failure in a thread is one here.
        list(threads.map(run, scripts))
    return history


def value(dice):
    """A body of its own, small or large enough for a file."""
    return dice.randbytes(dice.choice([16, 2000, 70_000]))


def test_both_checkers_agree_on_histories_made_up_at_random():
    told = set()
    for seed in range(2000):
        dice = random.Random(seed)
        history = []
        for n in range(dice.randrange(2, 8)):
            start = dice.randrange(20)
            end = start + dice.randrange(1, 12)
            # Starts and ends at one moment would be ordered by neither.
            start, end = start + n / 100, end + n / 100 + 0.005
            kind = dice.choice(["write", "read", "read"])
            history.append(Op(start, end, kind, n if kind == "write" else dice.choice([None, *range(n)])))
        expected = is_linearizable(history)
        assert is_atomic_register(history) == expected, history
        told.add(expected)
    assert told == {True, False}


def test_sixteen_writers_and_sixteen_readers_of_one_key_agree_on_an_order(server):
    server.start()
    client, dice = Client(server), random.Random(1)
    assert client.create_bucket(BUCKET).ok
    for round in range(6):
        writers = [[("write", value(dice)) for _ in range(3)] for _ in range(16)]
        readers = [[("read", None)] * 4 for _ in range(16)]
        history = record(server, f"crowd-{round}", writers + readers)
        assert len(history) == 16 * 7
        assert is_atomic_register(history), history
    client.close()


def test_puts_deletes_and_reads_agree_on_an_order(server):
    server.start()
    client = Client(server)
    assert client.create_bucket(BUCKET).ok
    for seed in range(12):
        dice = random.Random(seed)
        kinds = ["write", "write", "delete", "read", "read", "read"]
        scripts = [[(kind, value(dice)) for kind in dice.choices(kinds, k=5)] for _ in range(5)]
        history = record(server, f"mixed-{seed}", scripts)
        assert is_linearizable(history), history
    client.close()


# What a copy onto itself asks for, and what makes it share the body, or seal it anew.
KMS = {"x-amz-server-side-encryption": "aws:kms"}
S3 = {"x-amz-server-side-encryption": "AES256"}


def stamped(client, key, kind, body, stamp):
    """One operation on bodies with a stamp beside them. Gives its kind and value for the history, or `None` if it did nothing."""
    if kind == "write":
        # Only an object under a CMK has to be sealed anew when it comes to SSE-S3.
        answer = client.put(BUCKET, key, body, KMS if len(body) % 2 else S3)
        assert answer.ok, answer.body
        return "write", (body, None)
    if kind == "delete":
        assert client.delete(BUCKET, key).ok
        return "delete", None
    if kind == "copy":
        headers = {"x-amz-metadata-directive": "REPLACE", "x-amz-meta-stamp": stamp}
        answer = client.copy(BUCKET, key, key, headers | S3)
        if answer.status == 409:
            return None
        assert answer.ok or answer.status == 404, (answer.status, answer.body)
        return ("change", lambda value: (value[0], stamp)) if answer.ok else ("read", None)
    answer = client.get(BUCKET, key)
    assert answer.ok or answer.status == 404, (answer.status, answer.body)
    return "read", (answer.body, answer.headers.get("x-amz-meta-stamp")) if answer.ok else None


def test_copies_onto_themselves_bring_nothing_back(server):
    server.start()
    client = Client(server)
    assert client.create_bucket(BUCKET).ok
    copied = 0
    for seed in range(24):
        dice, key = random.Random(seed), f"copied-{seed}"
        kinds = ["write", "write", "delete", "copy", "copy", "copy", "read", "read"]
        scripts = [[(kind, dice.randbytes(dice.choice([16, 17, 70_001])), f"{seed}-{thread}-{n}")
                    for n, kind in enumerate(dice.choices(kinds, k=6))] for thread in range(5)]
        history = record(server, key, scripts, stamped)
        # The last word: what is there when all have ended.
        start = time.monotonic()
        history.append(Op(start, start + 1, *stamped(client, key, "read", b"", "")))
        copied += sum(op.kind == "change" for op in history)
        assert is_linearizable(history), [(op.start, op.end, op.kind, str(op.value)[:40]) for op in history]
    assert copied > 50
    client.close()

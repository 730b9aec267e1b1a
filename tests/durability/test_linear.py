"""Clients at one key: what they saw can be put in an order, in which each read sees the last write before it."""

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
])
def test_the_checker_tells_histories_apart(history, expected):
    assert is_linearizable(history) == expected
    assert is_linearizable(history[::-1]) == expected
    if all(op.kind != "delete" and op.end is not None for op in history):
        assert is_atomic_register(history) == expected


def record(server, key, scripts):
    """Runs each script in a thread of its own; gives what happened. A script is a list of steps, each a kind and a value."""
    history, lock, gate = [], threading.Lock(), threading.Barrier(len(scripts))

    def run(script):
        client = Client(server)
        gate.wait()
        for kind, body in script:
            start = time.monotonic()
            if kind == "write":
                answer = client.put(BUCKET, key, body)
                value = body
            elif kind == "delete":
                answer, value = client.delete(BUCKET, key), None
            else:
                answer = client.get(BUCKET, key)
                value = answer.body if answer.ok else None
            end = time.monotonic()
            assert answer.ok or answer.status == 404, (kind, answer.status, answer.body)
            with lock:
                history.append(Op(start, end, kind, value))
        client.close()

    threads = [threading.Thread(target=run, args=(script,)) for script in scripts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
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

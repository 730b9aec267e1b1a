"""`sealgate verify`: everything authenticates, or the object that does not is named; a cut run goes on where it was."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from client import Client, customer_key
from server import BINARY

BUCKET = "verified"


def verify(server, *words):
    """Runs the command; gives its exit code, what it said, and what it complained of."""
    command = [BINARY, "verify", "--data-dir", str(server.data), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=server.environment(), timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def counts(said):
    return [int(number) for number in re.findall(r"\d+", said)]


@pytest.fixture
def filled(server):
    """A stopped gateway's data: small and large objects, versions, a multipart object, one under a customer's key."""
    server.start()
    client = Client(server)
    assert client.create_bucket(BUCKET).ok
    state = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert client.request("PUT", f"/{BUCKET}", [("versioning", "")], body=state).ok
    for n in range(20):
        assert client.put(BUCKET, f"small/{n}", b"s" * n).ok
    for _ in range(3):
        assert client.put(BUCKET, "large", os.urandom(300_000)).ok
    assert client.delete(BUCKET, "large").ok
    assert client.put(BUCKET, "kms", b"k" * 70_000, {"x-amz-server-side-encryption": "aws:kms"}).ok
    assert client.put(BUCKET, "customers", b"c" * 70_000, customer_key(b"c" * 32)).ok
    client.close()
    assert server.stop() == 0
    return server


def test_what_is_whole_verifies_and_a_running_gateway_is_left_alone(filled):
    code, said, complaints = verify(filled)
    assert (code, complaints) == (0, "")
    assert counts(said) == [25, sum(range(20)) + 3 * 300_000 + 70_000, 1, 0]
    assert counts(verify(filled, "--bucket", BUCKET)[1])[0] == 25
    assert verify(filled, "--bucket", "no-such-bucket")[0] == 1
    filled.start()
    code, _, complaints = verify(filled)
    assert code == 1 and "another process has it" in complaints
    assert filled.stop() == 0


def test_every_damaged_file_is_named_and_nothing_else(filled):
    for entry in filled.body_files():
        with open(entry.path, "r+b") as file:
            good = file.read()
            file.seek(len(good) // 2)
            file.write(bytes([good[len(good) // 2] ^ 1]))
        code, said, complaints = verify(filled)
        found = counts(said)
        if found[3] == 0:
            # Without the customer's key only the metadata, the layout and the manifest can be checked.
            assert code == 0 and found[2] == 1
        else:
            assert code == 1 and found[3] == 1
            assert re.fullmatch(rf"sealgate: {BUCKET}/(large|kms) \([0-9a-f]{{32}}\): .*\n", complaints)
        with open(entry.path, "wb") as file:
            file.write(good)
    assert verify(filled)[0] == 0


def test_a_missing_file_is_damage_and_not_an_end(filled):
    for entry in filled.body_files():
        os.unlink(entry.path)
    code, said, complaints = verify(filled)
    assert code == 1 and counts(said)[0] == 25 and counts(said)[3] == 5
    assert complaints.count("\n") == 5


def test_a_run_that_was_cut_goes_on_where_it_was(filled, tmp_path):
    cursor = tmp_path / "cursor"
    filled.start()
    client = Client(filled)
    for n in range(600):
        assert client.put(BUCKET, f"more/{n:04}", b"m" * 4096).ok
    client.close()
    assert filled.stop() == 0
    whole = counts(verify(filled)[1])
    command = [BINARY, "verify", "--data-dir", str(filled.data), "--cursor", str(cursor), "--rate", "1"]
    running = subprocess.Popen(command, env=filled.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not cursor.exists() and time.monotonic() < deadline:
        assert running.poll() is None, "it ended before it was cut"
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    seen = json.loads(cursor.read_text())["found"]
    assert 0 < seen["objects"] < whole[0]
    code, said, _ = verify(filled, "--cursor", str(cursor))
    assert code == 0 and counts(said) == whole
    assert not cursor.exists()

"""Each call by which a change reaches the disk, made to fail: the change is refused by the right error, or was done all the same;
never is it acknowledged and lost. Reads go on meanwhile, and after a restart all that was acknowledged is there.

A failed write leaves the store as it was: so a whole crew of changes meets each failing call. A failed sync is the store's last:
so each change has a gateway of its own for it.
"""

import re

import pytest

from client import Client
from crash import Crew
from inject import failing
from test_crash_points import CHANGES, KEY_CHANGES

# What S3 and the key service answer when the disk fails, by the error that it has.
RIGHT = {
    "ENOSPC": {(503, "ServiceUnavailable"), (503, "KeyUnavailableException")},
    "EIO": {(500, "InternalError"), (503, "ServiceUnavailable"), (503, "KeyUnavailableException")},
}


# The changes that have a body file of their own, and by which call each change comes to the disk.
WITH_FILE = ["put of a large object", "part", "complete", "first append", "append"]
WRITES = {
    "openat": WITH_FILE,
    "pwritev": WITH_FILE,
    # The journal's records; and the head of the audit trail, without which no change of a key is answered.
    "pwrite64": list(CHANGES),
    "write": KEY_CHANGES,
}


def refusal(answer):
    """The status and the code of a refusal, of S3 or the key service."""
    return answer.status, answer.code or answer.json["__type"].rpartition("#")[2]


def rightly(step, answer, error):
    """Whether a change was done, or refused by the right error."""
    assert answer is not None, f"{step.name}: no answer"
    if answer.ok:
        return True
    assert refusal(answer) in RIGHT[error], f"{step.name}: {answer.status} {answer.body}"
    if answer.status == 503 and answer.code:
        assert answer.headers.get("retry-after"), step.name
    return False


def settled(server, crew):
    """Holds what is there against what was acknowledged, now and after a restart. A store that says it is well must take
    changes before that; one that is not leaves it to the restart to say whether what it refused is there."""
    well = server.ready()[0] == 200
    if well:
        client = Client(server)
        assert client.create_bucket("after").ok and client.delete_bucket("after").ok
        assert client.kms("CreateKey").ok
        client.close()
    crew.verify(final=well)
    server.kill()
    server.start()
    crew.verify()
    crew.verify_files()


@pytest.fixture
def crew(server, request):
    """An owner for each kind of change, each about to make it."""
    crew = Crew(server, [f"owner{n}" for n in range(len(CHANGES))], request.node.name)
    server.start()
    for owner, change in zip(crew.owners, CHANGES, strict=True):
        owner.change = change
    crew.begin()
    crew.live(5)
    return crew


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", WRITES)
def test_a_write_that_fails_is_refused_and_leaves_the_store_as_it_was(server, crew, call, error):
    failed, refused = 0, set()
    # Always; every other time, so that of several calls of a change one fails.
    for when in ["1+", "2+2"]:
        client = Client(server)
        steps = [(owner, crew.do(owner, client, CHANGES[owner.change])) for owner in crew.owners]
        # Sockets are written too: of files it is the keystore's log alone that is, while changes are made.
        log = max((server.data / "keystore").glob("*.log")) if call == "write" else None
        with failing(server, call, error, when, path=log) as trace:
            for owner, step in steps:
                if not rightly(step, crew.send(owner, client, step), error):
                    refused.add(owner.change)
        client.close()
        failed += trace.injected
        settled(server, crew)
    assert failed and refused == set(WRITES[call])


@pytest.mark.parametrize("change", CHANGES)
def test_a_sync_that_fails_is_never_acknowledged(server, change):
    crew = Crew(server, ["ann"], change)
    [owner] = crew.owners
    server.start()
    crew.begin()
    failed = set()
    # Each thread's first call, then each one's second …; the committer's alone, since a body is synced before its record.
    for call, thread in [("fdatasync", None), ("fdatasync", "store-commit"), ("fsync", None)]:
        for error in ["EIO", "ENOSPC"]:
            for when in range(1, 5):
                client = Client(server)
                step = crew.do(owner, client, CHANGES[change])
                with failing(server, call, error, str(when), thread=thread) as trace:
                    done = rightly(step, crew.send(owner, client, step), error)
                client.close()
                hit = {re.search(r"/(audit|bodies|journal|keystore)[/>]", line)[1] for line in trace.lines if "INJECTED" in line}
                # The trail is synced now and then by itself too, which holds up no change: it is written again.
                assert done == (not hit) or done and hit == {"audit"}, f"{step.name}: done {done}, with {trace.lines}"
                if not hit:
                    break
                if not done:
                    failed |= hit
                    settled(server, crew)
    if change not in KEY_CHANGES:
        failed -= {"audit"}
    wanted = {"keystore", "audit"} if change in KEY_CHANGES else {"journal"}
    wanted |= {"bodies"} if change in WITH_FILE else set()
    assert failed == wanted, "what failed once"

"""What stands on disk, and is synced, before a change is answered. A killed process cannot show this, as the page cache
survives it; the order of the system calls does."""

import re

import pytest

from client import Client
from crash import Crew
from inject import Trace
from test_crash_points import CHANGES, KEY_CHANGES

CALLS = ["openat", "pwritev", "pwrite64", "write", "writev", "sendto", "sendmsg", "fdatasync", "fsync", "unlink"]
ANSWER = re.compile(r'(write|writev|sendto|sendmsg)\(.*"HTTP/1\.1 2\d\d')


def find(lines, pattern, start=0):
    """The places of the calls that match and did not fail."""
    return [n for n, line in enumerate(lines) if n >= start and re.search(pattern, line) and " = -1" not in line]


def unsynced(lines):
    """What is written but not durable by the time of the answer."""
    [answer] = [n for n, line in enumerate(lines) if ANSWER.match(line)]
    before = lines[:answer]
    written = {}
    for n, line in enumerate(before):
        # RocksDB's tables are no promise of durability here: the journal and the keystore's log are.
        found = re.match(r"(pwritev|pwrite64|write)\(\d+<(.*?/(?:bodies/\w\w/\w+|journal/[\w.-]+|keystore/\w+\.log))>", line)
        if found:
            written[found[2]] = n
    for path, last in written.items():
        if not find(before, rf"^(fdatasync|fsync)\(\d+<{re.escape(path)}>", last):
            yield f"{path} is not synced"
        directory = path.rpartition("/")[0]
        if "/bodies/" in path and not find(before, rf"^fsync\(\d+<{re.escape(directory)}>"):
            yield f"{directory} is not synced"
    journal = find(before, r"^(pwritev|pwrite64|write)\(\d+<.*/journal/")
    for n, line in enumerate(before):
        if journal and n > journal[0] and re.match(r"(fsync|fdatasync|pwritev)\(\d+<.*/bodies/", line):
            yield f"the record is written before its body is durable: {line}"


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_synced_before_its_answer(server, change):
    crew = Crew(server, ["ann"], change)
    [owner] = crew.owners
    server.start()
    crew.begin()
    for _ in range(3):
        client = Client(server)
        step = crew.do(owner, client, CHANGES[change])
        # A write of a change before this one may be collected now, but no other change is under way.
        with Trace(server, CALLS, "-y", "-s", "32") as trace:
            answer = crew.send(owner, client, step)
        client.close()
        assert answer.ok, f"{step.name}: {answer.status} {answer.body}"
        assert not list(unsynced(trace.lines)), "\n".join([step.name, *unsynced(trace.lines), *trace.lines])
        kept = r"keystore/\w+\.log>" if change in KEY_CHANGES else r"journal/log-\d+>"
        assert find(trace.lines, rf"^(fdatasync|fsync)\(\d+<.*{kept}"), trace.lines


LINES = """\
pwritev(9<{0}/bodies/ab/{1}>, ...) = 5
fdatasync(9<{0}/bodies/ab/{1}>) = 0
fsync(10<{0}/bodies/ab>) = 0
pwrite64(8<{0}/journal/log-1>, ...) = 7
fdatasync(8<{0}/journal/log-1>) = 0
sendto(4<socket>, "HTTP/1.1 200 OK") = 15""".format("/d", "ab" * 16).splitlines()


def test_the_order_that_is_demanded_is_this_one():
    assert not list(unsynced(LINES))


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_sync_that_is_left_out_is_seen(lost):
    assert list(unsynced(LINES[:lost] + LINES[lost + 1:]))
    assert list(unsynced(LINES[:lost] + [LINES[lost].replace("= 0", "= -1 EIO")] + LINES[lost + 1:]))
    # Done, but after the answer.
    assert list(unsynced(LINES[:lost] + LINES[lost + 1:] + [LINES[lost]]))


def test_a_record_before_its_body_is_seen():
    assert list(unsynced(LINES[3:5] + LINES[:3] + LINES[5:]))

"""`kill -9` at every step of every kind of change: each call that touches the disk is the last one once."""

import pytest

from client import Client
from crash import Crew
from inject import WRITING, killing

CHANGES = {
    "put of a small object": r"put .* (0|1|1000|8000) s3",
    "put of a large object": r"put .* (20000|65536|70001|200000) \w+",
    "first append": r"append \S+ at 0 (20000|65536|70001|200000) s3",
    "append": r"append \S+ at [1-9]\d* (20000|65536|70001|200000) s3",
    "copy": r"copy .*",
    "delete": r"delete \S+",
    "create upload": r"create upload .*",
    "part": r"part .*",
    "complete": r"complete .*",
    "abort": r"abort .*",
    "create bucket": r"create bucket .*",
    "configure bucket": r"bucket .*",
    "delete bucket": r"delete bucket .*",
    "create CMK": r"create CMK",
    "disable CMK": r"disable CMK",
    "enable CMK": r"enable CMK",
    "create alias": r"create alias",
}
# Those that the keystore keeps.
KEY_CHANGES = ["create CMK", "disable CMK", "enable CMK", "create alias"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_whole_wherever_the_gateway_dies(server, change):
    crew = Crew(server, ["ann"], change)
    [owner] = crew.owners
    server.start()
    crew.begin()
    kills = 0
    for call in WRITING:
        for when in range(1, 30):
            client = Client(server)
            step = crew.do(owner, client, CHANGES[change])
            with killing(server, call, when):
                answer = crew.send(owner, client, step)
                client.close()
                if answer is None:
                    server.reap()
            if answer is not None:
                assert answer.ok, f"{step.name}: {answer.status} {answer.body}"
                if server.answers():
                    break
                # Killed by what it does after it has answered.
                server.reap()
            kills += 1
            server.start()
            crew.verify()
            crew.verify_files()
    assert kills, "no call of this change was ever the last"
    crew.verify()
    crew.verify_files()
    # How many files an object has that was appended to is not known, but without any the files are counted exactly.
    crew.drop_grown()
    crew.verify_files()

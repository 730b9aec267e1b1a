"""`kill -9` at random moments: what was acknowledged is there, what was not is old or new, nothing else is. Now and then
RocksDB is lost too, and rebuilt."""

import os
import random

import pytest

from crash import Crew

# Each chain is one data directory that crashes again and again; each of its rounds is a seed of its own.
ROUNDS = 10
CHAINS = int(os.environ.get("SEALGATE_CRASH_SEEDS", "300")) // ROUNDS
OWNERS = ["ann", "bob", "cem", "dot", "eva", "fee"]


@pytest.mark.parametrize("chain", range(CHAINS))
def test_a_killed_gateway_keeps_what_it_acknowledged_and_mixes_nothing(server, chain):
    dice = random.Random(chain)
    crew = Crew(server, OWNERS, chain)
    server.start()
    crew.begin()
    acknowledged = 0
    for _ in range(ROUNDS):
        acknowledged += crew.run_until_killed(dice.randrange(60), dice.uniform(0, 0.01))
        if dice.random() < 0.3:
            server.start_and_kill(dice.uniform(0, 0.06))
        if dice.random() < 0.1:
            assert server.rebuild() == 0
        server.start()
        crew.verify()
        crew.verify_files()
    crew.drop_grown()
    crew.verify_files()
    assert acknowledged > 10 * ROUNDS, "the rounds were too short to mean anything"
    assert len(crew.salts) > ROUNDS, "no files were seen"
    assert server.stop() == 0

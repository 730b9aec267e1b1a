"""Runs owners against a server, kills it, and holds what is there afterwards against what they know."""

import dataclasses
import re
import threading
import time

from client import Client, Lost
from world import SHARED, Grown, Owner, after_of


class Crew:
    """Owners that use one server at the same time."""

    def __init__(self, server, names, seed):
        self.server = server
        self.owners = [Owner(name, f"{seed}/{name}") for name in names]
        # The salt of every body file that was ever seen, and the file.
        self.salts = {}

    def begin(self):
        """Makes what all of them need. The server runs."""
        client = Client(self.server)
        assert client.create_bucket(SHARED).ok
        for owner in self.owners:
            step = owner.cmk()
            owner.state = after_of(owner, step, step.send(client))
        client.close()

    def run_until_killed(self, count, delay):
        """Lets every owner send requests, and kills the server `delay` seconds after `count` of them were answered. Gives the
        number of requests that were acknowledged."""
        gate, stop, answered = threading.Barrier(len(self.owners) + 1), threading.Event(), threading.Semaphore(0)
        done, failures = [], []

        def work(owner):
            client = Client(self.server)
            try:
                gate.wait()
                while not stop.is_set():
                    done.append(self.once(owner, client))
                    answered.release()
            except Lost:
                pass
            except BaseException as error:  # noqa: BLE001 - it is told to whoever waits
                failures.append(error)
            finally:
                client.close()

        threads = [threading.Thread(target=work, args=(owner,)) for owner in self.owners]
        for thread in threads:
            thread.start()
        gate.wait()
        for _ in range(count):
            # Whoever fails sends no more; the failure is raised below.
            if failures or not answered.acquire(timeout=30):
                break
        # The crash comes at a moment that nothing announces: this is the one wait for a time that is meant.
        time.sleep(delay)
        self.server.kill()
        self.see_salts()
        stop.set()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return len(done)

    @staticmethod
    def once(owner, client):
        """One request. While it has no answer it is the owner's `pending`."""
        if owner.state.things and owner.dice.random() < 0.15:
            key = owner.key(there=True)
            thing = owner.state.things[key]
            answer = client.get(SHARED, key, thing.read_headers())
            wrong = thing.check(answer, whole=True) if answer.ok else f"status {answer.status} {answer.code}"
            assert not wrong, f"{owner.name} reads {key}: {wrong}"
            return "get"
        step = owner.step()
        answer = Crew.send(owner, client, step)
        if answer is None:
            raise Lost(step.name)
        assert answer.ok, f"{owner.name}: {step.name}: {answer.status} {answer.body}"
        return step.name

    def do(self, owner, client, wanted, limit=500):
        """Sends requests until the next one's name can match `wanted`; gives that one, unsent."""
        for _ in range(limit):
            for _ in range(20):
                step = owner.step()
                if re.fullmatch(wanted, step.name):
                    return step
            self.send(owner, client, step)
        raise AssertionError(f"no request like {wanted} in {limit}")

    def live(self, count):
        """Lets every owner send so many requests."""
        client = Client(self.server)
        for owner in self.owners:
            for _ in range(count):
                self.once(owner, client)
        client.close()

    @staticmethod
    def send(owner, client, step):
        """Sends a request; gives its answer, or `None` when there was none. What the owner knows follows."""
        owner.pending = step
        try:
            answer = step.send(client)
        except Lost:
            return None
        if answer.ok:
            owner.state, owner.pending = after_of(owner, step, answer), None
        return answer

    def verify(self, final=True):
        """Holds the whole store against what the owners know; what was in flight is decided from now on, unless only a restart
        can do that."""
        client = Client(self.server)
        view = View(client)
        for owner in self.owners:
            settle(owner, view, final)
        if not final:
            return client.close()
        known = {key for owner in self.owners for key in owner.state.things}
        assert set(view.listing) == known, f"listed but nobody's: {set(view.listing) ^ known}"
        uploads = {name for owner in self.owners for name in owner.state.uploads}
        assert set(view.uploads) == uploads, f"uploads that are nobody's: {set(view.uploads) ^ uploads}"
        client.close()

    def verify_files(self):
        """Waits until the sweep is over; then there are exactly the files that the objects and parts need."""
        wait_until_clean(self.server)
        fewest, most = (sum(counts) for counts in zip(*(owner.state.files() for owner in self.owners), strict=True))
        there = len(self.server.body_files())
        assert fewest <= there <= most, f"{there} body files, where {fewest} to {most} have an object or a part"
        self.see_salts()

    def drop_grown(self):
        """Deletes what was appended to, and its copies."""
        client = Client(self.server)
        for owner in self.owners:
            for key, thing in list(owner.state.things.items()):
                if isinstance(thing.body, Grown):
                    assert client.delete(SHARED, key).ok
                    del owner.state.things[key]
        client.close()

    def see_salts(self):
        """No two files are sealed with one salt: not a part and its next attempt, not what was written before a crash and
        what is written after it. A part's header is 48 bytes, the last 32 of which are the salt. Of one file there may be two
        names, when something was appended to a body that a copy shares."""
        for entry in self.server.body_files():
            with open(entry.path, "rb") as file:
                header = file.read(48)
            if header[:4] == b"SGE1" and len(header) == 48:
                name, inode = self.salts.setdefault(header[16:], (entry.name, entry.inode()))
                assert inode == entry.inode(), f"{name} and {entry.name} have one salt"


def wait_until_clean(server, timeout=30):
    """Waits for the store to say that nothing waits to be unlinked."""
    end = time.monotonic() + timeout
    while server.metric("sealgate_store_cleaning"):
        assert time.monotonic() < end, "the store does not finish cleaning up"
        time.sleep(0.01)


class View:
    """What the server shows: listings once, objects as they are asked for."""

    def __init__(self, client):
        self.client = client
        self.listing = client.list(SHARED)
        self.uploads = client.uploads(SHARED)
        self.buckets = client.buckets()

    def problems(self, owner, state):
        """Why what is there is not this state of the owner."""
        yield from self.object_problems(owner, state)
        yield from self.upload_problems(owner, state)
        if (owner.bucket in self.buckets) != (owner.bucket in state.buckets):
            yield f"bucket {owner.bucket}: there is {owner.bucket in self.buckets}"
        for bucket, algorithm in state.buckets.items():
            if bucket in self.buckets and (found := self.client.bucket_encryption(bucket)) != algorithm:
                yield f"bucket {bucket} defaults to {found}, not {algorithm}"
        for arn in state.cmks:
            answer = self.client.kms("DescribeKey", KeyId=arn)
            if not answer.ok or not answer.json["KeyMetadata"]["Enabled"]:
                yield f"CMK {arn}: {answer.status} {answer.body}"
        for arn, on in state.spares.items():
            yield from self.spare_problems(arn, on, {name for name, target in state.aliases.items() if target == arn})

    def spare_problems(self, arn, on, aliases):
        """Why a CMK that protects nothing is not as it should be: its state, what it does, its names."""
        told = self.client.kms("DescribeKey", KeyId=arn)
        used = self.client.kms("Encrypt", KeyId=arn, Plaintext="aGVsbG8=")
        if not told.ok or told.json["KeyMetadata"]["Enabled"] != on or used.ok != on:
            yield f"CMK {arn}, enabled {on}: {told.status} {told.body}, used: {used.status} {used.body}"
        rows = self.client.kms("ListAliases", KeyId=arn)
        found = {row["AliasName"] for row in rows.json.get("Aliases", [])}
        if found != aliases:
            yield f"CMK {arn} has the names {found}, not {aliases}"

    def object_problems(self, owner, state):
        listed = {key for key in self.listing if key.startswith(owner.name + "/")}
        if listed != set(state.things):
            yield f"listed {sorted(listed)}, not {sorted(state.things)}"
        for key, thing in state.things.items():
            got = self.client.get(SHARED, key, thing.read_headers())
            head = self.client.head(SHARED, key, thing.read_headers())
            for answer, whole in ((got, True), (head, False)):
                wrong = thing.check(answer, whole) if answer.ok else f"{answer.status} {answer.body}"
                if wrong:
                    yield f"{key}: {wrong}"
            if got.ok and head.ok and key in self.listing:
                size, etag = self.listing[key]
                if (str(size), etag) != (head.headers["content-length"], head.etag) or got.etag != etag:
                    yield f"{key}: listed as {size} {etag}, HEAD says {head.headers['content-length']} {head.etag}"

    def upload_problems(self, owner, state):
        there = {name for name, key in self.uploads.items() if key.startswith(owner.name + "/")}
        if not set(state.uploads) - {None} <= there or len(there) != len(state.uploads):
            yield f"uploads {there}, not {set(state.uploads)}"
            return
        for name, upload in state.uploads.items():
            name = name or self.unknown_upload(owner, state)
            if self.uploads[name] != upload.key:
                yield f"upload {name} is for {self.uploads[name]}, not {upload.key}"
            found = self.client.parts(SHARED, upload.key, name)
            wanted = {number: (size, etag) for number, (_, size, etag) in upload.parts.items()}
            known = {number for number, (_, etag) in wanted.items() if etag}
            same = isinstance(found, dict) and set(found) == set(wanted) and all(
                found[n][0] == wanted[n][0] and (n not in known or found[n] == wanted[n]) for n in wanted)
            if not same:
                yield f"upload {name}: parts {found}, not {wanted}"

    def unknown_upload(self, owner, state):
        """The upload whose creation had no answer."""
        mine = {name for name, key in self.uploads.items() if key.startswith(owner.name + "/")}
        return next(iter(mine - set(state.uploads)), None)

    def adopt(self, owner, state):
        """Learns what only an answer would have told: ETags and an upload's id."""
        for key, thing in state.things.items():
            if thing.etag is None:
                state.things[key] = dataclasses.replace(thing, etag=self.listing[key][1])
        if None in state.uploads:
            state.uploads[self.unknown_upload(owner, state)] = state.uploads.pop(None)
        for name, upload in state.uploads.items():
            if any(etag is None for *_, etag in upload.parts.values()):
                found = self.client.parts(SHARED, upload.key, name)
                upload.parts = {n: (seed, size, found[n][1]) for n, (seed, size, _) in upload.parts.items()}


def settle(owner, view, final=True):
    """Decides whether the owner's last request was done: one of the two states must be there, whole."""
    states = [("as acknowledged", owner.state)]
    if owner.pending:
        states.append((f"after {owner.pending.name}", after_of(owner, owner.pending, None)))
    told = []
    for name, state in states:
        problems = list(view.problems(owner, state))
        if not problems:
            if not final:
                return
            view.adopt(owner, state)
            owner.state, owner.pending = state, None
            return
        told += [f"{owner.name} {name}: {problem}" for problem in problems]
    raise AssertionError("neither state is there:\n" + "\n".join(told))

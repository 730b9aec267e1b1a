"""What a client knows: the state that its acknowledged requests made, and the one that its last request may have made.

Each client has its own keys, bucket and CMKs, and one request under way at a time. So after a crash its part of the
world must be `before` or `after` that request: as a whole, never a mix of both.
"""

import hashlib
import random
from dataclasses import dataclass, field

from client import customer_key

SHARED = "shared"
# Bodies up to 16 KiB of ciphertext are kept without a file. Sizes keep clear of that line, so that files can be counted.
SMALL = (0, 1, 1000, 8000)
LARGE = (20_000, 65_536, 70_001, 200_000)
PART = 5 << 20


def content(seed, size):
    """Bytes that only this seed has, anywhere in them."""
    block = hashlib.blake2b(str(seed).encode(), digest_size=61).digest()
    return (block * (size // 61 + 1))[:size]


@dataclass(frozen=True)
class Body:
    """Stored bytes, which copies share."""

    seed: tuple
    parts: tuple
    files: int

    @property
    def fewest_files(self):
        return self.files

    def bytes(self):
        return b"".join(content((*self.seed, number), size) for number, size in self.parts)


@dataclass(frozen=True)
class Thing:
    """An object as a client knows it."""

    body: Body
    mode: str
    key: str = ""
    meta: tuple = ()
    kind: str = "binary/octet-stream"
    etag: str | None = None

    def read_headers(self):
        return customer_key(self.key.encode().ljust(32)[:32]) if self.mode == "customer" else {}

    def check(self, answer, whole):
        """Why an answer is not this object; `None` when it is."""
        told = answer.headers
        if whole and answer.body != self.body.bytes():
            return f"body differs ({len(answer.body)} bytes)"
        wanted = {"content-type": self.kind, "content-length": str(sum(size for _, size in self.body.parts))}
        wanted |= {f"x-amz-meta-{name}": value for name, value in self.meta}
        wanted |= {
            "s3": {"x-amz-server-side-encryption": "AES256"},
            "kms": {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": self.key},
            "customer": {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
        }[self.mode]
        wrong = {name: told.get(name) for name, value in wanted.items() if told.get(name) != value}
        strange = [name for name in told if name.startswith(("x-amz-meta-", "x-amz-server-side")) and name not in wanted
                   and name != "x-amz-server-side-encryption-customer-key-md5"]
        if wrong or strange:
            return f"headers differ: {wrong} {strange}"
        if self.etag is not None and answer.etag != self.etag:
            return f"ETag is {answer.etag}, not {self.etag}"
        return None


@dataclass
class Upload:
    """An upload in progress: its object to be, and its parts (number → (seed, size, ETag or `None`))."""

    key: str
    thing: Thing
    parts: dict = field(default_factory=dict)


@dataclass
class State:
    """Everything a client owns."""

    things: dict = field(default_factory=dict)
    uploads: dict = field(default_factory=dict)
    # Own bucket's default encryption; no entry: no bucket.
    buckets: dict = field(default_factory=dict)
    # CMK ARN → enabled.
    cmks: dict = field(default_factory=dict)
    # The same of CMKs that protect nothing, so that they can be disabled; and what aliases name of them.
    spares: dict = field(default_factory=dict)
    aliases: dict = field(default_factory=dict)

    def copy(self):
        uploads = {name: Upload(up.key, up.thing, dict(up.parts)) for name, up in self.uploads.items()}
        return State(dict(self.things), uploads, dict(self.buckets), dict(self.cmks), dict(self.spares), dict(self.aliases))

    def files(self):
        """How many body files this must be: at least, and at most. They differ only where something was appended to, as an
        append may take what is there into its own piece, and copies may share pieces."""
        bodies, parts = {thing.body for thing in self.things.values()}, sum(len(up.parts) for up in self.uploads.values())
        return parts + sum(body.fewest_files for body in bodies), parts + sum(body.files for body in bodies)


@dataclass
class Step:
    """A request: what it says, how it is sent, and the state after it (given its answer, or `None` for no answer)."""

    name: str
    send: object
    after: object


class Owner:
    """A client with a name, its own dice, and what it knows."""

    def __init__(self, name, seed):
        self.name = name
        self.dice = random.Random(seed)
        self.state = State()
        self.pending = None
        self.counter = 0
        self.bucket = f"own-{name}"

    def fresh(self):
        self.counter += 1
        return (self.name, self.counter)

    # Choosing.

    def mode(self):
        """An encryption mode: the headers of a write, and the mode and key that reads must show."""
        enabled = [arn for arn, on in self.state.cmks.items() if on]
        kind = self.dice.choice(["s3", "s3", "kms", "customer"])
        if kind == "kms" and enabled:
            arn = self.dice.choice(enabled)
            told = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": arn}
            return told, "kms", arn
        if kind == "customer":
            key = f"{self.name}-{self.dice.randrange(3)}"
            return customer_key(key.encode().ljust(32)[:32]), "customer", key
        return {}, "s3", ""

    def key(self, there=False):
        names = sorted(self.state.things) if there else [f"{self.name}/{n}" for n in range(6)]
        return self.dice.choice(names) if names else None

    def meta(self):
        return (("n", str(self.dice.randrange(1 << 30))),)

    def step(self):
        """The next request."""
        makers = [self.put] * 6 + [self.copy] * 3 + [self.delete] * 2 + [self.create_upload] * 2 + [self.append] * 3
        makers += [self.cmk, self.spare, self.own_bucket]
        if self.state.uploads:
            makers += [self.part] * 3 + [self.complete] * 2 + [self.abort]
        while True:
            step = self.dice.choice(makers)()
            if step:
                return step

    # Requests. Each gives a step; `after` is told the answer, if there is one.

    def put(self):
        key, meta, seed = self.key(), self.meta(), self.fresh()
        size = self.dice.choice(SMALL + LARGE)
        headers, mode, name = self.mode()
        body = Body(seed, ((0, size),), int(size in LARGE))
        data = body.bytes()
        etag = hashlib.md5(data).hexdigest() if mode == "s3" else None
        thing = Thing(body, mode, name, meta, "text/x-test", etag)
        headers |= {"content-type": "text/x-test", "x-amz-meta-n": meta[0][1]}
        return Step(f"put {key} {size} {mode}", lambda c: c.put(SHARED, key, data, headers), self.becomes(key, thing))

    def append(self):
        """AppendObject at a key where nothing is, or something that was made by an append."""
        there = [key for key, thing in sorted(self.state.things.items()) if type(thing.body) is Grown]
        free = [key for key in (f"{self.name}/{n}" for n in range(6)) if key not in self.state.things]
        if not there + free:
            return None
        # Two that grow, where there is room.
        key = self.dice.choice(free if free and len(there) < 2 and self.dice.random() < 0.5 else there or free)
        size, seed = self.dice.choice(SMALL[1:] + LARGE), self.fresh()
        data, old = content((*seed, 0), size), self.state.things.get(key)
        if old:
            new = Thing(**{**vars(old), "body": Grown((*old.body.pieces, (seed, 0, size))), "etag": None})
            headers = {}
        else:
            meta = self.meta()
            new = Thing(Grown(((seed, 0, size),)), "s3", "", meta, "text/x-append")
            headers = {"content-type": "text/x-append", "x-oss-meta-n": meta[0][1]}
        at = sum(length for *_, length in old.body.pieces) if old else 0
        return Step(f"append {key} at {at} {size} {new.mode}", lambda c: c.append(SHARED, key, at, data, headers),
                    self.becomes(key, new))

    def becomes(self, key, thing):
        def after(state, answer):
            state.things[key] = thing
            if answer:
                etag = answer.headers.get("etag") or answer.text("ETag")
                # OSS writes in capitals what S3 does not.
                state.things[key] = Thing(**{**vars(thing), "etag": etag.strip('"').lower()})
        return after

    def copy(self):
        source, target, meta = self.key(there=True), self.key(), self.meta()
        if source is None:
            return None
        old = self.state.things[source]
        if old.mode == "customer" or old.mode == "kms" and not self.state.cmks.get(old.key):
            return None
        headers, mode, name = self.mode()
        if old.mode == "kms" and mode == "s3":
            return None
        etag = old.etag if mode == old.mode == "s3" else None
        # The copy is as the source was, but nothing is said here of whether it can be appended to.
        body = Shared(old.body.pieces) if isinstance(old.body, Grown) else old.body
        new = Thing(body, mode, name, meta, "text/x-copy", etag)
        headers |= {"x-amz-metadata-directive": "REPLACE", "content-type": "text/x-copy", "x-amz-meta-n": meta[0][1]}
        return Step(f"copy {source} to {target} {mode}", lambda c: c.copy(SHARED, source, target, headers),
                    self.becomes(target, new))

    def delete(self):
        key = self.key()
        name = f"delete {key}" if key in self.state.things else f"delete {key}, absent"
        return Step(name, lambda c: c.delete(SHARED, key), lambda state, _: state.things.pop(key, None))

    def create_upload(self):
        if len(self.state.uploads) > 2:
            return None
        key, meta = self.key(), self.meta()
        headers, mode, name = self.mode()
        thing = Thing(Body((), (), 0), mode, name, meta, "text/x-upload")
        headers |= {"content-type": "text/x-upload", "x-amz-meta-n": meta[0][1]}

        def after(state, answer):
            state.uploads[answer.text("UploadId") if answer else None] = Upload(key, thing)
        return Step(f"create upload {key} {mode}", lambda c: c.create_upload(SHARED, key, headers), after)

    def some_upload(self, ready=False):
        usable = lambda up: up.thing.mode != "kms" or self.state.cmks.get(up.thing.key)
        names = [name for name, up in sorted(self.state.uploads.items()) if usable(up) and (up.parts or not ready)]
        if not names:
            return None, None
        name = self.dice.choice(names)
        return name, self.state.uploads[name]

    def part(self):
        name, upload = self.some_upload()
        if upload is None:
            return None
        # One upload in a few has a first part of full size, so that a second may follow.
        number = self.dice.choice([1, 1, 2]) if self.dice.random() < 0.1 else 1
        size = PART if number == 1 and self.dice.random() < 0.03 else self.dice.choice(SMALL + LARGE)
        seed = self.fresh()
        data = content((*seed, number), size)

        def after(state, answer):
            state.uploads[name].parts[number] = (seed, size, answer.etag if answer else None)
        return Step(f"part {number} of {upload.key} {size}", lambda c: c.part(
            SHARED, upload.key, name, number, data, upload.thing.read_headers()), after)

    def complete(self):
        name, upload = self.some_upload(ready=True)
        if upload is None:
            return None
        numbers = [min(upload.parts)]
        if upload.parts[numbers[0]][1] >= PART:
            numbers = sorted(upload.parts)
        parts = [(number, *upload.parts[number]) for number in numbers]
        if any(etag is None for *_, etag in parts):
            return None
        body = Joined(tuple((seed, number, size) for number, seed, size, _ in parts))
        thing = Thing(**{**vars(upload.thing), "body": body})
        becomes = self.becomes(upload.key, thing)

        def after(state, answer):
            del state.uploads[name]
            becomes(state, answer)
        named = [(number, etag) for number, _, _, etag in parts]
        return Step(f"complete {upload.key}", lambda c: c.complete(
            SHARED, upload.key, name, named, upload.thing.read_headers()), after)

    def abort(self):
        name, upload = self.some_upload()
        if upload is None:
            return None
        return Step(f"abort {upload.key}", lambda c: c.abort(SHARED, upload.key, name),
                    lambda state, _: state.uploads.pop(name))

    def own_bucket(self):
        bucket, now = self.bucket, self.state.buckets.get(self.bucket)
        if now is None:
            return Step(f"create bucket {bucket}", lambda c: c.create_bucket(bucket),
                        lambda state, _: state.buckets.update({bucket: "AES256"}))
        if self.dice.random() < 0.4:
            return Step(f"delete bucket {bucket}", lambda c: c.delete_bucket(bucket),
                        lambda state, _: state.buckets.pop(bucket))
        other = {"AES256": "aws:kms", "aws:kms": "AES256"}[now]
        return Step(f"bucket {bucket} to {other}", lambda c: c.encrypt_bucket(bucket, other),
                    lambda state, _: state.buckets.update({bucket: other}))

    def cmk(self):
        if len(self.state.cmks) < 3 or self.dice.random() < 0.1:
            return self.create_cmk(lambda state: state.cmks)
        # What a disabled CMK protects cannot be read: the last one, which protects what is written, stays enabled.
        arn = sorted(self.state.cmks)[-1]
        return Step("describe CMK", lambda c: c.kms("DescribeKey", KeyId=arn), lambda state, _: None)

    def create_cmk(self, kind):
        def after(state, answer):
            # Without an answer nobody knows its name, so nobody can miss it.
            if answer:
                kind(state)[answer.json["KeyMetadata"]["Arn"]] = True
        return Step("create CMK", lambda c: c.kms("CreateKey"), after)

    def spare(self):
        named = lambda arn: [name for name, target in self.state.aliases.items() if target == arn]
        spares = [arn for arn in sorted(self.state.spares) if len(named(arn)) < 20]
        if not spares:
            return self.create_cmk(lambda state: state.spares)
        arn = self.dice.choice(spares)
        if self.dice.random() < 0.4:
            name = f"alias/{self.name}-{self.fresh()[1]}"
            return Step("create alias", lambda c: c.kms("CreateAlias", AliasName=name, TargetKeyId=arn),
                        lambda state, _: state.aliases.update({name: arn}))
        on = not self.state.spares[arn]
        return Step("enable CMK" if on else "disable CMK", lambda c: c.kms("EnableKey" if on else "DisableKey", KeyId=arn),
                    lambda state, _: state.spares.update({arn: on}))


@dataclass(frozen=True)
class Joined:
    """The body of a completed upload: its parts' files, and the manifest's."""

    pieces: tuple

    @property
    def parts(self):
        return tuple((number, size) for _, number, size in self.pieces)

    @property
    def files(self):
        return len(self.pieces) + 1

    @property
    def fewest_files(self):
        return self.files

    def bytes(self):
        return b"".join(content((*seed, number), size) for seed, number, size in self.pieces)


@dataclass(frozen=True)
class Grown:
    """The body of an object that was appended to: what each append brought."""

    pieces: tuple

    @property
    def parts(self):
        return tuple((number, size) for _, number, size in self.pieces)

    @property
    def files(self):
        return len(self.pieces)

    @property
    def fewest_files(self):
        return 0

    def bytes(self):
        return b"".join(content((*seed, number), size) for seed, number, size in self.pieces)


@dataclass(frozen=True)
class Shared(Grown):
    """The body of a copy of such an object."""


def after_of(owner, step, answer):
    """The state that a step makes of its owner's."""
    state = owner.state.copy()
    step.after(state, answer)
    return state

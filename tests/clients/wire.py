"""Raw requests: an own SigV4 signer and a socket, for what no client sends. Written from AWS's description of SigV4."""

import base64
import datetime
import hashlib
import hmac
import socket
import zlib
from dataclasses import dataclass, field
from urllib.parse import quote

UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
VARIANTS = ["hash", "unsigned", "chunked", "chunked-trailer", "unsigned-trailer", "url"]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes
    closed_early: bool = False

    @property
    def code(self):
        return self.body.split(b"<Code>")[1].split(b"</Code>")[0].decode() if b"<Code>" in self.body else None


@dataclass
class Request:
    """A request as it will be written: nothing is added or normalised on the way out."""

    method: str
    path: str
    headers: list = field(default_factory=list)
    body: bytes = b""
    query: list = field(default_factory=list)

    def get(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def set(self, name, value):
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()] + [(name, value)]

    def drop(self, name):
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]

    def head(self):
        query = "&".join(f"{key}={value}" if value is not None else key for key, value in self.query)
        lines = [f"{self.method} {self.path}{'?' + query if query else ''} HTTP/1.1"]
        lines += [f"{key}: {value}" for key, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def bytes(self):
        return self.head() + self.body


class Signer:
    """Signs requests the way AWS describes, each value open to be wrong."""

    def __init__(self, gateway, **wrong):
        self.host = gateway.endpoint.split("//")[1]
        self.access_key, self.secret = gateway.access_key, gateway.secret_key
        self.region, self.service, self.terminator = "us-east-1", "s3", "aws4_request"
        self.now = datetime.datetime.now(datetime.timezone.utc)
        self.scope_date = None
        self.__dict__.update(wrong)

    @property
    def date(self):
        return self.now.strftime("%Y%m%dT%H%M%SZ")

    @property
    def scope(self):
        return f"{self.scope_date or self.date[:8]}/{self.region}/{self.service}/{self.terminator}"

    def key(self):
        key = b"AWS4" + self.secret.encode()
        for word in self.scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        return key

    def signature(self, kind, *lines):
        text = "\n".join([kind, self.date, self.scope, *lines])
        return hmac.new(self.key(), text.encode(), "sha256").hexdigest()

    def canonical(self, request, signed, payload):
        query = sorted((key, value or "") for key, value in request.query if key != "X-Amz-Signature")
        headers = "".join(f"{name}:{' '.join((request.get(name) or '').split())}\n" for name in signed)
        lines = [request.method, request.path, "&".join(f"{key}={value}" for key, value in query), headers,
                 ";".join(signed), payload]
        return sha("\n".join(lines).encode())

    def sign(self, request, payload, skip=()):
        """Signs in the Authorization header; gives the seed signature for chunks."""
        request.set("Host", self.host)
        request.set("x-amz-date", self.date)
        request.set("x-amz-content-sha256", payload)
        signed = sorted({key.lower() for key, _ in request.headers} - {"content-length", "authorization", *skip})
        seed = self.signature("AWS4-HMAC-SHA256", self.canonical(request, signed, payload))
        request.set(
            "Authorization",
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{self.scope}, SignedHeaders={';'.join(signed)}, "
            f"Signature={seed}",
        )
        return seed

    def presign(self, request, expires=300, payload=UNSIGNED):
        """Signs in the URL, with the request's `x-amz-*` headers signed too."""
        request.set("Host", self.host)
        signed = sorted({key.lower() for key, _ in request.headers} - {"content-length"})
        request.query += [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", quote(f"{self.access_key}/{self.scope}", safe="")),
            ("X-Amz-Date", self.date), ("X-Amz-Expires", str(expires)),
            ("X-Amz-SignedHeaders", quote(";".join(signed), safe="")),
        ]
        signature = self.signature("AWS4-HMAC-SHA256", self.canonical(request, signed, payload))
        request.query.append(("X-Amz-Signature", signature))

    def chunks(self, seed, pieces, signed=True, trailer=None):
        """The chunks of an aws-chunked body, each as its own bytes; the zero chunk and the trailer last."""
        out, previous = [], seed
        for piece in [*pieces, b""]:
            line = f"{len(piece):x}"
            if signed:
                previous = self.signature("AWS4-HMAC-SHA256-PAYLOAD", previous, EMPTY_HASH, sha(piece))
                line += f";chunk-signature={previous}"
            end = "" if trailer and not piece else "\r\n"
            out.append(line.encode() + b"\r\n" + piece + end.encode())
        if trailer:
            lines = "".join(f"{name}:{value}\n" for name, value in trailer)
            text = "".join(f"{name}:{value}\r\n" for name, value in trailer)
            if signed:
                mark = self.signature("AWS4-HMAC-SHA256-TRAILER", previous, sha(lines.encode()))
                text += f"x-amz-trailer-signature:{mark}\r\n"
            out.append(text.encode() + b"\r\n")
        return out


def put(gateway, bucket, key, body, variant="hash", headers=(), **wrong):
    """A signed PUT of `body` in one of the variants: the request, its signer, and its chunks where it has any."""
    return signed(gateway, "PUT", f"/{bucket}/{key}", body, variant, headers, **wrong)


def signed(gateway, method, path, body, variant="hash", headers=(), query=(), **wrong):
    """Any request signed in one of the variants: the request, its signer, and its chunks where it has any."""
    signer = Signer(gateway, **wrong)
    request = Request(method, path, [*headers], query=list(query))
    half = len(body) // 2
    pieces = [piece for piece in (body[:half], body[half:]) if piece]
    chunks = []
    if variant in ("hash", "unsigned"):
        request.body = body
        signer.sign(request, sha(body) if variant == "hash" else UNSIGNED)
    elif variant == "url":
        request.body = body
        signer.presign(request)
    else:
        request.set("Content-Encoding", "aws-chunked")
        request.set("x-amz-decoded-content-length", str(len(body)))
        trailer = None
        if variant != "chunked":
            trailer = [("x-amz-checksum-crc32", crc32(body))]
            request.set("x-amz-trailer", "x-amz-checksum-crc32")
        payload = {"chunked": SIGNED_CHUNKS, "chunked-trailer": SIGNED_CHUNKS_TRAILER,
                   "unsigned-trailer": UNSIGNED_TRAILER}[variant]
        seed = signer.sign(request, payload)
        chunks = signer.chunks(seed, pieces, variant != "unsigned-trailer", trailer)
        request.body = b"".join(chunks)
    request.set("Content-Length", str(len(request.body)))
    return request, signer, chunks


def get(gateway, path, query=(), **wrong):
    """A signed GET."""
    signer = Signer(gateway, **wrong)
    request = Request("GET", path, query=list(query))
    signer.sign(request, EMPTY_HASH)
    return request


def send(gateway, request, timeout=20, cut=False):
    """Writes a request (or bytes) to a fresh connection and reads the answer. `cut` ends the sending side after it."""
    with socket.create_connection(gateway.address, timeout) as connection:
        data = request if isinstance(request, bytes) else request.bytes()
        try:
            connection.sendall(data)
            if cut:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return receive(connection, head_only=data.startswith(b"HEAD "))


def receive(connection, head_only=False):
    """Reads one answer; an answer that ends before its declared length is marked."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return Answer(0, {}, data, True)
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
        if status == 100:
            return Answer(100, headers, body)
        length = 0 if head_only or status in (204, 304) else int(headers.get("content-length", "0"))
        while len(body) < length:
            more = connection.recv(65536)
            if not more:
                return Answer(status, headers, body, True)
            body += more
        return Answer(status, headers, body)
    except ConnectionResetError:
        return Answer(0, {}, data, True)

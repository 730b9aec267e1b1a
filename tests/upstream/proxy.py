"""A proxy between gateway and upstream that does what networks and servers do on a bad day. It forwards HTTP/1.1 as bytes;
a rule says which requests fare badly, and how often."""

import re
import socket
import threading
import time


class Rule:
    """What happens to requests whose first line matches: `times` of them, or all."""

    def __init__(self, pattern, fault, times=None, **details):
        self.pattern = re.compile(pattern)
        self.fault, self.times, self.details = fault, times, details
        self.met = 0


ERROR = (
    "HTTP/1.1 {status} Bad\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
)


class Proxy:
    """Listens on a port of its own. Faults:

    reset     the connection is cut when the request's head has come
    cut       as reset, but after `after` bytes of the request's body have gone upstream
    lost      the upstream does what was asked, and its answer is cut off before the first byte
    status    an answer of this status (`status`, `code`) without asking the upstream
    answer    an answer of these bytes (`bytes`) without asking the upstream
    short     the answer is cut after `after` bytes of its body
    lie       the answer's Content-Length is larger by one than its body, and the connection is closed
    strip     a condition that nothing is there yet is taken away
    hold      the answer is kept back until `event` is set; `held` is set when it is there
    stall     the answer stands still for `seconds` after its head
    """

    def __init__(self, host, port):
        self.upstream = (host, int(port))
        self.rules = []
        self.lock = threading.Lock()
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.down = False
        threading.Thread(target=self.accept, daemon=True).start()

    def add(self, pattern, fault, times=None, **details):
        rule = Rule(pattern, fault, times, **details)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.rules = []

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def rule_for(self, line):
        with self.lock:
            self.seen.append(line)
            for rule in self.rules:
                if rule.pattern.search(line) and (rule.times is None or rule.met < rule.times):
                    rule.met += 1
                    return rule
        return None

    def serve(self, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        upstream = None
        try:
            reader = client.makefile("rb")
            while True:
                head = read_head(reader)
                if not head:
                    return
                line = head.split(b"\r\n", 1)[0].decode("latin-1")
                length = int(header(head, b"content-length") or 0)
                rule = self.rule_for(line)
                fault = rule.fault if rule else None
                if fault == "reset":
                    return reset(client)
                if fault == "status":
                    drain(reader, length)
                    body = f"<Error><Code>{rule.details.get('code', 'InternalError')}</Code></Error>"
                    answer = ERROR.format(status=rule.details["status"], length=len(body)) + body
                    client.sendall(answer.encode())
                    return None
                if fault == "answer":
                    drain(reader, length)
                    client.sendall(rule.details["bytes"])
                    return None
                if fault == "strip":
                    head = re.sub(rb"(?i)if-none-match:[^\r]*\r\n", b"", head)
                upstream = upstream or socket.create_connection(self.upstream)
                upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                upstream.sendall(head)
                left, after = length, rule.details.get("after", 0) if fault == "cut" else None
                while left:
                    chunk = reader.read1(min(left, 65536))
                    if not chunk:
                        upstream.close()
                        return None
                    upstream.sendall(chunk)
                    left -= len(chunk)
                    if after is not None and length - left >= after:
                        upstream.close()
                        return reset(client)
                if not self.answer(client, upstream, line, rule):
                    return None
        except OSError:
            return None
        finally:
            client.close()
            if upstream:
                upstream.close()

    def answer(self, client, upstream, line, rule):
        """Passes an answer on; whether the connection may be used again."""
        reader = upstream.makefile("rb")
        head = read_head(reader)
        while head.startswith(b"HTTP/1.1 100"):
            head = read_head(reader)
        if not head:
            return False
        fault = rule.fault if rule else None
        length = header(head, b"content-length")
        body_less = line.startswith("HEAD ") or head.split(b" ", 2)[1] in (b"204", b"304")
        length = 0 if body_less else int(length or 0)
        if fault == "hold":
            rule.details["held"].set()
            rule.details["event"].wait(120)
        if fault == "lost":
            drain(reader, length)
            reset(client)
            return False
        if fault == "lie":
            head = re.sub(rb"(?i)(content-length: *)\d+", b"\\g<1>%d" % (length + 1), head)
        if header(head, b"transfer-encoding"):
            client.sendall(head)
            if fault == "short":
                client.sendall(reader.read(rule.details.get("after", 0)))
                reset(client)
                return False
            pass_chunked(reader, client)
            return True
        client.sendall(head)
        if fault == "stall":
            time.sleep(rule.details["seconds"])
        left = length
        after = rule.details.get("after", 0) if fault == "short" else None
        while left:
            if after is not None and length - left >= after:
                reset(client)
                return False
            wanted = min(left, 65536 if after is None else max(1, min(65536, after - (length - left))))
            chunk = reader.read1(wanted)
            if not chunk:
                return False
            client.sendall(chunk)
            left -= len(chunk)
        return fault != "lie"


def read_head(reader):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return b""
        head += line
    return head


def header(head, name):
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def drain(reader, length):
    while length:
        chunk = reader.read1(min(length, 65536))
        if not chunk:
            return
        length -= len(chunk)


def pass_chunked(reader, client):
    while True:
        size = reader.readline()
        client.sendall(size)
        count = int(size.split(b";")[0], 16)
        body = reader.read(count + 2)
        client.sendall(body)
        if count == 0:
            return


def reset(client):
    """Ends a connection without a clean end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()

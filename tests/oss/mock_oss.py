"""A MOCK of OSS for what no store here has: the configurations of buckets that sealgate passes on. It keeps these as documents and
says nothing of their effects. Everything else, and the signature of each such request, is another sealgate's to judge: the mock
forwards the request as it came, and takes the sealgate's "not implemented" for "well signed"."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

# What nobody set, as OSS answers it: a code, or a document.
UNSET = {
    "lifecycle": "NoSuchLifecycle", "website": "NoSuchWebsiteConfiguration", "worm": "NoSuchWORMConfiguration",
    "inventory": "NoSuchInventory", "replication": "NoSuchReplicationConfiguration",
    "logging": b"<BucketLoggingStatus/>",
    "requestPayment": b"<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
    "transferAcceleration": "NoSuchTransferAccelerationConfiguration",
}
WORM = b"<WormConfiguration><WormId>%s</WormId><State>%s</State><RetentionPeriodInDays>1</RetentionPeriodInDays></WormConfiguration>"


class MockOss:
    """In front of a sealgate at (host, port). `asked` is what came for configurations, `kept` what it keeps."""

    def __init__(self, host, port):
        self.behind, self.asked, self.kept = (host, port), [], {}
        mock = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def every(self):
                mock.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = every

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(*self.behind)
        connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        status, headers, content = answer.status, answer.getheaders(), answer.read()
        connection.close()
        url = urlsplit(request.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        if url.path.count("/") < 2 or url.path.endswith("/"):
            found = self.configuration(request.command, url.path.strip("/"), query, body) if status != 403 else None
            if found:
                status, headers, content = found
        request.send_response(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                request.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def configuration(self, method, bucket, query, body):
        """The answer about a configuration; None for what is none."""
        sub = next((name for name in query if name in UNSET or name in ("wormId", "wormExtend")), None)
        if sub is None:
            return None
        self.asked.append((method, bucket, query, body))
        place = (bucket, sub, query.get("inventoryId"))
        if method == "POST":
            return self.step(bucket, sub, query, body)
        if method == "PUT":
            if b"Refuse" in body:
                return self.error(400, "InvalidArgument", "refused by the mock")
            self.kept[place] = body
            return 200, [], b""
        if method == "DELETE":
            self.kept.pop(place, None)
            return 204, [], b""
        found = self.kept.get(place, UNSET[sub])
        return (200, [], found) if isinstance(found, bytes) else self.error(404, found, "none is set")

    def step(self, bucket, sub, query, body):
        if sub == "replication":
            self.kept[bucket, sub, None] = body if query["comp"] == "add" else UNSET[sub]
            return 200, [("x-oss-replication-rule-id", "rule-1")] if query["comp"] == "add" else [], b""
        state = b"InProgress" if sub == "worm" else b"Locked"
        self.kept[bucket, "worm", None] = WORM % (b"W1", state)
        return 200, [("x-oss-worm-id", "W1")] if sub == "worm" else [], b""

    def error(self, status, code, message):
        return status, [], f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()

"""A small S3 client that does not retry and tells three ends of a request apart: an answer, a refusal, and no answer.

It signs with SigV4, leaves payloads unsigned, and keeps one connection; hundreds of seeds with boto3 would take an hour.
"""

import base64
import datetime
import email.utils
import hashlib
import hmac
import http.client
import json
import re
from dataclasses import dataclass
from urllib.parse import quote
from xml.sax.saxutils import unescape

REGION = "us-east-1"


class Lost(Exception):
    """The connection ended without a whole answer: whether the request was done is unknown."""


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: dict
    body: bytes

    @property
    def ok(self):
        return self.status < 300

    @property
    def code(self):
        """The S3 error code."""
        return self.text("Code")

    def text(self, tag):
        found = self.texts(tag)
        return found[0] if found else None

    def texts(self, tag):
        pattern = rf"<{tag}>(.*?)</{tag}>"
        return [unescape(text, {"&quot;": '"'}) for text in re.findall(pattern, self.body.decode(), re.S)]

    @property
    def json(self):
        return json.loads(self.body or b"{}")

    @property
    def etag(self):
        return self.headers["etag"].strip('"')


def customer_key(key):
    """The headers of SSE-C."""
    return {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": base64.b64encode(key).decode(),
        "x-amz-server-side-encryption-customer-key-md5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


def as_copy_source(headers):
    """The customer key headers of a copy's source."""
    return {name.replace("x-amz-", "x-amz-copy-source-", 1): value for name, value in headers.items()}


class Client:
    """One connection to a server. Not for two threads at once."""

    def __init__(self, server, timeout=60):
        self.host, self.port = server.address
        self.access_key, self.secret_key = server.access_key, server.secret_key
        self.timeout = timeout
        self.connection = None
        self.keys = {}

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def key(self, date, service):
        if (date, service) not in self.keys:
            key = b"AWS4" + self.secret_key.encode()
            for word in (date, REGION, service, "aws4_request"):
                key = hmac.digest(key, word.encode(), "sha256")
            self.keys[date, service] = key
        return self.keys[date, service]

    def sign(self, method, path, query, headers, service, payload):
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers |= {"host": f"{self.host}:{self.port}", "x-amz-date": moment, "x-amz-content-sha256": payload}
        names = sorted(headers)
        canonical = "\n".join([
            method, path, query, *(f"{name}:{headers[name].strip()}" for name in names), "", ";".join(names), payload,
        ])
        scope = f"{moment[:8]}/{REGION}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self.key(moment[:8], service), text.encode(), "sha256").hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={';'.join(names)}, "
            f"Signature={signature}"
        )
        return headers

    def request(self, method, path, query=(), headers=None, body=b"", service="s3"):
        """Sends a request and waits for its whole answer; raises [`Lost`] when there is none."""
        path = quote(path, safe="/-_.~")
        query = "&".join(f"{quote(k, safe='-_.~')}={quote(str(v), safe='-_.~')}" for k, v in sorted(dict(query).items()))
        payload = "UNSIGNED-PAYLOAD" if service == "s3" else hashlib.sha256(body).hexdigest()
        signed = self.sign(method, path, query, dict(headers or {}), service, payload)
        return self.exchange(method, f"{path}?{query}" if query else path, body, signed)

    def exchange(self, method, target, body, signed):
        """Sends a signed request and waits for its whole answer; raises [`Lost`] when there is none."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            self.connection.request(method, target, body or None, signed)
            response = self.connection.getresponse()
            body = response.read()
            found = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
            if response.will_close:
                self.close()
            return found
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Lost(f"{method} {target}: {error!r}") from error

    # Objects.

    def put(self, bucket, key, body, headers=None):
        return self.request("PUT", f"/{bucket}/{key}", headers=headers, body=body)

    def get(self, bucket, key, headers=None):
        return self.request("GET", f"/{bucket}/{key}", headers=headers)

    def head(self, bucket, key, headers=None):
        return self.request("HEAD", f"/{bucket}/{key}", headers=headers)

    def delete(self, bucket, key):
        return self.request("DELETE", f"/{bucket}/{key}")

    def copy(self, bucket, source, target, headers=None):
        headers = {"x-amz-copy-source": quote(f"{bucket}/{source}"), **(headers or {})}
        return self.request("PUT", f"/{bucket}/{target}", headers=headers)

    def list(self, bucket, prefix=""):
        """All objects: key → (size, ETag)."""
        rows, after = {}, ""
        while True:
            query = {"list-type": 2, "prefix": prefix} | ({"start-after": after} if after else {})
            page = self.request("GET", f"/{bucket}", query)
            assert page.ok, (page.status, page.body)
            for row in page.texts("Contents"):
                find = lambda tag: re.search(rf"<{tag}>(.*?)</{tag}>", row, re.S).group(1)
                rows[unescape(find("Key"))] = (int(find("Size")), unescape(find("ETag"), {"&quot;": '"'}).strip('"'))
            if page.text("IsTruncated") != "true":
                return rows
            after = max(rows)

    def append(self, bucket, key, position, body, headers=None):
        """AppendObject, in OSS's words and signed with its version 1, as S3 has no such operation."""
        headers = {"date": email.utils.formatdate(usegmt=True), **(headers or {})}
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()) if name.startswith("x-oss-"))
        kind = headers.get("content-type", "")
        text = f"POST\n\n{kind}\n{headers['date']}\n{lines}/{bucket}/{key}?append&position={position}"
        mark = base64.b64encode(hmac.digest(self.secret_key.encode(), text.encode(), "sha1")).decode()
        headers["authorization"] = f"OSS {self.access_key}:{mark}"
        return self.exchange("POST", f"/{quote(bucket)}/{quote(key)}?append&position={position}", body, headers)

    # Uploads.

    def create_upload(self, bucket, key, headers=None):
        return self.request("POST", f"/{bucket}/{key}", {"uploads": ""}, headers)

    def part(self, bucket, key, upload, number, body, headers=None):
        return self.request("PUT", f"/{bucket}/{key}", {"partNumber": number, "uploadId": upload}, headers, body)

    def complete(self, bucket, key, upload, parts, headers=None):
        rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        return self.request("POST", f"/{bucket}/{key}", {"uploadId": upload}, headers, body)

    def abort(self, bucket, key, upload):
        return self.request("DELETE", f"/{bucket}/{key}", {"uploadId": upload})

    def parts(self, bucket, key, upload):
        """The parts that are listed (up to 1,000), number → (size, ETag), or the refusal's code."""
        page = self.request("GET", f"/{bucket}/{key}", {"uploadId": upload})
        if not page.ok:
            return page.code
        rows = zip(page.texts("PartNumber"), page.texts("Size"), page.texts("ETag"), strict=True)
        return {int(number): (int(size), etag.strip('"')) for number, size, etag in rows}

    def uploads(self, bucket):
        """The uploads in progress (up to 1,000): id → key."""
        page = self.request("GET", f"/{bucket}", {"uploads": ""})
        assert page.ok, (page.status, page.body)
        rows = page.texts("Upload")
        inner = lambda tag, row: unescape(re.search(rf"<{tag}>(.*?)</{tag}>", row, re.S).group(1))
        return {inner("UploadId", row): inner("Key", row) for row in rows}

    # Buckets and keys.

    def create_bucket(self, bucket):
        return self.request("PUT", f"/{bucket}")

    def delete_bucket(self, bucket):
        return self.request("DELETE", f"/{bucket}")

    def buckets(self):
        return set(self.request("GET", "/").texts("Name"))

    def encrypt_bucket(self, bucket, algorithm):
        rule = f"<ApplyServerSideEncryptionByDefault><SSEAlgorithm>{algorithm}</SSEAlgorithm>"
        body = ("<ServerSideEncryptionConfiguration><Rule>" + rule +
                "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>").encode()
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        return self.request("PUT", f"/{bucket}", {"encryption": ""}, {"content-md5": digest}, body)

    def bucket_encryption(self, bucket):
        return self.request("GET", f"/{bucket}", {"encryption": ""}).text("SSEAlgorithm")

    def kms(self, action, **arguments):
        """A KMS call; the answer's body is JSON."""
        headers = {"x-amz-target": f"TrentService.{action}", "content-type": "application/x-amz-json-1.1"}
        return self.request("POST", "/", headers=headers, body=json.dumps(arguments).encode(), service="kms")

"""Raw OSS requests: an own signer of V1 and V4, in headers and URLs, each value open to be wrong. Written from the
descriptions of the schemes; the SDKs' own signers are what the other tests use."""

import base64
import datetime
import email.utils
import hashlib
import hmac
import json
from urllib.parse import quote, unquote

from faces import REGION
from wire import Request

VARIANTS = ["V1 header", "V4 header", "V1 URL", "V4 URL"]
# What V1 signs of a query, as far as these tests send it.
SIGNED = {
    "acl", "append", "bucketInfo", "cors", "delete", "encryption", "location", "objectMeta", "partNumber", "policy", "position",
    "restore", "security-token", "stat", "symlink", "tagging", "uploadId", "uploads", "versionId",
    "versioning", "versions",
}


def now(**delta):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**delta)


def encode(text, safe="-._~"):
    return quote(text, safe=safe)


class Signer:
    """Signs as the schemes say. `path` of a request is always `/bucket/key`."""

    def __init__(self, gateway, **wrong):
        self.host = gateway.endpoint.split("//")[1]
        self.access_key, self.secret, self.token = gateway.access_key, gateway.secret_key, None
        self.region, self.product, self.terminator = REGION, "oss", "aliyun_v4_request"
        self.now, self.scope_date, self.expires, self.additional = now(), None, 300, ()
        self.__dict__.update(wrong)

    def sign(self, request, variant):
        scheme, place = variant.split()
        request.set("Host", self.host)
        if self.token and place == "header":
            request.set("x-oss-security-token", self.token)
        getattr(self, f"{scheme}_{place}")(request)

    # V1

    def v1(self, request, date):
        headers = sorted((name.lower(), value.strip()) for name, value in request.headers if name.lower().startswith("x-oss-"))
        query = sorted((name, unquote(value or "")) for name, value in request.query if name in SIGNED or name.startswith(("x-oss-", "response-")))
        resource = unquote(request.path)
        if query:
            resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in query)
        text = "\n".join([
            request.method, request.get("Content-MD5") or "", request.get("Content-Type") or "", date,
            "".join(f"{name}:{value}\n" for name, value in headers) + resource,
        ])
        return base64.b64encode(hmac.digest(self.secret.encode(), text.encode(), "sha1")).decode()

    def V1_header(self, request):
        date = email.utils.format_datetime(self.now, usegmt=True)
        request.set("Date", date)
        request.set("Authorization", f"OSS {self.access_key}:{self.v1(request, date)}")

    def V1_URL(self, request):
        expires = str(int(self.now.timestamp()) + self.expires)
        if self.token:
            request.query.append(("security-token", encode(self.token)))
        mark = self.v1(request, expires)
        request.query += [("OSSAccessKeyId", self.access_key), ("Expires", expires), ("Signature", encode(mark))]

    # V4

    @property
    def stamp(self):
        return self.now.strftime("%Y%m%dT%H%M%SZ")

    @property
    def scope(self):
        return f"{self.scope_date or self.stamp[:8]}/{self.region}/{self.product}/{self.terminator}"

    def key(self):
        key = b"aliyun_v4" + self.secret.encode()
        for word in self.scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        return key

    def v4(self, request, payload="UNSIGNED-PAYLOAD"):
        query = sorted((name, value or "") for name, value in request.query if name != "x-oss-signature")
        signed = sorted({name.lower() for name, _ in request.headers
                         if name.lower().startswith("x-oss-") or name.lower() in ("content-type", "content-md5", *self.additional)})
        canonical = "\n".join([
            request.method, encode(unquote(request.path), "/-._~"),
            "&".join(f"{name}={value}" if value else name for name, value in query),
            "".join(f"{name}:{request.get(name).strip()}\n" for name in signed), ";".join(sorted(self.additional)), payload,
        ])
        text = "\n".join(["OSS4-HMAC-SHA256", self.stamp, self.scope, hashlib.sha256(canonical.encode()).hexdigest()])
        return hmac.new(self.key(), text.encode(), "sha256").hexdigest()

    def V4_header(self, request):
        request.set("x-oss-date", self.stamp)
        request.set("x-oss-content-sha256", "UNSIGNED-PAYLOAD")
        additional = f"AdditionalHeaders={';'.join(sorted(self.additional))}," if self.additional else ""
        mark = self.v4(request)
        request.set("Authorization", f"OSS4-HMAC-SHA256 Credential={self.access_key}/{self.scope},{additional}Signature={mark}")

    def V4_URL(self, request):
        request.query += [
            ("x-oss-signature-version", "OSS4-HMAC-SHA256"), ("x-oss-credential", encode(f"{self.access_key}/{self.scope}")),
            ("x-oss-date", self.stamp), ("x-oss-expires", str(self.expires)),
        ]
        if self.additional:
            request.query.append(("x-oss-additional-headers", encode(";".join(sorted(self.additional)))))
        if self.token:
            request.query.append(("x-oss-security-token", encode(self.token)))
        request.query.append(("x-oss-signature", self.v4(request)))

    # Forms

    def form(self, scheme, bucket, key, conditions=(), fields=(), expires=300):
        """The fields of a PostObject form whose policy allows exactly `fields`."""
        fields = dict(fields) | {"key": key}
        if scheme == "V4":
            fields |= {"x-oss-signature-version": "OSS4-HMAC-SHA256", "x-oss-credential": f"{self.access_key}/{self.scope}", "x-oss-date": self.stamp}
        if self.token:
            fields["x-oss-security-token"] = self.token
        allowed = [{"bucket": bucket}, *({name: value} for name, value in fields.items() if name != "key" or "$" not in value), *conditions]
        if "$" in key:
            # What the client's file is called is not known when the policy is signed.
            allowed.append(["starts-with", "$key", key.partition("$")[0]])
        expiration = (self.now + datetime.timedelta(seconds=expires)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        policy = base64.b64encode(json.dumps({"expiration": expiration, "conditions": allowed}).encode()).decode()
        fields["policy"] = policy
        if scheme == "V4":
            fields["x-oss-signature"] = hmac.new(self.key(), policy.encode(), "sha256").hexdigest()
        else:
            fields["OSSAccessKeyId"] = self.access_key
            fields["Signature"] = base64.b64encode(hmac.digest(self.secret.encode(), policy.encode(), "sha1")).decode()
        return fields


def signed(gateway, method, path, body=b"", variant="V4 header", headers=(), query=(), **wrong):
    """A request signed in one of the variants. Values of `query` are percent-encoded, or None for a bare key."""
    request = Request(method, path, [*headers], body, list(query))
    Signer(gateway, **wrong).sign(request, variant)
    request.set("Content-Length", str(len(body)))
    return request


def post(gateway, bucket, fields, body, name="file.bin"):
    """The POST of a form, as a browser sends it."""
    rows = [f'--B\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n' for field, value in fields.items()]
    rows.append(f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n')
    data = "".join(rows).encode() + body + b"\r\n--B--\r\n"
    host = f"{bucket}.oss.test"
    headers = [("Host", host), ("Content-Type", "multipart/form-data; boundary=B"), ("Content-Length", str(len(data)))]
    return Request("POST", "/", headers, data)

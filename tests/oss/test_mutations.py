"""Every route × every OSS signature × everything that can be wrong with it: nothing is accepted, nothing changes."""

import base64
import copy
import hashlib

import pytest
from encryption import SSE
from faces import REGION
from oss_wire import VARIANTS, Signer, now, post, signed
from wire import send

DELETE = b"<Delete><Object><Key>kept</Key></Object></Delete>"
DELETE_MD5 = base64.b64encode(hashlib.md5(DELETE).digest()).decode()
RULE = (b"<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>SM4</SSEAlgorithm>"
        b"</ApplyServerSideEncryptionByDefault></ServerSideEncryptionRule>")
COMPLETE = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>ETAG</ETag></Part></CompleteMultipartUpload>"
COPY = [("x-oss-copy-source", "/BUCKET/kept")]
UPLOAD = ("uploadId", "UPLOAD")
PLAIN = ("Content-Type", "text/plain")

# Method, path, query, headers, body.
ROUTES = [
    ("GET", "/", [], [], b""),
    ("PUT", "/BUCKET-new/", [], [], b""),
    ("DELETE", "/BUCKET/", [], [], b""),
    ("GET", "/BUCKET/", [], [], b""),
    ("GET", "/BUCKET/", [("bucketInfo", None)], [], b""),
    ("GET", "/BUCKET/", [("uploads", None)], [], b""),
    ("PUT", "/BUCKET/", [("acl", None)], [("x-oss-acl", "public-read")], b""),
    ("PUT", "/BUCKET/", [("encryption", None)], [], RULE),
    ("DELETE", "/BUCKET/", [("encryption", None)], [], b""),
    ("POST", "/BUCKET/", [("delete", None)], [("Content-MD5", DELETE_MD5)], DELETE),
    ("GET", "/BUCKET/kept", [], [], b""),
    ("HEAD", "/BUCKET/kept", [], [], b""),
    ("DELETE", "/BUCKET/kept", [], [], b""),
    ("PUT", "/BUCKET/kept", [], [PLAIN, (SSE, "KMS")], b"replaced"),
    ("PUT", "/BUCKET/copy", [], COPY, b""),
    ("PUT", "/BUCKET/link", [("symlink", None)], [("x-oss-symlink-target", "kept")], b""),
    ("PUT", "/BUCKET/kept", [("acl", None)], [("x-oss-object-acl", "public-read")], b""),
    ("POST", "/BUCKET/log", [("append", None), ("position", "3")], [], b"more"),
    ("POST", "/BUCKET/new", [("uploads", None)], [], b""),
    ("PUT", "/BUCKET/upload", [("partNumber", "2"), UPLOAD], [], b"part"),
    ("GET", "/BUCKET/upload", [UPLOAD], [], b""),
    ("POST", "/BUCKET/upload", [UPLOAD], [], COMPLETE),
    ("DELETE", "/BUCKET/upload", [UPLOAD], [], b""),
]


@pytest.fixture
def house(gateway, oss, bucket):
    """A bucket with an object, a log and an upload, and what can be seen of it all."""
    oss.put(bucket, "kept", b"kept", {"x-oss-meta-a": "b"})
    oss.append(bucket, "log", 0, b"log")
    upload = oss.initiate(bucket, "upload").value
    etag = oss.part(bucket, "upload", upload, 1, b"one").value.etag
    oss.put_encryption(bucket, "AES256")

    def state():
        got = oss.get(bucket, "kept")
        return {
            "buckets": oss.buckets(bucket), "objects": oss.list(bucket), "uploads": oss.uploads(bucket), "parts": oss.parts(bucket, "upload", upload),
            "object": (got.body, got.headers["x-oss-meta-a"], got.headers[SSE], got.headers["last-modified"]), "log": oss.get(bucket, "log").body,
            "acl": (oss.acl(bucket), oss.acl(bucket, "kept")), "encryption": oss.encryption(bucket),
        }

    before = state()
    yield {"BUCKET": bucket, "UPLOAD": upload, "ETAG": etag}
    assert state() == before, "nothing has changed"


def filled(route, fill):
    def text(value):
        for name, stands_for in fill.items():
            value = value and value.replace(name, stands_for)
        return value

    method, path, query, headers, body = route
    return method, text(path), [(name, text(value)) for name, value in query], [(name, text(value)) for name, value in headers], text(body.decode()).encode()


def flip(text, at):
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


# Wrong before signing: the signature is right for what was signed. The second word: for which schemes it is wrong. Times are told
# when they are used, however long the tests before take.
SIGNED_WRONG = [
    ("another secret", "V1 V4", {"secret": "made up"}),
    ("an unknown key id", "V1 V4", {"access_key": "nobody"}),
    ("another's key id", "V1 V4", "other"),
    ("an expired credential", "V1 V4", "expired"),
    ("a temporary credential without its token", "V1 V4", "temporary"),
    ("too early", "V1-header V4", lambda: {"now": now(minutes=-20)}),
    ("too late", "V1-header V4", lambda: {"now": now(minutes=20)}),
    ("another day", "V4", {"scope_date": "20200101"}),
    ("another region", "V4", {"region": "cn-beijing"}),
    ("a region with its prefix", "V4", {"region": "oss-" + REGION}),
    ("another product", "V4", {"product": "s3"}),
    ("another terminator", "V4", {"terminator": "aws4_request"}),
    ("a header signed that is not there", "V4", {"additional": ("x-absent",)}),
]


def alterations(request, variant):
    """Wrong after signing: each as (what, request)."""
    scheme, place = variant.split()

    def mutant(what, edit):
        changed = copy.deepcopy(request)
        edit(changed)
        return what, changed

    def header(name, value):
        return lambda changed: changed.set(name, value)

    def more(name, value):
        return lambda changed: changed.headers.append((name, value))

    def attribute(name, value):
        return lambda changed: setattr(changed, name, value)

    marks = {"OSSAccessKeyId", "Expires", "Signature", "x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-expires",
             "x-oss-additional-headers", "x-oss-signature"}
    own = [pair for pair in request.query if pair[0] not in marks]
    auth = [pair for pair in request.query if pair[0] in marks]
    yield mutant("another method", attribute("method", {"GET": "DELETE", "HEAD": "GET", "PUT": "POST", "POST": "PUT", "DELETE": "GET"}[request.method]))
    yield mutant("a longer path", attribute("path", request.path.rstrip("/") + "/x"))
    if request.path.count("/") > 1 and not request.path.endswith("/"):
        yield mutant("another bucket", attribute("path", "/other" + request.path[request.path.index("/", 1) :]))
    yield mutant("a sub-resource more", attribute("query", [("tagging", None), *request.query]))
    yield mutant("an override more", attribute("query", [("response-content-type", "text%2Fhtml"), *request.query]))
    if scheme == "V4":
        yield mutant("an ordinary parameter more", attribute("query", [("prefix", "k"), *request.query]))
    for index, (name, value) in enumerate(own):
        yield mutant(f"{name} changed", attribute("query", [*own[:index], (name, (value or "") + "0"), *own[index + 1 :], *auth]))
        yield mutant(f"{name} removed", attribute("query", own[:index] + own[index + 1 :] + auth))
    yield mutant("an unsigned copy source", more("x-oss-copy-source", "/other/secret"))
    yield mutant("an unsigned ACL", more("x-oss-object-acl", "public-read"))
    yield mutant("unsigned encryption", more("x-oss-server-side-encryption", "KMS"))
    yield mutant("unsigned metadata", more("x-oss-meta-more", "x"))
    yield mutant("a security token", more("x-oss-security-token", "token"))
    yield mutant("a content type", header("Content-Type", "text/other"))
    yield mutant("a checksum", header("Content-MD5", base64.b64encode(hashlib.md5(b"other").digest()).decode()))
    for name, value in request.headers:
        if name.lower().startswith("x-oss-") or name == "Content-Type":
            yield mutant(f"{name} changed", header(name, flip(value, len(value) // 2)))
            yield mutant(f"{name} removed", lambda changed, name=name: changed.drop(name))
            yield mutant(f"{name} twice", more(name, value))
    if place == "URL":
        last, mark = auth[-1]
        for what, value in signatures(mark):
            yield mutant(what, attribute("query", [*request.query[:-1], (last, value)]))
        for name, value in auth:
            yield mutant(f"{name} removed", attribute("query", [pair for pair in request.query if pair[0] != name]))
            yield mutant(f"{name} changed", attribute("query", [(key, flip(old, 1)) if key == name else (key, old) for key, old in request.query]))
            yield mutant(f"{name} twice", attribute("query", [*request.query, (name, value)]))
        yield mutant("two mechanisms", header("Authorization", "OSS a:b"))
        for expires in ("0", "-1", "604801", "301", "9" * 20, "", "1e9"):
            name = "Expires" if scheme == "V1" else "x-oss-expires"
            yield mutant(f"expires: {expires}", attribute("query", [(key, expires if key == name else old) for key, old in request.query]))
        return
    text = request.get("Authorization")
    cut = text.index("Signature=") + 10 if scheme == "V4" else text.index(":") + 1
    for what, value in signatures(text[cut:]):
        yield mutant(what, header("Authorization", text[:cut] + value))
    yield mutant("no authorization", lambda changed: changed.drop("Authorization"))
    yield mutant("authorization twice", more("Authorization", text))
    for scheme_word in ("OSS2", "Bearer", "AWS", "oss", "OSS4-HMAC-SHA1"):
        yield mutant(f"scheme {scheme_word}", header("Authorization", scheme_word + text[text.index(" ") :]))
    yield mutant("two mechanisms", attribute("query", [*request.query, ("Signature", "x"), ("OSSAccessKeyId", "x"), ("Expires", "9999999999")]))
    date = "Date" if scheme == "V1" else "x-oss-date"
    yield mutant("no date", lambda changed: changed.drop(date))
    yield mutant("a date that is none", header(date, "yesterday"))
    yield mutant("two dates", more("x-oss-date", now(minutes=1).strftime("%Y%m%dT%H%M%SZ")))
    if scheme == "V4":
        yield mutant("an additional header that was not signed", header("Authorization", text.replace(",Signature", ",AdditionalHeaders=host,Signature")))
        yield mutant("an unknown field", header("Authorization", text.replace(",Signature", ",Other=x,Signature")))
        yield mutant("a payload hash", header("x-oss-content-sha256", hashlib.sha256(request.body).hexdigest()))


def signatures(mark):
    yield "first digit", flip(mark, 0)
    yield "last but two", flip(mark, len(mark) - 6)
    yield "no signature", ""
    yield "a shorter signature", mark[:-4]
    yield "a longer signature", mark + "AAAA"
    yield "zeros", "0" * len(mark)


def name_of(route):
    return " ".join([route[0], route[1], *(name for name, _ in route[2])])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_nothing_wrong_is_accepted(gateway, house, route, variant):
    method, path, query, headers, body = filled(route, house)
    scheme, place = variant.split()
    count = 0

    def refused(what, request):
        nonlocal count
        count += 1
        answer = send(gateway, request)
        assert 400 <= answer.status < 500, (what, answer.status, answer.body, request.head())

    people = {
        "other": {"access_key": gateway.other_access_key}, "expired": vars_of(gateway.expired),
        "temporary": {"access_key": gateway.temporary.key_id, "secret": gateway.temporary.secret},
    }
    for what, schemes, wrong in SIGNED_WRONG:
        if scheme not in schemes.split() and f"{scheme}-{place}" not in schemes.split():
            continue
        if what == "too early" and place == "URL":
            wrong = {"now": now(minutes=-6)}  # Valid for five minutes.
        wrong = people.get(wrong, wrong) if isinstance(wrong, str) else wrong() if callable(wrong) else wrong
        refused(what, signed(gateway, method, path, body, variant, headers, query, **wrong))
    for what, request in alterations(signed(gateway, method, path, body, variant, headers, query), variant):
        refused(what, request)
    if scheme == "V4":
        good = signed(gateway, method, path, body, variant, headers, query, additional=("host",))
        good.set("Host", "elsewhere.example")
        refused("another host, which was signed", good)
    assert count >= 15


def vars_of(who):
    return {"access_key": who.key_id, "secret": who.secret, "token": who.token}


AUTH_CODES = {"AccessDenied", "InvalidAccessKeyId", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSecurityToken", "InvalidArgument"}


@pytest.mark.parametrize("additional", [(), ("host", "content-length")], ids=["", "additional headers"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_requests_pass_when_nothing_is_wrong(gateway, variant, additional):
    """Without this, a matrix over requests that are never right would prove nothing."""
    fill = {"BUCKET": "no-such-bucket", "UPLOAD": "0" * 32, "ETAG": "e"}
    for route in ROUTES:
        if route[:2] == ("PUT", "/BUCKET-new/"):
            continue
        method, path, query, headers, body = filled(route, fill)
        headers = [*headers, ("Content-Length", str(len(body)))]
        answer = send(gateway, signed(gateway, method, path, body, variant, headers, query, additional=additional))
        assert answer.status in (200, 204, 400, 404) and answer.code not in AUTH_CODES, (route, answer.body)


def form_mutations(form):
    for name in form:
        yield f"{name} removed", {key: value for key, value in form.items() if key != name}
        yield f"{name} changed", form | {name: flip(form[name], len(form[name]) // 2)}
        yield f"{name} empty", form | {name: ""}
    yield "an ACL", form | {"x-oss-object-acl": "public-read"}
    yield "encryption", form | {SSE: "AES256"}
    yield "a token", form | {"x-oss-security-token": "token"}
    yield "the other scheme's id", form | {"x-oss-credential": "a/20260101/cn-hangzhou/oss/aliyun_v4_request", "OSSAccessKeyId": "a"}
    yield "S3's fields", {"key": form["key"], "policy": form["policy"], "AWSAccessKeyId": "a", "signature": "b"}


@pytest.mark.parametrize("scheme", ["V1", "V4"])
def test_no_wrong_form_is_accepted(gateway, house, scheme):
    bucket, count = house["BUCKET"], 0
    form = Signer(gateway).form(scheme, bucket, "kept", fields={"x-oss-meta-a": "bcd", "x-oss-forbid-overwrite": "false"})

    def refused(what, fields, edit=lambda request: None):
        nonlocal count
        count += 1
        request = post(gateway, bucket, fields, b"replaced")
        edit(request)
        answer = send(gateway, request)
        assert 400 <= answer.status < 500, (what, answer.status, answer.headers, fields)

    for what, schemes, wrong in SIGNED_WRONG:
        wrong = wrong() if callable(wrong) else wrong
        if isinstance(wrong, str) or scheme not in schemes.split() and f"{scheme}-header" not in schemes.split() or "additional" in wrong:
            continue
        if "now" in wrong and scheme == "V1" and what == "too late":
            continue  # A V1 policy has no date but the one when it expires.
        refused(what, Signer(gateway, **wrong).form(scheme, bucket, "kept"))
    for what, fields in form_mutations(form):
        refused(what, fields)
    refused("another bucket", form, lambda request: request.set("Host", "elsewhere.oss.test"))
    refused("an OSS header of its own", form, lambda request: request.headers.append(("x-oss-object-acl", "public-read")))
    assert count >= 15

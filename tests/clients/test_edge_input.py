"""Names, paths, HTTP and parsers, row by row of threats.toml, B: what is odd is kept as it is or refused, with S3's code."""

import os
import re
import socket
import ssl
import time
import unicodedata
import urllib.parse
import xml.etree.ElementTree as ET

import pytest
from botocore.exceptions import ClientError
from conftest import ROOT, UPSTREAM
from wire import EMPTY_HASH, UNSIGNED, Request, Signer, get, put, receive, send, signed


def encoded(key):
    data = key if isinstance(key, bytes) else key.encode()
    return urllib.parse.quote_from_bytes(data, safe="/-._~")


def outcome(gateway, request):
    answer = send(gateway, request)
    return answer.status, answer.code


def memory(gateway):
    """The resident memory of the process, in bytes."""
    text = open(f"/proc/{gateway.process.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


def files(directory, without=None):
    """The paths of all files below a directory, but for those below another."""
    found = {os.path.join(root, name) for root, _, names in os.walk(directory) for name in names}
    return {path for path in found if without is None or not path.startswith(f"{without}/")}


ODD_KEYS = [
    "..", ".", "../x", "a/../b", "a/./b", "a//b", "//a", "/a", "a/", "a\\b", "..\\..\\x", "%2e%2e%2f", "%252e", "%00",
    "a b", "a+b", "a?b", "a#b", "a;b=c", "a&b", "~", "\u202e", "\x7f", "a\nb", "a\rb", "a\tb", "../../../../tmp/sealgate",
]


def test_b1_odd_keys_are_kept_as_they_are(gateway, s3, bucket):
    outside = files(gateway.directory, without=gateway.data)
    for key in ODD_KEYS:
        body = key.encode() + b"!"
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body, key
        s3.copy_object(Bucket=bucket, Key=key + ".copy", CopySource={"Bucket": bucket, "Key": key})
        assert s3.get_object(Bucket=bucket, Key=key + ".copy")["Body"].read() == body, key
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=key, EncodingType="url")["Contents"]
        assert key in [urllib.parse.unquote_plus(row["Key"]) for row in listed]
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert {row["Key"] for row in listed} == {key + end for key in ODD_KEYS for end in ("", ".copy")}
    assert files(gateway.directory, without=gateway.data) == outside, "nothing is written beside the data directory"
    names = "\n".join(files(gateway.data)) + "\n".join(os.listdir("/tmp"))
    assert ".copy" not in names and "sealgate.copy" not in names, "no file is named after a key"


def test_b1_a_nul_and_what_is_not_utf8(gateway, s3, bucket):
    for path, statuses in (("a%00b", (501,) if UPSTREAM else (200, 400)), ("%ff", (400,)), ("%c3%28", (400,)), ("%ed%a0%80", (400,)), ("a%zz", (200, 400))):
        request, _, _ = put(gateway, bucket, path, b"x")
        # The signer signs the path as it is written; only what is canonical already can be right.
        status, code = outcome(gateway, request)
        # Ceph refuses a NUL, and so does a gateway over it.
        assert status in (*statuses, 403), (path, status, code)
    raw, _, _ = signed(gateway, "PUT", f"/{bucket}/%FF%FE", b"x")
    assert outcome(gateway, raw)[0] == 400, "a key must be UTF-8"


def test_b3_copy_sources(gateway, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k %41", Body=b"source")
    other = gateway.client(other=True)
    theirs = "o-" + bucket[2:]
    other.create_bucket(Bucket=theirs)
    s3_root_denied = gateway.client(other=True)
    other.put_object(Bucket=theirs, Key="k", Body=b"theirs")

    def copied(source, client_is_other=False, target=bucket):
        wrong = {"access_key": gateway.other_access_key, "secret": gateway.other_secret_key} if client_is_other else {}
        request, _, _ = signed(gateway, "PUT", f"/{target}/copy", b"", headers=[("x-amz-copy-source", source)], **wrong)
        return outcome(gateway, request)

    assert copied(f"/{bucket}/k%20%2541") == (200, None)
    assert copied(f"{bucket}/k%20%2541?versionId=null") == (200, None)
    assert s3_root_denied.get_object(Bucket=theirs, Key="k")["Body"].read() == b"theirs"
    for source in ("", "/", bucket, f"/{bucket}", f"/{bucket}/", "//k", "/../k", "\u00ff", f"{bucket}/%zz%", f"{bucket}/%ff",
                   f"/{bucket}/k%20%2541?versionId=", f"/{bucket}/k%20%2541?versionId=x", f"/{bucket}/k%20%2541?versionId=../x",
                   f"/{bucket}/k%20%2541%3FversionId%3Dnull", f"/{bucket}/k%20A", "arn:aws:s3:::x", "x" * 4000, f"/{bucket}/" + "k" * 1025):
        status, code = copied(source)
        assert status in (400, 403, 404), (source, status, code)
    mine = "m-" + bucket[2:]
    other.create_bucket(Bucket=mine)
    assert copied(f"/{bucket}/k%20%2541", client_is_other=True, target=mine)[0] == 403, "another's object"
    assert "Contents" not in other.list_objects_v2(Bucket=mine)


def test_b4_keys_are_counted_in_bytes(gateway, s3, bucket):
    for key, fits in (("k" * 1024, True), ("k" * 1025, False), ("ä" * 512, True), ("ä" * 512 + "x", False), ("€" * 342, False)):
        request, _, _ = put(gateway, bucket, encoded(key), b"x")
        assert outcome(gateway, request) == ((200, None) if fits else (400, "KeyTooLongError")), len(key)
    assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2


def test_b5_names_that_look_alike_are_distinct(gateway, s3, bucket):
    composed = "é"
    keys = [composed, unicodedata.normalize("NFD", composed), "A", "a", "a\u200b", "\u0430", "a ", " a", "ａ"]
    for index, key in enumerate(keys):
        s3.put_object(Bucket=bucket, Key=key, Body=str(index).encode())
    for index, key in enumerate(keys):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == str(index).encode()
    listed = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(keys, key=str.encode)


def test_b5_every_character_survives_a_listing(gateway, s3, bucket):
    keys = [f"c{chr(code)}d" for code in (*range(1, 0x80), 0x85, 0xA0, 0x2028, 0xFFFD, 0x10FFFF)]
    for key in keys:
        request, _, _ = put(gateway, bucket, encoded(key), b"")
        assert outcome(gateway, request) == (200, None), key
    listed, token = [], {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, EncodingType="url", MaxKeys=50, **token)
        listed += [urllib.parse.unquote_plus(row["Key"]) for row in page["Contents"]]
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert listed == sorted(keys, key=str.encode)
    answer = send(gateway, get(gateway, f"/{bucket}"))
    # XML 1.0 has no place for these, not even as references; everything else parses.
    parsable = re.sub(rb"&#x(?:[0-8bcef]|1[0-9a-f]);", b"?", answer.body)
    names = [row.text for row in ET.fromstring(parsable).findall(".//{*}Key")]
    assert len(names) == len(keys) and "c<d" in names and "c&d" in names and 'c"d' in names


def test_b6_no_line_break_gets_into_an_answer(gateway, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    for name in ("response-content-type", "response-content-disposition", "response-cache-control", "response-expires",
                 "response-content-language", "response-content-encoding"):
        for value in ("a%0D%0AX-Sneaked%3A%20b", "a%0AX-Sneaked%3A%20b", "a%0DX-Sneaked%3A%20b", "a%00b"):
            answer = send(gateway, get(gateway, f"/{bucket}/k", [(name, value)]))
            assert answer.status == 400 and "x-sneaked" not in answer.headers, (name, value)
    for value in (b"a\rX-Sneaked: b", b"a\nX-Sneaked: b", b"a\x00b"):
        request, _, _ = put(gateway, bucket, "m", b"x", headers=[("x-amz-meta-a", value.decode())])
        assert send(gateway, request).status in (400, 403)
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="m")


def test_b7_sizes_of_heads(gateway, s3, bucket):
    def sent(**options):
        request, _, _ = put(gateway, bucket, "k", b"x", **options)
        return outcome(gateway, request)

    assert sent(headers=[("x-amz-meta-a", "v" * 2047)]) == (200, None)
    assert sent(headers=[("x-amz-meta-a", "v" * 2048)]) == (400, "MetadataTooLarge")
    assert sent(headers=[(f"x-amz-meta-{n}", "v" * 1000) for n in range(3)]) == (400, "MetadataTooLarge")
    many = [(f"x-many-{n}", "v") for n in range(200)]
    assert sent(headers=many)[0] == 431
    assert sent(headers=[("x-long", "v" * 70_000)])[0] == 431
    assert sent(headers=[("x-long", "v" * 300_000)])[0] in (400, 431)
    for length, statuses in ((70_000, (414,)), (400_000, (400, 414))):
        long = Request("GET", f"/{bucket}/" + "k" * length, [("Host", gateway.endpoint[7:])])
        assert send(gateway, long).status in statuses
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="k" * 1000)


@pytest.fixture
def impatient(own_gateway):
    """A gateway that waits a second where others wait a minute."""
    gateway = own_gateway('header_read_timeout = "1s"\nbody_idle_timeout = "1s"\nbody_min_rate = 10000', log_level="info")
    gateway.client().create_bucket(Bucket="bucket")
    return gateway


def drip(connection, data):
    """A byte now and then, until the other end hangs up; the seconds that it took."""
    begun = time.monotonic()
    connection.settimeout(0.05)
    try:
        for byte in data:
            connection.sendall(bytes([byte]))
            try:
                if not connection.recv(4096):
                    break
            except TimeoutError:
                continue
            break
    except OSError:
        pass
    return time.monotonic() - begun


def test_b10_slow_heads_and_bodies_are_cut(impatient):
    with socket.create_connection(impatient.address, 20) as connection:
        assert 0.5 < drip(connection, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1000) < 15
    for variant in ("unsigned", "chunked", "unsigned-trailer"):
        request, _, _ = put(impatient, "bucket", "k", b"x" * 5000, variant)
        with socket.create_connection(impatient.address, 20) as connection:
            connection.sendall(request.head())
            assert 0.5 < drip(connection, request.body) < 15, variant
    form = Request("POST", "/bucket", [("Host", impatient.endpoint[7:]), ("Content-Length", "9000"),
                                       ("Content-Type", "multipart/form-data; boundary=b")])
    with socket.create_connection(impatient.address, 20) as connection:
        connection.sendall(form.head())
        assert 0.5 < drip(connection, b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n' + b"k" * 5000) < 15
    assert impatient.metric("sealgate_http_refused_total") >= 5
    s3 = impatient.client()
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket")
    # A reader that does not read.
    s3.put_object(Bucket="bucket", Key="large", Body=bytes(64 << 20))
    with socket.create_connection(impatient.address, 20) as connection:
        connection.sendall(get(impatient, "/bucket/large").bytes())
        deadline = time.monotonic() + 30
        while impatient.metric("sealgate_http_refused_total{reason=\"response stalled\"}") < 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def post_xml(gateway, path, query, document):
    request, _, _ = signed(gateway, "POST", path, document, query=query)
    begun = time.monotonic()
    answer = send(gateway, request)
    return answer.status, answer.code, time.monotonic() - begun


def test_b11_hostile_xml(own_gateway):
    gateway = own_gateway(log_level="info")
    s3 = gateway.client()
    bucket = "bucket"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    bomb = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 9))
    secret = gateway.directory / "secret.txt"
    secret.write_text("kept")
    item = b"<Object><Key>x</Key></Object>"
    documents = {
        "entity bomb": b'<!DOCTYPE a [<!ENTITY e0 "kept">' + bomb + b"]><Delete><Object><Key>&e8;</Key></Object></Delete>",
        "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file://%s">]><Delete><Object><Key>&x;</Key></Object></Delete>'
                           % str(secret).encode(),
        "own entity": b'<!DOCTYPE a [<!ENTITY x "kept">]><Delete><Object><Key>&x;</Key></Object></Delete>',
        "depth": b"<Delete>" + b"<a>" * 1_000_000,
        "depth, closed": b"<Delete>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</Delete>",
        "too many": b"<Delete>" + item * 1001 + b"</Delete>",
        "none": b"<Delete></Delete>",
        "empty": b"",
        "not XML": b"\x00\x01\x02",
        "cut": b"<Delete><Object><Key>kept</Key></Object>",
        "another document": b"<CompleteMultipartUpload/>",
        "two documents": b"<Delete><Object><Key>kept</Key></Object></Delete><Delete/>",
        "too large": b"<Delete>" + b" " * (4 << 20) + b"</Delete>",
        "no key": b"<Delete><Object></Object></Delete>",
        "two keys": b"<Delete><Object><Key>a</Key><Key>kept</Key></Object></Delete>",
        "UTF-16": "<Delete><Object><Key>kept</Key></Object></Delete>".encode("utf-16"),
    }
    post_xml(gateway, f"/{bucket}", [("delete", "")], b"<Delete><Object><Key>warm</Key></Object></Delete>")
    before = memory(gateway)
    for what, document in documents.items():
        status, code, took = post_xml(gateway, f"/{bucket}", [("delete", "")], document)
        assert status == 400 and code in ("MalformedXML", "MaxMessageLengthExceeded", "MissingRequestBodyError"), (what, status, code)
        assert took < 2, (what, took)
    # The allocator takes memory in blocks of 32 MiB.
    assert memory(gateway) < before + (64 << 20), "a document costs its own length, a few times at most"
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"kept"


def test_b11_completions_that_name_wrong_parts(gateway, s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = lambda number: s3.upload_part(Bucket=bucket, Key="k", PartNumber=number, UploadId=upload, Body=bytes([number]) * (5 << 20))["ETag"]
    one, two = part(1), part(2)

    def complete(*parts):
        rows = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts)
        status, code, _ = post_xml(gateway, f"/{bucket}/k", [("uploadId", upload)],
                                   f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode())
        return status, code

    assert complete((2, two), (1, one)) == (400, "InvalidPartOrder")
    assert complete((1, one), (1, one)) == (400, "InvalidPartOrder")
    assert complete((1, one), (3, two)) == (400, "InvalidPart")
    assert complete((1, two)) == (400, "InvalidPart")
    assert complete()[0] == 400
    for number in ("0", "10001", "-1", "x", "1.5", "99999999999"):
        assert complete((number, one))[0] == 400, number
    assert complete(*[(number, one) for number in range(1, 10_002)])[0] == 400
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert complete((1, one), (2, two)) == (200, None)


def test_b12_numbers_beyond_all_bounds(gateway, s3, bucket):
    for n in range(3):
        s3.put_object(Bucket=bucket, Key=f"k{n}", Body=b"0123456789")

    def listed(**query):
        return send(gateway, get(gateway, f"/{bucket}", sorted(query_of(query))))

    def query_of(query):
        return [(name.replace("_", "-"), urllib.parse.quote(str(value), safe="-_.~")) for name, value in query.items()]

    for value in (2**31, 2**31 - 1, 10**6):
        answer = listed(list_type="2", max_keys=value)
        assert answer.status in (200, 400), value
        if answer.status == 200:
            assert b"<MaxKeys>1000</MaxKeys>" in answer.body
    for value in (-1, "x", 2**64, "1e3", "0x10", " 1"):
        assert listed(list_type="2", max_keys=value).status == 400, value
        assert listed(max_keys=value).status == 400, value
        assert send(gateway, get(gateway, f"/{bucket}", sorted([("uploads", ""), *query_of({"max_uploads": value})]))).status == 400
    assert b"<KeyCount>0</KeyCount>" in listed(list_type="2", max_keys=0).body
    for token in ("junk", "%ff", "../..", "A" * 3000, "=", "\u0000"):
        assert listed(list_type="2", continuation_token=token).status in (200, 400), token
        assert listed(marker=token).status in (200, 400)
        assert listed(list_type="2", start_after=token).status in (200, 400)

    def ranged(value):
        request = Request("GET", f"/{bucket}/k0", [("Range", value)])
        Signer(gateway).sign(request, EMPTY_HASH)
        answer = send(gateway, request)
        return answer.status, answer.body if answer.status in (200, 206) else answer.code

    whole, beyond = (200, b"0123456789"), (416, "InvalidRange")
    for value, expected in (
        ("bytes=0-0", (206, b"0")), ("bytes=-1", (206, b"9")), ("bytes=-18446744073709551616", (206, b"0123456789")),
        ("bytes=5-18446744073709551615", (206, b"56789")), ("bytes=18446744073709551615-", beyond),
        ("bytes=18446744073709551616-", beyond), ("bytes=10-", beyond), ("bytes=-0", beyond), ("bytes=5-4", whole),
        ("bytes=", whole), ("bytes=-", whole), ("bytes=a-b", whole), ("lines=0-1", whole), ("bytes=0-1,3-4", whole),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(1000)), whole),
    ):
        assert ranged(value) == expected, value[:40]


def test_b13_there_is_no_http_2(own_gateway, tmp_path):
    fixtures = ROOT / "fixtures" / "tls"
    key = tmp_path / "localhost.key"
    key.write_bytes((fixtures / "localhost.key").read_bytes())
    key.chmod(0o600)
    settings = f'tls_cert = "{fixtures / "localhost.pem"}"\ntls_key = "{key}"'
    gateway = own_gateway(settings, log_level="info")
    context = ssl.create_default_context(cafile=str(fixtures / "ca.pem"))
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(socket.create_connection(gateway.address, 20)) as connection:
        assert connection.selected_alpn_protocol() in (None, "http/1.1")
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        answer = connection.recv(4096)
        assert not answer or answer.startswith(b"HTTP/1.1 4"), answer
    only = ssl.create_default_context(cafile=str(fixtures / "ca.pem"))
    only.check_hostname = False
    only.set_alpn_protocols(["h2"])
    try:
        with only.wrap_socket(socket.create_connection(gateway.address, 20)) as connection:
            assert connection.selected_alpn_protocol() is None
    except ssl.SSLError:
        pass


def test_b13_an_upgrade_is_not_taken(gateway):
    for extra in ("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
                  "Upgrade: websocket\r\nConnection: Upgrade\r\n"):
        head = f"GET / HTTP/1.1\r\nHost: {gateway.endpoint[7:]}\r\n{extra}\r\n".encode()
        assert send(gateway, head).status == 403
    with socket.create_connection(gateway.address, 20) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        assert 400 <= receive(connection).status < 600

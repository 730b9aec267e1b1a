"""nginx as a CDN's edge, run from deploy/nginx-cdn.conf, before a gateway whose objects are encrypted."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import boto3
import oss2
import pytest
from conftest import Gateway, clients
from crc import crc64
from encryption import DATA, KEY, SSE
from faces import CACHE, REGION, Oss2, Refused, Who

DEPLOY = clients.ROOT / "deploy"
UNPACKED = CACHE / "nginx"
SLICE = 1 << 20
PRIVATE, PUBLIC = "media.example.com", "assets.example.com"


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Edge:
    def __init__(self, gateway, directory, who):
        self.directory, self.port = directory, free_port()
        text = (DEPLOY / "nginx-cdn.conf").read_text()
        for what, by in [
            ("modules/ngx_http_js_module.so", str(UNPACKED / "usr/lib/nginx/modules/ngx_http_js_module.so")),
            ("user www-data;", "user root;"), ("worker_processes auto;", "worker_processes 1; daemon off;"),
            ("listen 80;", f"listen 127.0.0.1:{self.port};"), ("127.0.0.1:9000", "%s:%d" % gateway.address),
            ("/etc/nginx", str(directory)), ("/run/", f"{directory}/"), ("/var/cache/nginx", str(directory)), ("/var/log/nginx", str(directory)),
            # What the package would make below /var/lib.
            ("\nhttp {\n", "\nhttp {\n" + "".join(f"    {kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi"))),
        ]:
            assert what in text, what
            text = text.replace(what, by)
        (directory / "nginx.conf").write_text(text)
        shutil.copy(DEPLOY / "nginx-cdn.js", directory)
        lines = [f'set $access_key_id "{who.key_id}";', f'set $access_key_secret "{who.secret}";']
        (directory / "sealgate-cdn.credential").write_text("\n".join(lines + ([f'set $security_token "{who.token}";'] if who.token else [])) + "\n")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [str(UNPACKED / "usr/sbin/nginx"), "-p", str(self.directory), "-c", "nginx.conf", "-e", str(self.directory / "error.log")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            assert self.process.poll() is None and time.monotonic() < deadline, (self.directory / "error.log").read_text()
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def __call__(self, host, path, method="GET", headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, {"Host": host, **(headers or {})})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, data


CDN = Who("AKCDN", "only-for-tests-of-the-cdn")
USER = f'[[users]]\nname = "cdn"\naccess_key_id = "{CDN.key_id}"\nsecret_access_key = "{CDN.secret}"\n'


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A gateway with a private and a public bucket, and the edge before it with a user that may only read objects."""
    gateway = Gateway(tmp_path_factory.mktemp("origin"), USER).start()
    edge = None
    try:
        oss = Oss2(gateway, "V4", gateway.root)
        oss.make_bucket("media")
        oss.make_bucket("assets", "public-read")
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*",
                     "Principal": {"AWS": "arn:aws:iam::000000000000:user/cdn"}}
        gateway.client().put_bucket_policy(Bucket="media", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        edge = Edge(gateway, tmp_path_factory.mktemp("edge"), CDN).start()
        yield gateway, oss, edge
    finally:
        if edge:
            edge.stop()
        gateway.stop()


@pytest.mark.parametrize("host, bucket", [(PRIVATE, "media"), (PUBLIC, "assets")])
def test_objects_are_served_in_plaintext_and_then_from_the_cache(world, host, bucket):
    _, oss, edge = world
    for size in (0, 5, SLICE, 3 * SLICE + 77):
        body, key = os.urandom(size), f"whole-{size}"
        oss.put(bucket, key, body, {SSE: "AES256", "Cache-Control": "max-age=600", "Content-Type": "text/x"})
        etag = oss.head(bucket, key).headers["etag"]
        for cached in ("MISS", "HIT"):
            status, headers, data = edge(host, f"/{key}")
            assert (status, data) == (200, body), headers
            assert headers["x-cache"] == cached
            assert (headers[SSE], headers["etag"], headers["content-length"]) == ("AES256", etag, str(size))
            assert (headers["content-type"], headers["cache-control"]) == ("text/x", "max-age=600")
            assert headers["x-oss-hash-crc64ecma"] == crc64(body)


def test_odd_keys_reach_the_object_they_name(world):
    _, oss, edge = world
    for key in ("a b+c", "dir//x", "é/中", "100%25", "q?x", "./dots/../k"):
        oss.put("media", key, key.encode())
        status, _, data = edge(PRIVATE, "/" + oss2.compat.urlquote(key, "/"))
        assert (status, data) == (200, key.encode()), key
    assert edge(PRIVATE, "/%ff%fe")[0] in (400, 403)


@pytest.mark.parametrize("host, bucket", [(PRIVATE, "media"), (PUBLIC, "assets")])
def test_ranges_are_cut_from_slices(world, host, bucket):
    _, oss, edge = world
    body = os.urandom(2 * SLICE + 1000)
    oss.put(bucket, "ranges", body, {SSE: "AES256"})
    for text, first, end in (("0-0", 0, 1), (f"{SLICE - 5}-{SLICE + 4}", SLICE - 5, SLICE + 5), (f"{2 * SLICE}-", 2 * SLICE, len(body)),
                             ("-7", len(body) - 7, len(body)), (f"{2 * SLICE + 990}-{9 * SLICE}", 2 * SLICE + 990, len(body))):
        status, headers, data = edge(host, "/ranges", headers={"Range": "bytes=" + text})
        assert (status, data) == (206, body[first:end]), text
        assert headers["content-range"] == f"bytes {first}-{end - 1}/{len(body)}"
    assert edge(host, "/ranges", headers={"Range": f"bytes={9 * SLICE}-"})[0] == 416
    status, headers, _ = edge(host, "/ranges", headers={"Range": "bytes=3-9"})
    assert (status, headers["x-cache"]) == (206, "HIT")


def test_conditions_are_answered_and_kept_copies_revalidated(world):
    gateway, oss, edge = world
    body = os.urandom(SLICE + 5)
    oss.put("media", "fresh", body, {"Cache-Control": "max-age=600"})
    _, headers, _ = edge(PRIVATE, "/fresh")
    etag, when = headers["etag"], headers["last-modified"]
    for asked in ({"If-None-Match": etag}, {"If-Modified-Since": when}):
        status, headers, data = edge(PRIVATE, "/fresh", headers=asked)
        assert (status, data, headers["etag"]) == (304, b"", etag), asked
    for asked in ({"If-None-Match": '"other"'}, {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"}):
        assert edge(PRIVATE, "/fresh", headers=asked)[::2] == (200, body), asked
    # What must be asked for each time is asked for by its ETag, and not sent again.
    oss.put("media", "asked", b"first", {"Cache-Control": "max-age=1"})
    assert edge(PRIVATE, "/asked")[1]["x-cache"] == "MISS"
    deadline = time.monotonic() + 20
    while (answer := edge(PRIVATE, "/asked"))[1]["x-cache"] == "HIT":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (answer[0], answer[1]["x-cache"], answer[2]) == (200, "REVALIDATED", b"first")
    oss.put("media", "asked", b"second", {"Cache-Control": "max-age=1"})
    while (answer := edge(PRIVATE, "/asked"))[2] == b"first":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answer[2] == b"second" and answer[1]["x-cache"] == "EXPIRED"


def test_head_costs_no_body(world):
    _, oss, edge = world
    oss.put("media", "head", b"12345")
    status, headers, data = edge(PRIVATE, "/head", "HEAD")
    assert (status, headers["content-length"], data) == (200, "5", b"")


def test_objects_under_cmks_are_served_where_the_reader_may_use_the_key(world):
    gateway, oss, edge = world
    readers = boto3.client("kms", endpoint_url=gateway.endpoint, region_name=REGION, aws_access_key_id=CDN.key_id,
                           aws_secret_access_key=CDN.secret)
    own, other = (client.create_key()["KeyMetadata"]["KeyId"] for client in (readers, gateway.client("kms")))
    for name, mode in (("service", {SSE: "KMS"}), ("own", {SSE: "KMS", KEY: own}), ("sm4", {SSE: "KMS", DATA: "SM4"})):
        oss.put("media", "kms " + name, b"body", mode)
        status, headers, data = edge(PRIVATE, "/kms%20" + name)
        assert (status, data) == (200, b"body"), name
        assert {header: headers.get(header) for header in mode} == mode
    oss.put("media", "kms other", b"body", {SSE: "KMS", KEY: other})
    status, _, data = edge(PRIVATE, "/kms%20other")
    assert status == 403 and b"This request is forbidden by kms." in data
    oss.put("assets", "kms", b"body", {SSE: "KMS"})
    assert edge(PUBLIC, "/kms")[0] == 403, "nobody anonymous uses a master key"


def test_the_edge_reads_objects_and_does_nothing_else(world):
    gateway, oss, edge = world
    oss.put("media", "kept", b"kept")
    for host in (PRIVATE, PUBLIC):
        for method, path in (("PUT", "/kept"), ("DELETE", "/kept"), ("POST", "/kept?append&position=4"), ("POST", "/?delete")):
            assert edge(host, path, method, body=b"x")[0] in (403, 405), (host, method, path)
    assert edge(PRIVATE, "/")[0] == 403, "no listing"
    assert b"<ListBucketResult" not in edge(PRIVATE, "/?list-type=2")[2]
    assert edge(PRIVATE, "/kept?acl")[2] == b"kept", "no query reaches the origin"
    assert edge("nobody.example.com", "/kept")[0] == 404
    status, headers, data = edge(PRIVATE, "/kept-not")
    assert status in (403, 404) and b"<Code>" in data
    # A client's own head does not get through either.
    assert edge(PRIVATE, "/kept", headers={"x-oss-process": "x", "Authorization": "OSS a:b", "x-oss-security-token": "t"})[2] == b"kept"
    # It is the credential that cannot, and not only nginx that will not.
    cdn = Oss2(gateway, "V1", CDN)
    assert cdn.get("media", "kept").body == b"kept"
    for attempt in (
        lambda: cdn.put("media", "kept", b"x"), lambda: cdn.delete("media", "kept"), lambda: cdn.list("media"), lambda: cdn.list2("media"),
        lambda: cdn.append("media", "new", 0, b"x"), lambda: cdn.initiate("media", "new"), lambda: cdn.copy("media", "new", "media", "kept"),
        lambda: cdn.put_acl("media", None, "public-read"), lambda: cdn.encryption("media"), lambda: cdn.delete_many("media", ["kept"]),
        lambda: cdn.uploads("media"), lambda: cdn.acl("media", "kept"),
    ):
        with pytest.raises(Refused) as refused:
            attempt()
        assert (refused.value.status, refused.value.code) == (403, "AccessDenied")
    assert oss.get("media", "kept").body == b"kept"


def test_a_wrong_credential_serves_nothing(world, tmp_path):
    gateway, oss, _ = world
    oss.put("media", "kept", b"kept")
    edge = Edge(gateway, tmp_path, Who("AKCDN", "wrong")).start()
    try:
        status, _, data = edge(PRIVATE, "/kept")
        assert status == 403 and b"SignatureDoesNotMatch" in data
    finally:
        edge.stop()


def test_a_temporary_credential_signs_too(world, tmp_path):
    gateway, oss, _ = world
    oss.put("media", "kept", b"kept")
    arn = "arn:aws:iam::000000000000:user/"
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*", "Principal": {"AWS": [arn + "cdn", arn + "temporary"]}}
    gateway.client().put_bucket_policy(Bucket="media", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    edge = Edge(gateway, tmp_path, gateway.temporary).start()
    try:
        assert edge(PRIVATE, "/kept")[::2] == (200, b"kept")
    finally:
        edge.stop()

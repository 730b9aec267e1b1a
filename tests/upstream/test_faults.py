"""What networks and upstreams do on a bad day: retried where that is safe, never acknowledged what is not there, never served
what does not verify, and an answer instead of a hang."""

import random
import signal
import threading
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError

MIB = 1 << 20
CUT = (ClientError, ConnectionClosedError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


def body(length, seed=1):
    return random.Random(seed).randbytes(length)


@pytest.fixture
def rig(place, proxy):
    """A gateway behind the proxy, and a bucket."""
    settings = 'upstream_answer_timeout = "3s"\nupstream_idle_timeout = "3s"\n'
    gateway = place.gateway(f"http://127.0.0.1:{proxy.port}", settings)
    # A URL is signed with SigV2 unless boto3 is told otherwise.
    s3 = gateway.client(read_timeout=40, signature_version="s3v4")
    s3.create_bucket(Bucket="bucket")
    return gateway, s3


def unavailable(call):
    with pytest.raises(ClientError) as refused:
        call()
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503, answer
    assert "retry-after" in answer["ResponseMetadata"]["HTTPHeaders"]


OBJECT = "bucket/a"


@pytest.mark.parametrize("fault, details", [
    ("reset", {}), ("lost", {}), ("status", {"status": 500}), ("status", {"status": 503, "code": "SlowDown"}),
    ("short", {"after": 100}),
])
def test_reads_go_on_after_two_failures(rig, proxy, fault, details):
    _, s3 = rig
    content = body(700_000)
    s3.put_object(Bucket="bucket", Key="a", Body=content)
    rule = proxy.add(f"^GET /[^ ]*{OBJECT}", fault, times=2, **details)
    assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() == content
    assert s3.get_object(Bucket="bucket", Key="a", Range="bytes=65000-400000")["Body"].read() == content[65000:400001]
    assert rule.met == 2
    proxy.clear()
    rule = proxy.add(f"^(GET|HEAD) /[^ ]*{OBJECT}", fault, times=2, **details)
    assert s3.head_object(Bucket="bucket", Key="a")["ContentLength"] == 700_000
    assert rule.met == 2
    proxy.clear()
    rule = proxy.add("^GET /[^ ]*list-type", fault, times=2, **details)
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 1
    assert rule.met == 2


def test_a_body_that_breaks_off_in_the_middle_is_gone_on_with(rig, proxy):
    _, s3 = rig
    content = body(3 * MIB)
    s3.put_object(Bucket="bucket", Key="a", Body=content)
    s3.get_object(Bucket="bucket", Key="a")["Body"].read()
    rule = proxy.add(f"^GET /[^ ]*{OBJECT}", "short", times=2, after=MIB)
    assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() == content
    assert rule.met == 2


@pytest.mark.parametrize("fault, details", [
    ("reset", {}), ("status", {"status": 500}), ("status", {"status": 503, "code": "SlowDown"}), ("short", {"after": 10}),
])
def test_an_upstream_that_stays_bad_is_a_503_and_never_a_hang(rig, proxy, fault, details):
    gateway, s3 = rig
    s3.put_object(Bucket="bucket", Key="a", Body=body(400_000))
    proxy.add(f"/[^ ]*{OBJECT}", fault, **details)
    begun = time.monotonic()
    for call in (
        lambda: s3.get_object(Bucket="bucket", Key="a"),
        lambda: s3.put_object(Bucket="bucket", Key="a", Body=b"new"),
        lambda: s3.put_object(Bucket="bucket", Key="a", Body=body(MIB, 2)),
    ):
        if fault == "short" and call.__code__.co_names[0] != "get_object":
            continue
        unavailable(call)
    if fault != "short":
        unavailable(lambda: s3.delete_object(Bucket="bucket", Key="a"))
    assert time.monotonic() - begun < 60
    proxy.clear()
    assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() == body(400_000)


@pytest.mark.parametrize("length", [1000, 2 * MIB])
def test_a_write_whose_answer_was_lost_is_acknowledged_only_if_it_is_there(rig, proxy, length):
    _, s3 = rig
    rule = proxy.add(f"^PUT /[^ ]*{OBJECT}", "lost", times=1)
    s3.put_object(Bucket="bucket", Key="a", Body=body(length))
    assert rule.met == 1
    assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() == body(length)
    # Of a conditional one, too: it is our own object that the condition meets at the second look.
    proxy.clear()
    rule = proxy.add("^PUT /[^ ]*bucket/once", "lost", times=1)
    s3.put_object(Bucket="bucket", Key="once", Body=body(length), IfNoneMatch="*")
    assert rule.met == 1
    with pytest.raises(ClientError):
        s3.put_object(Bucket="bucket", Key="once", Body=b"", IfNoneMatch="*")


@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_a_write_that_breaks_off_changes_nothing(rig, proxy, fault):
    _, s3 = rig
    s3.put_object(Bucket="bucket", Key="a", Body=b"old")
    rule = proxy.add(f"^PUT /[^ ]*{OBJECT}", fault, after=MIB)
    unavailable(lambda: s3.put_object(Bucket="bucket", Key="a", Body=body(3 * MIB)))
    assert rule.met >= 1
    proxy.clear()
    assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() == b"old"


def begun(proxy, name):
    """Waits until a write has gone upstream, as far as it has come."""
    deadline = time.monotonic() + 20
    while not any(line.startswith("PUT") and name in line for line in proxy.seen):
        assert time.monotonic() < deadline, "nothing went upstream before the end"
        time.sleep(0.01)


def test_a_client_that_goes_away_leaves_nothing(rig, place, proxy):
    gateway, s3 = rig
    import http.client

    url = s3.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "gone"})
    host, port = gateway.address
    connection = http.client.HTTPConnection(host, port)
    connection.putrequest("PUT", url.split(f"{host}:{port}")[1])
    connection.putheader("Content-Length", str(8 * MIB))
    connection.endheaders()
    connection.send(body(2 * MIB))
    begun(proxy, "bucket/gone")
    connection.close()
    deadline = time.monotonic() + 20
    straight = place.straight()
    while straight.list_multipart_uploads(Bucket=place.bucket("bucket")).get("Uploads"):
        assert time.monotonic() < deadline
    with pytest.raises(ClientError):
        straight.head_object(Bucket=place.bucket("bucket"), Key="gone")
    with pytest.raises(ClientError):
        s3.get_object(Bucket="bucket", Key="gone")


def test_bytes_are_upstream_before_the_last_ones_came(rig, proxy):
    gateway, s3 = rig
    import http.client

    url = s3.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "slow"})
    host, port = gateway.address
    connection = http.client.HTTPConnection(host, port)
    connection.putrequest("PUT", url.split(f"{host}:{port}")[1])
    connection.putheader("Content-Length", str(4 * MIB))
    connection.endheaders()
    connection.send(body(3 * MIB))
    begun(proxy, "bucket/slow")
    connection.send(body(MIB, 2))
    assert connection.getresponse().status == 200
    assert s3.get_object(Bucket="bucket", Key="slow")["Body"].read() == body(3 * MIB) + body(MIB, 2)


def test_a_lie_about_a_length_is_no_clean_end(rig, proxy):
    _, s3 = rig
    s3.put_object(Bucket="bucket", Key="a", Body=body(500_000))
    proxy.add(f"^GET /[^ ]*{OBJECT}", "lie")
    with pytest.raises(CUT):
        assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() != body(500_000)
    proxy.clear()
    assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() == body(500_000)


def test_an_upstream_that_stands_still_is_given_up(rig, proxy):
    _, s3 = rig
    s3.put_object(Bucket="bucket", Key="a", Body=body(500_000))
    rule = proxy.add(f"^GET /[^ ]*{OBJECT}", "stall", times=1, seconds=30)
    begun = time.monotonic()
    assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() == body(500_000)
    assert rule.met == 1 and time.monotonic() - begun < 15


@pytest.mark.parametrize("pattern", ["POST /[^ ]*uploads", "PUT /[^ ]*partNumber", "POST /[^ ]*uploadId", "PUT /[^ ]*parts/"])
@pytest.mark.parametrize("fault", ["reset", "lost", "status"])
def test_uploads_survive_single_failures(rig, proxy, pattern, fault):
    _, s3 = rig
    names = {"Bucket": "bucket", "Key": "m"}
    rule = proxy.add(f"^{pattern}", fault, times=1, status=500)

    def patient(call):
        # What a client does: the same again.
        for _ in range(3):
            try:
                return call()
            except ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error
        return call()

    upload = patient(lambda: s3.create_multipart_upload(**names))["UploadId"]
    parts = []
    for number, length in ((1, 5 * MIB), (2, 1000)):
        send = dict(names, UploadId=upload, PartNumber=number, Body=body(length, number))
        parts.append({"PartNumber": number, "ETag": patient(lambda: s3.upload_part(**send))["ETag"]})
    patient(lambda: s3.complete_multipart_upload(**names, UploadId=upload, MultipartUpload={"Parts": parts}))
    assert rule.met == 1
    assert s3.get_object(**names)["Body"].read() == body(5 * MIB, 1) + body(1000, 2)


def test_readiness_follows_the_upstream(rig, proxy):
    gateway, s3 = rig

    def ready():
        try:
            return urllib.request.urlopen(f"{gateway.admin}/health/ready", timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code

    def becomes(status):
        deadline = time.monotonic() + 20
        while ready() != status:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    becomes(200)
    proxy.add(".", "reset")
    becomes(503)
    unavailable(lambda: s3.put_object(Bucket="bucket", Key="a", Body=b"x"))
    proxy.clear()
    becomes(200)
    s3.put_object(Bucket="bucket", Key="a", Body=b"x")


def test_a_start_says_what_is_wrong(place, proxy):
    proxy.add(".", "reset")
    with pytest.raises(RuntimeError, match="cannot list the reserved bucket"):
        place.gateway(f"http://127.0.0.1:{proxy.port}")
    proxy.clear()
    secret, place.secret_key = place.secret_key, "x" * 20
    with pytest.raises(RuntimeError, match="SignatureDoesNotMatch"):
        place.gateway()
    place.secret_key = secret
    # A store that ignores the condition of a create-only write cannot keep a fleet together.
    proxy.add("^PUT /[^ ]*probe/[0-9a-f]+ ", "strip")
    with pytest.raises(RuntimeError, match="create-only writes do not work"):
        place.gateway(f"http://127.0.0.1:{proxy.port}")


def test_a_gateway_that_stood_still_does_not_write_over_what_came_meanwhile(place, proxy):
    """Between the look at a condition and the write a gateway stops for longer than its claim holds."""
    slow, quick = place.gateway(f"http://127.0.0.1:{proxy.port}"), place.gateway()
    s3 = quick.client()
    s3.create_bucket(Bucket="bucket")
    first = s3.put_object(Bucket="bucket", Key="k", Body=b"first")["ETag"]
    held, event, outcome = threading.Event(), threading.Event(), []
    # The last thing that is looked at under the claim.
    proxy.add(rf"^GET /{place.reserved}/amends/", "hold", times=1, held=held, event=event)

    def write():
        client = slow.client(read_timeout=120)
        try:
            outcome.append(client.put_object(Bucket="bucket", Key="k", Body=b"late", IfMatch=first))
        except ClientError as error:
            outcome.append(error.response["ResponseMetadata"]["HTTPStatusCode"])

    writer = threading.Thread(target=write)
    writer.start()
    assert held.wait(60)
    slow.process.send_signal(signal.SIGSTOP)
    try:
        # Waits for the claim until its holder is taken for dead.
        second = s3.put_object(Bucket="bucket", Key="k", Body=b"second", IfMatch=first)["ETag"]
    finally:
        slow.process.send_signal(signal.SIGCONT)
        event.set()
    writer.join(120)
    assert outcome == [503]
    got = s3.get_object(Bucket="bucket", Key="k")
    assert (got["ETag"], got["Body"].read()) == (second, b"second")
    # It is not stopped for good.
    assert slow.client().put_object(Bucket="bucket", Key="k", Body=b"third", IfMatch=second)


def test_credentials_change_without_a_restart(place, tmp_path):
    file = tmp_path / "credentials"

    def write(secret):
        new = tmp_path / "credentials.new"
        new.write_text(f"[default]\naws_access_key_id = {place.access_key}\naws_secret_access_key = {secret}\n")
        new.chmod(0o600)
        new.rename(file)

    write(place.secret_key)
    gateway = place.gateway(settings=f'upstream_credentials_file = "{file}"\n')
    s3 = gateway.client()
    s3.create_bucket(Bucket="bucket")

    def until(wanted):
        end = time.monotonic() + 60
        while True:
            try:
                s3.put_object(Bucket="bucket", Key="k", Body=b"x")
                status = 200
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == wanted:
                return
            assert time.monotonic() < end, status
            time.sleep(0.1)

    until(200)
    write("a-secret-that-is-not-the-upstreams-any-more")
    until(503)
    write(place.secret_key)
    until(200)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"x"
    assert place.secret_key not in gateway.log.read_text()

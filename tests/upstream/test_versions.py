"""Buckets that keep versions: the upstream keeps them, and every gateway finds each under the same id."""

import random
import shutil
import signal
import threading
import time

import pytest
from botocore.exceptions import ClientError

MIB = 1 << 20


def body(length, seed=1):
    return random.Random(seed).randbytes(length)


def keep_versions(s3, status="Enabled"):
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": status})


def parts_of(s3, key, content):
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key, ServerSideEncryption="aws:kms")["UploadId"]
    parts = []
    for number in range(1, 1 + (len(content) + 5 * MIB - 1) // (5 * MIB)):
        piece = content[(number - 1) * 5 * MIB:number * 5 * MIB]
        part = s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=number, Body=piece)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    return dict(Bucket="bucket", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def listed(s3, **page):
    answer = s3.list_object_versions(Bucket="bucket", **page)
    objects = [(row["Key"], row["VersionId"], row["IsLatest"], row["Size"], row["ETag"]) for row in answer.get("Versions", [])]
    markers = [(row["Key"], row["VersionId"], row["IsLatest"]) for row in answer.get("DeleteMarkers", [])]
    return objects, markers


def refused(call):
    with pytest.raises(ClientError) as error:
        call()
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"].get("Code")


def some_versions(first, second):
    """Versions of two keys, written by two gateways in turn. Gives what each has, by key and id, and the markers."""
    kept = {}
    for nth, s3 in enumerate([first, second, first]):
        content = body(1000 + nth, nth)
        kept["k", s3.put_object(Bucket="bucket", Key="k", Body=content)["VersionId"]] = content
    content = body(6 * MIB, 9)
    kept["m", second.complete_multipart_upload(**parts_of(first, "m", content))["VersionId"]] = content
    copied = second.copy_object(Bucket="bucket", Key="k", CopySource="bucket/m", ServerSideEncryption="aws:kms")
    kept["k", copied["VersionId"]] = content
    marker = first.delete_object(Bucket="bucket", Key="k")
    assert marker["DeleteMarker"]
    return kept, [("k", marker["VersionId"])]


def agrees(s3, kept, markers):
    for (key, version), content in kept.items():
        got = s3.get_object(Bucket="bucket", Key=key, VersionId=version)
        assert (got["Body"].read(), got["VersionId"]) == (content, version)
        ranged = s3.get_object(Bucket="bucket", Key=key, VersionId=version, Range="bytes=500-899")
        assert ranged["Body"].read() == content[500:900]
    rows, marked = listed(s3)
    assert {(key, version): size for key, version, _, size, _ in rows} == {at: len(content) for at, content in kept.items()}
    assert [(key, version) for key, version, _ in marked] == markers
    for key, version, _, size, etag in rows:
        head = s3.head_object(Bucket="bucket", Key=key, VersionId=version)
        assert (head["ContentLength"], head["ETag"]) == (size, etag)
    assert refused(lambda: s3.get_object(Bucket="bucket", Key="k")) == (404, "NoSuchKey")
    assert refused(lambda: s3.head_object(Bucket="bucket", Key=markers[0][0], VersionId=markers[0][1]))[0] == 405
    assert [row["Key"] for row in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["m"]


def test_every_gateway_has_the_same_versions_and_a_new_one_needs_nothing_else(place):
    one, two = place.gateway(), place.gateway()
    first, second = one.client(), two.client()
    first.create_bucket(Bucket="bucket")
    assert "Status" not in second.get_bucket_versioning(Bucket="bucket")
    keep_versions(first)
    assert first.get_bucket_versioning(Bucket="bucket")["Status"] == "Enabled"
    until = time.monotonic() + 2
    while second.get_bucket_versioning(Bucket="bucket").get("Status") != "Enabled":
        assert time.monotonic() < until
    kept, markers = some_versions(first, second)
    agrees(first, kept, markers)
    agrees(second, kept, markers)
    for gateway in (one, two):
        gateway.stop(signal.SIGKILL)
        shutil.rmtree(gateway.data)
    third = place.gateway().client()
    agrees(third, kept, markers)
    # What the marker hid is there again without it, and what is deleted for good is gone.
    third.delete_object(Bucket="bucket", Key=markers[0][0], VersionId=markers[0][1])
    assert third.get_object(Bucket="bucket", Key="k")["Body"].read() == body(6 * MIB, 9)
    for key, version in kept:
        third.delete_object(Bucket="bucket", Key=key, VersionId=version)
    assert listed(third) == ([], [])
    straight = place.straight().list_object_versions(Bucket=place.bucket("bucket"))
    assert not straight.get("Versions") and not straight.get("DeleteMarkers")
    third.delete_bucket(Bucket="bucket")


def test_a_known_version_takes_one_request_and_a_known_page_none_for_its_rows(place, proxy):
    wrote, reads = place.gateway(), place.gateway(f"http://127.0.0.1:{proxy.port}")
    s3, other = wrote.client(), reads.client()
    s3.create_bucket(Bucket="bucket")
    keep_versions(s3)
    ids = [s3.put_object(Bucket="bucket", Key="key", Body=body(300_000, seed))["VersionId"] for seed in range(3)]

    def asked(call):
        before = len(proxy.seen)
        call()
        return [line for line in proxy.seen[before:] if "bucket/key" in line]

    def whole_page():
        assert [row[1] for row in listed(other)[0]] == ids[::-1]

    assert len(asked(whole_page)) == 3
    assert asked(whole_page) == []
    for seed, version in enumerate(ids):
        def get():
            assert other.get_object(Bucket="bucket", Key="key", VersionId=version)["Body"].read() == body(300_000, seed)

        assert len(asked(get)) == 1
        assert len(asked(lambda: other.head_object(Bucket="bucket", Key="key", VersionId=version))) == 1

    def current():
        assert other.get_object(Bucket="bucket", Key="key")["Body"].read() == body(300_000, 2)

    assert len(asked(current)) <= 2
    assert len(asked(current)) == 1


def test_one_version_cannot_stand_for_another(place, proxy):
    s3 = place.gateway(f"http://127.0.0.1:{proxy.port}").client()
    s3.create_bucket(Bucket="bucket")
    keep_versions(s3)
    old, new = (s3.put_object(Bucket="bucket", Key="key", Body=body(1000, seed))["VersionId"] for seed in (1, 2))
    (asked, told) = (version.split(".", 1)[1] for version in (old, new))
    # The upstream answers with the other version, and says that it is the one that was asked for.
    other = place.straight().get_object(Bucket=place.bucket("bucket"), Key="key", VersionId=told, Range="bytes=-8192")
    headers = {**other["ResponseMetadata"]["HTTPHeaders"], "x-amz-version-id": asked, "connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = f"HTTP/1.1 206 Partial Content\r\n{head}\r\n".encode() + other["Body"].read()
    rule = proxy.add(f"GET /[^ ]*bucket/key.*versionId={asked}", "answer", bytes=answer)
    other_gateway = place.gateway(f"http://127.0.0.1:{proxy.port}").client()
    found_out = refused(lambda: other_gateway.get_object(Bucket="bucket", Key="key", VersionId=old))
    assert found_out == (404, "NoSuchVersion") and rule.met >= 1
    proxy.clear()
    assert other_gateway.get_object(Bucket="bucket", Key="key", VersionId=old)["Body"].read() == body(1000, 1)
    # Nor can a client make up an id: nothing is read or deleted under it.
    made_up = f"{'0' * 32}.{asked}"
    assert refused(lambda: s3.get_object(Bucket="bucket", Key="key", VersionId=made_up)) == (404, "NoSuchVersion")
    s3.delete_object(Bucket="bucket", Key="key", VersionId=made_up)
    assert s3.get_object(Bucket="bucket", Key="key", VersionId=old)["Body"].read() == body(1000, 1)


def test_a_version_whose_answer_was_lost_is_found_though_another_came_after_it(place, proxy):
    settings = 'upstream_answer_timeout = "3s"\nupstream_idle_timeout = "3s"\n'
    s3 = place.gateway(f"http://127.0.0.1:{proxy.port}", settings).client(read_timeout=40)
    other = place.gateway().client()
    s3.create_bucket(Bucket="bucket")
    keep_versions(s3)
    # The settling look comes upon the other's version: the first answer to it is held until that is there.
    proxy.add("PUT /[^ ]*bucket/key", "lost", times=1)
    again = proxy.add("HEAD /[^ ]*bucket/key", "status", times=1, status=503, code="SlowDown")

    def overwrite():
        while not again.met:
            time.sleep(0.005)
        other.put_object(Bucket="bucket", Key="key", Body=b"other")

    racing = threading.Thread(target=overwrite)
    racing.start()
    written = s3.put_object(Bucket="bucket", Key="key", Body=body(1000))["VersionId"]
    racing.join()
    assert s3.get_object(Bucket="bucket", Key="key", VersionId=written)["Body"].read() == body(1000)
    assert len(listed(s3)[0]) == 2


@pytest.mark.parametrize("fault, details", [
    ("reset", {}), ("lost", {}), ("status", {"status": 503, "code": "SlowDown"}),
])
def test_single_failures_are_not_seen(place, proxy, fault, details):
    s3 = place.gateway(f"http://127.0.0.1:{proxy.port}").client()
    s3.create_bucket(Bucket="bucket")
    keep_versions(s3)
    for pattern, call in [
        ("PUT /[^ ]*[?&]versioning", lambda: keep_versions(s3, "Suspended")),
        ("GET /[^ ]*[?&]versioning", lambda: keep_versions(s3)),
        ("GET /[^ ]*[?&]versions", lambda: listed(s3)),
        ("DELETE /[^ ]*bucket/marked ", lambda: s3.delete_object(Bucket="bucket", Key="marked")),
    ]:
        rule = proxy.add(pattern, fault, times=1, **details)
        call()
        assert rule.met == 1, pattern
        proxy.clear()
    assert len(listed(s3)[1]) == 1
    version = s3.put_object(Bucket="bucket", Key="key", Body=b"1")["VersionId"]
    for pattern, call in [
        ("GET /[^ ]*versionId", lambda: place.gateway(f"http://127.0.0.1:{proxy.port}").client().get_object(
            Bucket="bucket", Key="key", VersionId=version)["Body"].read()),
        ("DELETE /[^ ]*versionId", lambda: s3.delete_object(Bucket="bucket", Key="key", VersionId=version)),
    ]:
        rule = proxy.add(pattern, fault, times=1, **details)
        call()
        assert rule.met == 1, pattern
        proxy.clear()
    assert listed(s3)[0] == []


def test_an_upload_is_completed_again_as_the_version_that_it_was(place):
    s3 = place.gateway().client()
    s3.create_bucket(Bucket="bucket")
    keep_versions(s3)
    upload = parts_of(s3, "key", body(6 * MIB))
    first = s3.complete_multipart_upload(**upload)
    s3.put_object(Bucket="bucket", Key="key", Body=b"newer")
    again = place.gateway().client().complete_multipart_upload(**upload)
    assert (again["VersionId"], again["ETag"]) == (first["VersionId"], first["ETag"])
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"newer"
    assert len(listed(s3)[0]) == 2


def test_versions_that_were_there_before_are_served(place):
    straight, bucket = place.straight(), place.bucket("bucket")
    straight.create_bucket(Bucket=bucket)
    straight.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"first", b"second"):
        straight.put_object(Bucket=bucket, Key="key", Body=content)
    s3 = place.gateway(settings='upstream_foreign_buckets = ["bucket"]\n').client()
    assert s3.get_bucket_versioning(Bucket="bucket")["Status"] == "Enabled"
    rows, _ = listed(s3)
    bodies = [s3.get_object(Bucket="bucket", Key="key", VersionId=row[1])["Body"].read() for row in rows]
    assert bodies == [b"second", b"first"]
    s3.put_object(Bucket="bucket", Key="key", Body=b"third")
    assert s3.get_object(Bucket="bucket", Key="key")["ServerSideEncryption"] == "AES256"
    assert [row[3] for row in listed(s3)[0]] == [5, 6, 5]


def test_a_bucket_that_shares_the_upstreams_with_others_does_not_change_theirs(place):
    place.straight().create_bucket(Bucket=place.bucket("shared"))
    shared = place.bucket("shared")
    settings = f'upstream_buckets = ["bucket={shared}/here", "other={shared}/there"]\n'
    s3 = place.gateway(settings=settings).client()
    s3.create_bucket(Bucket="bucket")
    status, code = refused(lambda: keep_versions(s3))
    assert (status, code) == (501, "NotImplemented")
    assert "Status" not in place.straight().get_bucket_versioning(Bucket=place.bucket("shared"))
    assert "Status" not in s3.get_bucket_versioning(Bucket="bucket")

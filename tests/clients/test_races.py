"""Many clients at one key: conditional writes have one winner, and a reader sees what one writer wrote."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

CLIENTS = 64


@pytest.fixture
def crowd(gateway):
    return gateway.client(max_pool_connections=CLIENTS)


def all_at_once(count, work):
    """Runs `work(n)` in as many threads, all let go at one moment; gives what each answered, or its refusal's code."""
    gate = threading.Barrier(count)

    def one(n):
        gate.wait()
        try:
            return work(n)
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def uploads(s3, bucket, count):
    """Uploads of one key, each with one part that names it."""
    made = []
    for n in range(count):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"%d" % n)
        made.append((upload, [{"PartNumber": 1, "ETag": part["ETag"]}]))
    return made


@pytest.mark.parametrize("way", ["put", "copy", "complete"])
def test_one_of_64_conditional_writers_wins(crowd, bucket, way):
    named = {"Bucket": bucket, "Key": "k", "IfNoneMatch": "*"}
    if way == "copy":
        for n in range(CLIENTS):
            crowd.put_object(Bucket=bucket, Key=f"source-{n}", Body=b"%d" % n)
    made = uploads(crowd, bucket, CLIENTS) if way == "complete" else None

    def write(n):
        if way == "put":
            return crowd.put_object(**named, Body=b"%d" % n)["ETag"]
        if way == "copy":
            return crowd.copy_object(**named, CopySource=f"{bucket}/source-{n}")["CopyObjectResult"]["ETag"]
        upload, parts = made[n]
        return crowd.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": parts})["ETag"]

    answers = all_at_once(CLIENTS, write)
    winners = [n for n, answer in enumerate(answers) if answer.startswith('"')]
    assert len(winners) == 1, answers
    assert set(answers) - {answers[winners[0]]} <= {"PreconditionFailed", "ConditionalRequestConflict"}
    got = crowd.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ETag"]) == (b"%d" % winners[0], answers[winners[0]])


def test_readers_of_one_key_see_what_one_writer_wrote_whatever_else_happens(crowd, bucket):
    bodies = {n: bytes([n]) * (100 if n % 2 else 200_000) for n in range(16)}
    crowd.put_object(Bucket=bucket, Key="k", Body=bodies[0])
    whole = {body: n for n, body in bodies.items()}
    seen = []

    def work(n):
        for turn in range(6):
            if n < 8:
                crowd.put_object(Bucket=bucket, Key="k", Body=bodies[(n * 2 + turn) % 16])
            elif n == 8:
                crowd.delete_object(Bucket=bucket, Key="k")
            elif n == 9:
                try:
                    crowd.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", MetadataDirective="REPLACE",
                                      Metadata={"turn": str(turn)})
                except ClientError as error:
                    assert error.response["Error"]["Code"] == "NoSuchKey"
            else:
                try:
                    got = crowd.get_object(Bucket=bucket, Key="k")
                    body = got["Body"].read()
                except ClientError as error:
                    assert error.response["Error"]["Code"] == "NoSuchKey"
                    continue
                assert body in whole, f"{len(body)} bytes of nobody's"
                assert got["ContentLength"] == len(body)
                seen.append(whole[body])
        return "done"

    assert set(all_at_once(26, work)) == {"done"}
    assert seen, "no reader read anything"


def test_an_upload_is_completed_once_or_aborted(crowd, bucket):
    for n in range(8):
        [(upload, parts)] = uploads(crowd, bucket, 1)
        named = {"Bucket": bucket, "Key": "k", "UploadId": upload}

        def end(who, named=named, parts=parts):
            if who < 2:
                return crowd.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})["ETag"]
            if who == 2:
                return str(crowd.abort_multipart_upload(**named)["ResponseMetadata"]["HTTPStatusCode"])
            return crowd.upload_part(**named, PartNumber=2, Body=b"late")["ETag"]

        first, second, aborted, late = all_at_once(4, end)
        completed = [answer for answer in (first, second) if answer.startswith('"')]
        assert len(completed) + (aborted == "204") == 1, (first, second, aborted)
        assert {first, second} - set(completed) <= {"NoSuchUpload", "InvalidPart"}
        assert aborted in ("204", "NoSuchUpload") and (late.startswith('"') or late == "NoSuchUpload")
        if completed:
            assert crowd.get_object(Bucket=bucket, Key="k")["Body"].read() == b"0"
            crowd.delete_object(Bucket=bucket, Key="k")
        assert "Uploads" not in crowd.list_multipart_uploads(Bucket=bucket)

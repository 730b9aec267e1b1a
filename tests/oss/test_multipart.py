"""Multipart uploads of small parts, through every OSS client with every signature."""

import hashlib
import os

import pytest
from crc import crc64
from faces import Refused

PART = 100 << 10


def test_parts_of_100_kb_become_one_object(face, bucket):
    key, body = "dir/parts é+ 中", os.urandom(2 * PART + 17)
    upload = face.initiate(bucket, key, {"Content-Type": "text/p", "x-oss-meta-a": "b"}).value
    pieces = [body[:PART], body[PART : 2 * PART], body[2 * PART :]]
    parts = []
    for number, piece in enumerate(pieces, 1):
        answer = face.part(bucket, key, upload, number, piece)
        assert answer.headers["x-oss-hash-crc64ecma"] == crc64(piece)
        assert answer.headers["etag"] == f'"{hashlib.md5(piece).hexdigest().upper()}"'
        parts.append(answer.value)
    assert face.parts(bucket, key, upload) == [(1, PART), (2, PART), (3, 17)]
    assert face.uploads(bucket) == [(key, upload)]
    done = face.complete(bucket, key, upload, parts)
    assert done.headers["x-oss-hash-crc64ecma"] == crc64(body), "combined from the parts"
    assert done.headers["etag"].endswith('-3"')
    got = face.get(bucket, key)
    assert got.body == body
    assert got.headers["x-oss-object-type"] == "Multipart"
    assert (got.headers["content-type"], got.headers["x-oss-meta-a"]) == ("text/p", "b")
    assert got.headers["x-oss-hash-crc64ecma"] == crc64(body)
    assert face.uploads(bucket) == []


def test_parts_are_copied_from_other_objects(face, bucket):
    source, body = "from é+ 中", os.urandom(3 * PART)
    face.put(bucket, source, body)
    upload = face.initiate(bucket, "k").value
    first = face.part_copy(bucket, "k", upload, 1, bucket, source, 5, PART + 4)
    assert first.headers.get("x-oss-hash-crc64ecma") in (None, crc64(body[5 : PART + 5]))
    second = face.part_copy(bucket, "k", upload, 2, bucket, source, PART, 3 * PART - 1)
    done = face.complete(bucket, "k", upload, [first.value, second.value])
    whole = body[5 : PART + 5] + body[PART:]
    assert face.get(bucket, "k").body == whole
    assert done.headers["x-oss-hash-crc64ecma"] == crc64(whole)


def test_an_older_part_is_replaced_and_an_upload_can_be_given_up(face, bucket):
    upload = face.initiate(bucket, "k").value
    face.part(bucket, "k", upload, 1, b"old")
    part = face.part(bucket, "k", upload, 1, b"new").value
    other = face.initiate(bucket, "k").value
    assert {row[1] for row in face.uploads(bucket)} == {upload, other}
    assert face.abort(bucket, "k", other).status == 204
    face.complete(bucket, "k", upload, [part])
    assert face.get(bucket, "k").body == b"new"
    for attempt in (lambda: face.abort(bucket, "k", other), lambda: face.parts(bucket, "k", other), lambda: face.part(bucket, "k", other, 1, b"x")):
        with pytest.raises(Refused) as refused:
            attempt()
        assert (refused.value.status, refused.value.code) == (404, "NoSuchUpload")


def test_parts_below_100_kb_are_too_small(face, bucket):
    upload = face.initiate(bucket, "k").value
    parts = [face.part(bucket, "k", upload, 1, os.urandom(PART - 1)).value, face.part(bucket, "k", upload, 2, b"last").value]
    with pytest.raises(Refused) as refused:
        face.complete(bucket, "k", upload, parts)
    assert (refused.value.status, refused.value.code) == (400, "EntityTooSmall")


def test_all_parts_are_taken_without_a_list(oss, bucket):
    pieces = [os.urandom(PART), os.urandom(PART), b"end"]
    upload = oss.initiate(bucket, "k").value
    for number, piece in zip((3, 1, 7), pieces):
        oss.part(bucket, "k", upload, number, piece)
    done = oss.complete(bucket, "k", upload, None, {"x-oss-complete-all": "yes"})
    whole = pieces[1] + pieces[0] + pieces[2]
    assert done.headers["x-oss-hash-crc64ecma"] == crc64(whole)
    assert oss.get(bucket, "k").body == whole

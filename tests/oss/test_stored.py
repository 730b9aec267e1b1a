"""Only ciphertext is kept, whichever way an OSS client wrote: a search of everything that the gateway wrote, logs at TRACE,
and what it has upstream."""

import base64
import hashlib
import secrets

import pytest
from encryption import KEY, SSE, modes
from faces import Oss2, PythonV2
from oss_wire import Signer, post
from test_leaks import everything_written, hits, root_key
from test_urls import fetch
from wire import send

PART = 100 << 10


def by_put(gateway, oss, key, body, headers):
    oss.put("canary", key, body, headers)


def by_append(gateway, oss, key, body, headers):
    # A chosen key is not for appendable objects.
    headers = {name: value for name, value in headers.items() if name != KEY}
    half = len(body) // 2
    oss.append("canary", key, 0, body[:half], headers)
    oss.append("canary", key, half, body[half:])


def by_parts(gateway, oss, key, body, headers):
    upload = oss.initiate("canary", key, headers).value
    parts = [oss.part("canary", key, upload, number + 1, body[at : at + PART]).value for number, at in enumerate(range(0, len(body), PART))]
    oss.complete("canary", key, upload, parts)


def by_parts_left(gateway, oss, key, body, headers):
    upload = oss.initiate("canary", key, headers).value
    oss.part("canary", key, upload, 1, body)


def by_part_copies(gateway, oss, key, body, headers):
    oss.put("canary", key + " source", body, {SSE: "AES256"})
    upload = oss.initiate("canary", key, headers).value
    oss.complete("canary", key, upload, [oss.part_copy("canary", key, upload, 1, "canary", key + " source", 0, len(body) - 1).value])


def by_copy(gateway, oss, key, body, headers):
    oss.put("canary", key + " source", body, {SSE: "AES256"})
    oss.copy("canary", key, "canary", key + " source", headers)


def by_form(gateway, oss, key, body, headers):
    for scheme in ("V1", "V4"):
        assert send(gateway, post(gateway, "canary", Signer(gateway).form(scheme, "canary", key, fields=headers), body)).status == 204


def by_url(gateway, oss, key, body, headers):
    url, headers = oss.url("PUT", "canary", key, headers)
    assert fetch(gateway, "PUT", url, headers, body).status == 200


def by_default(gateway, oss, key, body, headers):
    oss.put_encryption("canary", headers[SSE], headers.get(KEY))
    oss.put("canary", key, body)
    oss.drop_encryption("canary")


WAYS = [by_put, by_append, by_parts, by_parts_left, by_part_copies, by_copy, by_form, by_url, by_default]


def test_no_plaintext_no_key_and_no_secret_is_on_disk_or_in_logs(own_gateway):
    gateway = own_gateway(log_level="trace")
    oss, kms = Oss2(gateway, "V4", gateway.root), gateway.client("kms")
    oss.make_bucket("canary")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    canary = secrets.token_bytes(48)
    small, large = canary * 20, (canary * 20_000)[: 3 * PART + 11]
    written = []
    for mode in modes(arn).values():
        for way in WAYS:
            for name, body in (("small", small), ("large", large)):
                key = f"{way.__name__} {mode.name} {name}"
                way(gateway, oss, key, body, mode.headers)
                if way is not by_parts_left:
                    assert oss.get("canary", key).body == body, key
                    written.append(key)
    assert len(written) == 5 * 8 * 2
    url, _ = oss.url("GET", "canary", written[0])
    assert fetch(gateway, "GET", url).body == small
    PythonV2(gateway, "V1", gateway.temporary).buckets("canary")
    signature = url.split("x-oss-signature=")[1].split("&")[0]
    searched = {
        "plaintext": canary, "root secret": gateway.secret_key.encode(), "user secret": gateway.other_secret_key.encode(),
        "temporary secret": gateway.temporary.secret.encode(), "security token": gateway.temporary.token.encode(),
        "root key": base64.b64decode(root_key(gateway).read_bytes()), "URL's signature": bytes.fromhex(signature),
    }

    def found():
        places = [path for path in everything_written(gateway) if path != root_key(gateway)]
        return {name: where for name, secret in searched.items() if (where := hits(places, secret))}

    assert found() == {}
    assert gateway.metric("sealgate_plaintext_suspects_total") == 0
    assert gateway.stop() == 0
    assert found() == {}


@pytest.mark.parametrize("mode", [{SSE: "KMS"}, {SSE: "KMS", "x-oss-server-side-data-encryption": "SM4"}], ids=["AES", "SM4"])
def test_not_even_a_hash_of_what_a_master_key_protects_is_on_disk(own_gateway, mode):
    gateway = own_gateway()
    oss = Oss2(gateway, "V4", gateway.root)
    oss.make_bucket("canary")
    body = secrets.token_bytes(100_001)
    oss.put("canary", "k", body, mode)
    oss.append("canary", "log", 0, body, mode)
    by_parts(gateway, oss, "parts", body, mode)
    for key in ("k", "log", "parts"):
        assert oss.get("canary", key).body == body
    assert gateway.stop() == 0
    places = [path for path in everything_written(gateway) if path not in (root_key(gateway), gateway.log)]
    for name in ("md5", "sha1", "sha256"):
        assert hits(places, hashlib.new(name, body).digest()) == [], name

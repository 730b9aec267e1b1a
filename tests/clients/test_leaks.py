"""Only ciphertext is kept: a search of everything that the gateway wrote, files and logs at TRACE, and what it has upstream."""

import base64
import hashlib
import os
import secrets

from botocore.httpchecksum import _CHECKSUM_CLS
from conftest import UPSTREAM
from stored import kept
from test_edge_forms import post, presigned

PART = 5 << 20


def forms(secret):
    """A secret as it could have been written: raw, in hex, in base64 at any of the three alignments."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)
        # What a neighbour changes is left out: the first quantum when shifted, the last always.
        yield text[4 if shift else 0 : len(text) - 4]


def read(path):
    """A file of a running gateway, which takes files away when their objects are replaced: empty then."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def hits(places, secret):
    needles = list(forms(secret))
    return [str(path) for path in places if (text := read(path)) and any(needle in text for needle in needles)]


def everything_written(gateway):
    return [*kept(gateway), gateway.log]


def test_no_plaintext_no_key_and_no_secret_is_on_disk_or_in_logs(own_gateway):
    gateway = own_gateway(log_level="trace")
    s3, kms = gateway.client(), gateway.client("kms")
    s3.create_bucket(Bucket="canary")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    data_key = kms.generate_data_key(KeyId=arn, KeySpec="AES_256")["Plaintext"]
    customer_key = secrets.token_bytes(32)
    canary = secrets.token_bytes(48)
    small, large = canary * 20, canary * 20_000
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": customer_key}
    modes = [{}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}, customer]
    for number, mode in enumerate(modes):
        for name, body in (("small", small), ("large", large)):
            key = f"{name}-{number}"
            s3.put_object(Bucket="canary", Key=key, Body=body, **mode)
            repeat = mode if mode is customer else {}
            assert s3.get_object(Bucket="canary", Key=key, **repeat)["Body"].read() == body
            source = {"CopySource" + word: value for word, value in repeat.items()}
            s3.copy_object(Bucket="canary", Key=key + "-copy", CopySource=f"canary/{key}", **source)
        upload = s3.create_multipart_upload(Bucket="canary", Key=f"multi-{number}", **mode)["UploadId"]
        at = {"Bucket": "canary", "Key": f"multi-{number}", "UploadId": upload}
        part = (canary * (PART // 48 + 1))[:PART]
        etag = s3.upload_part(PartNumber=1, Body=part, **at, **(mode if mode is customer else {}))["ETag"]
        if number:
            s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **at)
    # Many small ones, so that every file that the stores keep has had something to leak; and one by a form.
    for number in range(100 if UPSTREAM else 1000):
        mode = modes[number % 3]
        s3.put_object(Bucket="canary", Key=f"many-{number}", Body=canary[number % 40 :] + canary * (number % 9), **mode)
    form = presigned(gateway.client(signature_version="s3v4"), "canary", "form")
    assert post(gateway, "canary", form, large).status == 204
    url = gateway.client(signature_version="s3v4").generate_presigned_url("get_object", Params={"Bucket": "canary", "Key": "small-0"})
    signature = url.split("Signature=")[1].split("&")[0]
    import urllib.request

    assert urllib.request.urlopen(url).read() == small

    searched = {
        "plaintext": canary, "data key": data_key, "customer key": customer_key,
        "root secret": gateway.secret_key.encode(), "user secret": gateway.other_secret_key.encode(),
        "root key": base64.b64decode(root_key(gateway).read_bytes()),
        "presigned signature": bytes.fromhex(signature),
        # Under a CMK or a customer key not even a hash of the plaintext may show.
        "MD5 of plaintext": hashlib.md5(large).digest(),
        "CRC-64 of plaintext": base64.b64decode(_CHECKSUM_CLS["crc64nvme"]().handle(large)),
        "SHA-256 of plaintext": hashlib.sha256(large).digest(),
    }
    places = [path for path in everything_written(gateway) if path != root_key(gateway)]
    # The log shows an SSE-S3 object's ETag to nobody but its reader; clients see it, files must not.
    found = {name: hits(places, secret) for name, secret in searched.items()}
    assert {name: where for name, where in found.items() if where} == {}
    assert gateway.stop() == 0
    places = [path for path in everything_written(gateway) if path != root_key(gateway)]
    assert {name: where for name, secret in searched.items() if (where := hits(places, secret))} == {}


def root_key(gateway):
    place = gateway.directory if UPSTREAM else gateway.data
    found = [path for path in place.rglob("*root*") if path.is_file()]
    assert len(found) == 1
    assert found[0].stat().st_mode & 0o777 == 0o600
    return found[0]


def test_the_search_would_find_a_leak(tmp_path):
    secret = os.urandom(48)
    for number, text in enumerate([secret, secret.hex().encode(), base64.b64encode(b"ab" + secret + b"tail")]):
        path = tmp_path / str(number)
        path.write_bytes(b"before" + text + b"after")
        assert hits([path], secret) == [str(path)]

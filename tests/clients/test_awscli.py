"""aws-cli as the client: the commands that people type."""

import base64
import hashlib
import json
import os
import urllib.error
import urllib.request

import pytest


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def files(tmp_path):
    """A small tree with an empty file, a name with blanks, and a file of several segments."""
    tree = tmp_path / "tree"
    (tree / "sub dir").mkdir(parents=True)
    (tree / "empty").write_bytes(b"")
    (tree / "sub dir" / "täst ü+&.txt").write_bytes(b"hello")
    (tree / "big").write_bytes(os.urandom(1_000_003))
    return tree


def same_tree(left, right):
    names = {path.relative_to(left) for path in left.rglob("*") if path.is_file()}
    assert names == {path.relative_to(right) for path in right.rglob("*") if path.is_file()}
    assert all((left / name).read_bytes() == (right / name).read_bytes() for name in names)


def test_cp_ls_sync_mv_rm(gateway, bucket, files, tmp_path):
    gateway.aws("s3", "cp", files / "big", f"s3://{bucket}/big")
    assert "1000003 big" in gateway.aws("s3", "ls", f"s3://{bucket}")
    gateway.aws("s3", "cp", f"s3://{bucket}/big", tmp_path / "back")
    assert digest(tmp_path / "back") == digest(files / "big")
    gateway.aws("s3", "sync", files, f"s3://{bucket}/tree")
    assert gateway.aws("s3", "sync", files, f"s3://{bucket}/tree") == "", "a second sync has nothing to do"
    gateway.aws("s3", "sync", f"s3://{bucket}/tree", tmp_path / "synced")
    same_tree(files, tmp_path / "synced")
    gateway.aws("s3", "mv", f"s3://{bucket}/big", f"s3://{bucket}/moved")
    assert bucket in gateway.aws("s3", "ls")
    assert "moved" in gateway.aws("s3", "ls", f"s3://{bucket}/")
    gateway.aws("s3", "rm", "--recursive", f"s3://{bucket}/")
    assert gateway.aws("s3", "ls", f"s3://{bucket}/", "--recursive") == ""
    gateway.aws("s3", "rb", f"s3://{bucket}")


def test_a_multipart_of_64_mib_and_ranges_of_it(gateway, bucket, key_arn, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(64 << 20))
    gateway.aws("s3", "cp", source, f"s3://{bucket}/big", "--sse", "aws:kms", "--sse-kms-key-id", key_arn)
    head = json.loads(gateway.aws("s3api", "head-object", "--bucket", bucket, "--key", "big"))
    assert (head["ContentLength"], head["SSEKMSKeyId"]) == (64 << 20, key_arn)
    assert head["ETag"].endswith('-8"')
    gateway.aws("s3", "cp", f"s3://{bucket}/big", tmp_path / "back")
    assert digest(tmp_path / "back") == digest(source)
    body = source.read_bytes()
    for first, last in ((0, 0), (8_388_600, 8_388_620), (123_456, 23_456_789)):
        gateway.aws(
            "s3api", "get-object", "--bucket", bucket, "--key", "big", "--range", f"bytes={first}-{last}", tmp_path / "r"
        )
        assert (tmp_path / "r").read_bytes() == body[first : last + 1]
    gateway.aws("s3", "cp", f"s3://{bucket}/big", f"s3://{bucket}/copy")
    gateway.aws("s3", "cp", f"s3://{bucket}/copy", tmp_path / "copied")
    assert digest(tmp_path / "copied") == digest(source)


def test_each_encryption_case_of_s3api(gateway, bucket, key_arn, tmp_path):
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(200_000))
    key = os.urandom(32)
    customer = [
        "--sse-customer-algorithm", "AES256", "--sse-customer-key", base64.b64encode(key).decode(),
        "--sse-customer-key-md5", base64.b64encode(hashlib.md5(key).digest()).decode(),
    ]
    context = base64.b64encode(b'{"team":"red"}').decode()
    kms = ["--server-side-encryption", "aws:kms"]
    cases = [
        ([], [], {"ServerSideEncryption": "AES256"}),
        (["--server-side-encryption", "AES256"], [], {"ServerSideEncryption": "AES256"}),
        (kms, [], {"ServerSideEncryption": "aws:kms"}),
        ([*kms, "--ssekms-key-id", key_arn], [], {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}),
        ([*kms, "--ssekms-encryption-context", context], [], {"ServerSideEncryption": "aws:kms"}),
        (customer, customer, {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": customer[-1]}),
    ]
    at = ["--bucket", bucket, "--key", "k"]
    for write, repeat, answer in cases:
        put = json.loads(gateway.aws("s3api", "put-object", *at, "--body", source, *write))
        assert answer.items() <= put.items()
        got = json.loads(gateway.aws("s3api", "get-object", *at, *repeat, back))
        assert answer.items() <= got.items() and "SSEKMSEncryptionContext" not in got
        assert back.read_bytes() == source.read_bytes()
        head = json.loads(gateway.aws("s3api", "head-object", *at, *repeat))
        assert answer.items() <= head.items()
    assert "400" in gateway.aws("s3api", "head-object", *at, fails=True), "a customer key is asked for"


def test_presigned_urls(gateway, bucket, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(70_000))
    gateway.aws("s3", "cp", source, f"s3://{bucket}/a b+c")
    url = gateway.aws("s3", "presign", f"s3://{bucket}/a b+c", "--expires-in", 60).strip()
    assert urllib.request.urlopen(url).read() == source.read_bytes()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"))
    assert caught.value.code == 403


def test_kms_commands(gateway, tmp_path):
    made = json.loads(gateway.aws("kms", "create-key", "--description", "mine"))["KeyMetadata"]
    key = made["KeyId"]
    assert made["Arn"].endswith("key/" + key) and made["Enabled"]
    alias = "alias/" + key
    gateway.aws("kms", "create-alias", "--alias-name", alias, "--target-key-id", key)
    listed = json.loads(gateway.aws("kms", "list-aliases", "--key-id", key))["Aliases"]
    assert [row["AliasName"] for row in listed] == [alias]
    keys = json.loads(gateway.aws("kms", "list-keys"))["Keys"]
    assert key in [row["KeyId"] for row in keys]
    described = json.loads(gateway.aws("kms", "describe-key", "--key-id", alias))["KeyMetadata"]
    assert (described["KeyId"], described["Description"]) == (key, "mine")
    generated = json.loads(gateway.aws("kms", "generate-data-key", "--key-id", alias, "--key-spec", "AES_256"))
    context = ["--encryption-context", "a=b"]
    plain = base64.b64encode(b"secret").decode()
    blob = json.loads(gateway.aws("kms", "encrypt", "--key-id", key, "--plaintext", "secret", *context))
    sealed, wrapped = tmp_path / "sealed", tmp_path / "wrapped"
    sealed.write_bytes(base64.b64decode(blob["CiphertextBlob"]))
    wrapped.write_bytes(base64.b64decode(generated["CiphertextBlob"]))
    opened = json.loads(gateway.aws("kms", "decrypt", "--ciphertext-blob", f"fileb://{sealed}", *context))
    assert (opened["Plaintext"], opened["KeyId"]) == (plain, made["Arn"])
    assert "InvalidCiphertext" in gateway.aws("kms", "decrypt", "--ciphertext-blob", f"fileb://{sealed}", fails=True)
    unwrapped = json.loads(gateway.aws("kms", "decrypt", "--ciphertext-blob", f"fileb://{wrapped}"))
    assert unwrapped["Plaintext"] == generated["Plaintext"]
    gateway.aws("kms", "disable-key", "--key-id", key)
    assert "DisabledException" in gateway.aws(
        "kms", "generate-data-key", "--key-id", key, "--key-spec", "AES_256", fails=True
    )
    gateway.aws("kms", "enable-key", "--key-id", key)
    gateway.aws("kms", "generate-data-key", "--key-id", key, "--key-spec", "AES_256")
    assert "NotFoundException" in gateway.aws("kms", "describe-key", "--key-id", "alias/none", fails=True)

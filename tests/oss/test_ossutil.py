"""ossutil, as people use it, with V1 and V4 signatures. It checks CRC64 on every transfer by itself."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import time
import urllib.request

import pytest
from conftest import clients
from encryption import DATA, KEY, SSE
from faces import CACHE, REGION

PART = 100 << 10


class Ossutil:
    def __init__(self, gateway, home, version):
        self.home, self.version = home, version
        self.config = home / "ossutilconfig"
        self.config.write_text(
            f"[Credentials]\nlanguage=EN\nendpoint={gateway.endpoint}\naccessKeyID={gateway.access_key}\n"
            f"accessKeySecret={gateway.secret_key}\n")
        self.config.chmod(0o600)

    def command(self, *words):
        signing = ["--sign-version", "v4", "--region", REGION] if self.version == "V4" else []
        return [str(CACHE / "go" / "ossutil"), *map(str, words), "-c", str(self.config), *signing]

    @property
    def env(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.home)}

    def __call__(self, *words, fails=False):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=120, cwd=self.home, env=self.env)
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"ossutil {words}: {done.returncode}\n{said}"
        return said


@pytest.fixture(params=["V1", "V4"])
def ossutil(request, gateway, tmp_path):
    return Ossutil(gateway, tmp_path, request.param)


@pytest.fixture
def bucket(ossutil, oss):
    name = "u-" + secrets.token_hex(8)
    ossutil("mb", f"oss://{name}", "--acl", "private")
    return name


def keys(oss, bucket):
    return [row[0] for row in oss.list(bucket)[0]]


def test_buckets(ossutil, oss, bucket):
    assert f"oss://{bucket}" in ossutil("ls")
    assert "ACL" in (said := ossutil("stat", f"oss://{bucket}")) and "private" in said and "oss-cn-hangzhou" in said
    ossutil("set-acl", f"oss://{bucket}", "public-read", "-b")
    assert oss.acl(bucket) == "public-read"
    ossutil("rm", f"oss://{bucket}", "-b", "-f")
    assert f"oss://{bucket}" not in ossutil("ls")
    assert "NoSuchBucket" in ossutil("ls", f"oss://{bucket}", fails=True)


def test_a_file_goes_there_and_back(ossutil, oss, bucket, tmp_path):
    source, back, body = tmp_path / "a file é.bin", tmp_path / "back", os.urandom(200_001)
    source.write_bytes(body)
    ossutil("cp", source, f"oss://{bucket}/dir/")
    key = "dir/a file é.bin"
    assert oss.get(bucket, key).body == body
    assert key in ossutil("ls", f"oss://{bucket}/dir/")
    ossutil("cp", f"oss://{bucket}/{key}", back)
    assert back.read_bytes() == body
    ossutil("cp", f"oss://{bucket}/{key}", f"oss://{bucket}/copy+1 中")
    assert oss.get(bucket, "copy+1 中").body == body
    said = ossutil("stat", f"oss://{bucket}/{key}")
    assert "200001" in said and oss.head(bucket, key).headers["x-oss-hash-crc64ecma"] in said
    (tmp_path / "text").write_text("some words\n")
    ossutil("cp", tmp_path / "text", f"oss://{bucket}/text", "--meta", "Content-Type:text/x#x-oss-meta-a:b")
    assert ossutil("cat", f"oss://{bucket}/text").startswith("some words\n")
    head = oss.head(bucket, "text").headers
    assert (head["content-type"], head["x-oss-meta-a"]) == ("text/x", "b")
    ossutil("set-meta", f"oss://{bucket}/text", "x-oss-meta-a:c", "--update", "-f")
    head = oss.head(bucket, "text").headers
    assert (head["content-type"], head["x-oss-meta-a"]) == ("text/x", "c")
    ossutil("rm", f"oss://{bucket}/text")
    assert "text" not in keys(oss, bucket)
    assert "NoSuchKey" in ossutil("cat", f"oss://{bucket}/text", fails=True)


def test_a_directory_is_copied_synced_and_removed(ossutil, oss, bucket, tmp_path):
    tree = tmp_path / "tree"
    (tree / "sub" / "空").mkdir(parents=True)
    files = {"a": b"1", "sub/b c": b"22", "sub/空/é+": os.urandom(70_000)}
    for name, body in files.items():
        (tree / name).write_bytes(body)
    ossutil("cp", "-r", "-f", tree, f"oss://{bucket}/t/")
    expected = sorted("t/" + name for name in files)
    assert sorted(key for key in keys(oss, bucket) if not key.endswith("/")) == expected
    ossutil("cp", "-r", "-f", f"oss://{bucket}/t/", tmp_path / "back")
    for name, body in files.items():
        assert (tmp_path / "back" / name).read_bytes() == body
    (tree / "new").write_bytes(b"new")
    (tree / "a").unlink()
    ossutil("sync", tree, f"oss://{bucket}/t/", "--delete", "-f")
    assert sorted(key for key in keys(oss, bucket) if not key.endswith("/")) == sorted([*expected, "t/new"])[1:]
    ossutil("sync", f"oss://{bucket}/t/", tmp_path / "synced", "-f", "--backup-dir", tmp_path / "backup")
    assert (tmp_path / "synced" / "new").read_bytes() == b"new"
    ossutil("rm", "-r", "-f", f"oss://{bucket}/t/")
    assert keys(oss, bucket) == []


def whole_checkpoint(directory, process):
    """Holds the process; whether a checkpoint of it can be read then. If not, it goes on."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    for path in directory.rglob("*"):
        with contextlib.suppress(ValueError):
            if path.is_file() and json.loads(path.read_text()):
                return True
    process.send_signal(signal.SIGCONT)
    return False


def test_a_large_file_is_resumed_where_it_was_cut(ossutil, oss, bucket, tmp_path):
    source, body = tmp_path / "large", os.urandom(40 * PART + 5)
    source.write_bytes(body)
    copy = ["cp", source, f"oss://{bucket}/large", "--bigfile-threshold", PART, "--part-size", PART, "--parallel", "1",
            "--checkpoint-dir", tmp_path / "checkpoints", "-f"]
    # Slowed down so that it cannot be through before it is killed.
    first = subprocess.Popen(ossutil.command(*copy, "--maxupspeed", "500"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             cwd=tmp_path, env=ossutil.env)
    deadline = time.monotonic() + 60
    while not (uploads := oss.uploads(bucket)) or len(oss.parts(bucket, "large", uploads[0][1])) < 3:
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    # Not while it writes its checkpoint, which it does in place: a torn one makes it begin anew.
    while not whole_checkpoint(tmp_path / "checkpoints", first):
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    first.kill()
    first.wait()
    done = oss.parts(bucket, "large", uploads[0][1])
    assert 3 <= len(done) < 41
    ossutil(*copy)
    assert oss.uploads(bucket) == [], "it went on with the same upload"
    got = oss.get(bucket, "large")
    assert (got.body, got.headers["x-oss-object-type"], got.headers["etag"][-4:]) == (body, "Multipart", '-41"')
    ossutil("cp", f"oss://{bucket}/large", tmp_path / "down", "--bigfile-threshold", PART, "--part-size", PART, "-f",
            "--checkpoint-dir", tmp_path / "checkpoints")
    assert (tmp_path / "down").read_bytes() == body
    ossutil("cp", f"oss://{bucket}/large", f"oss://{bucket}/large copy", "--bigfile-threshold", PART, "--part-size", PART, "-f",
            "--checkpoint-dir", tmp_path / "checkpoints")
    assert oss.get(bucket, "large copy").body == body


def test_signed_urls_are_fetched(ossutil, oss, bucket):
    oss.put(bucket, "dir/k é", b"body")
    for words in ([], ["--disable-encode-slash"], ["--query-param", "response-content-type:a/b"]):
        url = next(word for word in ossutil("sign", f"oss://{bucket}/dir/k é", "--timeout", "60", *words).split() if word.startswith("http"))
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.read() == b"body"
            assert not words[1:] or answer.headers["Content-Type"] == "a/b"


def test_appends(ossutil, oss, bucket, tmp_path):
    bodies = [os.urandom(1000), os.urandom(70_000)]
    for body in bodies:
        (tmp_path / "piece").write_bytes(body)
        ossutil("appendfromfile", tmp_path / "piece", f"oss://{bucket}/log")
    got = oss.get(bucket, "log")
    assert (got.body, got.headers["x-oss-object-type"]) == (b"".join(bodies), "Appendable")
    assert "Appendable" in ossutil("stat", f"oss://{bucket}/log")


def test_acls_tags_links_versions_and_leftovers(ossutil, oss, bucket, tmp_path):
    oss.put(bucket, "k", b"body")
    ossutil("set-acl", f"oss://{bucket}/k", "public-read")
    assert oss.acl(bucket, "k") == "public-read"
    ossutil("object-tagging", "--method", "put", f"oss://{bucket}/k", "a#b", "c#d")
    assert oss.tags(bucket, "k") == {"a": "b", "c": "d"}
    said = ossutil("object-tagging", "--method", "get", f"oss://{bucket}/k")
    assert '"a"' in said and '"d"' in said
    ossutil("create-symlink", f"oss://{bucket}/link", "k")
    assert oss.get(bucket, "link").body == b"body"
    assert "X-Oss-Symlink-Target: k" in " ".join(ossutil("read-symlink", f"oss://{bucket}/link").split()).replace(" :", ":")
    ossutil("mkdir", f"oss://{bucket}/empty")
    assert oss.head(bucket, "empty/").headers["content-length"] == "0"
    if not clients.UPSTREAM:
        ossutil("bucket-versioning", "--method", "put", f"oss://{bucket}", "enabled")
        assert "Enabled" in ossutil("bucket-versioning", "--method", "get", f"oss://{bucket}")
    oss.put(bucket, "k", b"newer")
    if not clients.UPSTREAM:
        assert ossutil("ls", "--all-versions", f"oss://{bucket}/k").count(f"oss://{bucket}/k") == 2
    oss.initiate(bucket, "left over")
    assert "left over" in ossutil("ls", "-m", f"oss://{bucket}")
    ossutil("rm", "-m", "-r", "-f", f"oss://{bucket}")
    assert oss.uploads(bucket) == []
    assert "newer" in ossutil("cat", f"oss://{bucket}/k")
    assert "object count" in ossutil("du", f"oss://{bucket}")


def test_encryption_by_bucket_and_by_request(ossutil, oss, kms, bucket, key_id, tmp_path):
    body = os.urandom(2 * PART + 3)
    (tmp_path / "f").write_bytes(body)
    assert "NoSuchServerSideEncryptionRule" in ossutil("bucket-encryption", "--method", "get", f"oss://{bucket}", fails=True)
    rule = ["--sse-algorithm", "KMS", "--kms-masterkey-id", key_id, "--kms-data-encryption", "SM4"]
    ossutil("bucket-encryption", "--method", "put", f"oss://{bucket}", *rule)
    said = ossutil("bucket-encryption", "--method", "get", f"oss://{bucket}")
    assert "KMS" in said and key_id in said and "SM4" in said
    assert oss.encryption(bucket) == ("KMS", key_id, "SM4")
    assert key_id in ossutil("stat", f"oss://{bucket}")
    big = ["--bigfile-threshold", PART, "--part-size", PART, "--checkpoint-dir", tmp_path / "checkpoints"]
    for key, words in (("small", []), ("parts", big)):
        ossutil("cp", tmp_path / "f", f"oss://{bucket}/{key}", *words)
        got = oss.get(bucket, key)
        assert got.body == body
        assert (got.headers[SSE], got.headers[KEY], got.headers[DATA]) == ("KMS", key_id, "SM4")
        assert "X-Oss-Server-Side-Encryption" in ossutil("stat", f"oss://{bucket}/{key}")
        ossutil("cp", f"oss://{bucket}/{key}", tmp_path / "back", "-f", *words)
        assert (tmp_path / "back").read_bytes() == body
    ossutil("cp", tmp_path / "f", f"oss://{bucket}/asked", "--meta", "x-oss-server-side-encryption:AES256")
    assert oss.head(bucket, "asked").headers[SSE] == "AES256"
    ossutil("bucket-encryption", "--method", "delete", f"oss://{bucket}")
    assert "NoSuchServerSideEncryptionRule" in ossutil("bucket-encryption", "--method", "get", f"oss://{bucket}", fails=True)
    kms.disable_key(KeyId=key_id)
    assert "KeyDisabled" in ossutil("cat", f"oss://{bucket}/small", fails=True)
    kms.schedule_key_deletion(KeyId=key_id)
    assert "KeyPendingDeletion" in ossutil("cat", f"oss://{bucket}/small", fails=True)
    waiting = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    under = f"x-oss-server-side-encryption:KMS#x-oss-server-side-encryption-key-id:{waiting}"
    assert "KeyPendingImport" in ossutil("cp", tmp_path / "f", f"oss://{bucket}/new", "--meta", under, fails=True)


def test_a_wrong_secret_is_refused(ossutil, bucket):
    ossutil.config.write_text(ossutil.config.read_text().replace("accessKeySecret=", "accessKeySecret=x"))
    assert "SignatureDoesNotMatch" in ossutil("ls", f"oss://{bucket}", fails=True)

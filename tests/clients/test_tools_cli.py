"""rclone, s3cmd, s5cmd and restic as clients, with their own verification on, into every kind of bucket.

In a bucket with SSE-KMS an ETag is not the body's MD5, as on AWS. What each client makes of that is part of the cases.
"""

import os
import secrets
import subprocess

import pytest

BIG = 17_000_001  # three parts and more at 5 MiB, and no multiple of a segment


@pytest.fixture
def tree(tmp_path):
    """An empty file, a name that needs encoding, and a file that goes up in parts."""
    tree = tmp_path / "tree"
    (tree / "sub dir").mkdir(parents=True)
    (tree / "empty").write_bytes(b"")
    (tree / "sub dir" / "ü+&.txt").write_bytes(b"hello")
    (tree / "big").write_bytes(os.urandom(BIG))
    return tree


@pytest.fixture(params=["default", "aws:kms"])
def mode(request):
    return request.param


@pytest.fixture
def target(mode, s3, key_arn):
    """An empty bucket whose default encryption is the parameter's."""
    name = "t-" + secrets.token_hex(8)
    s3.create_bucket(Bucket=name)
    if mode == "aws:kms":
        rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
        rules = [{"ApplyServerSideEncryptionByDefault": rule}]
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    yield name
    for entry in s3.list_objects_v2(Bucket=name).get("Contents", []):
        head = s3.head_object(Bucket=name, Key=entry["Key"])
        expected = "AES256" if mode == "default" else "aws:kms"
        assert head["ServerSideEncryption"] == expected, entry["Key"]


class Tool:
    """A command-line client: the words before every command, and its environment."""

    def __init__(self, gateway, *words, **env):
        self.words, self.env = words, gateway.env() | env

    def __call__(self, *words, fails=False):
        done = subprocess.run(
            [*self.words, *map(str, words)], env=self.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120,
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert (done.returncode != 0) == fails, f"{self.words[0]} {words}: {done.returncode}\n{said}"
        return said


@pytest.fixture
def plain_rclone(gateway):
    return Tool(
        gateway, "rclone", RCLONE_CONFIG_SG_TYPE="s3", RCLONE_CONFIG_SG_PROVIDER="Other",
        RCLONE_CONFIG_SG_ENV_AUTH="true", RCLONE_CONFIG_SG_ENDPOINT=gateway.endpoint,
        RCLONE_CONFIG_SG_REGION="us-east-1", RCLONE_S3_UPLOAD_CUTOFF="5M", RCLONE_S3_CHUNK_SIZE="5M",
        RCLONE_RETRIES="1", RCLONE_LOW_LEVEL_RETRIES="1",
    )


@pytest.fixture
def rclone(plain_rclone, mode, key_arn):
    """rclone as its manual wants it for SSE-KMS: it takes an ETag for an MD5 unless it is told of the encryption itself."""
    if mode == "aws:kms":
        plain_rclone.env |= {"RCLONE_S3_SERVER_SIDE_ENCRYPTION": "aws:kms", "RCLONE_S3_SSE_KMS_KEY_ID": key_arn}
    return plain_rclone


@pytest.fixture
def s3cmd(gateway, tmp_path):
    host = gateway.endpoint.removeprefix("http://")
    config = tmp_path / "s3cfg"
    config.write_text(
        f"[default]\naccess_key = {gateway.access_key}\nsecret_key = {gateway.secret_key}\n"
        f"host_base = {host}\nhost_bucket = {host}\nbucket_location = us-east-1\nuse_https = False\n"
        "signature_v2 = False\nmultipart_chunk_size_mb = 5\n"
    )
    return Tool(gateway, "s3cmd", "--config", str(config), "--no-progress")


@pytest.fixture
def s5cmd(gateway):
    return Tool(gateway, "s5cmd", "--endpoint-url", gateway.endpoint, "--retry-count", "0")


@pytest.fixture
def restic(gateway, target):
    repository = f"s3:{gateway.endpoint}/{target}/backup"
    return Tool(gateway, "restic", "--no-cache", RESTIC_REPOSITORY=repository, RESTIC_PASSWORD="of the test")


def same_tree(left, right):
    def files(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    assert files(left) == files(right)


def test_rclone_copies_checks_and_copies_server_side(rclone, target, tree, tmp_path):
    rclone("copy", tree, f"sg:{target}/a")
    rclone("check", "--download", tree, f"sg:{target}/a")
    rclone("copy", f"sg:{target}/a", f"sg:{target}/b")
    rclone("copy", f"sg:{target}/b", tmp_path / "back")
    same_tree(tree, tmp_path / "back")
    assert f"{BIG} b/big" in rclone("ls", f"sg:{target}")
    rclone("purge", f"sg:{target}/a")
    assert "a/" not in rclone("ls", f"sg:{target}")


def test_rclone_check_finds_a_changed_file(rclone, target, tree):
    rclone("copy", tree, f"sg:{target}")
    (tree / "sub dir" / "ü+&.txt").write_bytes(b"hellO")
    assert "1 differences" in rclone("check", "--download", tree, f"sg:{target}", fails=True)


@pytest.mark.parametrize("mode", ["aws:kms"])
def test_rclone_untold_of_kms_refuses_the_etag_as_on_aws(plain_rclone, target, tree):
    assert "md5 hash differ" in plain_rclone("copy", tree, f"sg:{target}", fails=True)


def test_rclone_makes_and_removes_a_bucket(plain_rclone):
    rclone, name = plain_rclone, "t-" + secrets.token_hex(8)
    rclone("mkdir", f"sg:{name}")
    assert name in rclone("lsd", "sg:")
    rclone("rmdir", f"sg:{name}")
    assert name not in rclone("lsd", "sg:")


def test_s3cmd_syncs_copies_and_deletes(s3cmd, target, tree, tmp_path):
    s3cmd("put", "--recursive", f"{tree}/", f"s3://{target}/a/")
    s3cmd("cp", f"s3://{target}/a/big", f"s3://{target}/b/big")
    assert "MD5 sum" in s3cmd("info", f"s3://{target}/b/big")
    s3cmd("get", f"s3://{target}/b/big", tmp_path / "big")
    assert (tmp_path / "big").read_bytes() == (tree / "big").read_bytes()
    (tmp_path / "back").mkdir()
    s3cmd("sync", f"s3://{target}/a/", f"{tmp_path / 'back'}/")
    same_tree(tree, tmp_path / "back")
    s3cmd("del", "--recursive", "--force", f"s3://{target}/")
    assert "s3://" not in s3cmd("ls", "--recursive", f"s3://{target}")


def test_s3cmd_makes_and_removes_a_bucket(s3cmd):
    name = "t-" + secrets.token_hex(8)
    s3cmd("mb", f"s3://{name}")
    assert name in s3cmd("ls")
    s3cmd("rb", f"s3://{name}")
    assert name not in s3cmd("ls")


def test_s5cmd_copies_lists_and_deletes(s5cmd, target, tree, tmp_path):
    s5cmd("cp", "--part-size", "5", f"{tree}/", f"s3://{target}/a/")
    assert f"{BIG}" in s5cmd("ls", f"s3://{target}/a/*")
    s5cmd("cp", f"s3://{target}/a/big", f"s3://{target}/b/big")
    s5cmd("cp", f"s3://{target}/b/big", f"{tmp_path}/big")
    assert (tmp_path / "big").read_bytes() == (tree / "big").read_bytes()
    s5cmd("cp", f"s3://{target}/a/*", f"{tmp_path}/back/")
    same_tree(tree, tmp_path / "back")
    s5cmd("rm", f"s3://{target}/*")
    assert "no object found" in s5cmd("ls", f"s3://{target}/*", fails=True)


def test_s5cmd_makes_and_removes_a_bucket(s5cmd):
    name = "t-" + secrets.token_hex(8)
    s5cmd("mb", f"s3://{name}")
    assert name in s5cmd("ls")
    s5cmd("rb", f"s3://{name}")
    assert name not in s5cmd("ls")


def test_restic_backs_up_reads_every_byte_restores_and_forgets(restic, tree, tmp_path):
    restic("init")
    restic("backup", tree)
    assert "no errors were found" in restic("check", "--read-data")
    restic("restore", "latest", "--target", tmp_path / "back")
    same_tree(tree, tmp_path / "back" / tree.relative_to("/"))
    (tree / "big").unlink()
    restic("backup", tree)
    restic("forget", "--keep-last", "1", "--prune")
    assert "no errors were found" in restic("check", "--read-data")

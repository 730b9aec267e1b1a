"""Moving to another master key: a bucket by `sealgate rewrap`, one object by UpdateObjectEncryption."""

import http.client
import json
import secrets
import subprocess
import threading
import time

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from conftest import BINARY, REGION, UPSTREAM
from modes import customer
from test_bucket_keys import default


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def rewrap(gateway, *words, fails=False):
    command = [BINARY, "rewrap", "--config", str(gateway.config), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode != 0) == fails, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stderr if fails else done.stdout


@pytest.fixture
def house(own_gateway):
    gateway = own_gateway(log_level="warn")
    gateway.s3, gateway.kms = gateway.client(max_pool_connections=16), gateway.client("kms")
    gateway.one, gateway.two = (gateway.kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    gateway.bucket = "b-" + secrets.token_hex(8)
    gateway.s3.create_bucket(Bucket=gateway.bucket)
    default(gateway.s3, gateway.bucket, gateway.one, True)
    return gateway


def seen(s3, bucket, key):
    head = s3.head_object(Bucket=bucket, Key=key)
    return head["SSEKMSKeyId"], head["ETag"], head["LastModified"]


def test_a_bucket_moves_under_load_in_a_moment_and_its_old_key_can_go(house):
    s3, bucket = house.s3, house.bucket
    names = [f"k{n}" for n in range(100)]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=name.encode())
    before = {name: seen(s3, bucket, name) for name in names}
    default(s3, bucket, house.two, True)
    ended, wrong = threading.Event(), []

    def use(who):
        client, n = house.client(), 0
        while not ended.is_set():
            n += 1
            name = names[(n * 7 + who) % 50]
            try:
                assert client.get_object(Bucket=bucket, Key=name)["Body"].read() == name.encode()
                client.put_object(Bucket=bucket, Key=f"new {who}", Body=b"x")
            except (ClientError, AssertionError) as error:
                wrong.append(error)

    users = [threading.Thread(target=use, args=(who,)) for who in range(4)]
    for user in users:
        user.start()
    said = [rewrap(house, "--bucket", bucket, "--to", house.two) for _ in range(3)][-1]
    ended.set()
    for user in users:
        user.join()
    assert not wrong
    assert house.two in said and house.one not in said
    house.kms.disable_key(KeyId=house.one)
    for name in names:
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == name.encode()
        assert seen(s3, bucket, name) == (house.two, *before[name][1:])
    house.stop()
    # The same without a gateway, and back; it takes no longer for more objects.
    house.start()
    house.client("kms").enable_key(KeyId=house.one)
    house.stop()
    began = time.monotonic()
    assert house.one in rewrap(house, "--bucket", bucket, "--to", house.one)
    assert time.monotonic() - began < 5
    house.start()
    assert seen(house.client(), bucket, "k0")[0] == house.one


def test_a_key_that_may_not_be_used_moves_nothing(house):
    house.s3.put_object(Bucket=house.bucket, Key="k", Body=b"x")
    house.kms.disable_key(KeyId=house.two)
    assert "disabled" in rewrap(house, "--bucket", house.bucket, "--to", house.two, fails=True)
    assert "bucket does not exist" in rewrap(house, "--bucket", "no-such-bucket", fails=True)
    assert "does not exist" in rewrap(house, "--bucket", house.bucket, "--to", "alias/none", fails=True)
    assert seen(house.s3, house.bucket, "k")[0] == house.one
    assert house.s3.get_object(Bucket=house.bucket, Key="k")["Body"].read() == b"x"


@pytest.mark.skipif(bool(UPSTREAM), reason="tools work beside the gateways of an upstream")
def test_the_control_socket_is_for_the_gateways_user(house):
    assert (house.data / "control.sock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("versions", [False, True], ids=["current", "older"])
def test_one_object_moves_with_its_etag_date_and_version(s3, kms, bucket, key_arn, versions):
    if versions:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    other = kms.create_key()["KeyMetadata"]["Arn"]
    ways = [{}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn},
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn, "BucketKeyEnabled": True}]
    for n, way in enumerate(ways):
        at = {"Bucket": bucket, "Key": f"a b/{n}"}
        put = s3.put_object(**at, Body=b"hello", Tagging="a=b", Metadata={"x": "y"}, **way)
        old = at
        if versions:
            old = at | {"VersionId": put["VersionId"]}
            s3.put_object(**at, Body=b"newer")
        before = s3.head_object(**old)
        for flag in (True, False):
            s3.update_object_encryption(**old, ObjectEncryption={"SSEKMS": {"KMSKeyArn": other, "BucketKeyEnabled": flag}})
            now = s3.head_object(**old)
            assert (now["SSEKMSKeyId"], now.get("BucketKeyEnabled", False)) == (other, flag)
            for field in ("ETag", "LastModified", "VersionId", "Metadata", "ContentLength"):
                assert now.get(field) == before.get(field), field
            assert s3.get_object(**old)["Body"].read() == b"hello"
        assert s3.get_object_tagging(**old)["TagSet"] == [{"Key": "a", "Value": "b"}]
        if versions:
            assert s3.get_object(**at)["Body"].read() == b"newer"
    kms.disable_key(KeyId=key_arn)
    assert s3.get_object(**old)["Body"].read() == b"hello"


def test_what_cannot_be_moved_is_refused(gateway, s3, kms, bucket, key_arn):
    at, to = {"Bucket": bucket, "Key": "k"}, {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": key_arn}}}
    assert code_of(s3.update_object_encryption, **at, **to) == "NoSuchKey"
    s3.put_object(**at, Body=b"x", **customer("one").write)
    assert code_of(s3.update_object_encryption, **at, **to) in ("InvalidRequest", "InvalidArgument")
    s3.put_object(**at, Body=b"x")
    alias = {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:alias/aws/s3"}}}
    assert code_of(s3.update_object_encryption, **at, **alias) == "InvalidRequest"
    kms.disable_key(KeyId=key_arn)
    assert code_of(s3.update_object_encryption, **at, **to) == "KMS.DisabledException"
    kms.enable_key(KeyId=key_arn)
    other = gateway.client(other=True)
    assert code_of(other.update_object_encryption, **at, **to) == "AccessDenied"
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/other"},
         "Action": ["s3:UpdateObjectEncryption", "s3:GetObject"], "Resource": f"arn:aws:s3:::{bucket}/*"}]}))
    assert code_of(other.update_object_encryption, **at, **to) == "AccessDenied", "the key is another's"
    assert s3.head_object(**at)["ServerSideEncryption"] == "AES256"
    for document, code in [(b"", "MalformedXML"), (b"<x/>", "MalformedXML"),
                           (b"<ObjectEncryption><SSE-S3/></ObjectEncryption>", "InvalidRequest")]:
        url = f"{gateway.endpoint}/{bucket}/k?encryption"
        request = AWSRequest("PUT", url, data=document)
        S3SigV4Auth(Credentials(gateway.access_key, gateway.secret_key), "s3", REGION).add_auth(request)
        connection = http.client.HTTPConnection(*gateway.address, timeout=30)
        connection.request("PUT", f"/{bucket}/k?encryption", document, dict(request.headers))
        answer = connection.getresponse()
        assert (answer.status, code.encode() in answer.read()) == (400, True), document


def test_a_walk_wraps_each_object_anew_and_goes_on_where_it_was_cut(house, tmp_path):
    s3, bucket = house.s3, house.bucket
    direct = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": house.one}
    for n in range(60):
        s3.put_object(Bucket=bucket, Key=f"k{n:02}", Body=b"hello", **(direct if n % 2 else {}))
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x", ServerSideEncryption="AES256")
    before = {f"k{n:02}": seen(s3, bucket, f"k{n:02}") for n in range(60)}
    to = ["--bucket", bucket, "--to", house.two, "--full"]
    assert rewrap(house, *to, "--dry-run").startswith("would wrap 60 objects anew; 0 were so already; 1 under no master key")
    assert seen(s3, bucket, "k01")[0] == house.one
    cursor = tmp_path / "cursor"
    # Ten a second: cut in the middle, and the gateway with it.
    command = [BINARY, "rewrap", "--config", str(house.config), *to, "--cursor", str(cursor), "--rate", "10"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while seen(s3, bucket, "k01")[0] == house.one:
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert s3.get_object(Bucket=bucket, Key="k59")["Body"].read() == b"hello"
    said = rewrap(house, *to, "--cursor", str(cursor))
    assert "0 changed meanwhile; 0 failed" in said and not cursor.exists()
    house.kms.disable_key(KeyId=house.one)
    for name, (_, etag, modified) in before.items():
        assert seen(s3, bucket, name) == (house.two, etag, modified)
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"hello"
    # What cannot be opened is named, and ends it with 1.
    s3.put_object(Bucket=bucket, Key="z", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=house.two)
    house.kms.enable_key(KeyId=house.one)
    house.kms.disable_key(KeyId=house.two)
    assert "disabled" in rewrap(house, "--bucket", bucket, "--to", house.one, "--full", fails=True)

"""Bucket keys: the flag as it is answered, what the key service is asked, and whom a remembered key serves."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from test_audit import events
from test_kms_policy import ACCOUNT, OWNER, allow, policy

FLAG = "BucketKeyEnabled"


@pytest.fixture
def kms_headers(key_arn):
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}


def default(s3, bucket, key, flag):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, FLAG: flag}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]


@pytest.mark.parametrize("flag", [True, False])
def test_a_write_keeps_its_flag_and_every_answer_says_it(s3, bucket, kms_headers, flag):
    named = {"Bucket": bucket, "Key": "k"}
    put = s3.put_object(**named, Body=b"x", **kms_headers, BucketKeyEnabled=flag)
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", **kms_headers, BucketKeyEnabled=flag)
    upload = {"Bucket": bucket, "Key": "parts"}
    created = s3.create_multipart_upload(**upload, **kms_headers, BucketKeyEnabled=flag)
    upload["UploadId"] = created["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    done = s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    answers = [put, copied, created, part, done]
    for key in ("k", "copy", "parts"):
        answers += [s3.head_object(Bucket=bucket, Key=key), s3.get_object(Bucket=bucket, Key=key)]
    for answer in answers:
        assert answer.get(FLAG, False) == flag
        sent = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-server-side-encryption-bucket-key-enabled")
        assert sent == ("true" if flag else None)


def test_a_buckets_flag_is_for_writes_that_say_nothing(s3, bucket, key_arn, kms_headers):
    assert default(s3, bucket, key_arn, True)[FLAG] is True
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")[FLAG] is True
    # A header replaces the default as a whole.
    assert FLAG not in s3.put_object(Bucket=bucket, Key="k", Body=b"x", **kms_headers)
    assert FLAG not in s3.head_object(Bucket=bucket, Key="k")
    assert default(s3, bucket, key_arn, False)[FLAG] is False
    assert FLAG not in s3.put_object(Bucket=bucket, Key="k", Body=b"x")


def test_other_modes_know_no_bucket_key(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256", BucketKeyEnabled=True)
    assert FLAG not in put and FLAG not in s3.head_object(Bucket=bucket, Key="k")


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def house(own_gateway):
    """A gateway of its own with a bucket whose default is a key with the flag."""
    def start(settings=""):
        gateway = own_gateway(settings, log_level="warn")
        gateway.s3, gateway.kms = gateway.client(max_pool_connections=16), gateway.client("kms")
        gateway.bucket = "b-" + secrets.token_hex(8)
        gateway.s3.create_bucket(Bucket=gateway.bucket)
        gateway.arn = gateway.kms.create_key()["KeyMetadata"]["Arn"]
        default(gateway.s3, gateway.bucket, gateway.arn, True)
        return gateway

    return start


def test_many_small_writes_and_reads_make_a_handful_of_calls_and_events(house):
    gateway = house()
    s3, names = gateway.s3, [f"k{n}" for n in range(600)]

    def write(name):
        return s3.put_object(Bucket=gateway.bucket, Key=name, Body=name.encode())

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(write, names))
        assert all(answer[FLAG] and answer["SSEKMSKeyId"] == gateway.arn for answer in answers)
        read = list(pool.map(lambda name: s3.get_object(Bucket=gateway.bucket, Key=name)["Body"].read(), names))
    assert read == [name.encode() for name in names]
    assert gateway.metric("sealgate_kms_requests_total") <= 3
    gateway.kms.tag_resource(KeyId=gateway.arn, Tags=[{"TagKey": "t", "TagValue": "v"}])
    uses = [event for event in events(gateway, "--key", gateway.arn) if event["eventName"] in ("GenerateDataKey", "Decrypt")]
    assert 2 <= len(uses) <= 3
    for event in uses:
        assert event["requestParameters"]["encryptionContext"] == {"aws:s3:arn": f"arn:aws:s3:::{gateway.bucket}"}
    # Each write would be two uses without.
    default(s3, gateway.bucket, gateway.arn, False)
    before = gateway.metric("sealgate_kms_requests_total")
    for name in names[:5]:
        write(name)
        s3.get_object(Bucket=gateway.bucket, Key=name)["Body"].read()
    assert gateway.metric("sealgate_kms_requests_total") >= before + 10


def test_nothing_is_remembered_where_the_setting_says_so(house):
    gateway = house('kms_cache_ttl = "0"')
    at = {"Bucket": gateway.bucket, "Key": "k"}
    gateway.s3.put_object(**at, Body=b"x")
    for _ in range(3):
        before = gateway.metric("sealgate_kms_requests_total")
        assert gateway.s3.get_object(**at)["Body"].read() == b"x"
        assert gateway.metric("sealgate_kms_requests_total") == before + 1
        gateway.s3.put_object(**at, Body=b"x")
        assert gateway.metric("sealgate_kms_requests_total") == before + 3


def test_a_remembered_bucket_key_serves_nobody_whom_the_key_refuses(gateway, s3, kms, bucket, key_arn):
    default(s3, bucket, key_arn, True)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"{ACCOUNT}:user/other"}, "Action": ["s3:GetObject", "s3:PutObject"],
         "Resource": f"arn:aws:s3:::{bucket}/*"}]}))
    other, at, new = gateway.client(other=True), {"Bucket": bucket, "Key": "k"}, {"Bucket": bucket, "Key": "new", "Body": b"y"}
    s3.put_object(**at, Body=b"x")
    assert s3.get_object(**at)["Body"].read() == b"x"
    assert code_of(other.get_object, **at) == "AccessDenied"
    assert code_of(other.put_object, **new) == "AccessDenied"
    # A grant for the bucket's ARN is one for all of its objects.
    for_bucket = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}"}
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER, allow("user/other", "kms:Decrypt", StringEquals=for_bucket)))
    assert other.get_object(**at)["Body"].read() == b"x"
    assert code_of(other.put_object, **new) == "AccessDenied"
    both = allow("user/other", "kms:GenerateDataKey", "kms:Decrypt", StringEquals=for_bucket)
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER, both))
    assert other.put_object(**new)[FLAG] is True
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER))
    assert code_of(other.get_object, **at) == "AccessDenied", "at once"
    assert code_of(other.put_object, **new) == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key="new")["Body"].read() == b"y"


def test_a_key_that_is_taken_away_serves_nothing_from_then_on(s3, kms, bucket, key_arn):
    default(s3, bucket, key_arn, True)
    at = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**at, Body=b"x")
    for take, give, code in [
        (lambda: kms.disable_key(KeyId=key_arn), lambda: kms.enable_key(KeyId=key_arn), "KMS.DisabledException"),
        (lambda: kms.schedule_key_deletion(KeyId=key_arn, PendingWindowInDays=7),
         lambda: (kms.cancel_key_deletion(KeyId=key_arn), kms.enable_key(KeyId=key_arn)), "KMS.KMSInvalidStateException"),
    ]:
        assert s3.get_object(**at)["Body"].read() == b"x"
        take()
        assert code_of(s3.get_object, **at) == code
        assert code_of(s3.put_object, **at, Body=b"y") == code
        assert s3.head_object(**at)["ContentLength"] == 1
        give()


def test_bucket_keys_survive_a_restart(house):
    gateway = house()
    gateway.s3.put_object(Bucket=gateway.bucket, Key="k", Body=b"x")
    gateway.stop()
    gateway.start()
    s3 = gateway.client()
    assert s3.get_object(Bucket=gateway.bucket, Key="k")["Body"].read() == b"x"
    s3.put_object(Bucket=gateway.bucket, Key="k", Body=b"y")
    assert s3.get_object(Bucket=gateway.bucket, Key="k")["Body"].read() == b"y"

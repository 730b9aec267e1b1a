"""Key policies: who may administer a key and who may use it, as S3 and KMS clients find out."""

import base64
import json

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "arn:aws:iam::000000000000"
DENIED = "AccessDeniedException"


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def allow(principal, *actions, **conditions):
    statement = {"Effect": "Allow", "Principal": {"AWS": f"{ACCOUNT}:{principal}"}, "Action": list(actions), "Resource": "*"}
    return statement | ({"Condition": conditions} if conditions else {})


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


OWNER = allow("root", "kms:*")


@pytest.fixture
def stranger(gateway):
    return gateway.client("kms", other=True)


@pytest.fixture
def shared(s3, bucket):
    """A bucket that the other user may read and write."""
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"{ACCOUNT}:user/other"}, "Action": ["s3:GetObject", "s3:PutObject"],
         "Resource": f"arn:aws:s3:::{bucket}/*"}]}))
    return bucket


def test_the_right_to_an_object_is_not_the_right_to_its_key(gateway, s3, kms, shared, key_arn):
    other = gateway.client(other=True)
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}
    s3.put_object(Bucket=shared, Key="k", Body=b"x", **write)
    assert refused(other.get_object, Bucket=shared, Key="k") == "AccessDenied"
    assert refused(other.put_object, Bucket=shared, Key="new", Body=b"x", **write) == "AccessDenied"
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER, allow("user/other", "kms:Decrypt")))
    assert other.get_object(Bucket=shared, Key="k")["Body"].read() == b"x"
    assert refused(other.put_object, Bucket=shared, Key="new", Body=b"x", **write) == "AccessDenied"
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER, allow("user/other", "kms:Decrypt", "kms:GenerateDataKey")))
    other.put_object(Bucket=shared, Key="new", Body=b"y", **write)
    # What was given is taken back, and at once.
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER))
    assert refused(other.get_object, Bucket=shared, Key="k") == "AccessDenied"
    assert s3.get_object(Bucket=shared, Key="new")["Body"].read() == b"y"


def test_uploads_in_parts_ask_for_decrypt_too(gateway, kms, shared, key_arn):
    other = gateway.client(other=True)
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER, allow("user/other", "kms:GenerateDataKey")))
    upload = other.create_multipart_upload(Bucket=shared, Key="k", **write)["UploadId"]
    part = {"Bucket": shared, "Key": "k", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
    assert refused(other.upload_part, **part) == "AccessDenied"
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER, allow("user/other", "kms:GenerateDataKey", "kms:Decrypt")))
    etag = other.upload_part(**part)["ETag"]
    other.complete_multipart_upload(Bucket=shared, Key="k", UploadId=upload,
                                    MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})


def test_conditions_bind_a_grant_to_a_service_and_a_context(gateway, s3, kms, stranger, shared, key_arn):
    other = gateway.client(other=True)
    for key in ("in/k", "out/k"):
        s3.put_object(Bucket=shared, Key=key, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_arn)
    grant = allow("user/other", "kms:Decrypt", StringEquals={"kms:ViaService": "s3.us-east-1.amazonaws.com"},
                  StringLike={"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{shared}/in/*"})
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER, grant))
    assert other.get_object(Bucket=shared, Key="in/k")["Body"].read() == b"x"
    assert refused(other.get_object, Bucket=shared, Key="out/k") == "AccessDenied"
    context = {"aws:s3:arn": f"arn:aws:s3:::{shared}/in/k"}
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]
    assert refused(stranger.decrypt, CiphertextBlob=blob, EncryptionContext=context) == DENIED
    team = allow("user/other", "kms:Decrypt", StringEquals={"kms:EncryptionContext:team": "blue"})
    kms.put_key_policy(KeyId=key_arn, Policy=policy(OWNER, team))
    for name, opens in (("blue", True), ("red", False)):
        context = {"team": name}
        blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]
        if opens:
            assert stranger.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == b"x"
        else:
            assert refused(stranger.decrypt, CiphertextBlob=blob, EncryptionContext=context) == DENIED


def test_administering_is_not_using(gateway, stranger):
    key = stranger.create_key()["KeyMetadata"]["KeyId"]
    root = gateway.client("kms")
    administers = allow("user/other", "kms:*Key*Policy", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey")
    stranger.put_key_policy(KeyId=key, Policy=policy(administers))
    stranger.disable_key(KeyId=key)
    stranger.enable_key(KeyId=key)
    assert refused(stranger.encrypt, KeyId=key, Plaintext=b"x") == DENIED
    assert refused(root.encrypt, KeyId=key, Plaintext=b"x") == DENIED, "the policy decides on use, over root too"
    assert refused(stranger.schedule_key_deletion, KeyId=key) == DENIED
    denied = {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"}
    stranger.put_key_policy(KeyId=key, Policy=policy(allow("user/other", "kms:*"), denied))
    assert refused(stranger.encrypt, KeyId=key, Plaintext=b"x") == DENIED
    made = stranger.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert stranger.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]


def test_policies_are_shown_checked_and_repaired(gateway, kms, stranger):
    key = stranger.create_key()["KeyMetadata"]["KeyId"]
    assert stranger.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    shown = stranger.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    assert json.loads(shown)["Statement"][0]["Principal"] == {"AWS": f"{ACCOUNT}:root"}
    stranger.put_key_policy(KeyId=key, PolicyName="default", Policy=shown)
    assert stranger.get_key_policy(KeyId=key)["Policy"] == shown
    stranger.encrypt(KeyId=key, Plaintext=b"x")
    assert refused(stranger.get_key_policy, KeyId=key, PolicyName="mine") == "NotFoundException"
    wrong = "MalformedPolicyDocumentException"
    for document in ("{}", "x", policy(allow("user/other", "s3:*")), policy(allow("user/other", "kms:Nothing")),
                     policy(allow("user/else", "kms:*")),
                     policy(OWNER | {"Resource": "arn:aws:kms:us-east-1:000000000000:key/other"}),
                     policy(OWNER | {"Condition": {"StringEquals": {"kms:Nothing": "x"}}})):
        assert refused(stranger.put_key_policy, KeyId=key, Policy=document) == wrong, document
        assert refused(stranger.create_key, Policy=document) == wrong, document
    stranger.put_key_policy(KeyId=key, Policy=policy(allow("user/else", "kms:*")), BypassPolicyLockoutSafetyCheck=True)
    assert refused(stranger.get_key_policy, KeyId=key) == DENIED
    kms.put_key_policy(KeyId=key, Policy=shown)
    stranger.encrypt(KeyId=key, Plaintext=b"x")
    made = stranger.create_key(Policy=policy(OWNER, allow("user/else", "kms:Decrypt")))["KeyMetadata"]["KeyId"]
    assert len(json.loads(stranger.get_key_policy(KeyId=made)["Policy"])["Statement"]) == 2
    assert refused(stranger.get_key_policy, KeyId="alias/aws/s3") in (DENIED, "NotFoundException")


def test_policies_survive_a_restart(own_gateway):
    gateway = own_gateway()
    kms = gateway.client("kms")
    key = kms.create_key(Policy=policy(OWNER, allow("user/other", "kms:Encrypt")))["KeyMetadata"]["KeyId"]
    gateway.stop()
    gateway.start()
    stranger = gateway.client("kms", other=True)
    blob = stranger.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert refused(stranger.decrypt, CiphertextBlob=blob) == DENIED


def test_the_commands_of_policies(gateway, tmp_path):
    key = json.loads(gateway.aws("kms", "create-key"))["KeyMetadata"]["KeyId"]
    document = tmp_path / "policy.json"
    document.write_text(policy(OWNER, allow("user/other", "kms:Decrypt")))
    gateway.aws("kms", "put-key-policy", "--key-id", key, "--policy-name", "default", "--policy", f"file://{document}")
    shown = gateway.aws("kms", "get-key-policy", "--key-id", key, "--policy-name", "default", "--output", "text", "--query", "Policy")
    assert json.loads(shown) == json.loads(document.read_text())


def test_what_is_encrypted_anew_and_what_is_never_shown(kms, stranger, key_arn):
    other_key = kms.create_key()["KeyMetadata"]["Arn"]
    one, two = {"a": "1"}, {"a": "2"}
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"text", EncryptionContext=one)["CiphertextBlob"]
    moved = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=one, DestinationKeyId=other_key,
                           DestinationEncryptionContext=two)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key_arn, other_key)
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext=two)["Plaintext"] == b"text"
    assert refused(kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=other_key) == "InvalidCiphertextException"
    assert refused(kms.re_encrypt, CiphertextBlob=blob, SourceEncryptionContext=one, SourceKeyId=other_key,
                   DestinationKeyId=other_key) == "IncorrectKeyException"
    assert refused(stranger.re_encrypt, CiphertextBlob=blob, SourceEncryptionContext=one, DestinationKeyId=key_arn) == DENIED
    only = kms.generate_data_key_without_plaintext(KeyId=key_arn, KeySpec="AES_256")
    assert "Plaintext" not in only and len(kms.decrypt(CiphertextBlob=only["CiphertextBlob"])["Plaintext"]) == 32
    assert len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024
    for length in ({"NumberOfBytes": 1025}, {}):
        assert refused(kms.generate_random, **length) == "ValidationException"
    assert refused(kms.encrypt, KeyId=key_arn, Plaintext=b"x", DryRun=True) == "DryRunOperationException"
    assert refused(stranger.encrypt, KeyId=key_arn, Plaintext=b"x", DryRun=True) == DENIED
    recipient = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": base64.b64encode(b"x")}
    assert refused(kms.generate_random, NumberOfBytes=1, Recipient=recipient) == "UnsupportedOperationException"
    assert refused(kms.decrypt, CiphertextBlob=only["CiphertextBlob"], Recipient=recipient) == "UnsupportedOperationException"

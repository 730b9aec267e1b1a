"""A key owner's own material: aws-cli and openssl wrap it, boto3 does what they can't."""

import base64
import datetime
import json
import os
import secrets
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

NEVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def openssl(*words, given=None):
    return subprocess.run(["openssl", *words], input=given, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture
def waiting(kms):
    return kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]


def wrapped(directory, parameters, algorithm, material):
    """What an owner sends, made by openssl."""
    public = directory / "public.der"
    public.write_bytes(parameters["PublicKey"])
    digest = algorithm.rsplit("_", 1)[-1]
    oaep = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:sha{digest}", "-pkeyopt", f"rsa_mgf1_md:sha{digest}"]
    under = lambda plain: openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", str(public), "-keyform", "DER", *oaep, given=plain)
    if algorithm.startswith("RSAES"):
        return under(material)
    aes = secrets.token_bytes(32)
    # RFC 5649, whose initial value openssl wants to be told.
    return under(aes) + openssl("enc", "-id-aes256-wrap-pad", "-K", aes.hex(), "-iv", "A65959A6", given=material)


def bring(kms, directory, key, material, expiry=None, algorithm="RSAES_OAEP_SHA_256", spec="RSA_2048"):
    parameters = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)
    assert parameters["KeyId"].endswith(key)
    kms.import_key_material(KeyId=key, ImportToken=parameters["ImportToken"],
                            EncryptedKeyMaterial=wrapped(directory, parameters, algorithm, material), **(expiry or NEVER))


@pytest.mark.parametrize("algorithm", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"])
@pytest.mark.parametrize("spec", ["RSA_2048", "RSA_3072", "RSA_4096"])
def test_material_comes_in(kms, waiting, tmp_path, algorithm, spec):
    bring(kms, tmp_path, waiting, secrets.token_bytes(32), algorithm=algorithm, spec=spec)
    described = kms.describe_key(KeyId=waiting)["KeyMetadata"]
    assert (described["KeyState"], described["Enabled"], described["Origin"]) == ("Enabled", True, "EXTERNAL")
    assert described["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE" and "ValidTo" not in described
    blob = kms.encrypt(KeyId=waiting, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_deleted_material_closes_objects_until_the_same_comes_back(kms, s3, bucket, waiting, tmp_path):
    material = secrets.token_bytes(32)
    bring(kms, tmp_path, waiting, material)
    s3.put_object(Bucket=bucket, Key="k", Body=b"under my key", ServerSideEncryption="aws:kms", SSEKMSKeyId=waiting)
    kms.delete_imported_key_material(KeyId=waiting)
    assert kms.describe_key(KeyId=waiting)["KeyMetadata"]["KeyState"] == "PendingImport"
    assert refused(s3.get_object, Bucket=bucket, Key="k") == "KMS.KMSInvalidStateException"
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 12
    with pytest.raises(ClientError) as caught:
        bring(kms, tmp_path, waiting, secrets.token_bytes(32))
    assert caught.value.response["Error"]["Code"] == "IncorrectKeyMaterialException"
    bring(kms, tmp_path, waiting, material, algorithm="RSA_AES_KEY_WRAP_SHA_256")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"under my key"


def test_material_expires_and_comes_back(kms, s3, bucket, waiting, tmp_path):
    material = secrets.token_bytes(32)
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=10)
    bring(kms, tmp_path, waiting, material, {"ValidTo": end})
    described = kms.describe_key(KeyId=waiting)["KeyMetadata"]
    assert described["ExpirationModel"] == "KEY_MATERIAL_EXPIRES" and abs(described["ValidTo"] - end) < datetime.timedelta(seconds=1)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=waiting)
    # The one event here that only time brings.
    while kms.describe_key(KeyId=waiting)["KeyMetadata"]["KeyState"] == "Enabled":
        assert datetime.datetime.now(datetime.timezone.utc) < end + datetime.timedelta(seconds=5)
        time.sleep(0.2)
    assert kms.describe_key(KeyId=waiting)["KeyMetadata"]["KeyState"] == "PendingImport"
    assert refused(s3.get_object, Bucket=bucket, Key="k") == "KMS.KMSInvalidStateException"
    assert refused(kms.encrypt, KeyId=waiting, Plaintext=b"x") == "KMSInvalidStateException"
    bring(kms, tmp_path, waiting, material)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_what_cannot_be_imported_has_the_names_of_aws(kms, gateway, waiting, key_arn, tmp_path):
    how = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    parameters = kms.get_parameters_for_import(KeyId=waiting, **how)
    valid = parameters["ParametersValidTo"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(hours=23, minutes=55) < valid < datetime.timedelta(hours=24, minutes=5)
    good = wrapped(tmp_path, parameters, "RSAES_OAEP_SHA_256", secrets.token_bytes(32))
    short = wrapped(tmp_path, parameters, "RSAES_OAEP_SHA_256", secrets.token_bytes(16))
    other = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    token = parameters["ImportToken"]
    assert len(token) <= 6144, "no client sends a longer one"
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    usual = {"KeyId": waiting, "ImportToken": token, "EncryptedKeyMaterial": good} | NEVER
    for change, code in [
        ({"EncryptedKeyMaterial": good[:-1] + bytes([good[-1] ^ 1])}, "InvalidCiphertextException"),
        ({"EncryptedKeyMaterial": short}, "IncorrectKeyMaterialException"),
        ({"ImportToken": token[:-1] + bytes([token[-1] ^ 1])}, "InvalidImportTokenException"),
        ({"KeyId": other}, "InvalidImportTokenException"),
        ({"KeyId": key_arn}, "UnsupportedOperationException"),
        ({"ValidTo": soon}, "ValidationException"),
        ({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, "ValidationException"),
        ({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": soon + datetime.timedelta(days=365)}, "ValidationException"),
        ({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": datetime.datetime(2020, 1, 1)}, "ValidationException"),
        ({"ImportType": "NEW_KEY_MATERIAL"}, "UnsupportedOperationException"),
    ]:
        assert refused(kms.import_key_material, **usual | change) == code, change
    assert refused(gateway.client("kms", other=True).import_key_material, **usual) == "AccessDeniedException"
    assert refused(kms.get_parameters_for_import, KeyId=key_arn, **how) == "UnsupportedOperationException"
    assert refused(kms.get_parameters_for_import, KeyId=waiting, **how | {"WrappingAlgorithm": "RSAES_PKCS1_V1_5"}) == "UnsupportedOperationException"
    assert refused(kms.delete_imported_key_material, KeyId=key_arn) == "UnsupportedOperationException"
    assert refused(kms.rotate_key_on_demand, KeyId=waiting) == "UnsupportedOperationException"
    kms.delete_imported_key_material(KeyId=waiting)
    assert kms.describe_key(KeyId=waiting)["KeyMetadata"]["KeyState"] == "PendingImport"
    kms.import_key_material(**usual)
    kms.import_key_material(**usual)
    kms.schedule_key_deletion(KeyId=waiting)
    assert refused(kms.import_key_material, **usual) == "KMSInvalidStateException"
    assert refused(kms.delete_imported_key_material, KeyId=waiting) == "KMSInvalidStateException"


def test_a_token_outlives_a_restart_and_material_too(own_gateway, tmp_path):
    gateway = own_gateway()
    kms = gateway.client("kms")
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    parameters = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    gateway.stop()
    kms = gateway.start().client("kms")
    kms.import_key_material(KeyId=key, ImportToken=parameters["ImportToken"], **NEVER,
                            EncryptedKeyMaterial=wrapped(tmp_path, parameters, "RSAES_OAEP_SHA_256", b"m" * 32))
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    gateway.stop()
    kms = gateway.start().client("kms")
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    stored = b"".join(path.read_bytes() for path in gateway.data.rglob("*") if path.is_file())
    assert b"m" * 16 not in stored and b"m" * 16 not in gateway.log.read_bytes()
    assert base64.b64encode(b"m" * 30) not in gateway.log.read_bytes()


def test_no_material_is_in_logs_or_files_after_its_deletion(own_gateway, tmp_path):
    """The sealed record of the material leaves the keystore's files: what they held before is in none of them."""
    gateway = own_gateway()
    kms = gateway.client("kms")
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    bring(kms, tmp_path, key, os.urandom(32))
    keystore = gateway.data / "keystore"
    before = {path.name for path in keystore.glob("*.log")}
    kms.delete_imported_key_material(KeyId=key)
    assert before.isdisjoint(path.name for path in keystore.glob("*.log")), "the log with the material is gone"
    assert json.loads(gateway.aws("kms", "describe-key", "--key-id", key))["KeyMetadata"]["KeyState"] == "PendingImport"

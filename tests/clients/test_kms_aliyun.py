"""The key service as Alibaba Cloud's own SDK calls it, with both of its signatures, over the same keys as AWS's API."""

import base64
import json
import secrets
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from alibabacloud_kms20160120 import models as m
from alibabacloud_kms20160120.client import Client
from alibabacloud_tea_openapi import utils_models
from darabonba.exceptions import DaraException
from darabonba.runtime import RuntimeOptions

ACCOUNT = "000000000000"


@pytest.fixture(params=["v2", None], ids=["HMAC-SHA1", "ACS3-HMAC-SHA256"])
def signature(request):
    return request.param


def client(gateway, signature, other=False, **changes):
    host, port = gateway.address
    settings = {"access_key_id": gateway.other_access_key if other else gateway.access_key,
                "access_key_secret": gateway.other_secret_key if other else gateway.secret_key,
                "endpoint": f"{host}:{port}", "protocol": "http", "signature_algorithm": signature}
    return Client(utils_models.Config(**settings | changes))


class Called:
    """Calls by name: the answer's body, or the error's code and status."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, name):
        camel = "".join(word.capitalize() for word in name.split("_"))

        def call(**arguments):
            request = getattr(m, camel + "Request")(**arguments)
            return getattr(self.client, name + "_with_options")(request, RuntimeOptions(autoretry=False)).body

        return call

    def refused(self, name, **arguments):
        with pytest.raises(DaraException) as caught:
            getattr(self, name)(**arguments)
        return caught.value.code, caught.value.status_code


@pytest.fixture
def ali(gateway, signature):
    return Called(client(gateway, signature))


def b64(data):
    return base64.b64encode(data).decode()


def state(ali, key):
    return ali.describe_key(key_id=key).key_metadata.key_state


def test_a_key_from_its_making_to_its_deletion(ali):
    made = ali.create_key(description="mine", tags='[{"TagKey":"team","TagValue":"blue"}]')
    key, meta = made.key_metadata.key_id, made.key_metadata
    assert made.request_id
    assert (meta.arn, meta.creator) == (f"acs:kms:us-east-1:{ACCOUNT}:key/{key}", ACCOUNT)
    assert (meta.key_state, meta.key_usage, meta.key_spec, meta.origin) == ("Enabled", "ENCRYPT/DECRYPT", "Aliyun_AES_256", "Aliyun_KMS")
    assert (meta.description, meta.automatic_rotation, meta.protection_level) == ("mine", "Disabled", "SOFTWARE")
    for name in (key, meta.arn):
        assert ali.describe_key(key_id=name).key_metadata.key_id == key
    ali.disable_key(key_id=key)
    assert state(ali, key) == "Disabled"
    assert ali.refused("encrypt", key_id=key, plaintext=b64(b"x")) == ("Rejected.Disabled", 409)
    ali.enable_key(key_id=key)
    ali.schedule_key_deletion(key_id=key, pending_window_in_days=7)
    meta = ali.describe_key(key_id=key).key_metadata
    assert meta.key_state == "PendingDeletion" and meta.delete_date.endswith("Z")
    assert ali.refused("encrypt", key_id=key, plaintext=b64(b"x")) == ("Rejected.PendingDeletion", 409)
    for name in ("enable_key", "disable_key"):
        assert ali.refused(name, key_id=key) == ("Rejected.StateModifiedFailed", 409)
    assert ali.refused("schedule_key_deletion", key_id=key, pending_window_in_days=7) == ("Rejected.StateModifiedFailed", 409)
    ali.cancel_key_deletion(key_id=key)
    assert state(ali, key) == "Enabled"
    assert ali.refused("cancel_key_deletion", key_id=key) == ("Rejected.StateModifiedFailed", 409)
    for days in (6, 367):
        assert ali.refused("schedule_key_deletion", key_id=key, pending_window_in_days=days) == ("InvalidParameter", 400)
    ali.update_key_description(key_id=key, description="other")
    assert ali.describe_key(key_id=key).key_metadata.description == "other"


def test_plaintexts_data_keys_and_contexts(ali):
    key = ali.create_key().key_metadata.key_id
    version = ali.describe_key(key_id=key).key_metadata.primary_key_version
    context = {"team": "blue", "é": "ü/+ ="}
    sealed = ali.encrypt(key_id=key, plaintext=b64(b"secret"), encryption_context=context)
    assert (sealed.key_id, sealed.key_version_id) == (key, version)
    opened = ali.decrypt(ciphertext_blob=sealed.ciphertext_blob, encryption_context=context)
    assert (base64.b64decode(opened.plaintext), opened.key_id, opened.key_version_id) == (b"secret", key, version)
    for wrong in ({}, {"team": "red"}):
        assert ali.refused("decrypt", ciphertext_blob=sealed.ciphertext_blob, encryption_context=wrong) == ("InvalidParameter", 400)
    for asked, length in (({}, 32), ({"key_spec": "AES_128"}, 16), ({"number_of_bytes": 1024}, 1024)):
        made = ali.generate_data_key(key_id=key, **asked)
        assert len(base64.b64decode(made.plaintext)) == length
        assert ali.decrypt(ciphertext_blob=made.ciphertext_blob).plaintext == made.plaintext
    only = ali.generate_data_key_without_plaintext(key_id=key, key_spec="AES_256")
    assert len(base64.b64decode(ali.decrypt(ciphertext_blob=only.ciphertext_blob).plaintext)) == 32
    longest = b64(b"y" * 4096)
    assert ali.decrypt(ciphertext_blob=ali.encrypt(key_id=key, plaintext=longest).ciphertext_blob).plaintext == longest
    to = ali.create_key().key_metadata.key_id
    moved = ali.re_encrypt(ciphertext_blob=sealed.ciphertext_blob, source_encryption_context=context, destination_key_id=to,
                           destination_encryption_context={"a": "b"})
    assert moved.key_id == to
    assert base64.b64decode(ali.decrypt(ciphertext_blob=moved.ciphertext_blob, encryption_context={"a": "b"}).plaintext) == b"secret"


def test_aliases_and_pages(ali, own_gateway, signature):
    ali = Called(client(own_gateway(), signature))
    keys = sorted(ali.create_key().key_metadata.key_id for _ in range(3))
    names = [f"alias/{number}" for number in range(3)]
    for name in names:
        ali.create_alias(alias_name=name, key_id=keys[0])
    assert ali.refused("create_alias", alias_name=names[0], key_id=keys[1]) == ("AliasAlreadyExists", 400)
    ali.update_alias(alias_name=names[2], key_id=keys[1])
    seen = []
    for number in (1, 2, 3):
        page = ali.list_keys(page_number=number, page_size=2)
        assert (page.total_count, page.page_number, page.page_size) == (3, number, 2)
        seen += [row.key_id for row in page.keys.key or []]
    assert seen == keys
    page = ali.list_aliases()
    assert [(row.alias_name, row.key_id) for row in page.aliases.alias] == list(zip(names, [keys[0], keys[0], keys[1]]))
    assert page.aliases.alias[0].alias_arn == f"acs:kms:us-east-1:{ACCOUNT}:{names[0]}"
    page = ali.list_aliases_by_key_id(key_id=keys[0], page_size=1, page_number=2)
    assert ([row.alias_name for row in page.aliases.alias], page.total_count) == ([names[1]], 2)
    assert ali.encrypt(key_id=names[2], plaintext=b64(b"x")).key_id == keys[1]
    ali.delete_alias(alias_name=names[2])
    assert ali.refused("describe_key", key_id=names[2]) == ("Forbidden.AliasNotFound", 404)
    assert ali.refused("delete_alias", alias_name=names[2]) == ("Forbidden.AliasNotFound", 404)
    for wrong in ({"page_size": 101}, {"page_size": 0}, {"page_number": 0}):
        assert ali.refused("list_keys", **wrong) == ("InvalidParameter", 400)


def test_rotation_and_versions(ali):
    key = ali.create_key(enable_automatic_rotation=True, rotation_interval="30d").key_metadata.key_id
    meta = ali.describe_key(key_id=key).key_metadata
    assert (meta.automatic_rotation, meta.rotation_interval) == ("Enabled", "2592000s") and meta.next_rotation_date
    old = ali.encrypt(key_id=key, plaintext=b64(b"x"))
    made = ali.create_key_version(key_id=key).key_version
    assert made.key_id == key and made.key_version_id != old.key_version_id
    new = ali.encrypt(key_id=key, plaintext=b64(b"x"))
    assert new.key_version_id == made.key_version_id == ali.describe_key(key_id=key).key_metadata.primary_key_version
    assert ali.decrypt(ciphertext_blob=old.ciphertext_blob).key_version_id == old.key_version_id
    page = ali.list_key_versions(key_id=key)
    assert [row.key_version_id for row in page.key_versions.key_version] == [old.key_version_id, new.key_version_id]
    assert ali.describe_key_version(key_id=key, key_version_id=old.key_version_id).key_version.key_version_id == old.key_version_id
    assert ali.refused("describe_key_version", key_id=key, key_version_id=secrets.token_hex(16))[1] == 404
    ali.disable_key(key_id=key)
    assert ali.describe_key(key_id=key).key_metadata.automatic_rotation == "Suspended"
    ali.enable_key(key_id=key)
    ali.update_rotation_policy(key_id=key, enable_automatic_rotation=False)
    assert ali.describe_key(key_id=key).key_metadata.automatic_rotation == "Disabled"
    for wrong in ("6d", "731d", "x", "604801s"):
        assert ali.refused("update_rotation_policy", key_id=key, enable_automatic_rotation=True, rotation_interval=wrong) == ("InvalidParameter", 400)


def test_an_owners_own_material(ali, tmp_path):
    key = ali.create_key(origin="EXTERNAL").key_metadata.key_id
    assert state(ali, key) == "PendingImport"
    assert ali.refused("encrypt", key_id=key, plaintext=b64(b"x")) == ("Rejected.PendingImport", 409)
    material = secrets.token_bytes(32)

    def bring(material, **expiry):
        given = ali.get_parameters_for_import(key_id=key, wrapping_algorithm="RSAES_OAEP_SHA_256", wrapping_key_spec="RSA_2048")
        assert given.key_id == key and given.token_expire_time.endswith("Z")
        public = tmp_path / "public.der"
        public.write_bytes(base64.b64decode(given.public_key))
        wrapped = subprocess.run(
            ["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", public, "-keyform", "DER", "-pkeyopt", "rsa_padding_mode:oaep",
             "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"], input=material, capture_output=True, check=True).stdout
        arguments = {"key_id": key, "import_token": given.import_token, "encrypted_key_material": b64(wrapped)} | expiry
        return ali.import_key_material(**arguments)

    bring(material, key_material_expire_unix=0)
    sealed = ali.encrypt(key_id=key, plaintext=b64(b"x")).ciphertext_blob
    ali.delete_key_material(key_id=key)
    assert state(ali, key) == "PendingImport"
    with pytest.raises(DaraException) as caught:
        bring(secrets.token_bytes(32))
    assert caught.value.code == "InvalidKeyMaterial"
    end = int(time.time()) + 3600
    bring(material, key_material_expire_unix=end)
    assert ali.decrypt(ciphertext_blob=sealed).plaintext == b64(b"x")
    shown = ali.describe_key(key_id=key).key_metadata.material_expire_time
    assert shown == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    made_here = ali.create_key().key_metadata.key_id
    how = {"wrapping_algorithm": "RSAES_OAEP_SHA_256", "wrapping_key_spec": "RSA_2048"}
    assert ali.refused("get_parameters_for_import", key_id=made_here, **how) == ("Unsupported.Origin", 400)
    assert ali.refused("delete_key_material", key_id=made_here) == ("Unsupported.Origin", 400)


def test_one_keystore_under_both_apis_and_under_s3(ali, kms, s3, bucket):
    key = ali.create_key(description="both").key_metadata.key_id
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (described["Description"], described["KeyState"]) == ("both", "Enabled")
    sealed = ali.encrypt(key_id=key, plaintext=b64(b"x"), encryption_context={"a": "b"}).ciphertext_blob
    assert kms.decrypt(CiphertextBlob=base64.b64decode(sealed), EncryptionContext={"a": "b"})["Plaintext"] == b"x"
    blob = kms.encrypt(KeyId=key, Plaintext=b"y")["CiphertextBlob"]
    assert ali.decrypt(ciphertext_blob=b64(blob)).plaintext == b64(b"y")
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    ali.disable_key(key_id=key)
    with pytest.raises(s3.exceptions.ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k")
    assert caught.value.response["Error"]["Code"] == "KMS.DisabledException"
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_strangers_and_wrong_words_are_refused(gateway, ali, signature, key_arn):
    key = key_arn.rsplit("/", 1)[1]
    stranger = Called(client(gateway, signature, other=True))
    denied = ("Forbidden.NoPermission", 403)
    assert stranger.refused("describe_key", key_id=key) == denied
    assert stranger.refused("encrypt", key_id=key, plaintext=b64(b"x")) == denied
    assert stranger.refused("schedule_key_deletion", key_id=key, pending_window_in_days=7) == denied
    absent = "1234abcd-12ab-44cd-86ef-1234567890ab"
    for name in (absent, f"acs:kms:us-east-1:{ACCOUNT}:key/{absent}", f"acs:kms:cn-beijing:{ACCOUNT}:key/{key}"):
        assert ali.refused("describe_key", key_id=name) == ("Forbidden.KeyNotFound", 404)
    assert ali.refused("encrypt", key_id=key, plaintext="not base64") == ("InvalidParameter", 400)
    assert ali.refused("encrypt", key_id=key)[0] == "MissingParameter"
    assert ali.refused("decrypt", ciphertext_blob=b64(b"x" * 80)) == ("InvalidParameter", 400)
    assert ali.refused("create_key", key_spec="RSA_2048") == ("UnsupportedOperation", 400)
    assert ali.refused("create_key", dkmsinstance_id="x") == ("InvalidParameter", 400)
    assert ali.refused("encrypt", key_id=key, plaintext=b64(b"x"), dry_run="true") == ("UnsupportedOperation", 400)
    assert ali.refused("list_secrets") == ("InvalidAction.NotFound", 404)


def test_what_stands_in_a_url_is_not_in_the_log(gateway, ali):
    secret = secrets.token_bytes(30)
    key = ali.create_key().key_metadata.key_id
    sealed = ali.encrypt(key_id=key, plaintext=b64(secret))
    assert ali.decrypt(ciphertext_blob=sealed.ciphertext_blob).plaintext == b64(secret)
    made = ali.generate_data_key(key_id=key)
    log = gateway.log.read_bytes()
    for shown in (b64(secret), b64(secret).replace("+", "%2B").replace("/", "%2F"), made.plaintext, made.plaintext[:40]):
        assert shown.encode() not in log


@pytest.mark.parametrize("changes, code", [
    ({"access_key_secret": "wrong"}, "SignatureDoesNotMatch"),
    ({"access_key_id": "AKNOBODY"}, "InvalidAccessKeyId.NotFound"),
    ({"security_token": "none of mine"}, "InvalidSecurityToken.MismatchWithAccessKey"),
])
def test_who_is_not_known_is_told_so(gateway, signature, changes, code):
    assert Called(client(gateway, signature, **changes)).refused("list_keys")[0] == code


@pytest.mark.parametrize("query, code", [
    ("Action=ListKeys&Version=2016-01-20", "MissingParameter"),
    ("Action=ListKeys&Version=2016-01-20&Action=CreateKey", "ParseRequestParameterException"),
    ("Action=ListKeys&Version=2016-01-20&Signature=x", "MissingParameter"),
])
def test_requests_that_no_client_sends_are_told_apart(gateway, query, code):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{gateway.endpoint}/?{query}", timeout=10)
    answer = json.loads(caught.value.read())
    assert (caught.value.code, answer["Code"], answer["HttpStatus"]) == (400, code, 400) and answer["RequestId"]

"""The key service as boto3 sees it: error names, pages, data keys, contexts, signatures."""

import datetime
import secrets

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import wire


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_key_errors_have_the_names_of_aws(kms, gateway, key_arn):
    absent = key_arn.rsplit("/", 1)[0] + "/1234abcd-12ab-44cd-86ef-1234567890ab"
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]
    altered = blob[:-1] + bytes([blob[-1] ^ 1])
    alias = "alias/" + secrets.token_hex(8)
    kms.create_alias(AliasName=alias, TargetKeyId=key_arn)
    cases = [
        (kms.describe_key, {"KeyId": absent}, "NotFoundException"),
        (kms.describe_key, {"KeyId": "alias/nobody-made-this"}, "NotFoundException"),
        (kms.decrypt, {"CiphertextBlob": altered}, "InvalidCiphertextException"),
        (kms.decrypt, {"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}}, "InvalidCiphertextException"),
        (kms.create_alias, {"AliasName": alias, "TargetKeyId": key_arn}, "AlreadyExistsException"),
        (kms.create_alias, {"AliasName": "alias/aws/mine", "TargetKeyId": key_arn}, "NotAuthorizedException"),
        (kms.create_alias, {"AliasName": "no-prefix", "TargetKeyId": key_arn}, "ValidationException"),
        (kms.encrypt, {"KeyId": key_arn, "Plaintext": b"x" * 4097}, "ValidationException"),
        (kms.generate_data_key, {"KeyId": key_arn}, "ValidationException"),
        (kms.generate_data_key, {"KeyId": key_arn, "KeySpec": "AES_256", "NumberOfBytes": 32}, "ValidationException"),
        (kms.generate_data_key, {"KeyId": key_arn, "NumberOfBytes": 1025}, "ValidationException"),
        (kms.list_keys, {"Marker": "not-a-marker"}, "InvalidMarkerException"),
        (kms.get_public_key, {"KeyId": key_arn}, "UnknownOperationException"),
    ]
    for call, arguments, code in cases:
        assert refused(call, **arguments) == (code, 400), (call, arguments)
    stranger = gateway.client("kms", other=True)
    assert refused(stranger.encrypt, KeyId=key_arn, Plaintext=b"x") == ("AccessDeniedException", 400)


def test_data_keys_have_the_length_asked_for_and_decrypt_under_their_context(kms, key_arn):
    for asked, length in [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1}, 1),
                          ({"NumberOfBytes": 1024}, 1024)]:
        made = kms.generate_data_key(KeyId=key_arn, EncryptionContext={"for": "test"}, **asked)
        assert len(made["Plaintext"]) == length and made["KeyId"] == key_arn
        opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"for": "test"})
        assert opened["Plaintext"] == made["Plaintext"]
    longest = b"y" * 4096
    assert kms.decrypt(CiphertextBlob=kms.encrypt(KeyId=key_arn, Plaintext=longest)["CiphertextBlob"])["Plaintext"] == longest


def test_a_disabled_key_says_so_until_it_is_enabled(kms, key_arn):
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key_arn)
    for call, arguments in [(kms.encrypt, {"KeyId": key_arn, "Plaintext": b"x"}), (kms.decrypt, {"CiphertextBlob": blob}),
                            (kms.generate_data_key, {"KeyId": key_arn, "KeySpec": "AES_256"})]:
        assert refused(call, **arguments) == ("DisabledException", 400)
    kms.enable_key(KeyId=key_arn)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_pages_of_keys_and_aliases_tell_every_row_once(own_gateway, limit):
    kms = own_gateway().client("kms")
    keys = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(3)}
    names = {f"alias/{number}" for number in range(3)}
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=min(keys))

    def rows(call, field):
        found, marker = [], {}
        while True:
            page = call(Limit=limit, **marker)
            assert len(page[field]) <= limit and page["Truncated"] == ("NextMarker" in page)
            found += page[field]
            if not page["Truncated"]:
                return found
            marker = {"Marker": page["NextMarker"]}

    assert sorted(row["KeyId"] for row in rows(kms.list_keys, "Keys")) == sorted(keys)
    assert sorted(row["AliasName"] for row in rows(kms.list_aliases, "Aliases")) == sorted(names)


def test_signatures_are_refused_by_the_names_of_aws(gateway):
    def listed(access_key, secret_key, region="us-east-1"):
        client = boto3.client("kms", endpoint_url=gateway.endpoint, region_name=region, aws_access_key_id=access_key,
                              aws_secret_access_key=secret_key, config=Config(retries={"max_attempts": 0}))
        return refused(client.list_keys)

    assert listed(gateway.access_key, "wrong") == ("InvalidSignatureException", 400)
    assert listed("AKNOBODY", "wrong") == ("UnrecognizedClientException", 400)
    assert listed(gateway.access_key, gateway.secret_key, "eu-west-1") == ("InvalidSignatureException", 400)


@pytest.mark.parametrize("case, name", [
    ("unsigned", "MissingAuthenticationTokenException"),
    ("half a header", "IncompleteSignatureException"),
    ("old", "InvalidSignatureException"),
    ("altered body", "InvalidSignatureException"),
])
def test_requests_that_no_client_sends_are_told_apart(gateway, case, name):
    body = b"{}"
    age = datetime.timedelta(minutes=16 if case == "old" else 0)
    signer = wire.Signer(gateway, service="kms", now=datetime.datetime.now(datetime.timezone.utc) - age)
    request = wire.Request("POST", "/", [("X-Amz-Target", "TrentService.ListKeys"), ("Content-Length", "2"),
                                         ("Content-Type", "application/x-amz-json-1.1")], body)
    signer.sign(request, wire.sha(body))
    if case == "unsigned":
        request.drop("Authorization")
    if case == "half a header":
        request.set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b")
    if case == "altered body":
        request.body = b"[]"
    answer = wire.send(gateway, request)
    assert answer.status == 400 and f'"{name}"'.encode() in answer.body, answer

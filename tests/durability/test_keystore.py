"""`kill -9` at every step of the changes of a key that its owner makes: afterwards the key is as it was, or as it was to be."""

import base64
import subprocess

import pytest

from client import Client, Lost
from inject import WRITING, killing

ROOT = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"kms:*","Resource":"*"}}'


class Key:
    """A key and everything that its owner can see of it."""

    def __init__(self, client, **arguments):
        self.id = client.kms("CreateKey", **arguments).json["KeyMetadata"]["KeyId"]
        self.blobs = []

    def seen(self, client):
        ask = lambda operation, **arguments: client.kms(operation, KeyId=self.id, **arguments).json
        described = ask("DescribeKey")["KeyMetadata"]
        opened = [client.kms("Decrypt", CiphertextBlob=blob) for blob in self.blobs]
        usable = described["KeyState"] == "Enabled"
        assert all(answer.ok == usable for answer in opened), [answer.body for answer in opened]
        rotations = [row["RotationType"] for row in ask("ListKeyRotations")["Rotations"]]
        aliases = sorted(row["AliasName"] for row in ask("ListAliases")["Aliases"])
        return {"state": described["KeyState"], "deleted": "DeletionDate" in described, "text": described["Description"],
                "tags": ask("ListResourceTags")["Tags"], "policy": ask("GetKeyPolicy")["Policy"], "rotations": rotations,
                "rotates": ask("GetKeyRotationStatus").get("RotationPeriodInDays"), "aliases": aliases}


def wrapped(parameters, material, directory):
    public = directory / "public.der"
    public.write_bytes(base64.b64decode(parameters["PublicKey"]))
    done = subprocess.run(
        ["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", public, "-keyform", "DER", "-pkeyopt", "rsa_padding_mode:oaep",
         "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"], input=material, capture_output=True, check=True)
    return {"ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": base64.b64encode(done.stdout).decode(),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


# What is done, what undoes it so that it can be done again, and what is seen of it in between.
CHANGES = {
    "schedule deletion": (("ScheduleKeyDeletion", {}), [("CancelKeyDeletion", {}), ("EnableKey", {})],
                          {"state": "PendingDeletion", "deleted": True}),
    "cancel deletion": (("CancelKeyDeletion", {}), [("ScheduleKeyDeletion", {})], {"state": "Disabled", "deleted": False}),
    "enable rotation": (("EnableKeyRotation", {}), [("DisableKeyRotation", {})], {"rotates": 365}),
    "rotate": (("RotateKeyOnDemand", {}), [], {}),
    "tag": (("TagResource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}), [("UntagResource", {"TagKeys": ["a"]})],
            {"tags": [{"TagKey": "a", "TagValue": "b"}]}),
    "describe": (("UpdateKeyDescription", {"Description": "text"}), [("UpdateKeyDescription", {"Description": ""})], {"text": "text"}),
    "put policy": (("PutKeyPolicy", {"Policy": ROOT}), [("PutKeyPolicy", {"Policy": ROOT + " "})], {"policy": ROOT}),
    "delete alias": (("DeleteAlias", {"AliasName": "alias/a"}), [("CreateAlias", {"AliasName": "alias/a"})], {"aliases": []}),
    "import material": (("ImportKeyMaterial", {}), [("DeleteImportedKeyMaterial", {})], {"state": "Enabled"}),
    "delete material": (("DeleteImportedKeyMaterial", {}), [("ImportKeyMaterial", {})], {"state": "PendingImport"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_key_is_whole_wherever_the_gateway_dies(server, tmp_path, change):
    step, undo, difference = CHANGES[change]
    server.start()
    client = Client(server)
    imported = "material" in change
    key = Key(client, **({"Origin": "EXTERNAL"} if imported else {}))
    how = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    material = wrapped(client.kms("GetParametersForImport", KeyId=key.id, **how).json, b"m" * 32, tmp_path) if imported else {}

    def send(client, step):
        operation, arguments = step
        named = {"CreateAlias": {"TargetKeyId": key.id}, "DeleteAlias": {}}.get(operation, {"KeyId": key.id})
        return client.kms(operation, **named, **arguments, **(material if operation == "ImportKeyMaterial" else {}))

    def must(client, step):
        answer = send(client, step)
        assert answer.ok, answer.body

    def encrypt(client):
        key.blobs.append(client.kms("Encrypt", KeyId=key.id, Plaintext="eA==").json["CiphertextBlob"])

    # One blob that must open whenever the key is enabled, and the state to begin with.
    if imported:
        must(client, ("ImportKeyMaterial", {}))
    encrypt(client)
    if change == "import material":
        must(client, ("DeleteImportedKeyMaterial", {}))
    for begin in undo if change in ("cancel deletion", "put policy", "delete alias") else []:
        must(client, begin)

    kills = 0
    for call in WRITING:
        for when in range(1, 30):
            before = key.seen(client)
            expected = before | difference
            if change == "rotate":
                expected["rotations"] = [*before["rotations"], "ON_DEMAND"]
            with killing(server, call, when):
                try:
                    answer = send(client, step)
                except Lost:
                    answer = None
                client.close()
                if answer is None:
                    server.reap()
            killed = answer is None or not server.answers()
            if killed:
                if answer is not None:
                    server.reap()
                kills += 1
                server.start()
            client = Client(server)
            after = key.seen(client)
            assert after == expected or answer is None and after == before, f"{call} {when}: {before} {after}"
            if after == expected:
                if after["state"] == "Enabled":
                    encrypt(client)
                for back in undo:
                    must(client, back)
            if change == "rotate" and len(after["rotations"]) > 20:
                key = Key(client)
            if not killed:
                break
    assert kills, "no call of this change was ever the last"
    client.close()

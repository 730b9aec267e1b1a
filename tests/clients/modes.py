"""The encryption modes as tables: what a request says, and what answers must say."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field

CONTEXT = {"team": "blue", "purpose": "tests"}


@dataclass
class Mode:
    """One way to encrypt: the arguments of a write, those that every later call repeats, and the expected answer."""

    name: str
    write: dict = field(default_factory=dict)
    repeat: dict = field(default_factory=dict)
    answer: dict = field(default_factory=dict)

    def check(self, response, context=False):
        for name, value in self.answer.items():
            assert response.get(name) == value, f"{self.name}: {name} is {response.get(name)!r}, not {value!r}"
        for name in ("ServerSideEncryption", "SSEKMSKeyId", "SSECustomerAlgorithm", "SSECustomerKeyMD5",
                     "BucketKeyEnabled"):
            assert name in self.answer or not response.get(name), f"{self.name}: unexpected {name}"
        headers = response["ResponseMetadata"]["HTTPHeaders"]
        sent = headers.get("x-amz-server-side-encryption-context")
        expected = CONTEXT if context and "SSEKMSEncryptionContext" in self.write else None
        assert (json.loads(base64.b64decode(sent)) if sent else None) == expected, f"{self.name}: context {sent!r}"

    def source(self):
        """The repeated arguments as those of a copy's source."""
        return {"CopySource" + name: value for name, value in self.repeat.items()}


def customer(seed):
    key = hashlib.sha256(seed.encode()).digest()
    sent = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    md5 = base64.b64encode(hashlib.md5(key).digest()).decode()
    return Mode(f"SSE-C {seed}", sent, sent, {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": md5})


def modes(s3, kms, bucket, key_arn):
    """Every mode that a write can ask for."""
    alias = "alias/test-" + secrets.token_hex(8)
    kms.create_alias(AliasName=alias, TargetKeyId=key_arn)
    s3.put_object(Bucket=bucket, Key="first-use-makes-the-default-key", ServerSideEncryption="aws:kms")
    default_arn = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]
    named = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn}
    context = base64.b64encode(json.dumps(CONTEXT).encode()).decode()
    return [
        Mode("default", {}, {}, {"ServerSideEncryption": "AES256"}),
        Mode("SSE-S3", {"ServerSideEncryption": "AES256"}, {}, {"ServerSideEncryption": "AES256"}),
        Mode("KMS by ARN", named, {}, named),
        Mode("KMS by id", named | {"SSEKMSKeyId": key_arn.rsplit("/", 1)[1]}, {}, named),
        Mode("KMS by alias", named | {"SSEKMSKeyId": alias}, {}, named),
        Mode("KMS with context", named | {"SSEKMSEncryptionContext": context}, {}, named),
        Mode("KMS default key", {"ServerSideEncryption": "aws:kms"}, {}, named | {"SSEKMSKeyId": default_arn}),
        customer("one"),
    ]

"""The encryption modes of OSS as a table: what a request says, and what answers say in OSS and in S3."""

from dataclasses import dataclass, field

SSE = "x-oss-server-side-encryption"
KEY = SSE + "-key-id"
DATA = "x-oss-server-side-data-encryption"


@dataclass
class Mode:
    name: str
    headers: dict = field(default_factory=dict)  # of a request, and of every answer
    s3: dict = field(default_factory=dict)  # what boto3 asks for; empty where S3 has no word for it
    s3_answer: dict = field(default_factory=dict)
    rule: tuple = None  # as the bucket's default: algorithm, key id, data encryption
    answer: dict = None

    def check(self, headers, where=""):
        """Holds the headers of an OSS answer to this mode."""
        expected = self.headers if self.answer is None else self.answer
        said = {name: headers.get(name) for name in (SSE, KEY, DATA) if headers.get(name) is not None}
        if expected.get(SSE) == "KMS" and KEY not in expected:
            # The service's own key: OSS need not name it.
            said.pop(KEY, None)
        assert said == expected, f"{self.name} {where}: {said}"

    def check_s3(self, response, where=""):
        for name, value in self.s3_answer.items():
            assert response.get(name) == value, f"{self.name} {where}: {name} is {response.get(name)}, not {value}"


def modes(key_arn):
    """Every mode but SSE-C by name."""
    key_id = key_arn.rsplit("/", 1)[1]
    kms = {"ServerSideEncryption": "aws:kms"}
    named = kms | {"SSEKMSKeyId": key_arn}
    aes, sm4 = {"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "SM4"}
    table = [
        Mode("AES256", {SSE: "AES256"}, aes, aes, ("AES256", None, None)),
        Mode("SM4", {SSE: "SM4"}, {}, sm4, ("SM4", None, None)),
        Mode("KMS default key", {SSE: "KMS"}, kms, kms, ("KMS", None, None)),
        Mode("KMS with key", {SSE: "KMS", KEY: key_id}, named, named, ("KMS", key_id, None)),
        Mode("KMS with SM4", {SSE: "KMS", KEY: key_id, DATA: "SM4"}, {}, named, ("KMS", key_id, "SM4")),
    ]
    return {mode.name: mode for mode in table}


NAMES = ["AES256", "SM4", "KMS default key", "KMS with key", "KMS with SM4"]

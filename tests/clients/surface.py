"""The whole of boto3's S3 as tables: what each working operation answers, what each of its parameters does, and how everything
else is refused. `test_surface.py` runs every row, and finds the operation or the parameter that has none.

An argument that is a function is called with the world of the case (see there). An expected answer is a dict of members, each
equal, or what the world says (`Of`), or judged by a function; or the status and code of a refusal.
"""

import base64
import datetime
import hashlib
import json
from dataclasses import dataclass, field

from botocore.httpchecksum import _CHECKSUM_CLS

BODY = b"content"
ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
NEWER = {"SHA512": 64, "MD5": 16, "XXHASH64": 8, "XXHASH3": 8, "XXHASH128": 16}

NOT_IMPLEMENTED = (501, "NotImplemented")
DENIED = (403, "AccessDenied")
FAILED = (412, "PreconditionFailed")
INVALID = (400, "InvalidArgument")
INVALID_REQUEST = (400, "InvalidRequest")
NOT_MODIFIED = (304, "304")
BAD_DIGEST = (400, "BadDigest")

PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
KEY = hashlib.sha256(b"a customer's key").digest()
CUSTOMER = {
    # botocore leaves the key as it is where its MD5 is given.
    "SSECustomerAlgorithm": "AES256", "SSECustomerKey": base64.b64encode(KEY).decode(),
    "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(KEY).digest()).decode(),
}
SOURCE_CUSTOMER = {"CopySource" + name: value for name, value in CUSTOMER.items()}
CONTEXT = base64.b64encode(json.dumps({"team": "blue"}).encode()).decode()
POLICY = {"Version": "2012-10-17", "Statement": []}


def digest(algorithm, data=BODY):
    return _CHECKSUM_CLS[algorithm.lower()]().handle(data)


def composite(algorithm):
    """The checksum of an object whose only part is the body."""
    part = base64.b64decode(digest(algorithm))
    return digest(algorithm, part) + "-1"


def wrong(size):
    return base64.b64encode(bytes(size)).decode()


@dataclass
class Of:
    """An expected value that only the world of the case knows."""

    say: object


@dataclass
class Case:
    """One call: what it says beside the operation's usual arguments, what it must answer, and what must be so after."""

    operation: str
    arguments: dict = field(default_factory=dict)
    answer: object = field(default_factory=dict)
    after: object = None

    def customer(self):
        """The customer key that it sent, for who looks at what it wrote."""
        return {name: value for name, value in self.arguments.items() if name in CUSTOMER}

    def __str__(self):
        said = ",".join(f"{name}={value}" if isinstance(value, (str, int)) else name for name, value in self.arguments.items())
        return f"{self.operation}({said})"[:100]


# What each working operation is called with unless a case says otherwise, and the members of the answer to that call.
WORKING = {
    "AbortMultipartUpload": ({"Key": "up", "UploadId": lambda w: w.upload()}, set()),
    "CompleteMultipartUpload": (
        {"Key": "up", "UploadId": lambda w: w.upload(), "MultipartUpload": lambda w: w.parts()},
        {"Location", "Bucket", "Key", "ETag", "ServerSideEncryption"},
    ),
    "CopyObject": (
        {"Key": "new", "CopySource": lambda w: f"{w.bucket}/k"}, {"CopyObjectResult", "ServerSideEncryption"},
    ),
    "CreateBucket": ({"Bucket": lambda w: w.bucket + "-new"}, {"Location"}),
    "CreateMultipartUpload": ({"Key": "new"}, {"Bucket", "Key", "UploadId", "ServerSideEncryption"}),
    "DeleteBucket": ({"Bucket": lambda w: w.empty()}, set()),
    "DeleteBucketCors": ({}, set()),
    "DeleteBucketEncryption": ({}, set()),
    "DeleteBucketPolicy": ({}, set()),
    "DeleteBucketTagging": ({}, set()),
    "DeleteObject": ({}, set()),
    "DeleteObjectTagging": ({}, set()),
    "DeleteObjects": ({"Delete": {"Objects": [{"Key": "k"}]}}, {"Deleted"}),
    "DeletePublicAccessBlock": ({}, set()),
    "GetBucketAcl": ({}, {"Owner", "Grants"}),
    "GetBucketCors": ({}, {"CORSRules"}),
    "GetBucketEncryption": ({}, {"ServerSideEncryptionConfiguration"}),
    "GetBucketLocation": ({}, {"LocationConstraint"}),
    "GetBucketPolicy": ({}, {"Policy"}),
    "GetBucketPolicyStatus": ({}, {"PolicyStatus"}),
    "GetBucketTagging": ({}, {"TagSet"}),
    "GetBucketVersioning": ({}, set()),
    "GetObject": ({}, {
        "AcceptRanges", "LastModified", "ContentLength", "ETag", "ContentType", "ServerSideEncryption", "Metadata", "Body",
        "TagCount", "ChecksumCRC32", "ChecksumType",
    }),
    "GetObjectAcl": ({}, {"Owner", "Grants"}),
    "GetObjectAttributes": (
        {"ObjectAttributes": ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]},
        {"LastModified", "ETag", "Checksum", "StorageClass", "ObjectSize"},
    ),
    "GetObjectTagging": ({}, {"TagSet"}),
    "GetPublicAccessBlock": ({}, {"PublicAccessBlockConfiguration"}),
    "HeadBucket": ({}, {"BucketRegion"}),
    "HeadObject": ({}, {
        "AcceptRanges", "LastModified", "ContentLength", "ETag", "ContentType", "ServerSideEncryption", "Metadata", "TagCount",
    }),
    "ListBuckets": ({}, {"Buckets", "Owner"}),
    "ListMultipartUploads": ({}, {
        "Bucket", "KeyMarker", "UploadIdMarker", "MaxUploads", "IsTruncated", "Prefix",
    }),
    "ListObjectVersions": ({}, {
        "IsTruncated", "KeyMarker", "VersionIdMarker", "Versions", "Name", "Prefix", "MaxKeys", "EncodingType",
    }),
    "ListObjects": ({}, {"IsTruncated", "Marker", "Contents", "Name", "Prefix", "MaxKeys", "EncodingType"}),
    "ListObjectsV2": ({}, {"IsTruncated", "Contents", "Name", "Prefix", "MaxKeys", "KeyCount", "EncodingType"}),
    "ListParts": ({"Key": "up", "UploadId": lambda w: w.upload()}, {
        "Bucket", "Key", "UploadId", "PartNumberMarker", "MaxParts", "IsTruncated", "Parts", "Initiator", "Owner",
        "StorageClass",
    }),
    "PutBucketAcl": ({"ACL": "private"}, set()),
    "PutBucketCors": (
        {"CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"]}]}}, set(),
    ),
    "PutBucketEncryption": ({"ServerSideEncryptionConfiguration": {
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}}, set()),
    "PutBucketPolicy": ({"Policy": lambda w: w.policy("s3:GetObjectTagging")}, set()),
    "PutBucketTagging": ({"Tagging": {"TagSet": [{"Key": "a", "Value": "other"}]}}, set()),
    "PutBucketVersioning": ({"VersioningConfiguration": {"Status": "Suspended"}}, set()),
    "PutObject": ({"Key": "new", "Body": BODY}, {"ETag", "ServerSideEncryption", "ChecksumCRC32", "ChecksumType"}),
    "PutObjectAcl": ({"ACL": "private"}, set()),
    "PutObjectTagging": ({"Tagging": {"TagSet": [{"Key": "a", "Value": "other"}]}}, set()),
    "PutPublicAccessBlock": ({"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}, set()),
    "UploadPart": (
        {"Key": "up", "UploadId": lambda w: w.upload(), "PartNumber": 2, "Body": BODY},
        {"ETag", "ServerSideEncryption", "ChecksumCRC32"},
    ),
    "UpdateObjectEncryption": ({"ObjectEncryption": lambda w: {"SSEKMS": {"KMSKeyArn": w.cmk}}}, set()),
    "UploadPartCopy": (
        {"Key": "up", "UploadId": lambda w: w.upload(), "PartNumber": 2, "CopySource": lambda w: f"{w.bucket}/k"},
        {"CopyPartResult", "ServerSideEncryption"},
    ),
}

# Every other operation, and how it is refused: never served as another one, never a success that does nothing.
REFUSED = dict.fromkeys([
    "CreateBucketMetadataConfiguration", "CreateBucketMetadataTableConfiguration", "CreateSession",
    "DeleteBucketAnalyticsConfiguration", "DeleteBucketIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration", "DeleteBucketLifecycle", "DeleteBucketMetadataConfiguration",
    "DeleteBucketMetadataTableConfiguration", "DeleteBucketMetricsConfiguration", "DeleteBucketOwnershipControls",
    "DeleteBucketReplication", "DeleteBucketWebsite", "GetBucketAbac", "GetBucketAccelerateConfiguration",
    "GetBucketAnalyticsConfiguration", "GetBucketIntelligentTieringConfiguration", "GetBucketInventoryConfiguration",
    "GetBucketLifecycle", "GetBucketLifecycleConfiguration", "GetBucketLogging", "GetBucketMetadataConfiguration",
    "GetBucketMetadataTableConfiguration", "GetBucketMetricsConfiguration", "GetBucketNotification",
    "GetBucketNotificationConfiguration", "GetBucketOwnershipControls", "GetBucketReplication",
    "GetBucketRequestPayment", "GetBucketWebsite", "GetObjectLegalHold", "GetObjectLockConfiguration",
    "GetObjectRetention", "GetObjectTorrent", "ListBucketAnalyticsConfigurations",
    "ListBucketIntelligentTieringConfigurations", "ListBucketInventoryConfigurations",
    "ListBucketMetricsConfigurations", "PutBucketAbac", "PutBucketAccelerateConfiguration",
    "PutBucketAnalyticsConfiguration", "PutBucketIntelligentTieringConfiguration", "PutBucketInventoryConfiguration",
    "PutBucketLifecycle", "PutBucketLifecycleConfiguration", "PutBucketLogging", "PutBucketMetricsConfiguration",
    "PutBucketNotification", "PutBucketNotificationConfiguration", "PutBucketOwnershipControls", "PutBucketReplication",
    "PutBucketRequestPayment", "PutBucketWebsite", "PutObjectLegalHold", "PutObjectLockConfiguration",
    "PutObjectRetention", "RenameObject", "RestoreObject", "SelectObjectContent",
    "UpdateBucketMetadataInventoryTableConfiguration", "UpdateBucketMetadataJournalTableConfiguration",
], NOT_IMPLEMENTED) | {
    # These two are signed for other services of AWS's than S3.
    "ListDirectoryBuckets": (400, "AuthorizationHeaderMalformed"),
    "WriteGetObjectResponse": (400, "AuthorizationHeaderMalformed"),
}

# A parameter means the same in every operation that has it: value, and how the call then ends (`None`: as without it).
EVERYWHERE = [
    ("ExpectedBucketOwner", lambda w: w.owner, None), ("ExpectedBucketOwner", "stranger", DENIED),
    ("ExpectedSourceBucketOwner", lambda w: w.owner, None), ("ExpectedSourceBucketOwner", "stranger", DENIED),
    ("RequestPayer", "requester", None),
    ("BypassGovernanceRetention", True, None),
    ("ConfirmRemoveSelfBucketAccess", True, None),
    ("OptionalObjectAttributes", ["RestoreStatus"], None),
    *((name, 'id="somebody"', NOT_IMPLEMENTED)
      for name in ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")),
    ("ACL", "private", None), ("ACL", "log-delivery-write", INVALID),
    ("ObjectLockMode", "GOVERNANCE", INVALID), ("ObjectLockRetainUntilDate", "2099-01-01T00:00:00Z", INVALID),
    ("ObjectLockLegalHoldStatus", "ON", NOT_IMPLEMENTED), ("ObjectLockEnabledForBucket", True, NOT_IMPLEMENTED),
    ("ObjectLockEnabledForBucket", False, None),
    ("ObjectOwnership", "ObjectWriter", None), ("ObjectOwnership", "BucketOwnerEnforced", NOT_IMPLEMENTED),
    ("BucketNamespace", "global", None), ("BucketNamespace", "account-regional", NOT_IMPLEMENTED),
    ("StorageClass", "STANDARD", None), ("StorageClass", "GLACIER", (400, "InvalidStorageClass")),
    ("WebsiteRedirectLocation", "/elsewhere", NOT_IMPLEMENTED),
    ("WriteOffsetBytes", 0, NOT_IMPLEMENTED),
    ("MFA", "serial 123456", NOT_IMPLEMENTED),
    ("IfMatchInitiatedTime", PAST, NOT_IMPLEMENTED), ("IfMatchLastModifiedTime", PAST, NOT_IMPLEMENTED),
    ("IfMatchSize", 7, NOT_IMPLEMENTED),
    ("ContentMD5", wrong(16), BAD_DIGEST), ("ContentMD5", "junk", (400, "InvalidDigest")),
    *(("ChecksumAlgorithm", algorithm, None) for algorithm in ALGORITHMS),
    *(("Checksum" + algorithm, wrong(size), INVALID_REQUEST) for algorithm, size in NEWER.items()),
]

DOCUMENTS = [
    "PutBucketAcl", "PutBucketCors", "PutBucketEncryption", "PutBucketPolicy", "PutBucketTagging", "PutBucketVersioning",
    "PutObjectAcl", "PutObjectTagging", "PutPublicAccessBlock", "DeleteObjects",
    "UpdateObjectEncryption",
]


def shows(**members):
    """What was written shows these when it is looked at."""
    def look(w, case, answer):
        head = w.s3.head_object(Bucket=w.bucket, Key=w.written(case, answer), **case.customer())
        w.matches(head, members)
    return look


def reads(body=BODY):
    def look(w, case, answer):
        got = w.s3.get_object(Bucket=w.bucket, Key=w.written(case, answer), **case.customer())
        assert got["Body"].read() == body
    return look


def public(w, case, answer):
    grants = w.s3.get_object_acl(Bucket=w.bucket, Key=w.written(case, answer))["Grants"]
    assert [row["Permission"] for row in grants if row["Grantee"]["Type"] == "Group"] == ["READ"]


def tagged(w, case, answer):
    tags = w.s3.get_object_tagging(Bucket=w.bucket, Key=w.written(case, answer))["TagSet"]
    assert tags == [{"Key": "a", "Value": "b c"}]


def body_is(data):
    return lambda w, case, answer: w.same(answer["Body"].read(), data)


def keys(name, *wanted):
    """The keys that a listing names."""
    return lambda w, case, answer: w.same([row["Key"] for row in answer.get(name, [])], list(wanted))


def prefixes(*wanted):
    return lambda w, case, answer: w.same([row["Prefix"] for row in answer["CommonPrefixes"]], list(wanted))


def finds(call, wanted, **arguments):
    """What another call says of the bucket after."""
    def ask(w, case, answer):
        w.matches(getattr(w.s3, call)(Bucket=w.bucket, **arguments), wanted)
    return ask


def gone(call, code, **arguments):
    return lambda w, case, answer: w.same(w.refused(call, Bucket=w.bucket, **arguments)[1], code)


KMS = {"ServerSideEncryption": "aws:kms"}


def writes(operation, before, after):
    """What a write says of the object: alike in PutObject, CopyObject and CreateMultipartUpload."""
    def case(arguments, answer=None, look=None):
        return Case(operation, before | arguments, answer or {}, look)

    plain = {
        "CacheControl": "max-age=60", "ContentDisposition": 'attachment; filename="x"', "ContentEncoding": "gzip",
        "ContentLanguage": "de", "ContentType": "text/plain", "Metadata": {"one": "1"},
    }
    yield from (case({name: value}, None, shows(**{name: value})) for name, value in plain.items())
    yield case({"Expires": PAST}, None, shows(Expires=PAST))
    yield case({"ACL": "public-read"}, None, public)
    yield case({"Tagging": "a=b%20c"} | after, None, tagged)
    yield case({"Tagging": "a=b&a=c"} | after, INVALID)
    yield case({"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "AES256"}, shows(ServerSideEncryption="AES256"))
    yield case({"ServerSideEncryption": "rot13"}, INVALID)
    yield case(KMS, KMS, shows(**KMS, SSEKMSKeyId=lambda arn: arn.startswith("arn:aws:kms:")))
    named = KMS | {"SSEKMSKeyId": lambda w: w.cmk, "SSEKMSEncryptionContext": CONTEXT, "BucketKeyEnabled": True}
    told = KMS | {"SSEKMSKeyId": Of(lambda w: w.cmk), "BucketKeyEnabled": True}
    yield case(named, told | {"SSEKMSEncryptionContext": lambda sent: json.loads(base64.b64decode(sent)) == {"team": "blue"}},
               shows(**told))
    yield case(KMS | {"SSEKMSKeyId": "alias/no-such-key"}, (400, "KMS.NotFoundException"))
    yield case({"SSEKMSEncryptionContext": CONTEXT}, INVALID)
    echo = {name: value for name, value in CUSTOMER.items() if name != "SSECustomerKey"}
    yield case(CUSTOMER, echo, shows(**echo))
    yield case(CUSTOMER | {"SSECustomerKeyMD5": wrong(16)}, INVALID)


WRITES = [
    *writes("PutObject", {}, {}),
    *writes("CopyObject", {"MetadataDirective": "REPLACE"}, {"TaggingDirective": "REPLACE"}),
    *writes("CreateMultipartUpload", {}, {}),
]


def conditions(operation):
    """Conditions of a read."""
    for arguments, answer in [
        ({"IfMatch": lambda w: w.etag}, {}), ({"IfMatch": '"other"'}, FAILED),
        ({"IfNoneMatch": '"other"'}, {}), ({"IfNoneMatch": lambda w: w.etag}, NOT_MODIFIED),
        ({"IfModifiedSince": PAST}, {}), ({"IfModifiedSince": lambda w: w.modified}, NOT_MODIFIED),
        ({"IfUnmodifiedSince": lambda w: w.modified}, {}), ({"IfUnmodifiedSince": PAST}, FAILED),
    ]:
        yield Case(operation, arguments, answer)


def source_conditions(operation):
    """The same of a copy's source, where every failure is 412."""
    for case in conditions(operation):
        answer = FAILED if isinstance(case.answer, tuple) else case.answer
        yield Case(operation, {"CopySource" + name: value for name, value in case.arguments.items()}, answer)


def readings(operation):
    """What GetObject and HeadObject have in common."""
    yield from conditions(operation)
    for name, value in {
        "CacheControl": "no-store", "ContentDisposition": "inline", "ContentEncoding": "br", "ContentLanguage": "fr",
        "ContentType": "text/html", "Expires": PAST,
    }.items():
        yield Case(operation, {"Response" + name: value}, {name: value})
    yield Case(operation, {"VersionId": lambda w: w.version}, {"VersionId": Of(lambda w: w.version), "ContentLength": 7})
    yield Case(operation, {"VersionId": "null"}, {"ContentLength": 7})
    yield Case(operation, {"VersionId": "0" * 32}, (404, "NoSuchVersion"))
    yield Case(operation, {"PartNumber": 1}, {"ContentLength": 7})
    yield Case(operation, {"PartNumber": 2}, (416, "InvalidPartNumber"))
    yield Case(operation, {"ChecksumMode": "ENABLED"}, {"ChecksumCRC32": digest("CRC32"), "ChecksumType": "FULL_OBJECT"})
    yield Case(operation, {"Key": lambda w: w.sealed()} | CUSTOMER, {"SSECustomerKeyMD5": CUSTOMER["SSECustomerKeyMD5"]})
    yield Case(operation, {"Key": lambda w: w.sealed()}, INVALID_REQUEST)
    yield Case(operation, CUSTOMER, INVALID_REQUEST)
    yield Case(operation, {"Key": "absent"}, (404, "NoSuchKey"))
    yield Case(operation, {"Range": "bytes=9-"}, (416, "InvalidRange"))


RANGE = {"ContentLength": 3, "ContentRange": "bytes 1-3/7"}
READS = [
    *readings("GetObject"), *readings("HeadObject"),
    Case("GetObject", {}, {"ETag": Of(lambda w: w.etag)}, body_is(BODY)),
    Case("GetObject", {"Range": "bytes=1-3"}, RANGE, body_is(b"ont")),
    Case("HeadObject", {"Range": "bytes=1-3"}, RANGE),
    Case("GetObjectAttributes", {}, {
        "ObjectSize": 7, "StorageClass": "STANDARD", "ETag": Of(lambda w: w.etag.strip('"')),
        "Checksum": {"ChecksumCRC32": digest("CRC32"), "ChecksumType": "FULL_OBJECT"}}),
    Case("GetObjectAttributes", {"ObjectAttributes": ["ObjectSize"]}, {"ObjectSize": 7, "ETag": None, "Checksum": None}),
    Case("GetObjectAttributes", {"VersionId": lambda w: w.version}, {"VersionId": Of(lambda w: w.version)}),
    Case("GetObjectAttributes", {"Key": lambda w: w.multipart("CRC32"), "MaxParts": 1}, {
        "ObjectParts": lambda found: (found["TotalPartsCount"], len(found["Parts"])) == (1, 1)}),
    Case("GetObjectAttributes", {"Key": lambda w: w.multipart("CRC32"), "PartNumberMarker": 1}, {
        "ObjectParts": lambda found: found["PartNumberMarker"] == 1 and not found.get("Parts")}),
    Case("GetObjectAttributes", {"Key": lambda w: w.sealed()} | CUSTOMER, {"ObjectSize": 7}),
    Case("GetObjectAttributes", {"Key": lambda w: w.sealed()}, INVALID_REQUEST),
    *(Case(operation, {"VersionId": "0" * 32}, (404, "NoSuchVersion")) for operation in (
        "GetObjectAcl", "GetObjectTagging", "PutObjectAcl", "PutObjectTagging", "DeleteObjectTagging",
        "GetObjectAttributes", "UpdateObjectEncryption")),
    *(Case(operation, {"VersionId": lambda w: w.version}) for operation in (
        "GetObjectAcl", "GetObjectTagging", "PutObjectAcl", "PutObjectTagging", "DeleteObjectTagging",
        "UpdateObjectEncryption")),
]

OBJECTS = [
    Case("PutObject", {}, {}, reads()),
    Case("PutObject", {"ContentLength": 7}, {}, reads()),
    Case("PutObject", {"ContentMD5": base64.b64encode(hashlib.md5(BODY).digest()).decode()}, {}, reads()),
    Case("PutObject", {"IfNoneMatch": "*"}, {}, reads()), Case("PutObject", {"Key": "k", "IfNoneMatch": "*"}, FAILED),
    Case("PutObject", {"Key": "k", "IfMatch": lambda w: w.etag}), Case("PutObject", {"Key": "k", "IfMatch": '"other"'}, FAILED),
    *(Case("PutObject", {"Checksum" + algorithm: digest(algorithm)}, {"Checksum" + algorithm: digest(algorithm)}, reads())
      for algorithm in ALGORITHMS),
    *(Case("PutObject", {"Checksum" + algorithm: digest(algorithm, b"other")}, BAD_DIGEST) for algorithm in ALGORITHMS),
    *(Case("PutObject", {"ChecksumAlgorithm": algorithm}, {"Checksum" + algorithm: digest(algorithm)}, reads())
      for algorithm in ALGORITHMS),
    *source_conditions("CopyObject"),
    Case("CopyObject", {}, {"CopyObjectResult": lambda found: found["ETag"] and found["LastModified"]}, reads()),
    Case("CopyObject", {"CopySource": lambda w: f"{w.bucket}/absent"}, (404, "NoSuchKey")),
    Case("CopyObject", {"Key": "k"}, INVALID_REQUEST),
    Case("CopyObject", {"MetadataDirective": "COPY"}, {}, shows(Metadata={"kept": "yes"})),
    Case("CopyObject", {"TaggingDirective": "COPY"}, {}, finds("get_object_tagging", {"TagSet": [{"Key": "a", "Value": "1"}]}, Key="new")),
    Case("CopyObject", {"IfNoneMatch": "*"}, {}, reads()), Case("CopyObject", {"Key": "l", "IfNoneMatch": "*"}, FAILED),
    Case("CopyObject", {"Key": "l", "IfMatch": lambda w: w.etag}, {}, reads()),
    Case("CopyObject", {"Key": "l", "IfMatch": '"other"'}, FAILED),
    Case("CopyObject", {"ChecksumAlgorithm": "SHA256"}, {
        "CopyObjectResult": lambda found: found["ChecksumSHA256"] == digest("SHA256")}, reads()),
    *(Case(operation, {"ChecksumAlgorithm": algorithm}, INVALID_REQUEST)
      for operation in ("CopyObject", "CreateMultipartUpload") for algorithm in NEWER),
    *(Case(operation, {"CopySource": lambda w: f"{w.bucket}/{w.sealed()}"} | SOURCE_CUSTOMER)
      for operation in ("CopyObject", "UploadPartCopy")),
    *(Case(operation, {"CopySource": lambda w: f"{w.bucket}/{w.sealed()}"}, INVALID_REQUEST)
      for operation in ("CopyObject", "UploadPartCopy")),
    Case("DeleteObject", {}, {}, gone("head_object", "404", Key="k")),
    Case("DeleteObject", {"Key": "absent"}),
    Case("DeleteObject", {"IfMatch": '"other"'}, FAILED), Case("DeleteObject", {"IfMatch": lambda w: w.etag}),
    Case("DeleteObject", {"VersionId": lambda w: w.version}, {"VersionId": Of(lambda w: w.version)}),
    Case("DeleteObjects", {}, {"Deleted": [{"Key": "k"}]}, gone("head_object", "404", Key="k")),
    Case("DeleteObjects", {"Delete": {"Objects": [{"Key": "k"}], "Quiet": True}}, {"Deleted": None},
         gone("head_object", "404", Key="k")),
    Case("DeleteObjectTagging", {}, {}, finds("get_object_tagging", {"TagSet": []}, Key="k")),
    Case("GetObjectTagging", {}, {"TagSet": [{"Key": "a", "Value": "1"}]}),
    Case("PutObjectTagging", {}, {}, finds("get_object_tagging", {"TagSet": [{"Key": "a", "Value": "other"}]}, Key="k")),
    Case("PutObjectTagging", {"Tagging": {"TagSet": [{"Key": "aws:a", "Value": ""}]}}, (400, "InvalidTag")),
    Case("UpdateObjectEncryption", {}, {}, finds("head_object", {"ServerSideEncryption": "aws:kms"}, Key="k")),
    Case("UpdateObjectEncryption", {"ObjectEncryption": lambda w: {"SSEKMS": {"KMSKeyArn": w.cmk, "BucketKeyEnabled": True}}}, {},
         finds("head_object", {"BucketKeyEnabled": True}, Key="k")),
    Case("UpdateObjectEncryption", {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": "alias/aws/s3"}}}, INVALID_REQUEST),
    Case("PutObjectAcl", {"ACL": "public-read"}, {}, public),
    Case("PutObjectAcl", {"ACL": None, "AccessControlPolicy": lambda w: w.private()}, {}),
    Case("GetObjectAcl", {}, {"Owner": lambda found: found["ID"], "Grants": lambda found: [
        row["Permission"] for row in found] == ["FULL_CONTROL"]}),
]

UPLOADS = [
    Case("CreateMultipartUpload", {}, {"Key": "new"}, reads()),
    Case("CreateMultipartUpload", {"ChecksumType": "FULL_OBJECT", "ChecksumAlgorithm": "CRC32"},
         {"ChecksumType": "FULL_OBJECT", "ChecksumAlgorithm": "CRC32"}, reads()),
    Case("CreateMultipartUpload", {"ChecksumType": "COMPOSITE", "ChecksumAlgorithm": "CRC64NVME"}, INVALID_REQUEST),
    Case("CreateMultipartUpload", {"ChecksumType": "COMPOSITE"}, INVALID_REQUEST),
    Case("AbortMultipartUpload", {}, {}, gone("list_parts", "NoSuchUpload", Key="up", UploadId=lambda w: w.upload())),
    Case("AbortMultipartUpload", {"UploadId": "0" * 32}, (404, "NoSuchUpload")),
    Case("AbortMultipartUpload", {"Key": "k"}, (404, "NoSuchUpload")),
    Case("UploadPart", {}, {}, lambda w, case, answer: w.same([part["PartNumber"] for part in w.listed()], [1, 2])),
    Case("UploadPart", {"ContentLength": 7}), Case("UploadPart", {"UploadId": "0" * 32}, (404, "NoSuchUpload")),
    Case("UploadPart", {"PartNumber": 10001}, INVALID), Case("UploadPart", {"PartNumber": 0}, INVALID),
    *(Case("UploadPart", {"Checksum" + algorithm: digest(algorithm)}, {"Checksum" + algorithm: digest(algorithm)})
      for algorithm in ALGORITHMS),
    *(Case("UploadPart", {"Checksum" + algorithm: digest(algorithm, b"other")}, BAD_DIGEST) for algorithm in ALGORITHMS),
    Case("UploadPart", {"UploadId": lambda w: w.upload(**CUSTOMER)} | CUSTOMER, {"SSECustomerAlgorithm": "AES256"}),
    Case("UploadPart", {"UploadId": lambda w: w.upload(**CUSTOMER)}, INVALID_REQUEST),
    Case("UploadPart", CUSTOMER, INVALID_REQUEST),
    *source_conditions("UploadPartCopy"),
    Case("UploadPartCopy", {}, {"CopyPartResult": lambda found: found["ETag"] and found["LastModified"]},
         lambda w, case, answer: w.same([part["Size"] for part in w.listed()], [7, 7])),
    Case("UploadPartCopy", {"CopySourceRange": "bytes=1-3"}, {},
         lambda w, case, answer: w.same([part["Size"] for part in w.listed()], [7, 3])),
    Case("UploadPartCopy", {"CopySourceRange": "bytes=1-99"}, (416, "InvalidRange")),
    Case("UploadPartCopy", {"UploadId": lambda w: w.upload(**CUSTOMER)} | CUSTOMER, {"SSECustomerAlgorithm": "AES256"}),
    Case("UploadPartCopy", {"UploadId": lambda w: w.upload(**CUSTOMER)}, INVALID_REQUEST),
    Case("CompleteMultipartUpload", {}, {"Key": "up", "ETag": lambda etag: etag.endswith('-1"')}, reads()),
    Case("CompleteMultipartUpload", {"MultipartUpload": {"Parts": []}}, (400, "MalformedXML")),
    Case("CompleteMultipartUpload", {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "other"}]}}, (400, "InvalidPart")),
    Case("CompleteMultipartUpload", {"MpuObjectSize": 7}, {}, reads()),
    Case("CompleteMultipartUpload", {"MpuObjectSize": 8}, INVALID),
    Case("CompleteMultipartUpload", {"IfNoneMatch": "*"}, {}, reads()),
    Case("CompleteMultipartUpload", {"Key": "k", "UploadId": lambda w: w.upload("k"), "IfNoneMatch": "*"}, FAILED),
    Case("CompleteMultipartUpload", {"Key": "k", "UploadId": lambda w: w.upload("k"), "IfMatch": lambda w: w.etag}),
    Case("CompleteMultipartUpload", {"Key": "k", "UploadId": lambda w: w.upload("k"), "IfMatch": '"other"'}, FAILED),
    Case("CompleteMultipartUpload", {"UploadId": lambda w: w.upload(**CUSTOMER)} | CUSTOMER, {}, reads()),
    Case("CompleteMultipartUpload", CUSTOMER, INVALID_REQUEST),
    *(Case("CompleteMultipartUpload", {
        "UploadId": lambda w, a=algorithm: w.upload(ChecksumAlgorithm=a, ChecksumType="FULL_OBJECT"),
        "ChecksumType": "FULL_OBJECT", "Checksum" + algorithm: digest(algorithm)},
        {"Checksum" + algorithm: digest(algorithm), "ChecksumType": "FULL_OBJECT"}, reads())
      for algorithm in ("CRC32", "CRC32C", "CRC64NVME")),
    *(Case("CompleteMultipartUpload", {
        "UploadId": lambda w, a=algorithm: w.upload(ChecksumAlgorithm=a), "Checksum" + algorithm: composite(algorithm)},
        {"Checksum" + algorithm: composite(algorithm), "ChecksumType": "COMPOSITE"}, reads())
      for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256")),
    Case("CompleteMultipartUpload", {
        "UploadId": lambda w: w.upload(ChecksumAlgorithm="SHA256"), "ChecksumSHA256": digest("SHA256", b"other")}, BAD_DIGEST),
    Case("ListParts", {}, {"Parts": lambda found: [(row["PartNumber"], row["Size"]) for row in found] == [(1, 7)]}),
    Case("ListParts", {"MaxParts": 1, "UploadId": lambda w: w.upload(parts=2)}, {"NextPartNumberMarker": 1, "IsTruncated": True}),
    Case("ListParts", {"PartNumberMarker": 1, "UploadId": lambda w: w.upload(parts=2)}, {
        "Parts": lambda found: [row["PartNumber"] for row in found] == [2]}),
    Case("ListParts", {"UploadId": lambda w: w.upload(**CUSTOMER)} | CUSTOMER, {"Parts": lambda found: len(found) == 1}),
]


def uploads(*wanted):
    return keys("Uploads", *wanted)


LISTINGS = [
    *(Case(operation, {"Prefix": "dir/"}, {"Prefix": "dir/"}, keys(name, "dir/a b", "dir/sub/c"))
      for operation, name in (("ListObjects", "Contents"), ("ListObjectsV2", "Contents"), ("ListObjectVersions", "Versions"))),
    *(Case(operation, {"Delimiter": "/"}, {"Delimiter": "/"}, prefixes("dir/"))
      for operation in ("ListObjects", "ListObjectsV2", "ListObjectVersions")),
    *(Case(operation, {"MaxKeys": 1}, {"MaxKeys": 1, "IsTruncated": True}, keys(name, "dir/a b"))
      for operation, name in (("ListObjects", "Contents"), ("ListObjectsV2", "Contents"), ("ListObjectVersions", "Versions"))),
    *(Case(operation, {"MaxKeys": -1}, INVALID) for operation in ("ListObjects", "ListObjectsV2", "ListObjectVersions")),
    *(Case(operation, {"EncodingType": "url", "Prefix": "dir/a"}, {"EncodingType": "url"}, keys(name, "dir/a%20b"))
      for operation, name in (("ListObjects", "Contents"), ("ListObjectsV2", "Contents"), ("ListObjectVersions", "Versions"))),
    *(Case(operation, {"EncodingType": "base64"}, INVALID)
      for operation in ("ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads")),
    Case("ListObjects", {"Marker": "dir/a b"}, {"Marker": "dir/a b"}, keys("Contents", "dir/sub/c", "k", "l")),
    Case("ListObjectsV2", {"StartAfter": "dir/sub/c"}, {"StartAfter": "dir/sub/c", "KeyCount": 2}, keys("Contents", "k", "l")),
    Case("ListObjectsV2", {"ContinuationToken": lambda w: w.token()}, {}, keys("Contents", "dir/sub/c", "k", "l")),
    Case("ListObjectsV2", {"ContinuationToken": "junk"}, INVALID),
    Case("ListObjectsV2", {"FetchOwner": True, "Prefix": "k"}, {"Contents": lambda rows: rows[0]["Owner"]["ID"]}),
    Case("ListObjectVersions", {"KeyMarker": "dir/sub/c"}, {"KeyMarker": "dir/sub/c"}, keys("Versions", "k", "l")),
    Case("ListObjectVersions", {"KeyMarker": "k", "VersionIdMarker": lambda w: w.version}, {}, keys("Versions", "k", "l")),
    Case("ListObjectVersions", {"VersionIdMarker": "null"}, INVALID),
    Case("ListMultipartUploads", {"Prefix": lambda w: w.uploads("a", "b")}, {"Prefix": "up-"}, uploads("up-a", "up-b")),
    Case("ListMultipartUploads", {"MaxUploads": lambda w: w.uploads("a", "b") and 1}, {
        "IsTruncated": True, "NextKeyMarker": "up-a", "NextUploadIdMarker": lambda mark: mark}, uploads("up-a")),
    Case("ListMultipartUploads", {"KeyMarker": lambda w: w.uploads("a", "b") + "a"}, {"KeyMarker": "up-a"}, uploads("up-b")),
    Case("ListMultipartUploads", {"KeyMarker": "up", "UploadIdMarker": lambda w: w.upload()}, {}, uploads()),
    Case("ListMultipartUploads", {"Delimiter": lambda w: w.uploads("a", "b")[-1]}, {"Delimiter": "-"}, prefixes("up-")),
    Case("ListMultipartUploads", {"EncodingType": "url", "Prefix": lambda w: w.uploads("a b")}, {"EncodingType": "url"},
         uploads("up-a%20b")),
    Case("ListBuckets", {"Prefix": lambda w: w.bucket}, {
        "Prefix": Of(lambda w: w.bucket), "Buckets": lambda rows: len(rows) == 1 and rows[0]["BucketRegion"] == "us-east-1"}),
    Case("ListBuckets", {"MaxBuckets": 1, "Prefix": lambda w: w.empty() and w.bucket}, {
        "ContinuationToken": lambda token: token, "Buckets": lambda rows: len(rows) == 1}),
    Case("ListBuckets", {"ContinuationToken": lambda w: w.bucket_token(), "Prefix": lambda w: w.bucket}, {
        "Buckets": lambda rows: rows[0]["Name"].endswith("-empty")}),
    Case("ListBuckets", {"BucketRegion": "eu-west-1"}, {"Buckets": []}),
    Case("ListBuckets", {"BucketRegion": "us-east-1", "Prefix": lambda w: w.bucket}, {"Buckets": lambda rows: len(rows) == 1}),
    Case("ListBuckets", {"MaxBuckets": 0}, INVALID),
]

PUTS = {"CORSRules": [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"]}]}
BUCKETS = [
    Case("CreateBucket", {}, {"Location": Of(lambda w: f"/{w.bucket}-new")}, lambda w, case, answer: w.s3.head_bucket(
        Bucket=w.bucket + "-new")),
    Case("CreateBucket", {"Bucket": "Not_A_Name.."}, (400, "InvalidBucketName")),
    Case("CreateBucket", {"Bucket": lambda w: w.other_bucket()}, (409, "BucketAlreadyExists")),
    Case("CreateBucket", {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}, {}, lambda w, case, answer: w.same(
        w.s3.get_bucket_location(Bucket=w.bucket + "-new")["LocationConstraint"], "eu-west-1")),
    Case("CreateBucket", {"CreateBucketConfiguration": {"Bucket": {"Type": "Directory"}}}, NOT_IMPLEMENTED),
    Case("CreateBucket", {"ACL": "public-read"}, {}, lambda w, case, answer: w.same(
        len(w.s3.get_bucket_acl(Bucket=w.bucket + "-new")["Grants"]), 2)),
    Case("DeleteBucket", {}, {}, lambda w, case, answer: w.same(
        w.refused("head_bucket", Bucket=w.bucket + "-empty")[0], 404)),
    Case("DeleteBucket", {"Bucket": lambda w: w.bucket}, (409, "BucketNotEmpty")),
    Case("HeadBucket", {}, {"BucketRegion": "us-east-1"}),
    *(Case(operation, {"Bucket": "no-such-bucket-anywhere"}, (404, "NoSuchBucket")) for operation in WORKING
      if operation not in ("CreateBucket", "ListBuckets", "CopyObject")),
    Case("GetBucketLocation", {}, {"LocationConstraint": None}),
    Case("GetBucketVersioning", {}, {"Status": None}),
    Case("PutBucketVersioning", {"VersioningConfiguration": {"Status": "Enabled"}}, {}, finds(
        "get_bucket_versioning", {"Status": "Enabled"})),
    Case("PutBucketVersioning", {"VersioningConfiguration": {"Status": "On"}}, (400, "MalformedXML")),
    Case("GetBucketTagging", {}, {"TagSet": [{"Key": "a", "Value": "1"}]}),
    Case("PutBucketTagging", {}, {}, finds("get_bucket_tagging", {"TagSet": [{"Key": "a", "Value": "other"}]})),
    Case("DeleteBucketTagging", {}, {}, gone("get_bucket_tagging", "NoSuchTagSet")),
    Case("GetBucketPolicy", {}, {"Policy": lambda text: json.loads(text)["Version"] == "2012-10-17"}),
    Case("GetBucketPolicyStatus", {}, {"PolicyStatus": {"IsPublic": False}}),
    Case("PutBucketPolicy", {}, {}, finds("get_bucket_policy", {"Policy": lambda text: "s3:GetObjectTagging" in text})),
    Case("PutBucketPolicy", {"Policy": "{}"}, (400, "MalformedPolicy")),
    Case("DeleteBucketPolicy", {}, {}, gone("get_bucket_policy", "NoSuchBucketPolicy")),
    Case("GetBucketCors", {}, {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}),
    Case("PutBucketCors", {}, {}, finds("get_bucket_cors", PUTS)),
    Case("PutBucketCors", {"CORSConfiguration": {"CORSRules": []}}, (400, "MalformedXML")),
    Case("DeleteBucketCors", {}, {}, gone("get_bucket_cors", "NoSuchCORSConfiguration")),
    Case("GetBucketEncryption", {}, {"ServerSideEncryptionConfiguration": lambda found: found["Rules"][0][
        "ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"}),
    Case("PutBucketEncryption", {}, {}, finds("get_bucket_encryption", {
        "ServerSideEncryptionConfiguration": lambda found: "aws:kms" in str(found)})),
    Case("PutBucketEncryption", {"ServerSideEncryptionConfiguration": {"Rules": []}}, (400, "MalformedXML")),
    Case("DeleteBucketEncryption", {}, {}, finds("get_bucket_encryption", {
        "ServerSideEncryptionConfiguration": lambda found: "AES256" in str(found)})),
    Case("GetBucketAcl", {}, {"Grants": lambda found: [row["Permission"] for row in found] == ["FULL_CONTROL"]}),
    Case("PutBucketAcl", {"ACL": "public-read"}, {}, finds("get_bucket_acl", {"Grants": lambda found: len(found) == 2})),
    Case("PutBucketAcl", {"ACL": None, "AccessControlPolicy": lambda w: w.private()}),
    Case("GetPublicAccessBlock", {}, {"PublicAccessBlockConfiguration": {
        "BlockPublicAcls": False, "IgnorePublicAcls": True, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}}),
    Case("PutPublicAccessBlock", {}, {}, finds("get_public_access_block", {
        "PublicAccessBlockConfiguration": lambda found: found["BlockPublicAcls"] and not found["IgnorePublicAcls"]})),
    Case("DeletePublicAccessBlock", {}, {}, gone("get_public_access_block", "NoSuchPublicAccessBlockConfiguration")),
]

CASES = [*WRITES, *READS, *OBJECTS, *UPLOADS, *LISTINGS, *BUCKETS]

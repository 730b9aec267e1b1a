"""The OSS clients behind one face each, so that a table of cases runs through all of them.

Every call gives an `Answer` (status, headers in lower case, body, value) or raises `Refused`.
"""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote

import alibabacloud_oss_v2 as v2
import oss2
from alibabacloud_oss_v2 import exceptions as v2_exceptions

REGION = "cn-hangzhou"
CACHE = pathlib.Path(os.environ.get("SEALGATE_CACHE", pathlib.Path.home() / ".cache" / "sealgate"))


@dataclass
class Answer:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    value: object = None


class Refused(Exception):
    def __init__(self, status, code, headers=None):
        super().__init__(f"{status} {code}")
        self.status, self.code, self.headers = status, code, lower(headers or {})


@dataclass
class Who:
    """A credential."""

    key_id: str
    secret: str
    token: str = None


def lower(headers):
    return {name.lower(): value for name, value in dict(headers or {}).items()}


def tagging(tags):
    return "&".join(f"{key}={value}" for key, value in tags.items())


class Oss2:
    """oss2, the first Python SDK."""

    signatures = ("V1", "V4")

    def __init__(self, gateway, signature, who):
        self.gateway = gateway
        if who.token:
            provider = oss2.credentials.StaticCredentialsProvider(who.key_id, who.secret, who.token)
            self.auth = {"V1": oss2.ProviderAuth, "V4": oss2.ProviderAuthV4}[signature](provider)
        else:
            self.auth = {"V1": oss2.Auth, "V4": oss2.AuthV4}[signature](who.key_id, who.secret)
        self.service = oss2.Service(self.auth, gateway.endpoint, region=REGION)

    def close(self):
        pass

    def bucket(self, name):
        return oss2.Bucket(self.auth, self.gateway.endpoint, name, region=REGION)

    def call(self, function, *arguments, read=False, **options):
        try:
            result = function(*arguments, **options)
            body = result.read() if read else b""
        except oss2.exceptions.OssError as error:
            raise Refused(error.status, error.code, error.headers) from error
        return Answer(getattr(result, "status", 200), lower(getattr(result, "headers", {})), body, result)

    def buckets(self, prefix):
        return [row.name for row in self.call(self.service.list_buckets, prefix=prefix).value.buckets]

    def make_bucket(self, bucket, acl=None):
        return self.call(self.bucket(bucket).create_bucket, acl)

    def drop_bucket(self, bucket):
        return self.call(self.bucket(bucket).delete_bucket)

    def bucket_info(self, bucket):
        got = self.call(self.bucket(bucket).get_bucket_info).value
        rule = got.bucket_encryption_rule
        return {"name": got.name, "location": got.location, "acl": got.acl.grant, "versioning": got.versioning_status or None,
                "algorithm": rule and rule.sse_algorithm, "key": rule and rule.kms_master_keyid}

    def bucket_location(self, bucket):
        return self.call(self.bucket(bucket).get_bucket_location).value.location

    def bucket_stat(self, bucket):
        got = self.call(self.bucket(bucket).get_bucket_stat).value
        return got.storage_size_in_bytes, got.object_count, got.multi_part_upload_count

    def put(self, bucket, key, body, headers=None):
        return self.call(self.bucket(bucket).put_object, key, body, headers=headers)

    def get(self, bucket, key, headers=None, params=None):
        return self.call(self.bucket(bucket).get_object, key, headers=headers, params=params, read=True)

    def head(self, bucket, key, headers=None, params=None):
        return self.call(self.bucket(bucket).head_object, key, headers=headers, params=params)

    def meta(self, bucket, key):
        return self.call(self.bucket(bucket).get_object_meta, key)

    def delete(self, bucket, key, version=None):
        return self.call(self.bucket(bucket).delete_object, key, params={"versionId": version} if version else None)

    def delete_many(self, bucket, keys):
        return sorted(self.call(self.bucket(bucket).batch_delete_objects, keys).value.deleted_keys)

    def copy(self, bucket, key, source_bucket, source, headers=None, version=None):
        params = {"versionId": version} if version else None
        return self.call(self.bucket(bucket).copy_object, source_bucket, source, key, headers=headers, params=params)

    def append(self, bucket, key, position, body, headers=None, crc=None):
        return self.call(self.bucket(bucket).append_object, key, position, body, headers=headers, init_crc=crc)

    def initiate(self, bucket, key, headers=None):
        answer = self.call(self.bucket(bucket).init_multipart_upload, key, headers=headers)
        answer.value = answer.value.upload_id
        return answer

    def part(self, bucket, key, upload, number, body, headers=None):
        answer = self.call(self.bucket(bucket).upload_part, key, upload, number, body, headers=headers)
        answer.value = oss2.models.PartInfo(number, answer.value.etag, size=len(body), part_crc=answer.value.crc)
        return answer

    def part_copy(self, bucket, key, upload, number, source_bucket, source, first, last, headers=None):
        answer = self.call(self.bucket(bucket).upload_part_copy, source_bucket, source, (first, last), key, upload, number, headers=headers)
        # Without a size and a CRC, since oss2 has no CRC of a part that it did not send.
        answer.value = oss2.models.PartInfo(number, answer.value.etag)
        return answer

    def complete(self, bucket, key, upload, parts, headers=None):
        return self.call(self.bucket(bucket).complete_multipart_upload, key, upload, parts, headers=headers)

    def abort(self, bucket, key, upload):
        return self.call(self.bucket(bucket).abort_multipart_upload, key, upload)

    def parts(self, bucket, key, upload):
        rows = self.call(self.bucket(bucket).list_parts, key, upload).value.parts
        return [(row.part_number, row.size) for row in rows]

    def uploads(self, bucket):
        return [(row.key, row.upload_id) for row in self.call(self.bucket(bucket).list_multipart_uploads).value.upload_list]

    def symlink(self, bucket, key, target, headers=None):
        return self.call(self.bucket(bucket).put_symlink, target, key, headers=headers)

    def symlink_target(self, bucket, key):
        return self.call(self.bucket(bucket).get_symlink, key).value.target_key

    def put_acl(self, bucket, key, acl):
        target = self.bucket(bucket)
        return self.call(target.put_object_acl, key, acl) if key else self.call(target.put_bucket_acl, acl)

    def acl(self, bucket, key=None):
        target = self.bucket(bucket)
        return (self.call(target.get_object_acl, key) if key else self.call(target.get_bucket_acl)).value.acl

    def put_tags(self, bucket, key, tags):
        rule = oss2.models.TaggingRule()
        for name, value in tags.items():
            rule.add(name, value)
        target, rules = self.bucket(bucket), oss2.models.Tagging(rule)
        return self.call(target.put_object_tagging, key, rules) if key else self.call(target.put_bucket_tagging, rules)

    def tags(self, bucket, key=None):
        target = self.bucket(bucket)
        got = self.call(target.get_object_tagging, key) if key else self.call(target.get_bucket_tagging)
        return dict(got.value.tag_set.tagging_rule)

    def drop_tags(self, bucket, key=None):
        target = self.bucket(bucket)
        return self.call(target.delete_object_tagging, key) if key else self.call(target.delete_bucket_tagging)

    def put_versioning(self, bucket, status):
        config = oss2.models.BucketVersioningConfig(status)
        return self.call(self.bucket(bucket).put_bucket_versioning, config)

    def versioning(self, bucket):
        return self.call(self.bucket(bucket).get_bucket_versioning).value.status or None

    def put_encryption(self, bucket, algorithm, key=None, data=None):
        rule = oss2.models.ServerSideEncryptionRule(algorithm, key, kms_data_encryption=data)
        return self.call(self.bucket(bucket).put_bucket_encryption, rule)

    def encryption(self, bucket):
        got = self.call(self.bucket(bucket).get_bucket_encryption).value
        return got.sse_algorithm, got.kms_master_keyid or None, got.kms_data_encryption or None

    def drop_encryption(self, bucket):
        return self.call(self.bucket(bucket).delete_bucket_encryption)

    def list(self, bucket, prefix="", delimiter="", size=1000):
        """All pages of ListObjects: keys with sizes and ETags, and common prefixes."""
        rows, prefixes, marker = [], [], ""
        while True:
            page = self.call(self.bucket(bucket).list_objects, prefix, delimiter, marker, size).value
            rows += [(row.key, row.size, row.etag.strip('"')) for row in page.object_list]
            prefixes += page.prefix_list
            if not page.is_truncated:
                return rows, prefixes
            marker = page.next_marker

    def list2(self, bucket, prefix="", delimiter="", size=1000):
        rows, prefixes, token = [], [], ""
        while True:
            page = self.call(self.bucket(bucket).list_objects_v2, prefix, delimiter, token, max_keys=size).value
            rows += [(row.key, row.size, row.etag.strip('"')) for row in page.object_list]
            prefixes += page.prefix_list
            if not page.is_truncated:
                return rows, prefixes
            token = page.next_continuation_token

    def list_versions(self, bucket, prefix="", size=1000):
        """All pages of ListObjectVersions: versions and delete markers as (key, version, latest)."""
        versions, markers, key, version = [], [], "", ""
        while True:
            page = self.call(self.bucket(bucket).list_object_versions, prefix, "", key, size, version).value
            versions += [(row.key, row.versionid, row.is_latest) for row in page.versions]
            markers += [(row.key, row.versionid, row.is_latest) for row in page.delete_marker]
            if not page.is_truncated:
                return versions, markers
            key, version = page.next_key_marker, page.next_versionid_marker

    def url(self, method, bucket, key, headers=None, params=None, seconds=120):
        url = self.bucket(bucket).sign_url(method, key, seconds, headers=headers, params=params, slash_safe=True)
        return url, headers or {}


class PythonV2:
    """alibabacloud-oss-v2, the second Python SDK."""

    signatures = ("V1", "V4")

    def __init__(self, gateway, signature, who):
        provider = v2.credentials.StaticCredentialsProvider(who.key_id, who.secret, who.token)
        self.client = v2.Client(v2.Config(
            region=REGION, endpoint=gateway.endpoint, credentials_provider=provider, retry_max_attempts=1,
            signature_version=signature.lower(),
        ))

    def close(self):
        pass

    def call(self, operation, request, **fields):
        fields = {name: value for name, value in fields.items() if value is not None}
        try:
            result = getattr(self.client, operation)(getattr(v2, request + "Request")(**fields))
            body = result.body.read() if operation == "get_object" else b""
        except v2_exceptions.OperationError as error:
            inner = error.unwrap()
            if not isinstance(inner, v2_exceptions.ServiceError):
                raise
            raise Refused(inner.status_code, inner.code, inner.headers) from error
        return Answer(result.status_code, lower(result.headers), body, result)

    def buckets(self, prefix):
        return [row.name for row in self.call("list_buckets", "ListBuckets", prefix=prefix).value.buckets or []]

    def make_bucket(self, bucket, acl=None):
        return self.call("put_bucket", "PutBucket", bucket=bucket, acl=acl)

    def drop_bucket(self, bucket):
        return self.call("delete_bucket", "DeleteBucket", bucket=bucket)

    def bucket_info(self, bucket):
        got = self.call("get_bucket_info", "GetBucketInfo", bucket=bucket).value.bucket_info
        return {"name": got.name, "location": got.location, "acl": got.acl, "versioning": got.versioning or None,
                "algorithm": got.sse_rule.sse_algorithm, "key": got.sse_rule.kms_master_key_id}

    def bucket_location(self, bucket):
        return self.call("get_bucket_location", "GetBucketLocation", bucket=bucket).value.location

    def bucket_stat(self, bucket):
        got = self.call("get_bucket_stat", "GetBucketStat", bucket=bucket).value
        return got.storage, got.object_count, got.multi_part_upload_count

    def put(self, bucket, key, body, headers=None):
        return self.call("put_object", "PutObject", bucket=bucket, key=key, body=body, headers=headers)

    def get(self, bucket, key, headers=None, params=None):
        return self.call("get_object", "GetObject", bucket=bucket, key=key, headers=headers, parameters=params)

    def head(self, bucket, key, headers=None, params=None):
        return self.call("head_object", "HeadObject", bucket=bucket, key=key, headers=headers, parameters=params)

    def meta(self, bucket, key):
        return self.call("get_object_meta", "GetObjectMeta", bucket=bucket, key=key)

    def delete(self, bucket, key, version=None):
        return self.call("delete_object", "DeleteObject", bucket=bucket, key=key, version_id=version)

    def delete_many(self, bucket, keys):
        objects = [v2.DeleteObject(key=key) for key in keys]
        got = self.call("delete_multiple_objects", "DeleteMultipleObjects", bucket=bucket, objects=objects, encoding_type="url")
        return sorted(row.key for row in got.value.deleted_objects)

    def copy(self, bucket, key, source_bucket, source, headers=None, version=None):
        return self.call("copy_object", "CopyObject", bucket=bucket, key=key, source_bucket=source_bucket, source_key=source,
                         headers=headers, source_version_id=version)

    def append(self, bucket, key, position, body, headers=None, crc=None):
        return self.call("append_object", "AppendObject", bucket=bucket, key=key, position=position, body=body, headers=headers,
                         init_hash_crc64=None if crc is None else str(crc))

    def initiate(self, bucket, key, headers=None):
        answer = self.call("initiate_multipart_upload", "InitiateMultipartUpload", bucket=bucket, key=key, headers=headers)
        answer.value = answer.value.upload_id
        return answer

    def part(self, bucket, key, upload, number, body, headers=None):
        answer = self.call("upload_part", "UploadPart", bucket=bucket, key=key, upload_id=upload, part_number=number, body=body, headers=headers)
        answer.value = v2.UploadPart(part_number=number, etag=answer.value.etag)
        return answer

    def part_copy(self, bucket, key, upload, number, source_bucket, source, first, last, headers=None):
        answer = self.call("upload_part_copy", "UploadPartCopy", bucket=bucket, key=key, upload_id=upload, part_number=number,
                           source_bucket=source_bucket, source_key=source, source_range=f"bytes={first}-{last}", headers=headers)
        answer.value = v2.UploadPart(part_number=number, etag=answer.value.etag)
        return answer

    def complete(self, bucket, key, upload, parts, headers=None):
        body = v2.CompleteMultipartUpload(parts=parts)
        return self.call("complete_multipart_upload", "CompleteMultipartUpload", bucket=bucket, key=key, upload_id=upload,
                         complete_multipart_upload=body, headers=headers)

    def abort(self, bucket, key, upload):
        return self.call("abort_multipart_upload", "AbortMultipartUpload", bucket=bucket, key=key, upload_id=upload)

    def parts(self, bucket, key, upload):
        got = self.call("list_parts", "ListParts", bucket=bucket, key=key, upload_id=upload, encoding_type="url").value
        return [(row.part_number, row.size) for row in got.parts or []]

    def uploads(self, bucket):
        got = self.call("list_multipart_uploads", "ListMultipartUploads", bucket=bucket, encoding_type="url").value
        return [(row.key, row.upload_id) for row in got.uploads or []]

    def symlink(self, bucket, key, target, headers=None):
        return self.call("put_symlink", "PutSymlink", bucket=bucket, key=key, target=oss2.compat.urlquote(target, ""), headers=headers)

    def symlink_target(self, bucket, key):
        return unquote(self.call("get_symlink", "GetSymlink", bucket=bucket, key=key).value.target)

    def put_acl(self, bucket, key, acl):
        if key:
            return self.call("put_object_acl", "PutObjectAcl", bucket=bucket, key=key, acl=acl)
        return self.call("put_bucket_acl", "PutBucketAcl", bucket=bucket, acl=acl)

    def acl(self, bucket, key=None):
        if key:
            return self.call("get_object_acl", "GetObjectAcl", bucket=bucket, key=key).value.acl
        return self.call("get_bucket_acl", "GetBucketAcl", bucket=bucket).value.acl

    def put_tags(self, bucket, key, tags):
        body = v2.Tagging(tag_set=v2.TagSet(tags=[v2.Tag(key=name, value=value) for name, value in tags.items()]))
        if key:
            return self.call("put_object_tagging", "PutObjectTagging", bucket=bucket, key=key, tagging=body)
        return self.call("put_bucket_tags", "PutBucketTags", bucket=bucket, tagging=body)

    def tags(self, bucket, key=None):
        if key:
            got = self.call("get_object_tagging", "GetObjectTagging", bucket=bucket, key=key).value.tag_set
        else:
            got = self.call("get_bucket_tags", "GetBucketTags", bucket=bucket).value.tagging.tag_set
        return {row.key: row.value for row in (got.tags if got else None) or []}

    def drop_tags(self, bucket, key=None):
        if key:
            return self.call("delete_object_tagging", "DeleteObjectTagging", bucket=bucket, key=key)
        return self.call("delete_bucket_tags", "DeleteBucketTags", bucket=bucket)

    def put_versioning(self, bucket, status):
        config = v2.VersioningConfiguration(status=status)
        return self.call("put_bucket_versioning", "PutBucketVersioning", bucket=bucket, versioning_configuration=config)

    def versioning(self, bucket):
        return self.call("get_bucket_versioning", "GetBucketVersioning", bucket=bucket).value.version_status or None

    def put_encryption(self, bucket, algorithm, key=None, data=None):
        rule = v2.ApplyServerSideEncryptionByDefault(sse_algorithm=algorithm, kms_master_key_id=key, kms_data_encryption=data)
        body = v2.ServerSideEncryptionRule(apply_server_side_encryption_by_default=rule)
        return self.call("put_bucket_encryption", "PutBucketEncryption", bucket=bucket, server_side_encryption_rule=body)

    def encryption(self, bucket):
        got = self.call("get_bucket_encryption", "GetBucketEncryption", bucket=bucket).value.server_side_encryption_rule
        rule = got.apply_server_side_encryption_by_default
        return rule.sse_algorithm, rule.kms_master_key_id or None, rule.kms_data_encryption or None

    def drop_encryption(self, bucket):
        return self.call("delete_bucket_encryption", "DeleteBucketEncryption", bucket=bucket)

    def pages(self, paginator, request):
        try:
            yield from paginator.iter_page(request)
        except v2_exceptions.OperationError as error:
            inner = error.unwrap()
            raise Refused(inner.status_code, inner.code, inner.headers) from error

    def list(self, bucket, prefix="", delimiter="", size=1000):
        request = v2.ListObjectsRequest(bucket=bucket, prefix=prefix, delimiter=delimiter, max_keys=size, encoding_type="url")
        return self.rows(self.client.list_objects_paginator(), request)

    def list2(self, bucket, prefix="", delimiter="", size=1000):
        request = v2.ListObjectsV2Request(bucket=bucket, prefix=prefix, delimiter=delimiter, max_keys=size, encoding_type="url")
        return self.rows(self.client.list_objects_v2_paginator(), request)

    def rows(self, paginator, request):
        rows, prefixes = [], []
        for page in self.pages(paginator, request):
            rows += [(row.key, row.size, row.etag.strip('"')) for row in page.contents or []]
            prefixes += [row.prefix for row in page.common_prefixes or []]
        return rows, prefixes

    def list_versions(self, bucket, prefix="", size=1000):
        request = v2.ListObjectVersionsRequest(bucket=bucket, prefix=prefix, max_keys=size, encoding_type="url")
        versions, markers = [], []
        for page in self.pages(self.client.list_object_versions_paginator(), request):
            versions += [(row.key, row.version_id, row.is_latest) for row in page.version or []]
            markers += [(row.key, row.version_id, row.is_latest) for row in page.delete_marker or []]
        return versions, markers

    def url(self, method, bucket, key, headers=None, params=None, seconds=120):
        kind = {"GET": v2.GetObjectRequest, "PUT": v2.PutObjectRequest, "HEAD": v2.HeadObjectRequest}[method]
        request = kind(bucket=bucket, key=key, headers=headers or {}, parameters=params or {})
        made = self.client.presign(request, expires=timedelta(seconds=seconds))
        return made.url, {**(headers or {}), **dict(made.signed_headers or {})}


class AliOss:
    """ali-oss, the JavaScript SDK, in a process that answers line by line. On an address it forges the Host."""

    signatures = ("V1", "V4")

    def __init__(self, gateway, signature, who, endpoint=None, **options):
        options = {
            "endpoint": endpoint or gateway.endpoint, "region": "oss-" + REGION, "accessKeyId": who.key_id,
            "accessKeySecret": who.secret, "authorizationV4": signature == "V4", "bucket": "unused", **options,
        }
        if who.token:
            options["stsToken"] = who.token
        self.signature, self.gateway, self.who = signature, gateway, who
        self.process = subprocess.Popen(
            ["node", str(pathlib.Path(__file__).parent / "js" / "driver.js")], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "NODE_PATH": str(CACHE / "js" / "node_modules"), "ALI_OSS_OPTIONS": json.dumps(options)},
        )

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)

    def say(self, method, *arguments):
        def buffers(value):
            return {"$base64": base64.b64encode(value).decode()}

        self.process.stdin.write(json.dumps({"method": method, "args": arguments}, default=buffers) + "\n")
        self.process.stdin.flush()
        got = json.loads(self.process.stdout.readline())
        if "error" in got:
            error = got["error"]
            if not isinstance(error.get("status"), int) or error["status"] < 0:
                raise AssertionError(error)
            raise Refused(error["status"], error.get("code"), error.get("headers"))
        return Answer(got.get("status"), lower(got.get("headers")), base64.b64decode(got.get("body") or ""), got["value"])

    def at(self, bucket, method, *arguments):
        self.say("useBucket", bucket)
        return self.say(method, *arguments)

    def buckets(self, prefix):
        return [row["name"] for row in self.say("listBuckets", {"prefix": prefix}).value["buckets"] or []]

    def make_bucket(self, bucket, acl=None):
        return self.say("putBucket", bucket, {"acl": acl} if acl else {})

    def drop_bucket(self, bucket):
        return self.say("deleteBucket", bucket)

    def bucket_info(self, bucket):
        got = self.say("getBucketInfo", bucket).value["bucket"]
        rule = got["ServerSideEncryptionRule"]
        return {"name": got["Name"], "location": got["Location"], "acl": got["AccessControlList"]["Grant"],
                "versioning": got.get("Versioning"), "algorithm": rule["SSEAlgorithm"], "key": rule.get("KMSMasterKeyID")}

    def bucket_location(self, bucket):
        return self.say("getBucketLocation", bucket).value["location"]

    def bucket_stat(self, bucket):
        got = self.say("getBucketStat", bucket).value["stat"]
        return int(got["Storage"]), int(got["ObjectCount"]), int(got["MultipartUploadCount"])

    def put(self, bucket, key, body, headers=None):
        return self.at(bucket, "put", key, bytes(body), {"headers": headers or {}})

    def get(self, bucket, key, headers=None, params=None):
        return self.at(bucket, "get", key, {"headers": headers or {}, "subres": params or {}})

    def head(self, bucket, key, headers=None, params=None):
        return self.at(bucket, "head", key, {"headers": headers or {}, "subres": params or {}})

    def meta(self, bucket, key):
        return self.at(bucket, "getObjectMeta", key)

    def delete(self, bucket, key, version=None):
        return self.at(bucket, "delete", key, {"versionId": version} if version else {})

    def delete_many(self, bucket, keys):
        deleted = self.at(bucket, "deleteMulti", keys).value["deleted"] or []
        return sorted(row["Key"] if isinstance(row, dict) else row for row in deleted)

    def copy(self, bucket, key, source_bucket, source, headers=None, version=None):
        options = {"headers": headers or {}}
        if version:
            options["versionId"] = version
        return self.at(bucket, "copy", key, source, source_bucket, options)

    def append(self, bucket, key, position, body, headers=None, crc=None):
        return self.at(bucket, "append", key, bytes(body), {"position": str(position), "headers": headers or {}})

    def initiate(self, bucket, key, headers=None):
        answer = self.at(bucket, "initMultipartUpload", key, {"headers": headers or {}})
        answer.value = answer.value["uploadId"]
        return answer

    def part(self, bucket, key, upload, number, body, headers=None):
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            answer = self.at(bucket, "uploadPart", key, upload, number, file.name, 0, len(body), {"headers": headers or {}})
        answer.value = {"number": number, "etag": answer.value["etag"]}
        return answer

    def part_copy(self, bucket, key, upload, number, source_bucket, source, first, last, headers=None):
        data = {"sourceKey": source, "sourceBucketName": source_bucket}
        answer = self.at(bucket, "uploadPartCopy", key, upload, number, f"{first}-{last}", data, {"headers": headers or {}})
        answer.value = {"number": number, "etag": answer.value["etag"]}
        return answer

    def complete(self, bucket, key, upload, parts, headers=None):
        return self.at(bucket, "completeMultipartUpload", key, upload, parts, {"headers": headers or {}})

    def abort(self, bucket, key, upload):
        return self.at(bucket, "abortMultipartUpload", key, upload)

    def parts(self, bucket, key, upload):
        rows = self.at(bucket, "listParts", key, upload).value["parts"] or []
        return [(int(row["PartNumber"]), int(row["Size"])) for row in (rows if isinstance(rows, list) else [rows])]

    def uploads(self, bucket):
        return [(row["name"], row["uploadId"]) for row in self.at(bucket, "listUploads", {}).value["uploads"] or []]

    def symlink(self, bucket, key, target, headers=None):
        return self.at(bucket, "putSymlink", key, target, {"headers": headers or {}})

    def symlink_target(self, bucket, key):
        return self.at(bucket, "getSymlink", key).value["targetName"]

    def put_acl(self, bucket, key, acl):
        return self.at(bucket, "putACL", key, acl) if key else self.say("putBucketACL", bucket, acl)

    def acl(self, bucket, key=None):
        return (self.at(bucket, "getACL", key) if key else self.say("getBucketACL", bucket)).value["acl"]

    def put_tags(self, bucket, key, tags):
        return self.at(bucket, "putObjectTagging", key, tags) if key else self.say("putBucketTags", bucket, tags)

    def tags(self, bucket, key=None):
        return (self.at(bucket, "getObjectTagging", key) if key else self.say("getBucketTags", bucket)).value["tag"]

    def drop_tags(self, bucket, key=None):
        return self.at(bucket, "deleteObjectTagging", key) if key else self.say("deleteBucketTags", bucket)

    def put_versioning(self, bucket, status):
        return self.say("putBucketVersioning", bucket, status)

    def versioning(self, bucket):
        return self.say("getBucketVersioning", bucket).value.get("versionStatus")

    def put_encryption(self, bucket, algorithm, key=None, data=None):
        assert data is None, "ali-oss cannot say it"
        return self.say("putBucketEncryption", bucket, {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})})

    def encryption(self, bucket):
        got = self.say("getBucketEncryption", bucket).value["encryption"]
        return got["SSEAlgorithm"], got.get("KMSMasterKeyID") or None, got.get("KMSDataEncryption") or None

    def drop_encryption(self, bucket):
        return self.say("deleteBucketEncryption", bucket)

    def list(self, bucket, prefix="", delimiter="", size=1000):
        return self.rows(bucket, "list", {"marker": "nextMarker"}, prefix, delimiter, size)

    def list2(self, bucket, prefix="", delimiter="", size=1000):
        return self.rows(bucket, "listV2", {"continuation-token": "nextContinuationToken"}, prefix, delimiter, size)

    def rows(self, bucket, method, follow, prefix, delimiter, size):
        # With V4, ali-oss signs a parameter without a value as `key=`, and no other client does: it is left out.
        asked = {"prefix": prefix, "delimiter": delimiter, "max-keys": size}
        rows, prefixes, query = [], [], {name: value for name, value in asked.items() if value}
        while True:
            page = self.at(bucket, method, query).value
            rows += [(row["name"], row["size"], row["etag"].strip('"')) for row in page["objects"] or []]
            prefixes += page["prefixes"] or []
            if not page["isTruncated"]:
                return rows, prefixes
            query |= {parameter: page[name] for parameter, name in follow.items()}

    def list_versions(self, bucket, prefix="", size=1000):
        versions, markers, query = [], [], {"max-keys": size} | ({"prefix": prefix} if prefix else {})
        while True:
            page = self.at(bucket, "getBucketVersions", query).value
            versions += [(row["name"], row["versionId"], row["isLatest"]) for row in page["objects"] or []]
            # ali-oss drops which of the markers is the latest.
            markers += [(row["name"], row["versionId"], None) for row in page["deleteMarker"] or []]
            if not page["isTruncated"]:
                return versions, markers
            query |= {"keyMarker": page["nextKeyMarker"], "versionIdMarker": page["nextVersionIdMarker"]}

    def url(self, method, bucket, key, headers=None, params=None, seconds=120):
        # ali-oss signs no URL for an address: a client of its own, with a name.
        named = AliOss(self.gateway, self.signature, self.who, f"http://localhost:{self.gateway.address[1]}", bucket=bucket)
        try:
            if self.signature == "V4":
                made = named.say("signatureUrlV4", method, seconds, {"headers": headers or {}, "queries": params or {}}, key)
                return made.value["value"], headers or {}
            options = {"method": method, "expires": seconds, "subResource": params or {}, **(headers or {})}
            return named.say("signatureUrl", key, options).value["value"], headers or {}
        finally:
            named.close()


FACES = {"oss2": Oss2, "python-v2": PythonV2, "ali-oss": AliOss}
ALL = [f"{name} {signature}" for name, face in FACES.items() for signature in face.signatures]


def face_of(gateway, name, who):
    client, signature = name.split()
    return FACES[client](gateway, signature, who)

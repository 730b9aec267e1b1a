"""Every operation, with every fault at every request that it makes of the upstream: what is safe is tried again and nobody
sees it; where it is not, the client is told 503, nothing is half done, and the same request made again does it."""

import itertools
import random
import time

import pytest
from botocore.exceptions import ClientError

MIB = 1 << 20
# The worst of all, since what was asked for has been done, and in turn one of those after which it has not.
LOST = ("lost", {})
OTHERS = [("reset", {}), ("status", {"status": 500, "code": "InternalError"}), ("status", {"status": 503, "code": "SlowDown"})]
# What a gateway asks by itself, whoever calls: for keys, for the records of buckets, whether the upstream lives.
KEYS = ("prefix=keystore", "/keystore/")
BY_ITSELF = (*KEYS, "prefix=buckets", "/buckets/")


def body(length, seed=1):
    return random.Random(seed).randbytes(length)


class Nth:
    """Matches the nth of the requests that an operation makes."""

    def __init__(self, nth, by_itself):
        self.left, self.by_itself = nth, by_itself
        self.lines = []

    def search(self, line):
        if any(word in line for word in self.by_itself):
            return False
        self.lines.append(line)
        self.left -= 1
        return self.left == -1


class Operation:
    """One operation: what there must be before, the request itself, and what must be there after it. `s3` is behind the
    proxy, `there` is another gateway that is not. Each round has a key of its own."""

    def before(self, there, key):
        return None

    def call(self, s3, key, before):
        raise NotImplementedError

    def after(self, there, key, before, answer):
        raise NotImplementedError

    # What a repetition may be told, since the first attempt did it though its answer was lost.
    done_already = ()
    # Other gateways learn of buckets within two seconds: what is before and after them is made and seen by the same.
    alone = False


class PutSmall(Operation):
    length, arguments = 1000, {}

    def call(self, s3, key, before):
        return s3.put_object(Bucket="bucket", Key=key, Body=body(self.length), **self.arguments)

    def after(self, there, key, before, answer):
        assert there.get_object(Bucket="bucket", Key=key)["Body"].read() == body(self.length)


class PutLarge(PutSmall):
    length = 2 * MIB


class PutKms(PutSmall):
    length, arguments = 300_000, {"ServerSideEncryption": "aws:kms"}


class PutOnce(PutSmall):
    arguments = {"IfNoneMatch": "*"}
    done_already = ("PreconditionFailed",)


class OnAnObject(Operation):
    length = 300_000

    def before(self, there, key):
        there.put_object(Bucket="bucket", Key=key, Body=body(self.length), Metadata={"was": "there"})

    def after(self, there, key, before, answer):
        got = there.get_object(Bucket="bucket", Key=key)
        assert got["Body"].read() == body(self.length) and got["Metadata"] == {"was": "there"}


class PutIfMatch(OnAnObject):
    done_already = ("PreconditionFailed",)

    def before(self, there, key):
        return there.put_object(Bucket="bucket", Key=key, Body=b"old")["ETag"]

    def call(self, s3, key, before):
        return s3.put_object(Bucket="bucket", Key=key, Body=b"new", IfMatch=before)

    def after(self, there, key, before, answer):
        assert there.get_object(Bucket="bucket", Key=key)["Body"].read() == b"new"


class Get(OnAnObject):
    def call(self, s3, key, before):
        assert s3.get_object(Bucket="bucket", Key=key)["Body"].read() == body(self.length)


class GetRange(OnAnObject):
    def call(self, s3, key, before):
        assert s3.get_object(Bucket="bucket", Key=key, Range="bytes=70000-199999")["Body"].read() == body(self.length)[70000:200000]


class Head(OnAnObject):
    def call(self, s3, key, before):
        assert s3.head_object(Bucket="bucket", Key=key)["ContentLength"] == self.length


class Attributes(OnAnObject):
    def call(self, s3, key, before):
        found = s3.get_object_attributes(Bucket="bucket", Key=key, ObjectAttributes=["ObjectSize", "ETag"])
        assert found["ObjectSize"] == self.length


class List(OnAnObject):
    def call(self, s3, key, before):
        rows = s3.list_objects_v2(Bucket="bucket", Prefix=key)["Contents"]
        assert [(row["Key"], row["Size"]) for row in rows] == [(key, self.length)]


class ListVersions(OnAnObject):
    def call(self, s3, key, before):
        rows = s3.list_object_versions(Bucket="bucket", Prefix=key)["Versions"]
        assert [(row["Key"], row["Size"]) for row in rows] == [(key, self.length)]


class Delete(OnAnObject):
    def call(self, s3, key, before):
        s3.delete_object(Bucket="bucket", Key=key)

    def after(self, there, key, before, answer):
        assert "Contents" not in there.list_objects_v2(Bucket="bucket", Prefix=key)


class DeleteMany(Delete):
    def call(self, s3, key, before):
        found = s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": key}]})
        for error in found.get("Errors", []):
            answer = {"HTTPStatusCode": 503, "HTTPHeaders": {"retry-after": ""}}
            raise ClientError({"Error": error, "ResponseMetadata": answer}, "DeleteObjects")


class Copy(OnAnObject):
    def call(self, s3, key, before):
        s3.copy_object(Bucket="bucket", Key=key + "-copy", CopySource={"Bucket": "bucket", "Key": key})

    def after(self, there, key, before, answer):
        super().after(there, key, before, answer)
        super().after(there, key + "-copy", before, answer)


class CopyToKms(Copy):
    def call(self, s3, key, before):
        s3.copy_object(Bucket="bucket", Key=key + "-copy", CopySource={"Bucket": "bucket", "Key": key},
                       ServerSideEncryption="aws:kms", ChecksumAlgorithm="SHA256")


class CopyOntoItself(OnAnObject):
    def call(self, s3, key, before):
        s3.copy_object(Bucket="bucket", Key=key, CopySource={"Bucket": "bucket", "Key": key}, ServerSideEncryption="aws:kms")

    def after(self, there, key, before, answer):
        super().after(there, key, before, answer)
        assert there.head_object(Bucket="bucket", Key=key)["ServerSideEncryption"] == "aws:kms"


class Tags(OnAnObject):
    def call(self, s3, key, before):
        s3.put_object_tagging(Bucket="bucket", Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})

    def after(self, there, key, before, answer):
        super().after(there, key, before, answer)
        assert there.get_object_tagging(Bucket="bucket", Key=key)["TagSet"] == [{"Key": "a", "Value": "b"}]


class Acl(OnAnObject):
    def call(self, s3, key, before):
        s3.put_object_acl(Bucket="bucket", Key=key, ACL="authenticated-read")

    def after(self, there, key, before, answer):
        super().after(there, key, before, answer)
        assert len(there.get_object_acl(Bucket="bucket", Key=key)["Grants"]) == 2


class Rekey(OnAnObject):
    def before(self, there, key):
        there.put_object(Bucket="bucket", Key=key, Body=body(self.length), Metadata={"was": "there"}, ServerSideEncryption="AES256")

    def call(self, s3, key, before):
        s3.update_object_encryption(Bucket="bucket", Key=key, ObjectEncryption={"SSEKMS": {"KMSKeyArn": self.cmk}})

    def after(self, there, key, before, answer):
        super().after(there, key, before, answer)
        assert there.head_object(Bucket="bucket", Key=key)["SSEKMSKeyId"] == self.cmk


class CreateUpload(Operation):
    def call(self, s3, key, before):
        return s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]

    def after(self, there, key, before, answer):
        found = there.list_multipart_uploads(Bucket="bucket", Prefix=key)["Uploads"]
        assert answer in [row["UploadId"] for row in found]


class InAnUpload(Operation):
    bodies = (body(5 * MIB), b"last")

    def before(self, there, key):
        upload = {"Bucket": "bucket", "Key": key, "UploadId": there.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]}
        parts = [{"PartNumber": number, "ETag": there.upload_part(**upload, PartNumber=number, Body=part)["ETag"]}
                 for number, part in enumerate(self.bodies, 1)]
        return upload, {"Parts": parts}

    def whole(self, there, key, upload, parts):
        there.complete_multipart_upload(**upload, MultipartUpload=parts)
        assert there.get_object(Bucket="bucket", Key=key)["Body"].read() == b"".join(self.bodies)


class PartSmall(InAnUpload):
    part = 3, b"third"

    def call(self, s3, key, before):
        number, content = self.part
        return s3.upload_part(**before[0], PartNumber=number, Body=content)["ETag"]

    def after(self, there, key, before, answer):
        upload, parts = before
        there.complete_multipart_upload(
            **upload, MultipartUpload={"Parts": [parts["Parts"][0], {"PartNumber": self.part[0], "ETag": answer}]})
        assert there.get_object(Bucket="bucket", Key=key)["Body"].read() == self.bodies[0] + self.part[1]


class PartLarge(PartSmall):
    part = 2, body(6 * MIB, 2)


class PartCopy(InAnUpload):
    def before(self, there, key):
        there.put_object(Bucket="bucket", Key=key + "-source", Body=body(100_000))
        return super().before(there, key)

    def call(self, s3, key, before):
        copied = s3.upload_part_copy(**before[0], PartNumber=2, CopySource={"Bucket": "bucket", "Key": key + "-source"})
        return copied["CopyPartResult"]["ETag"]

    def after(self, there, key, before, answer):
        upload, parts = before
        there.complete_multipart_upload(
            **upload, MultipartUpload={"Parts": [parts["Parts"][0], {"PartNumber": 2, "ETag": answer}]})
        assert there.get_object(Bucket="bucket", Key=key)["Body"].read() == self.bodies[0] + body(100_000)


class ListParts(InAnUpload):
    def call(self, s3, key, before):
        assert [row["Size"] for row in s3.list_parts(**before[0])["Parts"]] == [5 * MIB, 4]

    def after(self, there, key, before, answer):
        self.whole(there, key, *before)


class ListUploads(InAnUpload):
    def call(self, s3, key, before):
        found = s3.list_multipart_uploads(Bucket="bucket", Prefix=key)["Uploads"]
        assert [row["UploadId"] for row in found] == [before[0]["UploadId"]]

    def after(self, there, key, before, answer):
        self.whole(there, key, *before)


class Complete(InAnUpload):
    def call(self, s3, key, before):
        return s3.complete_multipart_upload(**before[0], MultipartUpload=before[1])["ETag"]

    def after(self, there, key, before, answer):
        got = there.get_object(Bucket="bucket", Key=key)
        assert got["Body"].read() == b"".join(self.bodies) and got["ETag"] == answer


class CompleteSmall(Complete):
    bodies = (body(150_000), b"last")

    def call(self, s3, key, before):
        upload, parts = before
        # One part: S3 wants 5 MiB of every other.
        return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts["Parts"][:1]})["ETag"]

    def after(self, there, key, before, answer):
        got = there.get_object(Bucket="bucket", Key=key)
        assert got["Body"].read() == self.bodies[0] and got["ETag"] == answer


class Abort(InAnUpload):
    done_already = ("NoSuchUpload",)

    def call(self, s3, key, before):
        s3.abort_multipart_upload(**before[0])

    def after(self, there, key, before, answer):
        assert "Uploads" not in there.list_multipart_uploads(Bucket="bucket", Prefix=key)
        assert "Contents" not in there.list_objects_v2(Bucket="bucket", Prefix=key)


class BucketEncryption(Operation):
    def call(self, s3, key, before):
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": [rule]})
        assert s3.get_bucket_encryption(Bucket="bucket")

    def after(self, there, key, before, answer):
        pass


class CreateBucket(Operation):
    alone = True
    done_already = ("BucketAlreadyOwnedByYou",)

    def call(self, s3, key, before):
        s3.create_bucket(Bucket=key)

    def after(self, there, key, before, answer):
        there.put_object(Bucket=key, Key="k", Body=b"x")
        assert there.get_object(Bucket=key, Key="k")["Body"].read() == b"x"


class DeleteBucket(Operation):
    alone = True
    done_already = ("NoSuchBucket",)

    def before(self, there, key):
        there.create_bucket(Bucket=key)

    def call(self, s3, key, before):
        s3.delete_bucket(Bucket=key)

    def after(self, there, key, before, answer):
        assert key not in [row["Name"] for row in there.list_buckets()["Buckets"]]


class ListBuckets(Operation):
    def call(self, s3, key, before):
        assert [row["Name"] for row in s3.list_buckets(Prefix="bucket")["Buckets"]] == ["bucket"]

    def after(self, there, key, before, answer):
        pass


def subclasses(of):
    for each in of.__subclasses__():
        yield from subclasses(each)
        if each.call is not Operation.call:
            yield each


OPERATIONS = sorted(set(subclasses(Operation)), key=lambda each: each.__name__)
# Those are about the very records that a gateway asks for by itself, too.
OF_RECORDS = (BucketEncryption, CreateBucket, DeleteBucket, ListBuckets)


def ask(operation, s3, key, before, first=True):
    """Makes the request; gives whether it succeeded, and its answer. Any refusal but 503 is one that it must not get."""
    try:
        return True, operation.call(s3, key, before)
    except ClientError as error:
        answer = error.response["ResponseMetadata"]
        if not first and error.response["Error"]["Code"] in operation.done_already:
            return True, None
        assert answer["HTTPStatusCode"] == 503 and "retry-after" in answer["HTTPHeaders"], error.response
        return False, None


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
def test_a_fault_at_any_request_is_not_seen_or_is_a_503_and_a_second_try_does_it(place, proxy, kind):
    settings = 'upstream_answer_timeout = "5s"\nupstream_idle_timeout = "5s"\n'
    gateway = place.gateway(f"http://127.0.0.1:{proxy.port}", settings)
    s3, there = gateway.client(read_timeout=60), place.gateway().client()
    there.create_bucket(Bucket="bucket")
    operation = kind()
    operation.cmk = there.put_object(Bucket="bucket", Key="sealed", Body=b"x", ServerSideEncryption="aws:kms")["SSEKMSKeyId"]
    # The first change beside an object in a bucket is in force everywhere within two seconds.
    s3.put_object_tagging(Bucket="bucket", Key="sealed", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    while not there.get_object_tagging(Bucket="bucket", Key="sealed")["TagSet"]:
        time.sleep(0.05)
    other = s3 if kind.alone else there
    for nth in itertools.count():
        met = 0
        for fault, details in (LOST, OTHERS[nth % len(OTHERS)]):
            key = f"k-{fault}-{nth:02}-{kind.__name__.lower()}"
            before = operation.before(other, key)
            rule = proxy.add("", fault, times=1, **details)
            rule.pattern = Nth(nth, KEYS if kind in OF_RECORDS else BY_ITSELF)
            done, answer = ask(operation, s3, key, before)
            proxy.clear()
            if not done:
                done, answer = ask(operation, s3, key, before, first=False)
                assert done, (fault, nth, rule.pattern.lines)
            operation.after(other, key, before, answer)
            met += rule.met
        if not met:
            break
        assert nth < 60, rule.pattern.lines
    assert nth >= 1, "it asked the upstream for nothing"

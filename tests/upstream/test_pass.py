"""What passes to the upstream and back, and what must not."""

import base64
import hashlib
import json
import zlib

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from conftest import clients

PASSING = (
    'upstream_pass_through = ["GET lifecycle", "PUT lifecycle", "DELETE lifecycle", "GET requestPayment", "PUT requestPayment"]\n'
)
RULE = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
LIFECYCLE = {"Rules": [RULE]}


def code(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_listed_configuration_goes_to_the_upstream_and_comes_back(place):
    s3, straight = place.gateway(settings=PASSING).client(), place.straight()
    s3.create_bucket(Bucket="bucket")
    assert code(s3.get_bucket_lifecycle_configuration, Bucket="bucket") == ("NoSuchLifecycleConfiguration", 404)
    s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration=LIFECYCLE)
    for client, bucket in ((s3, "bucket"), (straight, place.bucket("bucket"))):
        found = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert [(rule["ID"], rule["Expiration"]) for rule in found] == [("old", {"Days": 30})]
    s3.put_bucket_request_payment(Bucket="bucket", RequestPaymentConfiguration={"Payer": "BucketOwner"})
    assert s3.get_bucket_request_payment(Bucket="bucket")["Payer"] == "BucketOwner"
    # The bucket is empty: a store that took this for DeleteBucket would do it.
    s3.delete_bucket_lifecycle(Bucket="bucket")
    assert s3.head_bucket(Bucket="bucket") and straight.head_bucket(Bucket=place.bucket("bucket"))
    assert code(s3.get_bucket_lifecycle_configuration, Bucket="bucket") == ("NoSuchLifecycleConfiguration", 404)


def test_what_is_not_listed_is_not_implemented(place):
    s3 = place.gateway(settings=PASSING.replace('"DELETE lifecycle", ', "")).client()
    s3.create_bucket(Bucket="bucket")
    for call, arguments in (
        (s3.delete_bucket_lifecycle, {}),
        (s3.get_bucket_logging, {}),
        (s3.delete_bucket_website, {}),
        (s3.get_bucket_replication, {}),
        (s3.get_object_lock_configuration, {}),
        (s3.delete_bucket_analytics_configuration, {"Id": "a"}),
    ):
        assert code(call, Bucket="bucket", **arguments) == ("NotImplemented", 501)
    assert place.straight().head_bucket(Bucket=place.bucket("bucket"))


def test_the_gateway_judges_who_may(place):
    gateway = place.gateway(settings=PASSING)
    s3, other = gateway.client(), gateway.client(other=True)
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration=LIFECYCLE)
    assert code(other.get_bucket_lifecycle_configuration, Bucket="bucket") == ("AccessDenied", 403)
    anyone = gateway.client(signature_version=UNSIGNED)
    assert code(anyone.get_bucket_lifecycle_configuration, Bucket="bucket") == ("AccessDenied", 403)
    assert code(s3.get_bucket_lifecycle_configuration, Bucket="nowhere") == ("NoSuchBucket", 404)
    assert code(s3.get_bucket_lifecycle_configuration, Bucket=place.reserved) == ("NoSuchBucket", 404)
    assert code(
        s3.get_bucket_lifecycle_configuration, Bucket="bucket", ExpectedBucketOwner="111111111111"
    ) == ("AccessDenied", 403)
    statement = {
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/other"},
        "Action": "s3:GetLifecycleConfiguration", "Resource": "arn:aws:s3:::bucket",
    }
    s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert other.get_bucket_lifecycle_configuration(Bucket="bucket")["Rules"]
    assert code(
        other.put_bucket_lifecycle_configuration, Bucket="bucket", LifecycleConfiguration=LIFECYCLE
    ) == ("AccessDenied", 403)
    assert code(other.delete_bucket_lifecycle, Bucket="bucket") == ("AccessDenied", 403)


def test_a_wrong_document_is_refused_here_or_there(place):
    gateway = place.gateway(settings=PASSING)
    s3 = gateway.client()
    s3.create_bucket(Bucket="bucket")

    def put(document, **headers):
        def send(request, **_):
            request.data = document
            for name, value in headers.items():
                del request.headers[name]
                request.headers[name] = value
        client = gateway.client()
        client.meta.events.register("before-sign.s3.PutBucketLifecycleConfiguration", send)
        return code(client.put_bucket_lifecycle_configuration, Bucket="bucket", LifecycleConfiguration=LIFECYCLE)

    def whole(document, **headers):
        headers |= {
            "Content-MD5": base64.b64encode(hashlib.md5(document).digest()).decode(), "Content-Length": str(len(document)),
        }
        crc = base64.b64encode(zlib.crc32(document).to_bytes(4, "big")).decode()
        return put(document, **({"x-amz-checksum-crc32": crc} | headers))

    assert whole(b"<LifecycleConfiguration><Rule>") == ("MalformedXML", 400)
    assert whole(b"<LifecycleConfiguration/>", **{"x-amz-checksum-crc32": "AAAAAA=="}) == ("BadDigest", 400)
    assert whole(b"x" * ((4 << 20) + 1)) == ("MaxMessageLengthExceeded", 400)
    sse = {"x-amz-server-side-encryption": "AES256"}
    assert whole(b"<LifecycleConfiguration/>", **sse) == ("InvalidArgument", 400)
    skip = {"x-amz-transition-default-minimum-object-size": "varies_by_storage_class"}
    assert whole(b"<LifecycleConfiguration/>", **skip) == ("NotImplemented", 501)


def test_nothing_passes_for_a_part_of_a_bucket(place):
    settings = PASSING + f'upstream_buckets = ["part={place.bucket("shared")}/part", "whole={place.bucket("own")}"]\n'
    s3 = place.gateway(settings=settings).client()
    for bucket in ("part", "whole"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_lifecycle_configuration(Bucket="whole", LifecycleConfiguration=LIFECYCLE)
    assert place.straight().get_bucket_lifecycle_configuration(Bucket=place.bucket("own"))["Rules"]
    refused = code(s3.put_bucket_lifecycle_configuration, Bucket="part", LifecycleConfiguration=LIFECYCLE)
    assert refused == ("NotImplemented", 501)
    assert code(s3.delete_bucket_lifecycle, Bucket="part") == ("NotImplemented", 501)
    assert code(
        place.straight().get_bucket_lifecycle_configuration, Bucket=place.bucket("shared")
    ) == ("NoSuchLifecycleConfiguration", 404)


def test_a_start_refuses_what_the_upstream_does_not_know(place):
    gateway = place.gateway(settings='upstream_pass_through = ["PUT accelerate"]\n', start=False)
    with pytest.raises(RuntimeError):
        gateway.start()
    why = gateway.log.read_text()
    assert "PUT accelerate" in why and "does the plain operation instead" in why and place.endpoint in why, why


def test_without_an_upstream_nothing_passes(tmp_path):
    gateway = clients.Gateway(tmp_path, 'store = "local"\n').start()
    s3 = gateway.client()
    s3.create_bucket(Bucket="bucket")
    assert code(s3.get_bucket_lifecycle_configuration, Bucket="bucket") == ("NotImplemented", 501)
    gateway.stop()


def test_what_object_lock_protects_is_kept_and_the_client_is_told_why(place):
    """The bucket with object lock was made by the operator, and is empty when it becomes one of the gateways'."""
    settings = 'upstream_pass_through = ["GET object-lock", "PUT object-lock"]\n'
    gateway = place.gateway(settings=settings)
    s3, straight = gateway.client(), place.straight()
    straight.create_bucket(Bucket=place.bucket("locked"), ObjectLockEnabledForBucket=True)
    s3.create_bucket(Bucket="locked")
    assert s3.get_bucket_versioning(Bucket="locked")["Status"] == "Enabled"
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket="locked", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    assert s3.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"]["Rule"] == rule
    version = s3.put_object(Bucket="locked", Key="k", Body=b"kept")["VersionId"]
    assert code(s3.delete_object, Bucket="locked", Key="k", VersionId=version) == ("AccessDenied", 403)
    marker = s3.delete_object(Bucket="locked", Key="k")
    assert marker["DeleteMarker"]
    assert s3.get_object(Bucket="locked", Key="k", VersionId=version)["Body"].read() == b"kept"
    s3.delete_object(Bucket="locked", Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket="locked", Key="k")["Body"].read() == b"kept"

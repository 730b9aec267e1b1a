"""The encryption matrix: each mode copied to each other wherever copies go, and each default under each request."""

import base64
import hashlib
import http.client
import itertools
import os
import secrets

import pytest
from botocore.exceptions import ClientError
from modes import Mode, customer
from wire import crc32

PART = 5 << 20
SEGMENT = 64 << 10
MODES = ["SSE-S3", "KMS one", "KMS two", "BK one", "BK two", "SSE-C one", "SSE-C two"]
PLACES = ["same key", "other key", "other bucket", "other version"]
KINDS = ["single", "multipart"]
OPERATIONS = ["CopyObject", "UploadPartCopy"]
BODIES = {"single": os.urandom(2 * SEGMENT + 5), "multipart": os.urandom(PART + SEGMENT + 9)}
TYPE = "text/x"
SSE = "x-amz-server-side-encryption"


@pytest.fixture
def keys(kms):
    return {name: kms.create_key()["KeyMetadata"]["Arn"] for name in ("one", "two")}


@pytest.fixture
def modes(keys):
    def of(name):
        kind, _, which = name.partition(" ")
        if kind == "SSE-C":
            return customer(which)
        arguments = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": keys[which]} if which else {
            "ServerSideEncryption": "AES256"}
        # By a bucket key: the answers say so, and no others do.
        arguments |= {"BucketKeyEnabled": True} if kind == "BK" else {}
        return Mode(name, arguments, {}, arguments)

    return {name: of(name) for name in MODES}


@pytest.fixture
def buckets(s3):
    """One bucket that keeps no versions, another one like it, and one that keeps them."""
    names = {which: f"m-{secrets.token_hex(8)}" for which in ("plain", "other", "versioned")}
    for name in names.values():
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=names["versioned"], VersioningConfiguration={"Status": "Enabled"})
    return names


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def store(s3, at, kind, mode):
    """Writes the body of a kind in a mode."""
    body = BODIES[kind]
    if kind == "single":
        s3.put_object(Body=body, **at, **mode.write, ContentType=TYPE)
        return
    upload = at | {"UploadId": s3.create_multipart_upload(**at, **mode.write, ContentType=TYPE)["UploadId"]}
    parts = []
    for number, piece in enumerate((body[:PART], body[PART:]), 1):
        etag = s3.upload_part(PartNumber=number, Body=piece, **upload, **mode.repeat)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)


def copy(s3, at, source, from_mode, mode):
    """CopyObject; gives the version and the ETag that were answered."""
    done = s3.copy_object(CopySource=source, **at, **from_mode.source(), **mode.write)
    mode.check(done)
    assert done.get("CopySourceVersionId") == source.get("VersionId")
    return done.get("VersionId"), done["CopyObjectResult"]["ETag"]


def copy_parts(s3, at, source, from_mode, mode, ranges):
    """UploadPartCopy of ranges, completed; gives the version and the ETag that were answered."""
    made = s3.create_multipart_upload(**at, **mode.write, ContentType=TYPE)
    mode.check(made)
    upload = at | {"UploadId": made["UploadId"]}
    parts = []
    for number, (first, last) in enumerate(ranges, 1):
        done = s3.upload_part_copy(
            PartNumber=number, CopySource=source, CopySourceRange=f"bytes={first}-{last}", **upload,
            **from_mode.source(), **mode.repeat,
        )
        mode.check(done)
        assert done.get("CopySourceVersionId") == source.get("VersionId")
        parts.append({"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]})
    done = s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
    return done.get("VersionId"), done["ETag"]


def check_copy(s3, at, mode, body, etag, cell):
    """Reads a copy whole and over a segment's edge, and with what is not its key."""
    got = s3.get_object(**at, **mode.repeat)
    assert got["Body"].read() == body, cell
    mode.check(got)
    assert (got["ContentType"], got["ContentLength"], got["ETag"]) == (TYPE, len(body), etag), cell
    first, last = SEGMENT - 3, SEGMENT + 3
    assert s3.get_object(**at, **mode.repeat, Range=f"bytes={first}-{last}")["Body"].read() == body[first : last + 1]
    if mode.repeat:
        assert code_of(s3.get_object, **at) == "InvalidRequest", cell
        assert code_of(s3.get_object, **at, **customer("wrong").repeat) == "AccessDenied", cell
    else:
        assert code_of(s3.get_object, **at, **customer("wrong").repeat) == "InvalidRequest", cell


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODES)
def test_copies_from_a_mode_to_every_mode_and_place(s3, kms, keys, modes, buckets, name, kind, operation):
    source_mode, body = modes[name], BODIES[kind]
    made = []
    # What every source is copied from, so that a long body is sent once.
    master = {"Bucket": buckets["plain"], "Key": "master"}
    store(s3, master, kind, source_mode)
    for target, place in itertools.product(MODES, PLACES):
        cell = f"{name} to {target}, {place}, {kind}, {operation}"
        mode = modes[target]
        where = buckets["versioned" if place == "other version" else "plain"]
        source = {"Bucket": where, "Key": f"from {target} {place}"}
        first = s3.copy_object(CopySource=master, **source, **source_mode.source(), **source_mode.write)
        at = {"same key": source, "other version": source, "other key": source | {"Key": f"to {target}"},
              "other bucket": source | {"Bucket": buckets["other"]}}[place]
        if place == "other version":
            source = source | {"VersionId": first["VersionId"]}
            s3.put_object(**at, Body=b"in between")
        if operation == "CopyObject":
            expected = body
            version, etag = copy(s3, at, source, source_mode, mode)
            is_md5 = etag.strip('"') == hashlib.md5(body).hexdigest()
            assert is_md5 <= (target == "SSE-S3"), cell
            assert is_md5 or target != "SSE-S3" or kind == "multipart", cell
        else:
            # From the middle of a segment, and over the edge of the source's parts where it has several.
            ranges = [(0, len(body) - 1), (SEGMENT - 7, len(body) - 2)] if kind == "multipart" else [(3, len(body) - 2)]
            expected = b"".join(body[first : last + 1] for first, last in ranges)
            version, etag = copy_parts(s3, at, source, source_mode, mode, ranges)
            assert etag.endswith(f'-{len(ranges)}"'), cell
        assert (version is None) == (where == buckets["plain"]), cell
        if version:
            at = at | {"VersionId": version}
            assert version != source["VersionId"], cell
        check_copy(s3, at, mode, expected, etag, cell)
        if place != "same key":
            got = s3.get_object(**source, **source_mode.repeat)
            assert got["Body"].read() == body, cell
            source_mode.check(got)
        made.append((target, at, mode, cell))
    # A copy needs its own key, and neither its source's nor its neighbours'.
    kms.disable_key(KeyId=keys["one"])
    for target, at, mode, cell in made:
        if target in ("KMS one", "BK one"):
            assert code_of(s3.get_object, **at) == "KMS.DisabledException", cell
        else:
            assert s3.get_object(**at, **mode.repeat, Range="bytes=0-0")["ContentLength"] == 1, cell


def headers_of(mode):
    """What a raw request says to encrypt in a mode: as headers, or as the fields of a form."""
    names = {"ServerSideEncryption": SSE, "SSEKMSKeyId": SSE + "-aws-kms-key-id", "BucketKeyEnabled": SSE + "-bucket-key-enabled"}
    plain = {names[name]: "true" if value is True else value for name, value in mode.write.items() if name in names}
    if not mode.repeat:
        return plain
    key = mode.repeat["SSECustomerKey"]
    return {SSE + "-customer-algorithm": "AES256", SSE + "-customer-key": base64.b64encode(key).decode(),
            SSE + "-customer-key-MD5": base64.b64encode(hashlib.md5(key).digest()).decode()}


def raw(gateway, method, path, body, headers):
    """Sends what boto3 would not; gives the status, the headers and the error's code."""
    connection = http.client.HTTPConnection(*gateway.address, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    code = text.split(b"<Code>")[1].split(b"</Code>")[0].decode() if b"<Code>" in text else None
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, code


def put_plainly(gateway, s3, at, mode):
    s3.put_object(Body=BODIES["single"], **at, **mode.write)


def put_presigned(gateway, s3, at, mode):
    url = s3.generate_presigned_url("put_object", Params={**at, **mode.write})
    status, _, code = raw(gateway, "PUT", url.removeprefix(gateway.endpoint), BODIES["single"], headers_of(mode))
    assert status == 200, code


def put_form(gateway, s3, at, mode):
    fields = headers_of(mode) | {"x-amz-checksum-crc32": crc32(BODIES["single"])}
    conditions = [{name: value} for name, value in fields.items()]
    form = s3.generate_presigned_post(at["Bucket"], at["Key"], fields, conditions)["fields"]
    rows = [f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in form.items()]
    head = "".join(rows) + '--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = head.encode() + BODIES["single"] + b"\r\n--B--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=B"}
    status, headers, code = raw(gateway, "POST", f"/{at['Bucket']}", body, kind)
    assert status == 204, code
    assert headers.get("x-amz-version-id")


def put_parts(gateway, s3, at, mode):
    store(s3, at, "single", mode)
    upload = at | {"UploadId": s3.create_multipart_upload(**at, **mode.write)["UploadId"]}
    etag = s3.upload_part(PartNumber=1, Body=BODIES["single"], **upload, **mode.repeat)["ETag"]
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **upload)


def put_copy(gateway, s3, at, mode):
    other = customer("source")
    source = at | {"Key": "source"}
    s3.put_object(Body=BODIES["single"], **source, **other.write)
    s3.copy_object(CopySource=source, **at, **other.source(), **mode.write)


@pytest.mark.parametrize("write", [put_plainly, put_presigned, put_form, put_parts, put_copy])
def test_a_request_replaces_the_buckets_default_as_a_unit(gateway, kms, keys, modes, buckets, write):
    s3, bucket = gateway.client(signature_version="s3v4"), buckets["versioned"]
    s3.put_object(Bucket=bucket, Key="first-use-makes-the-default-key", Body=b"", ServerSideEncryption="aws:kms")
    service = {"ServerSideEncryption": "aws:kms"}
    answer = service | {"SSEKMSKeyId": kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]}
    by_service = Mode("KMS without a key", service, {}, answer)
    requests = [Mode("nothing"), modes["SSE-S3"], by_service, modes["KMS two"], modes["SSE-C one"]]

    def default_of(mode):
        """A bucket's own CMK has bucket keys unless its rule says otherwise."""
        return Mode(mode.name, mode.write, mode.repeat, mode.answer | {"BucketKeyEnabled": True})

    rules = {
        "nothing": (None, modes["SSE-S3"]),
        "SSE-S3": ({"SSEAlgorithm": "AES256"}, modes["SSE-S3"]),
        "KMS without a key": ({"SSEAlgorithm": "aws:kms"}, default_of(by_service)),
        "KMS one": ({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": keys["one"]}, default_of(modes["KMS one"])),
    }
    for name, (rule, default) in rules.items():
        if rule:
            rule = {"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]}
            s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rule)
        for request in requests:
            at = {"Bucket": bucket, "Key": f"{name} under {request.name}"}
            write(gateway, s3, at, request)
            expected = default if request.name == "nothing" else request
            got = s3.get_object(**at, **expected.repeat)
            assert got["Body"].read() == BODIES["single"], at
            expected.check(got)


@pytest.mark.parametrize("name", MODES)
def test_a_presigned_put_keeps_to_the_encryption_that_was_signed(gateway, modes, buckets, name):
    s3 = gateway.client(signature_version="s3v4")
    at, mode = {"Bucket": buckets["plain"], "Key": "k"}, modes[name]
    url = s3.generate_presigned_url("put_object", Params={**at, **mode.write}).removeprefix(gateway.endpoint)
    signed = headers_of(mode)
    other = headers_of(modes["KMS two" if name in ("KMS one", "BK one") else "KMS one"])
    for dropped in signed:
        left = {header: value for header, value in signed.items() if header != dropped}
        assert raw(gateway, "PUT", url, b"x", left)[::2] == (400, "AuthorizationQueryParametersError"), dropped
    for changed in signed:
        status, _, code = raw(gateway, "PUT", url, b"x", signed | {changed: signed[changed] + "0"})
        assert (status, code) == (403, "SignatureDoesNotMatch"), changed
    assert raw(gateway, "PUT", url, b"x", signed | other)[0] == 403
    # What the URL says nothing about cannot be chosen by whoever holds it.
    bare = s3.generate_presigned_url("put_object", Params=at).removeprefix(gateway.endpoint)
    assert raw(gateway, "PUT", bare, b"x", signed)[::2] == (403, "AccessDenied")
    assert "Contents" not in s3.list_objects_v2(Bucket=at["Bucket"])
    assert raw(gateway, "PUT", url, b"x", signed)[0] == 200
    mode.check(s3.get_object(**at, **mode.repeat))

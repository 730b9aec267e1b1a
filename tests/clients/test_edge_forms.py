"""HTML forms: what boto3's `generate_presigned_post` makes is stored, and nothing that its policy does not allow (A19)."""

import base64
import datetime
import hashlib
import hmac
import json
import re
import secrets

import pytest
from wire import Request, Signer, crc32, send

BODY = secrets.token_bytes(200_000) + b"\r\n--" + secrets.token_bytes(100)


def encode(fields, body, file_name="a.txt", boundary="--b0undary"):
    """A form as browsers write it."""
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n\r\n'
    return b"".join(parts) + head.encode() + body + f"\r\n--{boundary}--\r\n".encode()


def post(gateway, bucket, fields, body=BODY, headers=(), query=(), path=None, **form):
    data = encode(fields, body, **form)
    request = Request("POST", path or f"/{bucket}", [
        ("Host", gateway.endpoint[7:]), ("Content-Type", "multipart/form-data; boundary=--b0undary"),
        ("Content-Length", str(len(data))), *headers,
    ], data, list(query))
    return send(gateway, request)


def presigned(s3, bucket, key="k", fields=None, conditions=None, expires=300):
    return s3.generate_presigned_post(bucket, key, fields, conditions, expires)["fields"]


def allowed(fields):
    """A policy that names every field with its value."""
    return [{name: value} for name, value in fields.items()]


@pytest.fixture
def s3(gateway):
    # boto3 signs forms with SigV2 unless told otherwise.
    return gateway.client(signature_version="s3v4")


@pytest.fixture
def absent(s3, bucket):
    yield
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def customer():
    key = secrets.token_bytes(32)
    prefix = "x-amz-server-side-encryption-customer-"
    return {prefix + "algorithm": "AES256", prefix + "key": base64.b64encode(key).decode(),
            prefix + "key-MD5": base64.b64encode(hashlib.md5(key).digest()).decode()}, key


def test_a_presigned_post_is_stored_in_each_encryption_mode(gateway, s3, bucket, key_arn):
    trio, key = customer()
    sse = "x-amz-server-side-encryption"
    for mode, extra, read in [
        ("default", {}, {}), ("AES256", {sse: "AES256"}, {}),
        ("aws:kms", {sse: "aws:kms", sse + "-aws-kms-key-id": key_arn}, {}),
        ("SSE-C", trio, {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}),
    ]:
        extra = {**extra, "Content-Type": "text/css", "x-amz-meta-a": "b", "x-amz-checksum-crc32": crc32(BODY)}
        fields = presigned(s3, bucket, "up/${filename}", extra, allowed(extra))
        answer = post(gateway, bucket, fields, file_name="dir/f.txt")
        assert (answer.status, answer.body) == (204, b""), (mode, answer.body)
        assert answer.headers["location"] == f"{gateway.endpoint}/{bucket}/up/f.txt"
        got = s3.get_object(Bucket=bucket, Key="up/f.txt", **read)
        assert got["Body"].read() == BODY and answer.headers["etag"] == got["ETag"], mode
        assert got["ContentType"] == "text/css" and got["Metadata"] == {"a": "b"}
        if mode == "aws:kms":
            assert got["ServerSideEncryption"] == "aws:kms" and got["SSEKMSKeyId"] == key_arn
        if mode == "SSE-C":
            assert base64.b64encode(key).decode() not in gateway.log.read_text()
            assert got["SSECustomerAlgorithm"] == "AES256"
        else:
            assert got["ServerSideEncryption"] == answer.headers["x-amz-server-side-encryption"]


def test_bodies_of_any_size_are_stored_and_read_back(gateway, s3, bucket):
    for size in (0, 1, 65_535, 65_536, 65_537, 3_000_000):
        body = secrets.token_bytes(size)
        assert post(gateway, bucket, presigned(s3, bucket), body).status == 204
        head = s3.head_object(Bucket=bucket, Key="k")
        assert head["ContentLength"] == size and s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
        assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == size


def test_the_form_chooses_its_answer(gateway, s3, bucket):
    def answer(name, value):
        return post(gateway, bucket, presigned(s3, bucket, "k <1>", {name: value}, [{name: value}]))

    created = answer("success_action_status", "201")
    etag = s3.head_object(Bucket=bucket, Key="k <1>")["ETag"].strip('"')
    assert created.status == 201 and created.headers["content-type"] == "application/xml"
    for piece in (f"<Bucket>{bucket}</Bucket>", "<Key>k &lt;1&gt;</Key>", etag, f"/{bucket}/k%20%3C1%3E</Location>"):
        assert piece in created.body.decode()
    assert answer("success_action_status", "200").status == 200
    assert answer("success_action_status", "500").status == 204
    moved = answer("success_action_redirect", "http://a.example/done")
    assert moved.status == 303
    assert moved.headers["location"].startswith(f"http://a.example/done?bucket={bucket.replace('-', '%2D')}&key=k%20")


def test_a19_what_the_policy_does_not_allow(gateway, s3, bucket, absent):
    other = "b-" + secrets.token_hex(8)
    s3.create_bucket(Bucket=other)
    sized = lambda low, high: presigned(s3, bucket, conditions=[["content-length-range", low, high]])
    tight = presigned(s3, bucket, "user/a/${filename}", {"Content-Type": "image/png"},
                      [["starts-with", "$Content-Type", "image/"]])
    denied = (403, "AccessDenied")
    cases = [
        ("another bucket", denied, presigned(s3, other), {}),
        ("bucket in the form", denied, {**presigned(s3, bucket), "bucket": other}, {}),
        ("too long", (400, "EntityTooLarge"), sized(1, len(BODY) - 1), {}),
        ("too short", (400, "EntityTooSmall"), sized(len(BODY) + 1, len(BODY) + 2), {}),
        ("prefix", denied, {**tight, "key": "user/b/x"}, {}),
        ("key", denied, {**presigned(s3, bucket), "key": "l"}, {}),
        ("content type", denied, {**tight, "Content-Type": "text/html"}, {}),
        ("extra metadata", denied, {**presigned(s3, bucket), "x-amz-meta-a": "b"}, {}),
        ("extra acl", denied, {**presigned(s3, bucket), "acl": "private"}, {}),
        ("extra SSE", denied, {**presigned(s3, bucket), "x-amz-server-side-encryption": "aws:kms"}, {}),
        ("extra copy source", denied, {**presigned(s3, bucket), "x-amz-copy-source": f"/{other}/x"}, {}),
        ("expired", denied, presigned(s3, bucket, expires=-10), {}),
        ("nobody", denied, {"key": "k"}, {}),
        ("no signature", (400, "InvalidArgument"),
         {name: value for name, value in presigned(s3, bucket).items() if name != "x-amz-signature"}, {}),
        ("no policy", (400, "InvalidArgument"),
         {name: value for name, value in presigned(s3, bucket).items() if name != "policy"}, {}),
        ("unsigned header", denied, presigned(s3, bucket), {"headers": [("x-amz-meta-a", "b")]}),
        ("two mechanisms", (400, "InvalidArgument"), presigned(s3, bucket), {"headers": [("Authorization", "AWS a:b")]}),
        ("sigv2", (400, "InvalidRequest"),
         {"key": "k", "AWSAccessKeyId": gateway.access_key, "signature": "AAAA", "policy": "e30="}, {}),
    ]
    for what, expected, fields, options in cases:
        answer = post(gateway, bucket, fields, **options)
        assert (answer.status, answer.code) == expected, (what, answer.body)
    assert "Contents" not in s3.list_objects_v2(Bucket=other)


def test_a_file_that_must_be_too_long_is_refused_before_it_comes(gateway, s3, bucket, absent):
    whole = encode(presigned(s3, bucket, conditions=[["content-length-range", 0, 10]]), b"")
    head = Request("POST", f"/{bucket}", [("Host", gateway.endpoint[7:]), ("Content-Length", str(1 << 30)),
                                          ("Content-Type", "multipart/form-data; boundary=--b0undary")]).head()
    answer = send(gateway, head + whole[: whole.index(b"\r\n----b0undary--")])
    assert (answer.status, answer.code) == (400, "EntityTooLarge")


def signed(gateway, document, **wrong):
    """A form over a policy document as it stands, signed with SigV4."""
    signer = Signer(gateway, **wrong)
    fields = {"key": "k", "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": f"{signer.access_key}/{signer.scope}",
              "x-amz-date": signer.date}
    if isinstance(document, dict):
        document = {**document, "conditions": document["conditions"] + allowed(fields)} if "conditions" in document else document
        document = json.dumps(document)
    fields["policy"] = base64.b64encode(document.encode()).decode()
    fields["x-amz-signature"] = hmac.new(signer.key(), fields["policy"].encode(), "sha256").hexdigest()
    return fields


def test_a19_documents_that_are_no_policy(gateway, bucket, absent):
    later = "2099-01-01T00:00:00Z"
    for document in ({"conditions": [{"bucket": bucket}]}, {"expiration": later}, {"expiration": "soon", "conditions": []},
                     "", "[]", "{", {"expiration": later, "conditions": [["like", "$bucket", bucket]]}):
        answer = post(gateway, bucket, signed(gateway, document))
        assert (answer.status, answer.code) == (400, "InvalidPolicyDocument"), document
    answer = post(gateway, bucket, signed(gateway, {"expiration": later, "conditions": []}))
    assert answer.code == "AccessDenied" and b"Extra input fields: bucket" in answer.body


def test_a1_a2_a14_a_forms_signature(gateway, s3, bucket):
    document = {"expiration": "2099-01-01T00:00:00Z", "conditions": [{"bucket": bucket}]}
    mismatch = (403, "SignatureDoesNotMatch")
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=9)
    future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=16)
    for wrong, expected in [
        ({"secret": "made up"}, mismatch), ({"access_key": "AKNOBODY"}, (403, "InvalidAccessKeyId")),
        ({"region": "eu-west-1"}, (400, "InvalidArgument")), ({"service": "ec2"}, (400, "InvalidArgument")),
        ({"terminator": "aws3"}, (400, "InvalidArgument")), ({"scope_date": "20200101"}, (400, "InvalidArgument")),
        ({"now": future}, (403, "AccessDenied")),
    ]:
        answer = post(gateway, bucket, signed(gateway, document, **wrong))
        assert (answer.status, answer.code) == expected, wrong
    good = signed(gateway, document)
    for at in range(0, 64, 7):
        mark = good["x-amz-signature"]
        flipped = mark[:at] + ("0" if mark[at] != "0" else "1") + mark[at + 1 :]
        answer = post(gateway, bucket, {**good, "x-amz-signature": flipped})
        assert (answer.status, answer.code) == mismatch
    longer = good["policy"][:-4] + base64.b64encode(base64.b64decode(good["policy"][-4:]) + b" ").decode()
    answer = post(gateway, bucket, {**good, "policy": longer})
    assert (answer.status, answer.code) == mismatch
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    # How long a form may be used is its policy's to say, not the date's.
    assert post(gateway, bucket, signed(gateway, document, now=past)).status == 204


def test_a2_a_form_opens_no_other_route(gateway, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    fields = presigned(s3, bucket)
    for path, query in [("/", []), (f"/{bucket}/k", []), (f"/{bucket}", [("delete", "")]), (f"/{bucket}", [("x", "y")]),
                        (f"/{bucket}/k", [("uploads", "")]), (f"/{bucket}/k", [("uploadId", "0" * 32)]),
                        (f"/{bucket}%2Fk", []), ("/" + "no-such-bucket", [])]:
        answer = post(gateway, bucket, fields, path=path, query=query)
        assert answer.status in (400, 403, 405), (path, query, answer.status, answer.body)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]


def test_forms_that_are_none_store_nothing(gateway, s3, bucket, absent):
    fields = presigned(s3, bucket)
    whole = encode(fields, BODY)

    def sent(data, content_type="multipart/form-data; boundary=--b0undary", **options):
        request = Request("POST", f"/{bucket}", [("Host", gateway.endpoint[7:]), ("Content-Type", content_type),
                                                 ("Content-Length", str(len(data)))], data)
        answer = send(gateway, request, **options)
        return answer.status, answer.code

    malformed = (400, "MalformedPOSTRequest")
    end = whole.index(b"\r\n----b0undary--")
    assert sent(whole[:end]) == malformed
    assert sent(whole[: end + 10]) == malformed
    assert sent(whole, "multipart/form-data") == malformed
    assert sent(whole, "multipart/form-data; boundary=other") == malformed
    assert sent(b"----b0undary--\r\n") == (400, "IncorrectNumberOfFilesInPostRequest")
    second = b'\r\n----b0undary\r\nContent-Disposition: form-data; name="file"\r\n\r\nx'
    assert sent(whole[:end] + second + whole[end:]) == malformed
    assert sent(encode({**fields, "x-ignore-a": "a" * 21_000}, b"")) == (400, "MaxPostPreDataLengthExceededError")
    assert sent(encode({**fields, "x-amz-signature": ""}, b"")) == (403, "SignatureDoesNotMatch")
    assert sent(whole[: len(whole) // 2], cut=True) == malformed
    # The connection ends before what its head declared.
    head = Request("POST", f"/{bucket}", [
        ("Host", gateway.endpoint[7:]), ("Content-Type", "multipart/form-data; boundary=--b0undary"),
        ("Content-Length", str(len(whole)))]).head()
    assert send(gateway, head + whole[: end + 5], cut=True).status in (0, 400)


def test_a_wrong_checksum_in_a_form(gateway, s3, bucket, absent):
    extra = {"x-amz-checksum-crc32": crc32(b"another body")}
    answer = post(gateway, bucket, presigned(s3, bucket, fields=extra, conditions=allowed(extra)))
    assert (answer.status, answer.code) == (400, "BadDigest")
    trio, _ = customer()
    wrong = {**trio, "x-amz-server-side-encryption-customer-key-MD5": base64.b64encode(b"0" * 16).decode()}
    answer = post(gateway, bucket, presigned(s3, bucket, fields=wrong, conditions=allowed(wrong)))
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_keys_of_forms_are_kept_as_they_are(gateway, s3, bucket):
    keys = ["../../etc/x", "a//b/", "/", "%2e%2e%2f", "a\\b", "ключ ü", "a?b#c&d=e+f"]
    for key in keys:
        answer = post(gateway, bucket, presigned(s3, bucket, key), b"x")
        assert answer.status == 204, (key, answer.body)
        assert re.fullmatch(r"[!-~]+", answer.headers["location"])
    # Without a key the path would be the bucket's, and the PUT another operation.
    nameless = post(gateway, bucket, presigned(s3, bucket, "${filename}"), b"x", file_name="dir/")
    assert (nameless.status, nameless.code) == (400, "InvalidArgument")
    assert sorted(item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]) == sorted(keys)


def test_sigv2_forms_where_the_operator_allows_them(own_gateway):
    gateway = own_gateway("allow_sigv2 = true")
    s3 = gateway.client()
    s3.create_bucket(Bucket="forms")
    text = json.dumps({"expiration": "2099-01-01T00:00:00Z", "conditions": [{"bucket": "forms"}, {"key": "k"}]})
    policy = base64.b64encode(text.encode()).decode()
    mark = base64.b64encode(hmac.digest(gateway.secret_key.encode(), policy.encode(), "sha1")).decode()
    fields = {"key": "k", "AWSAccessKeyId": gateway.access_key, "policy": policy, "signature": mark}
    assert post(gateway, "forms", {**fields, "signature": mark[::-1]}).code == "SignatureDoesNotMatch"
    assert post(gateway, "forms", fields).status == 204
    assert s3.get_object(Bucket="forms", Key="k")["Body"].read() == BODY


def tag_set(*pairs):
    tags = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{tags}</TagSet></Tagging>"


def test_a_form_gives_its_object_tags(gateway, s3, bucket):
    fields = {"tagging": tag_set(("team", "a &amp; b".replace(" &amp; ", "=")), ("größe", "1+1"))}
    answer = post(gateway, bucket, presigned(s3, bucket, fields=fields, conditions=allowed(fields)))
    assert answer.status == 204
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "a=b", "größe": "1+1"}


@pytest.mark.parametrize("tagging", ["a=b", "<Tagging/>x", "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
                                     tag_set(("aws:a", "b")), tag_set(*[(str(n), "") for n in range(11)])])
def test_tags_that_are_none_are_refused(gateway, s3, bucket, absent, tagging):
    fields = {"tagging": tagging}
    answer = post(gateway, bucket, presigned(s3, bucket, fields=fields, conditions=allowed(fields)))
    assert answer.status == 400

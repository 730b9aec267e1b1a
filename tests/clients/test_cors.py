"""CORS: the configuration, preflights as browsers send them, and the headers of answers to pages."""

import http.client

import pytest
from botocore.exceptions import ClientError

PAGE = "http://www.example.test"
RULES = [
    {"ID": "pages", "AllowedOrigins": ["http://*.example.test"], "AllowedMethods": ["GET", "PUT"],
     "AllowedHeaders": ["x-amz-*", "Content-Type"], "ExposeHeaders": ["ETag", "x-amz-version-id"], "MaxAgeSeconds": 600},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
]


@pytest.fixture
def opened(s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    return bucket


def send(gateway, method, path, **headers):
    connection = http.client.HTTPConnection(*gateway.address, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def preflight(gateway, bucket, origin=PAGE, method="PUT", headers=None):
    asked = {"Access_Control_Request_Headers": headers} if headers else {}
    return send(gateway, "OPTIONS", f"/{bucket}/k", Origin=origin, Access_Control_Request_Method=method, **asked)


def test_rules_are_kept_as_they_were_set_and_taken_away(s3, opened):
    assert s3.get_bucket_cors(Bucket=opened)["CORSRules"] == RULES
    s3.delete_bucket_cors(Bucket=opened)
    with pytest.raises(ClientError, match="NoSuchCORSConfiguration"):
        s3.get_bucket_cors(Bucket=opened)


@pytest.mark.parametrize("wrong", [
    {"AllowedOrigins": ["http://*.*"], "AllowedMethods": ["GET"]}, {"AllowedOrigins": ["*"], "AllowedMethods": ["PATCH"]},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "ExposeHeaders": ["*"]},
    {"AllowedOrigins": ["http://a\r\nSet-Cookie: b"], "AllowedMethods": ["GET"]},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "ID": "i" * 256},
])
def test_a_wrong_rule_is_refused_and_the_old_ones_stay(s3, opened, wrong):
    with pytest.raises(ClientError) as caught:
        s3.put_bucket_cors(Bucket=opened, CORSConfiguration={"CORSRules": [wrong]})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert s3.get_bucket_cors(Bucket=opened)["CORSRules"] == RULES


def test_a_preflight_is_answered_without_a_signature(gateway, opened):
    status, headers, body = preflight(gateway, opened, headers="X-Amz-Date, content-type")
    assert (status, body) == (200, "")
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["access-control-allow-methods"] == "GET, PUT"
    assert headers["access-control-allow-headers"] == "x-amz-date, content-type"
    assert headers["access-control-max-age"] == "600"
    assert "Origin" in headers["vary"]
    status, headers, _ = preflight(gateway, opened, origin="http://elsewhere", method="HEAD")
    assert (status, headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("asked", [
    {"origin": "http://elsewhere"}, {"origin": "http://www.example.test.evil"}, {"method": "DELETE"},
    {"headers": "authorization"}, {"origin": "null"},
])
def test_a_preflight_that_no_rule_allows_is_refused(gateway, opened, asked):
    status, headers, body = preflight(gateway, opened, **asked)
    assert status == 403 and "AccessForbidden" in body
    assert not any(name.startswith("access-control-") for name in headers)


def test_preflights_of_nowhere_and_with_too_little_are_refused(gateway, s3, bucket, opened):
    s3.create_bucket(Bucket=f"{bucket}-closed")
    for name in (f"{bucket}-closed", "no-such-bucket", ""):
        status, _, body = preflight(gateway, name)
        assert status == 403 and "not enabled" in body, name
    assert send(gateway, "OPTIONS", f"/{opened}/k")[0] == 400
    assert send(gateway, "OPTIONS", f"/{opened}/k", Origin=PAGE)[0] == 400
    assert send(gateway, "OPTIONS", f"/{opened}/k", Origin="a\x01b", Access_Control_Request_Method="GET")[0] == 400


def test_answers_to_pages_say_who_may_read_them(gateway, opened):
    signer = gateway.client(signature_version="s3v4")
    url = signer.generate_presigned_url("get_object", Params={"Bucket": opened, "Key": "k"})
    path = url.removeprefix(gateway.endpoint)
    status, headers, body = send(gateway, "GET", path, Origin=PAGE)
    assert (status, body, headers["access-control-allow-origin"]) == (200, "x", PAGE)
    assert headers["access-control-expose-headers"] == "ETag, x-amz-version-id"
    assert "Origin" in headers["vary"]
    # An error can be read by the page too; another page sees nothing.
    status, headers, _ = send(gateway, "GET", f"/{opened}/k", Origin=PAGE)
    assert (status, headers["access-control-allow-origin"]) == (403, PAGE)
    for origin in ({"Origin": "http://elsewhere"}, {}):
        status, headers, _ = send(gateway, "GET", path, **origin)
        assert status == 200 and "access-control-allow-origin" not in headers

"""Configurations of buckets that pass to an upstream that speaks OSS, and what must not. The upstream's answers about them
are a mock's (mock_oss.py)."""

import base64
import json
import secrets

import alibabacloud_oss_v2 as v2
import oss2
import pytest
import requests
from botocore.exceptions import ClientError
from conftest import Gateway
from faces import REGION, Refused, face_of
from mock_oss import MockOss

ALL = [
    "GET lifecycle", "PUT lifecycle", "DELETE lifecycle", "GET inventory", "PUT inventory", "DELETE inventory", "GET logging",
    "PUT requestPayment", "GET requestPayment", "GET replication", "POST replication", "GET worm", "POST worm", "DELETE worm",
    "POST wormId", "POST wormExtend",
]
RULE = "<LifecycleConfiguration><Rule><ID>old</ID><Prefix>logs/</Prefix><Status>Enabled</Status>" \
       "<Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>"


class Stack:
    """A gateway over the mock over a sealgate."""

    def __init__(self, directory):
        self.directory, self.started, self.mocks = directory, [], []

    def gateway(self, listed, dialect="oss", start=True):
        below = self.make("below", "")
        below.start()
        self.mock = MockOss(*below.address)
        self.mocks.append(self.mock)
        key = self.directory / "root.key"
        key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
        key.chmod(0o600)
        made = self.make("gateway", (
            f'store = "upstream"\nroot_key_file = "{key}"\nupstream_endpoint = "{self.mock.endpoint}"\n'
            f'upstream_access_key_id = "{below.access_key}"\nupstream_secret_access_key = "{below.secret_key}"\n'
            f'upstream_reserved = "reserved-sys"\nupstream_dialect = "{dialect}"\nupstream_region = "{REGION}"\n'
            f'upstream_bucket_prefix = "up-"\nupstream_buckets = ["part=up-shared/part"]\nupstream_pass_through = {json.dumps(listed)}\n'
        ))
        return made.start() if start else made

    def make(self, name, settings):
        directory = self.directory / name
        directory.mkdir()
        # Whatever upstream the other tests run against.
        self.started.append(Gateway(directory, settings if "store =" in settings else 'store = "local"\n' + settings))
        return self.started[-1]

    def close(self):
        for gateway in reversed(self.started):
            if gateway.process and gateway.process.poll() is None:
                gateway.stop()
        for mock in self.mocks:
            mock.close()


@pytest.fixture
def stack(tmp_path):
    made = Stack(tmp_path)
    yield made
    made.close()


def signed(gateway, method, bucket, query, body="", headers=None, who=None):
    """A request signed by oss2; gives status, code and text."""
    who = who or gateway.root
    auth = oss2.ProviderAuthV4(oss2.credentials.StaticCredentialsProvider(who.key_id, who.secret))
    request = oss2.http.Request(method, f"{gateway.endpoint}/{bucket}/", data=body, params=query, headers=headers or {}, region=REGION, product="oss")
    auth._sign_request(request, bucket, "")
    answer = requests.request(method, request.url, params=request.params, data=body, headers=dict(request.headers))
    code = answer.text.partition("<Code>")[2].partition("</Code>")[0]
    return answer.status_code, code, answer


@pytest.fixture(params=["V1", "V4"])
def python(request, stack):
    gateway = stack.gateway(ALL)
    face = face_of(gateway, f"python-v2 {request.param}", gateway.root)
    face.make_bucket("bucket")
    return face


def test_a_listed_configuration_goes_to_the_upstream_and_comes_back(stack, python):
    with pytest.raises(Refused) as refused:
        python.call("get_bucket_lifecycle", "GetBucketLifecycle", bucket="bucket")
    assert (refused.value.status, refused.value.code) == (404, "NoSuchLifecycle")
    rule = v2.LifecycleRule(id="old", prefix="logs/", status="Enabled", expiration=v2.LifecycleRuleExpiration(days=30))
    python.call("put_bucket_lifecycle", "PutBucketLifecycle", bucket="bucket",
                lifecycle_configuration=v2.LifecycleConfiguration(rules=[rule]))
    got = python.call("get_bucket_lifecycle", "GetBucketLifecycle", bucket="bucket").value.lifecycle_configuration
    assert [(rule.id, rule.expiration.days) for rule in got.rules] == [("old", 30)]
    assert b"<ID>old</ID>" in stack.mock.kept["up-bucket", "lifecycle", None]
    assert python.call("delete_bucket_lifecycle", "DeleteBucketLifecycle", bucket="bucket").status == 204
    assert ("DELETE", "up-bucket", {"lifecycle": ""}, b"") in stack.mock.asked
    logging = python.call("get_bucket_logging", "GetBucketLogging", bucket="bucket").value.bucket_logging_status
    assert logging.logging_enabled is None
    python.put("bucket", "k", b"body")
    assert python.get("bucket", "k").body == b"body"


def test_parameters_and_what_was_made_pass_as_well(stack, python):
    configuration = v2.InventoryConfiguration(id="daily", is_enabled=True, included_object_versions="All")
    python.call("put_bucket_inventory", "PutBucketInventory", bucket="bucket", inventory_id="daily",
                inventory_configuration=configuration)
    got = python.call("get_bucket_inventory", "GetBucketInventory", bucket="bucket", inventory_id="daily")
    assert got.value.inventory_configuration.id == "daily"
    python.call("delete_bucket_inventory", "DeleteBucketInventory", bucket="bucket", inventory_id="daily")
    assert ("up-bucket", "inventory", "daily") not in stack.mock.kept

    worm = v2.InitiateWormConfiguration(retention_period_in_days=1)
    made = python.call("initiate_bucket_worm", "InitiateBucketWorm", bucket="bucket", initiate_worm_configuration=worm)
    assert made.headers["x-oss-worm-id"] == "W1"
    assert python.call("get_bucket_worm", "GetBucketWorm", bucket="bucket").value.worm_configuration.state == "InProgress"
    python.call("complete_bucket_worm", "CompleteBucketWorm", bucket="bucket", worm_id="W1")
    assert python.call("get_bucket_worm", "GetBucketWorm", bucket="bucket").value.worm_configuration.state == "Locked"
    python.call("extend_bucket_worm", "ExtendBucketWorm", bucket="bucket", worm_id="W1",
                extend_worm_configuration=v2.ExtendWormConfiguration(retention_period_in_days=2))
    assert stack.mock.asked[-1][:3] == ("POST", "up-bucket", {"wormExtend": "", "wormId": "W1"})

    document = "<ReplicationConfiguration><Rule><ID>r</ID></Rule></ReplicationConfiguration>"
    gateway = stack.started[-1]
    added = signed(gateway, "POST", "bucket", {"replication": "", "comp": "add"}, document)
    assert (added[0], added[2].headers["x-oss-replication-rule-id"]) == (200, "rule-1")
    assert signed(gateway, "GET", "bucket", {"replication": ""})[2].text == document


def test_what_is_not_known_whole_never_leaves(stack):
    gateway = stack.gateway(ALL)
    face_of(gateway, "oss2 V4", gateway.root).make_bucket("bucket")
    known = len(stack.mock.asked)
    skip = {"x-oss-allow-same-action-overlap": "true"}
    for method, query, body, headers in [
        ("DELETE", {"lifecycle": "", "ruleId": "a"}, "", None),
        ("DELETE", {"lifecycle": "", "logging": ""}, "", None),
        ("DELETE", {"inventory": ""}, "", None),
        ("DELETE", {"logging": ""}, "", None),
        ("POST", {"replication": "", "comp": "other"}, "<ReplicationConfiguration/>", None),
        ("PUT", {"lifecycle": ""}, RULE, skip),
        ("PUT", {"website": ""}, "<WebsiteConfiguration/>", None),
        ("PUT", {"referer": ""}, "<RefererConfiguration/>", None),
        ("PUT", {"requestPayment": "", "unknown": ""}, "<RequestPaymentConfiguration/>", None),
    ]:
        assert signed(gateway, method, "bucket", query, body, headers)[:2] == (400, "NotImplemented"), (method, query)
    for body in ("<LifecycleConfiguration>", "<WebsiteConfiguration/>", ""):
        assert signed(gateway, "PUT", "bucket", {"lifecycle": ""}, body)[:2] == (400, "MalformedXML"), body
    wrong = {"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}
    assert signed(gateway, "PUT", "bucket", {"lifecycle": ""}, RULE, wrong)[:2] == (400, "InvalidDigest")
    assert signed(gateway, "PUT", "bucket", {"lifecycle": ""}, RULE, {"x-oss-server-side-encryption": "AES256"})[0] == 400
    # Part of an upstream's bucket: what is said there would be said of the others in it.
    face_of(gateway, "oss2 V4", gateway.root).make_bucket("part")
    assert signed(gateway, "PUT", "part", {"lifecycle": ""}, RULE)[:2] == (400, "NotImplemented")
    assert len(stack.mock.asked) == known
    refused = signed(gateway, "PUT", "bucket", {"lifecycle": ""}, RULE.replace("old", "Refuse"))
    assert refused[:2] == (400, "InvalidArgument") and "refused by the mock" in refused[2].text


def test_the_gateway_judges_who_may(stack):
    gateway = stack.gateway(ALL)
    face_of(gateway, "oss2 V4", gateway.root).make_bucket("bucket")
    known = len(stack.mock.asked)
    for who in (gateway.other, None):
        if who:
            got = signed(gateway, "PUT", "bucket", {"lifecycle": ""}, RULE, who=who)[:2]
        else:
            answer = requests.put(f"{gateway.endpoint}/bucket/?lifecycle", data=RULE, headers={"x-oss-date": "x"})
            got = answer.status_code, "AccessDenied" if "<Code>AccessDenied<" in answer.text else answer.text
        assert got == (403, "AccessDenied")
    assert signed(gateway, "GET", "nowhere", {"lifecycle": ""})[:2] == (404, "NoSuchBucket")
    assert len(stack.mock.asked) == known
    statement = {
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/other"},
        "Action": "s3:GetInventoryConfiguration", "Resource": "arn:aws:s3:::bucket",
    }
    gateway.client().put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert signed(gateway, "GET", "bucket", {"inventory": ""}, who=gateway.other)[:2] == (404, "NoSuchInventory")
    assert signed(gateway, "PUT", "bucket", {"inventory": "", "inventoryId": "a"}, "<InventoryConfiguration/>", who=gateway.other)[0] == 403


@pytest.mark.parametrize("dialect,listed", [("oss", ["GET lifecycle", "PUT transferAcceleration"]), ("s3", ["GET lifecycle", "PUT accelerate"])])
def test_a_document_passes_only_in_the_upstream_s_own_words(stack, dialect, listed):
    """A client of the other dialect is told that it is not implemented, and not that there is none."""
    gateway = stack.gateway(listed, dialect)
    s3, known = gateway.client(), len(stack.mock.asked)
    s3.create_bucket(Bucket="bucket")
    if dialect == "oss":
        for call in (s3.get_bucket_lifecycle_configuration, s3.get_bucket_accelerate_configuration):
            with pytest.raises(ClientError) as refused:
                call(Bucket="bucket")
            error = refused.value.response["Error"]
            assert error["Code"] == "NotImplemented" and "OSS's words" in error["Message"], error
        with pytest.raises(ClientError) as refused:
            s3.get_bucket_website(Bucket="bucket")
        assert refused.value.response["Error"]["Code"] == "NotImplemented"
    else:
        for sub in ("lifecycle", "transferAcceleration"):
            status, code, answer = signed(gateway, "GET", "bucket", {sub: ""})
            assert (status, code) == (400, "NotImplemented") and "a store that has it in S3" in answer.text, answer.text
        # Of what the operator does not list, no bucket has any.
        assert signed(gateway, "GET", "bucket", {"website": ""})[:2] == (404, "NoSuchWebsiteConfiguration")
    assert len(stack.mock.asked) == known


def test_a_list_in_the_other_dialect_s_words_is_refused_at_start(stack):
    gateway = stack.gateway(["PUT accelerate"], start=False)
    with pytest.raises(RuntimeError):
        gateway.start()
    assert "PUT accelerate" in gateway.log.read_text() and "not in the upstream's dialect" in gateway.log.read_text()

"""Access keys that are taken away or replaced: what was signed with them, or is, counts no more."""

import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def fetched(url):
    try:
        return urllib.request.urlopen(url, timeout=20).status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a23_a_key_that_is_taken_away_signs_nothing_more(own_gateway):
    gateway = own_gateway()
    ours, theirs = gateway.client(), gateway.client(other=True, signature_version="s3v4")
    theirs.create_bucket(Bucket="theirs")
    theirs.put_object(Bucket="theirs", Key="k", Body=b"kept")
    url = theirs.generate_presigned_url("get_object", {"Bucket": "theirs", "Key": "k"}, ExpiresIn=600)
    assert fetched(url)[0] == 200
    upload = theirs.create_multipart_upload(Bucket="theirs", Key="m")["UploadId"]
    text = gateway.config.read_text()

    def serve_with(config):
        assert gateway.stop() == 0
        gateway.config.write_text(config)
        gateway.start()
        host = gateway.endpoint.split("//")[1]
        # The URL is for another port now: its host is what was signed, so a client would have been told the old one.
        return gateway.client(other=True, signature_version="s3v4"), host

    # Replaced: the old secret signs nothing, the new one everything.
    old_secret = gateway.other_secret_key
    theirs, _ = serve_with(text.replace(old_secret, "another-" + old_secret))
    assert refused(theirs.get_object, Bucket="theirs", Key="k") == (403, "SignatureDoesNotMatch")
    gateway.other_secret_key = "another-" + old_secret
    theirs = gateway.client(other=True, signature_version="s3v4")
    assert theirs.get_object(Bucket="theirs", Key="k")["Body"].read() == b"kept"
    url = theirs.generate_presigned_url("get_object", {"Bucket": "theirs", "Key": "k"}, ExpiresIn=600)
    assert fetched(url)[0] == 200

    # Taken away: in the header, in a URL, for what is under way, for keys.
    listen = f'listen = "{gateway.endpoint.split("//")[1]}"'
    theirs, _ = serve_with(text[: text.index("[[users]]")].replace('listen = "127.0.0.1:0"', listen, 1))
    gone = (403, "InvalidAccessKeyId")
    assert refused(theirs.get_object, Bucket="theirs", Key="k") == gone
    assert refused(theirs.delete_object, Bucket="theirs", Key="k") == gone
    assert refused(theirs.upload_part, Bucket="theirs", Key="m", UploadId=upload, PartNumber=1, Body=b"x") == gone
    status, said = fetched(url)
    assert status == 403 and "InvalidAccessKeyId" in said
    assert refused(gateway.client("kms", other=True).create_key)[1] == "UnrecognizedClientException"
    ours = gateway.client()
    assert ours.get_object(Bucket="theirs", Key="k")["Body"].read() == b"kept"
    assert "Parts" not in ours.list_parts(Bucket="theirs", Key="m", UploadId=upload)

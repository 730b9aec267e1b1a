"""Buckets in host names, which real OSS insists on. No server of these tests has a name in any DNS, so the gateway gets an
`/etc/hosts` of its own, which needs root; the upstream is a second sealgate, in each dialect."""

import os

import pytest

from conftest import clients

DOMAIN = "up.test"
BODY = bytes(range(256)) * 20_000


@pytest.mark.skipif(os.geteuid() != 0, reason="LEFT OUT: mounting an /etc/hosts needs root")
@pytest.mark.parametrize("dialect,domains", [("s3", "base_domains"), ("oss", "oss_domains")])
def test_an_upstream_is_addressed_by_the_buckets_host_names(tmp_path, dialect, domains):
    (tmp_path / "under").mkdir()
    (tmp_path / "over").mkdir()
    under = clients.Gateway(tmp_path / "under", f'store = "local"\n{domains} = ["{DOMAIN}"]\n').start()
    port = under.endpoint.rsplit(":", 1)[1]
    # The domain alone has no address: what does not name a bucket in its host gets nowhere.
    hosts = tmp_path / "hosts"
    hosts.write_text("".join(f"127.0.0.1 {bucket}.{DOMAIN}\n" for bucket in ("v-sys", "v-bucket")))
    root_key = tmp_path / "root.key"
    root_key.write_text("A" * 43 + "=")
    root_key.chmod(0o600)
    mount = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    over = clients.Gateway(
        tmp_path / "over",
        f'store = "upstream"\nroot_key_file = "{root_key}"\nupstream_endpoint = "http://{DOMAIN}:{port}"\n'
        f'upstream_addressing = "virtual"\nupstream_dialect = "{dialect}"\nupstream_reserved = "v-sys"\n'
        f'upstream_access_key_id = "{under.access_key}"\nupstream_secret_access_key = "{under.secret_key}"\n'
        'upstream_bucket_prefix = "v-"\n',
        wrapper=["unshare", "--mount", "sh", "-c", mount, "sh"],
    ).start()
    try:
        s3 = over.client()
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="a b/ü+", Body=BODY)
        assert s3.get_object(Bucket="bucket", Key="a b/ü+")["Body"].read() == BODY
        assert s3.get_object(Bucket="bucket", Key="a b/ü+", Range="bytes=70000-70009")["Body"].read() == BODY[70000:70010]
        assert [row["Size"] for row in s3.list_objects_v2(Bucket="bucket")["Contents"]] == [len(BODY)]
        upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
        parts = [
            {"PartNumber": number, "ETag": s3.upload_part(
                Bucket="bucket", Key="parts", UploadId=upload, PartNumber=number, Body=body)["ETag"]}
            for number, body in enumerate((BODY + bytes(1 << 20), b"end"), 1)
        ]
        s3.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
        s3.copy_object(Bucket="bucket", Key="copy", CopySource={"Bucket": "bucket", "Key": "parts"})
        assert s3.get_object(Bucket="bucket", Key="copy")["Body"].read() == BODY + bytes(1 << 20) + b"end"
        s3.delete_object(Bucket="bucket", Key="parts")
        assert BODY[:64] not in under.client().get_object(Bucket="v-bucket", Key="a b/ü+")["Body"].read()
    finally:
        for gateway in (over, under):
            gateway.stop()

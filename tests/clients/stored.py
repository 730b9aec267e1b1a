"""What a gateway keeps: the files in its directory, and what it has upstream."""

import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from conftest import UPSTREAM

AT_ONCE = 8


def kept(gateway):
    """Files with all that is kept."""
    files = [path for path in gateway.data.rglob("*") if path.is_file()]
    assert len(files) > 5
    return [*files, *upstream(gateway)] if UPSTREAM else files


def upstream(gateway):
    """A copy of each object that the gateway has upstream, with its names and headers. Uploads in progress cannot be read."""
    settings = tomllib.loads(gateway.config.read_text())
    client = boto3.client(
        "s3", endpoint_url=settings["upstream_endpoint"], region_name="us-east-1",
        aws_access_key_id=settings["upstream_access_key_id"], aws_secret_access_key=settings["upstream_secret_access_key"],
        config=Config(max_pool_connections=AT_ONCE),
    )

    def copy(at):
        try:
            got = client.get_object(Bucket=at[0], Key=at[1])
        except client.exceptions.NoSuchKey:
            return b""
        return f"{at} {got['ResponseMetadata']['HTTPHeaders']}".encode() + got["Body"].read()

    names = [row["Name"] for row in client.list_buckets()["Buckets"]]
    mine = [name for name in names if name.startswith(settings["upstream_bucket_prefix"])]
    pages = client.get_paginator("list_objects_v2")
    objects = [(name, row["Key"]) for name in mine for page in pages.paginate(Bucket=name) for row in page.get("Contents", [])]
    assert len(mine) > 1 and objects
    copies = gateway.directory / "upstream"
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for number, found in enumerate(threads.map(copy, objects)):
            (copies / str(number)).write_bytes(found)
    return list(copies.iterdir())

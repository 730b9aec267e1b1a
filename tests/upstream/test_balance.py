"""Gateways behind nginx, killed and started again under load: no operation that was acknowledged is lost."""

import hashlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


HERE = pathlib.Path(__file__).resolve().parent
# Where `.ci/setup --clients` unpacks it.
NGINX = pathlib.Path(os.environ.get("SEALGATE_CACHE", pathlib.Path.home() / ".cache" / "sealgate")) / "nginx/usr/sbin/nginx"
DEPLOY = HERE.parents[1] / "deploy"
OPERATIONS = int(os.environ.get("SEALGATE_FLEET_OPERATIONS", "10000"))
WORKERS = 8


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def nginx(directory, gateways):
    """nginx with the shipped configuration, ports aside. Gives the process and its endpoint."""
    port = free_port()
    text = (DEPLOY / "nginx-balance.conf").read_text()
    servers = "".join(f"        server 127.0.0.1:{p} max_fails=1 fail_timeout=2s;\n" for p in gateways)
    text, count = re.subn(r"(        server gateway-\d:9000[^\n]*\n)+", servers, text)
    assert count == 1
    text = text.replace("listen 9000;", f"listen 127.0.0.1:{port};").replace("events {}", "events { worker_connections 512; }")
    prefix = directory / "nginx"
    (prefix / "logs").mkdir(parents=True)
    temp = "".join(f"    {kind}_temp_path {prefix}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = text.replace("http {\n", f"http {{\n    access_log off;\n{temp}", 1)
    conf = prefix / "nginx.conf"
    conf.write_text(f"daemon off;\npid {prefix}/pid;\nerror_log {prefix}/logs/error.log;\n{text}")
    process = subprocess.Popen([str(NGINX), "-p", str(prefix), "-c", str(conf), "-e", f"{prefix}/logs/error.log"])
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, f"http://127.0.0.1:{port}"
        assert time.monotonic() < deadline and process.poll() is None, (prefix / "logs" / "error.log").read_text()
        time.sleep(0.05)


class Worker(threading.Thread):
    """Does operations on keys of its own, and knows of each what may be there: a set of states, since an operation that
    failed may have been done or not."""

    def __init__(self, number, client, operations):
        super().__init__()
        self.dice, self.client, self.number = random.Random(number), client, number
        self.operations, self.failed, self.wrong = operations, 0, []
        self.states = {}

    def run(self):
        for _ in range(self.operations):
            try:
                self.step()
            except Exception as error:  # a test must not lose a thread silently
                self.wrong.append(repr(error))
                return

    def step(self):
        key = f"{self.number}/{self.dice.randrange(40)}"
        may = self.states.setdefault(key, {None})
        what = self.dice.random()
        if what < 0.45:
            self.put(key, may)
        elif what < 0.55:
            self.attempt(may, None, lambda: self.client.delete_object(Bucket="fleet", Key=key))
        elif what < 0.65:
            self.multipart(key, may)
        else:
            self.check(key, may)

    def content(self, length):
        seed = self.dice.randrange(1 << 40)
        return random.Random(seed).randbytes(length)

    def attempt(self, may, after, call):
        """After a success only the new state may be; after a failure, the new one too."""
        try:
            call()
        except (ClientError, BotoCoreError):
            self.failed += 1
            may.add(after)
        else:
            may.clear()
            may.add(after)

    def put(self, key, may):
        content = self.content(self.dice.choice([0, 100, 5000, 70_000, 400_000]))
        after = hashlib.sha256(content).hexdigest()
        self.attempt(may, after, lambda: self.client.put_object(Bucket="fleet", Key=key, Body=content))

    def multipart(self, key, may):
        names = {"Bucket": "fleet", "Key": key}
        contents = [self.content(5 << 20), self.content(1000)]
        after = hashlib.sha256(b"".join(contents)).hexdigest()

        def upload():
            started = self.client.create_multipart_upload(**names)["UploadId"]
            parts = []
            for number, content in enumerate(contents, 1):
                etag = self.client.upload_part(**names, UploadId=started, PartNumber=number, Body=content)["ETag"]
                parts.append({"PartNumber": number, "ETag": etag})
            self.client.complete_multipart_upload(**names, UploadId=started, MultipartUpload={"Parts": parts})

        self.attempt(may, after, upload)

    def look(self, key):
        try:
            body = self.client.get_object(Bucket="fleet", Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        return hashlib.sha256(body).hexdigest()

    def check(self, key, may):
        try:
            there = self.look(key)
        except (ClientError, BotoCoreError):
            self.failed += 1
            return
        if there not in may:
            self.wrong.append(f"{key}: {there} is none of {may}")
        # A write that failed and is not there may still be on its way: what was possible stays possible.


def test_no_acknowledged_operation_is_lost_while_gateways_are_killed(place, tmp_path):
    ports = [free_port() for _ in range(3)]
    gateways = []
    for port in ports:
        gateway = place.gateway(start=False)
        text = gateway.config.read_text().replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"', 1)
        text = text.replace('log_level = "trace"', 'log_level = "warn"').replace("verify_writes_sample = 1", "")
        gateway.config.write_text(text)
        gateways.append(gateway.start())
    balancer, endpoint = nginx(tmp_path, ports)

    def client():
        return boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=place.user[0],
            aws_secret_access_key=place.user[1],
            config=Config(retries={"max_attempts": 6, "mode": "standard"}, s3={"addressing_style": "path"}, read_timeout=60),
        )

    try:
        client().create_bucket(Bucket="fleet")
        workers = [Worker(number, client(), OPERATIONS // WORKERS) for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        kills, dice = 0, random.Random(7)
        while any(worker.is_alive() for worker in workers):
            time.sleep(dice.uniform(1, 3))
            gateway = dice.choice(gateways)
            gateway.stop(dice.choice([signal.SIGKILL, signal.SIGTERM]), timeout=60)
            kills += 1
            time.sleep(dice.uniform(0, 1))
            gateway.start()
        for worker in workers:
            worker.join()
        wrong = [what for worker in workers for what in worker.wrong]
        assert not wrong, wrong[:5]
        for worker in workers:
            for key, may in worker.states.items():
                there = worker.look(key)
                assert there in may, f"{key}: {there} is none of {may}"
        done = sum(worker.operations for worker in workers)
        failed = sum(worker.failed for worker in workers)
        print(json.dumps({"operations": done, "failed": failed, "kills": kills}))
        assert kills >= 3 and failed < done / 20
    finally:
        balancer.terminate()
        balancer.wait(10)

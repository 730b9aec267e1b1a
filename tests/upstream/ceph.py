#!/usr/bin/env python3
"""A throw-away Ceph of one node with its S3 gateway (RGW) on loopback, to test against as an upstream.

    ceph.py run COMMAND…        starts one, runs the command with SEALGATE_TEST_UPSTREAM set, stops it
    ceph.py try COMMAND…        the same; where Ceph is not installed, says so and does nothing (outside of CI)
    ceph.py start DIR PORT      starts one in DIR; prints endpoint,access key,secret key
    ceph.py stop DIR            stops it

Needs radosgw, ceph-mon, ceph-osd and ceph-common (Debian's packages), and root, but no systemd. One copy of everything
and no authentication inside: for tests only. CEPH_STORE=memstore keeps objects in memory instead of in a sparse file: 1 GiB of them.
"""

import base64
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

KEY, SECRET = "UPSTREAMTESTKEY00001", "upstream-test-secret-0000000000000000001"
PROGRAMS = ["radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "monmaptool"]
KMS_KEY = "bench-key"


def missing():
    """The programs that are not installed."""
    return [program for program in PROGRAMS if not shutil.which(program)]


def free_port():
    """The first of some ports that nobody listens on: the monitor and the OSD take those after it."""
    for port in range(17480, 17980, 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) and probe.connect_ex(("127.0.0.1", port + 1)):
                return port
    raise RuntimeError("no free port for a Ceph cluster")


class Ceph:
    """A cluster in a directory."""

    def __init__(self, directory, port):
        self.directory = pathlib.Path(directory).resolve()
        self.port = int(port)
        self.conf = self.directory / "ceph.conf"

    @property
    def upstream(self):
        return f"http://127.0.0.1:{self.port},{KEY},{SECRET}"

    def write_conf(self, fsid):
        base, port = self.directory, self.port
        test_key = base64.b64encode(b"key-for-benchmarks-of-32-bytes!!").decode()
        self.conf.write_text(f"""[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{port + 1}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
ms_bind_port_min = {port + 10}
ms_bind_port_max = {port + 40}
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = false
run_dir = {base}/run
pid_file = {base}/run/$name.pid
admin_socket = {base}/run/$name.asok
log_file = {base}/log/$name.log
mon_data = {base}/mon
osd_data = {base}/osd
rgw_data = {base}/rgw
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_pool_default_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_objectstore = {os.environ.get("CEPH_STORE", "bluestore")}
osd_memory_target = 1073741824
bluestore_block_size = {20 << 30}
bluestore_fsck_on_mkfs = false
mon_data_avail_warn = 1
mon_data_avail_crit = 1
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
ms_mon_client_mode = crc
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_rados_pool_pg_num_min = 4
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 5
rgw_user_max_buckets = 1000000
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = {KMS_KEY}={test_key}
""")

    def call(self, *words):
        with open(self.directory / "log" / "start.log", "ab") as log:
            subprocess.run(list(map(str, words)), check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def wait(self, what, ready, seconds=60):
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise RuntimeError(f"{what} did not come up; see {self.directory}/log")
            time.sleep(0.1)

    def says(self, *words):
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.stdout if done.returncode == 0 else ""

    def start(self):
        for name in ("run", "log", "mon", "osd", "rgw"):
            (self.directory / name).mkdir(parents=True)
        fsid, conf = str(uuid.uuid4()), self.conf
        self.write_conf(fsid)
        try:
            address = f"[v2:127.0.0.1:{self.port + 1}]"
            monmap = self.directory / "monmap"
            self.call("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, "--set-min-mon-release", "pacific", monmap)
            self.call("ceph-mon", "-c", conf, "-i", "a", "--mkfs", "--monmap", monmap)
            self.call("ceph-mon", "-c", conf, "-i", "a")
            ceph = ["ceph", "-c", conf, "--connect-timeout", "5"]
            self.wait("the monitor", lambda: self.says(*ceph, "osd", "stat"))
            self.call(*ceph, "osd", "new", fsid, 0)
            self.call("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", fsid)
            self.call("ceph-osd", "-c", conf, "-i", "0")
            self.wait("the OSD", lambda: "1 up" in self.says(*ceph, "osd", "stat"))
            self.call(
                "radosgw-admin", "-c", conf, "-n", "client.rgw", "--pid-file=", "--admin-socket=", "user", "create",
                "--uid", "sealgate", "--display-name", "sealgate", "--access-key", KEY, "--secret-key", SECRET,
            )
            self.call("radosgw", "-c", conf, "-n", "client.rgw")
            self.wait("the S3 gateway", self.listens)
        except BaseException:
            self.stop()
            raise
        return self

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def pid(self, name):
        """The process of a daemon of this cluster: a number in a file alone may be somebody else's by now."""
        try:
            pid = int((self.directory / "run" / f"{name}.pid").read_text())
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.conf).encode() in words else None

    def stop(self):
        for name in ("client.rgw", "osd.0", "mon.a"):
            pid = self.pid(name)
            if not pid:
                continue
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + 10
            while self.pid(name):
                if time.monotonic() > end:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.1)


def run(command):
    directory = tempfile.mkdtemp(prefix="ceph-")
    cluster = Ceph(directory, free_port())
    try:
        cluster.start()
        return subprocess.run(command, env=os.environ | {"SEALGATE_TEST_UPSTREAM": cluster.upstream}).returncode
    finally:
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)


def main(words):
    match words:
        case ["run" | "try", *command] if command:
            return run(command)
        case ["start", directory, port]:
            print(Ceph(directory, port).start().upstream)
        case ["stop", directory]:
            Ceph(directory, 0).stop()
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    if missing():
        print(f"ceph: not installed: {' '.join(missing())}", file=sys.stderr)
        if sys.argv[1:2] == ["try"]:
            print(f"LEFT OUT, since there is no upstream to test against: {' '.join(sys.argv[2:])}", file=sys.stderr)
            sys.exit(1 if os.environ.get("CI") else 0)
        sys.exit(1)
    sys.exit(main(sys.argv[1:]))

"""Which files the gateway opens: whatever a key looks like, none outside its own directory."""

import os
import re
import signal
import subprocess

from conftest import local_only
from test_edge_input import ODD_KEYS
from wire import put, send, signed

# What a process reads of the system while it runs.
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/localtime", "/usr/", "/lib/")


def opened(trace):
    """The paths of a trace's calls, made whole: one may be relative to a directory that the call names."""
    for line in trace.splitlines():
        for directory, path in re.findall(r'(?:<([^>]*)>, )?"((?:[^"\\]|\\.)*)"', line):
            yield line, os.path.normpath(os.path.join(directory, path))


@local_only("keys lead to no files at all")
def test_b1_no_key_leads_out_of_the_data_directory(own_gateway, tmp_path):
    gateway = own_gateway(log_level="info")
    s3, file = gateway.client(), tmp_path / "trace"
    s3.create_bucket(Bucket="odd")
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-o", str(file), "-s", "4096", "-e", "trace=%file", "-p", str(gateway.process.pid)],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    assert "attached" in tracer.stderr.readline()
    # Large enough for a file of its own.
    body = b"x" * 50_000
    for key in [*ODD_KEYS, "/etc/passwd", "../" * 20 + "etc/passwd", "odd/" + "../" * 9 + "proc/self/environ"]:
        s3.put_object(Bucket="odd", Key=key, Body=body)
        assert s3.get_object(Bucket="odd", Key=key)["Body"].read() == body
        s3.copy_object(Bucket="odd", Key=key + ".copy", CopySource={"Bucket": "odd", "Key": key})
        s3.list_objects_v2(Bucket="odd", Prefix=key, Delimiter="/")
        s3.delete_object(Bucket="odd", Key=key)
    for path in ("/../../etc/passwd", "/odd/../../etc/passwd", "//etc/passwd", "/odd/%2e%2e/%2e%2e/etc/passwd", "/%2e%2e/etc"):
        send(gateway, signed(gateway, "GET", path, b"")[0])
        send(gateway, signed(gateway, "PUT", path, body)[0])
    send(gateway, put(gateway, "..", "k", body)[0])
    tracer.send_signal(signal.SIGINT)
    tracer.wait(30)
    tracer.stderr.close()
    seen = list(opened(file.read_text(errors="replace")))
    inside = [path for _, path in seen if path.startswith(f"{gateway.data}/")]
    assert len(inside) > 2 * len(ODD_KEYS), "the trace shows the files"
    outside = [line for line, path in seen if not path.startswith((f"{gateway.data}/", *SYSTEM)) and path != str(gateway.data)]
    assert not outside
    assert not [path for path in inside if ".copy" in path or "passwd" in path]

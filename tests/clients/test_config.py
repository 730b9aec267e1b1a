"""Configuration, start, log lines and end of the real binary."""

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

import wire
from conftest import BINARY, ROOT

CREDENTIALS = {"SEALGATE_ACCESS_KEY_ID": "AKTEST", "SEALGATE_SECRET_ACCESS_KEY": "a-secret-of-some-length"}


def environment(**more):
    return {key: value for key, value in os.environ.items() if not key.startswith(("SEALGATE_", "AWS_"))} | more


def refused(tmp_path, *flags, text=None, **env):
    """Starts a gateway that must not start: gives its exit status and its standard error."""
    words = [BINARY, "serve", "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    if text is not None:
        config = tmp_path / "sealgate.toml"
        config.write_text(text)
        config.chmod(0o600)
        words += ["--config", str(config)]
    done = subprocess.run([*words, *flags], env=environment(**env), capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


@pytest.mark.parametrize("text, field", [
    ('default_encryption = "rot13"', "default_encryption"),
    ('max_connections = "many"', "max_connections"),
    ('drain_timeout = "soon"', "drain_timeout"),
    ('trusted_proxies = ["nowhere"]', "trusted_proxies"),
    ('log_format = "xml"', "log_format"),
    ('log_level = "loud"', "log_level"),
    ('tls_cert = "/nowhere.pem"', "tls_"),
    ('no_such_setting = 1', "no_such_setting"),
    ('region = ', "line 1"),
])
def test_a_wrong_value_is_one_line_that_names_the_field(tmp_path, text, field):
    status, said = refused(tmp_path, text=text, **CREDENTIALS)
    assert status == 2 and field in said and len(said.strip().splitlines()) == 1, (status, said)
    assert not (tmp_path / "data").exists(), "nothing is made for a gateway that does not start"


def test_without_a_credential_it_says_so(tmp_path):
    status, said = refused(tmp_path)
    assert status == 2 and "SEALGATE_ACCESS_KEY_ID" in said and len(said.strip().splitlines()) == 1


def test_a_missing_file_is_named(tmp_path):
    status, said = refused(tmp_path, "--config", str(tmp_path / "absent.toml"), **CREDENTIALS)
    assert status == 2 and "absent.toml" in said and len(said.strip().splitlines()) == 1


def test_flags_beat_the_file_and_the_file_beats_the_environment(tmp_path):
    for flags, text, origin in [
        (["--log-level", "flag"], 'log_level = "file"', "flag"),
        ([], 'log_level = "file"', "file"),
        ([], "", "environment"),
    ]:
        status, said = refused(tmp_path, *flags, text=text, SEALGATE_LOG_LEVEL="environment", **CREDENTIALS)
        assert status == 2 and f'"{origin}"' in said, (origin, said)


def test_the_example_file_serves(tmp_path):
    process = subprocess.Popen(
        [BINARY, "serve", "--config", str(ROOT / "deploy/sealgate.toml"), "--data-dir", str(tmp_path / "data"),
         "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
        env=environment(**CREDENTIALS), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    admin = [word for word in process.stdout.readline().split() if word.startswith("http")][1]
    for path in ["/health/live", "/health/ready", "/metrics"]:
        assert urllib.request.urlopen(admin + path, timeout=10).status == 200
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(admin + "/secrets", timeout=10)
    assert caught.value.code == 404
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.mark.parametrize("form", ["text", "json"])
def test_each_request_has_one_log_line_with_the_id_that_the_client_got(own_gateway, form):
    gateway = own_gateway(f'log_format = "{form}"', log_level="info")
    answer = gateway.client().list_buckets()["ResponseMetadata"]["HTTPHeaders"]
    gateway.stop()
    lines = [line for line in gateway.log.read_text().splitlines() if answer["x-amz-request-id"] in line]
    assert len(lines) == 1
    if form == "json":
        line = json.loads(lines[0])
        assert (line["method"], line["status"], line["request_id"]) == ("GET", 200, answer["x-amz-request-id"])


def test_an_upload_in_flight_at_sigterm_is_finished(own_gateway):
    gateway = own_gateway()
    gateway.client().create_bucket(Bucket="drained")
    body = b"0123456789" * 1000
    request = wire.Request("PUT", "/drained/slow", [("Content-Length", str(len(body))), ("Expect", "100-continue")])
    wire.Signer(gateway).sign(request, wire.sha(body))
    with socket.create_connection(gateway.address, timeout=20) as connection:
        connection.sendall(request.head())
        # 100 Continue: the gateway has the head and waits for the body.
        assert b"100" in connection.recv(100).split(b"\r\n")[0]
        gateway.process.send_signal(signal.SIGTERM)
        with pytest.raises(urllib.error.HTTPError) as caught:
            while True:
                urllib.request.urlopen(gateway.admin + "/health/ready", timeout=10)
        assert caught.value.code == 503 and b"shutting down" in caught.value.read()
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert gateway.process.wait(30) == 0
    gateway.start()
    assert gateway.client().get_object(Bucket="drained", Key="slow")["Body"].read() == body

"""An upstream behind TLS: whose certificate is trusted, and what is said when it is not."""

import shutil
import socket
import ssl
import subprocess
import threading

import pytest


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


def authority(directory, name):
    """A certificate authority, and a certificate of its for `localhost`: three files."""
    ca, key, certificate = (directory / f"{name}-{part}.pem" for part in ("ca", "key", "certificate"))
    ca_key, request, extensions = (directory / f"{name}-{part}" for part in ("ca-key.pem", "request.pem", "extensions"))
    extensions.write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(*new, "-x509", "-days", "30", "-subj", f"/CN={name}", "-keyout", str(ca_key), "-out", str(ca))
    openssl(*new, "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(request))
    openssl("x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(ca_key), "-CAcreateserial", "-days", "30",
            "-extfile", str(extensions), "-out", str(certificate))
    return ca, key, certificate


def pump(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()


class Terminator:
    """Takes TLS connections, and hands on what comes in the clear."""

    def __init__(self, upstream, key, certificate):
        self.upstream = upstream
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"https://localhost:{self.listener.getsockname()[1]}"
        self.handshakes = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            client = self.context.wrap_socket(client, server_side=True)
        except OSError:
            return
        self.handshakes += 1
        there = socket.create_connection(self.upstream)
        threading.Thread(target=pump, args=(there, client), daemon=True).start()
        pump(client, there)

    def close(self):
        self.listener.close()


@pytest.fixture
def tls(place, tmp_path):
    ca, key, certificate = authority(tmp_path, "ours")
    host, port = place.endpoint.split("//")[1].split(":")
    terminator = Terminator((host, int(port)), key, certificate)
    yield place, terminator, ca
    terminator.close()


def works(gateway, terminator):
    s3 = gateway.client()
    before = terminator.handshakes
    s3.create_bucket(Bucket="bucket")
    body = bytes(range(256)) * 4096
    s3.put_object(Bucket="bucket", Key="k", Body=body)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body
    assert before >= 1 and terminator.handshakes >= before


def test_the_authority_that_is_named_is_trusted(tls):
    place, terminator, ca = tls
    works(place.gateway(terminator.endpoint, f'upstream_ca_file = "{ca}"\n'), terminator)


def test_without_a_name_the_systems_authorities_are_trusted(tls):
    place, terminator, ca = tls
    gateway = place.gateway(terminator.endpoint, start=False)
    # What OpenSSL and all who follow it take for the system's bundle.
    gateway.wrapper = [shutil.which("env"), f"SSL_CERT_FILE={ca}"]
    works(gateway.start(), terminator)


@pytest.mark.parametrize("trusts", ["the system's", "another"])
def test_a_certificate_of_somebody_else_is_refused_at_start(tls, tmp_path, trusts):
    place, terminator, _ = tls
    settings = f'upstream_ca_file = "{authority(tmp_path, "other")[0]}"\n' if trusts == "another" else ""
    gateway = place.gateway(terminator.endpoint, settings, start=False)
    with pytest.raises(RuntimeError):
        gateway.start()
    why = gateway.log.read_text()
    assert terminator.endpoint in why and "certificate" in why.lower(), why
    assert terminator.handshakes == 0


def test_a_name_that_the_certificate_does_not_have_is_refused(tls):
    place, terminator, ca = tls
    gateway = place.gateway(terminator.endpoint.replace("localhost", "127.0.0.1"), f'upstream_ca_file = "{ca}"\n', start=False)
    with pytest.raises(RuntimeError):
        gateway.start()
    assert "certificate" in gateway.log.read_text().lower()

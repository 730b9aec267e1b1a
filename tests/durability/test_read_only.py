"""A file system that turns read-only under a running gateway, as ext4 does when it meets damage: changes are refused, reads go
on, readiness says so. Started on such a one, the gateway says why it does not serve."""

import pathlib
import subprocess

import pytest

from client import Client
from crash import Crew
from server import BINARY, Server
from test_crash_points import CHANGES
from test_injected import rightly


class Disk:
    """A file system of its own, in a file."""

    def __init__(self, directory):
        self.image, self.place = directory / "image", directory / "disk"
        with open(self.image, "wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self.image)], check=True)
        self.place.mkdir()
        self.mount()

    def mount(self, *options):
        subprocess.run(["e2fsck", "-p", "-f", str(self.image)], check=False, capture_output=True)
        words = ",".join(["loop", "errors=remount-ro", *options])
        subprocess.run(["mount", "-o", words, str(self.image), str(self.place)], check=True)

    def unmount(self):
        subprocess.run(["umount", str(self.place)], check=True)

    def meet_damage(self):
        """Lets the kernel find an error, which turns the file system read-only, files that are open included. A read-only
        remount would be refused while they are."""
        device = subprocess.run(["findmnt", "-no", "SOURCE", str(self.place)], check=True, capture_output=True, text=True)
        name = pathlib.Path(device.stdout.strip()).name
        pathlib.Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path)
    yield made
    made.unmount()


@pytest.fixture
def server(tmp_path, disk):
    made = Server(tmp_path, data=disk.place / "data")
    yield made
    if made.process:
        made.kill()


def test_a_file_system_that_turns_read_only_takes_no_change_and_loses_nothing(server, disk):
    crew = Crew(server, [f"owner{n}" for n in range(len(CHANGES))], "read-only")
    server.start()
    crew.begin()
    client = Client(server)
    steps = [(owner, crew.do(owner, client, wanted)) for owner, wanted in zip(crew.owners, CHANGES.values(), strict=True)]
    disk.meet_damage()
    for owner, step in steps:
        assert not rightly(step, crew.send(owner, client, step), "ENOSPC"), f"{step.name} was done"
    status, why = server.ready()
    assert status == 503 and "read-only" in why, (status, why)
    assert server.metric("sealgate_store_read_only") == 1
    client.close()
    crew.verify()
    server.kill()
    disk.unmount()

    disk.mount("ro")
    log = server.log.read_text()
    said, code = refused_start(server)
    assert code == 1 and "Read-only file system" in said and str(server.data) in said, said
    assert said.count("\n") <= 3 and "panicked" not in said + server.log.read_text()[len(log):]
    disk.unmount()

    disk.mount()
    server.start()
    assert server.ready()[0] == 200
    crew.verify()
    crew.verify_files()


def refused_start(server):
    """Starts a gateway that cannot serve; gives what it says, and its exit code."""
    command = [BINARY, "serve", "--config", str(server.config)]
    done = subprocess.run(command, capture_output=True, text=True, env=server.environment(), timeout=60, check=False)
    assert not done.stdout, done.stdout
    return done.stderr, done.returncode

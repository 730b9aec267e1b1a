"""What `deploy/` would start, read from its files, and started here: the image's command under the image's user, the settings,
the secrets where they are mounted and with the rights that they have there. Paths, ports and the upstream's address are others."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
USER = 10001
# The root user's, which each deployment asks its operator for.
SECRET = "a-secret-of-the-root-user-0001"


def documents(name):
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def instructions(name):
    """The commands in the comment at the beginning of a file, lines that go on put together."""
    comment = re.match(r"(#.*\n)+", (DEPLOY / name).read_text()).group()
    lines = re.sub(r"\\\n#\s*", "", comment).splitlines()
    return [line[4:].strip() for line in lines if re.match(r"#   \S", line)]


def image():
    """Environment, command and user of the image."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text()).split("\nFROM ")[-1]
    said = {word: re.findall(rf"^{word} (.*)$", text, re.M)[-1] for word in ("ENV", "USER", "ENTRYPOINT", "CMD", "EXPOSE")}
    assert said["USER"] == f"{USER}:{USER}"
    env = dict(pair.split("=", 1) for pair in said["ENV"].split())
    assert {env[name].split(":")[1] for name in ("SEALGATE_LISTEN", "SEALGATE_ADMIN_LISTEN")} == set(said["EXPOSE"].split())
    return env, json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"])


@dataclass
class Container:
    """A gateway as it would run in a container whose root is a directory."""

    root: pathlib.Path
    env: dict
    grace: float
    # Where the container has what is in the directory; all other paths are the system's.
    mounts: dict = field(default_factory=dict)
    process: subprocess.Popen = None

    def mount(self, path, directory, mode=0o700):
        self.mounts[path] = directory
        directory.mkdir(parents=True, exist_ok=True)
        os.chown(directory, USER, USER)
        directory.chmod(mode)

    def here(self, text):
        """A text with the container's paths made this machine's."""
        for path in sorted(self.mounts, key=len, reverse=True):
            text = re.sub(rf"(?<!\S){re.escape(path)}(?=/|\s|$)", str(self.mounts[path]), text)
        return text

    def run(self, words, env, **options):
        env = {"PATH": os.environ["PATH"]} | {name: self.here(value) for name, value in env.items()}
        return subprocess.Popen(
            [self.here(word) for word in words], env=env, cwd="/", user=USER, group=USER, extra_groups=[], stdin=subprocess.DEVNULL,
            text=True, **options)

    def start(self, binary):
        """Starts the image's command. The binary has a link where the image's user can reach it."""
        env, command = image()
        reached = self.root / "sealgate"
        try:
            os.link(binary, reached)
        except OSError:
            shutil.copy2(binary, reached)
        self.mounts[command[0]] = reached
        env |= self.env
        # All interfaces, as in the container, and ports of its own.
        env |= {name: env[name].rpartition(":")[0] + ":0" for name in ("SEALGATE_LISTEN", "SEALGATE_ADMIN_LISTEN")}
        with open(self.root / "log", "ab") as log:
            self.process = self.run(command, env, stdout=subprocess.PIPE, stderr=log)
        urls = [word for word in self.process.stdout.readline().split() if word.startswith("http")]
        assert len(urls) == 2, (self.root / "log").read_text()[-4000:]
        self.endpoint, self.admin = (url.replace("0.0.0.0", "127.0.0.1") for url in urls)
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def probe(self, path):
        """What a probe of the admin port finds."""
        try:
            with urllib.request.urlopen(self.admin + path, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def wait_for(self, path, status):
        end = time.monotonic() + self.grace
        while (found := self.probe(path)) != status:
            assert time.monotonic() < end, f"{path}: {found}"

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

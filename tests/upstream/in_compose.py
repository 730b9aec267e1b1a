"""The gateways of deploy/compose.yaml."""

import re
import subprocess

from deployed import SECRET, USER, Container, documents, instructions

FILE = "compose.yaml"
SECONDS = {"s": 1, "m": 60}


def filled(text, given):
    """A value with its variables: `${NAME:?}` must be given, `${NAME:-default}` may be."""
    def fill(found):
        name, default = found.groups()
        assert name in given or default is not None, f"{name} is not given"
        return given.get(name) or default
    return re.sub(r"\$\{(\w+)(?::\?|:-([^}]*))\}", fill, text)


def prepare(directory, secret):
    """Does what the file asks its operator to do."""
    commands = [line for line in instructions(FILE) if "docker compose" not in line]
    assert len(commands) == 3
    script = "\n".join(["set -eu", "sudo() { \"$@\"; }", *commands])
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SECRET": SECRET, "UPSTREAM_SECRET": secret}
    subprocess.run(["sh", "-c", script], cwd=directory, env=env, check=True)


def containers(directory, given, extra, secret):
    """The gateways."""
    [document] = documents(FILE)
    prepare(directory, secret)
    made = []
    for name, service in document["services"].items():
        if service["image"] != "sealgate":
            continue
        root = directory / name
        root.mkdir()
        count, unit = re.fullmatch(r"(\d+)(\w)", service["stop_grace_period"]).groups()
        env = {key: filled(str(value), given) for key, value in service["environment"].items()}
        container = Container(root, env | extra, int(count) * SECONDS[unit])
        for line in service["tmpfs"]:
            path, _, options = line.partition(":")
            options = dict(option.partition("=")[::2] for option in options.split(","))
            assert (options["uid"], options["gid"]) == (str(USER), str(USER))
            container.mount(path, root / "tmpfs", int(options["mode"], 8))
        for entry in service["secrets"]:
            # A bind mount: the file's own rights are what counts.
            file = directory / document["secrets"][entry["source"]]["file"]
            container.mounts["/run/secrets/" + entry.get("target", entry["source"])] = file
        made.append(container)
    return made

"""The gateways of deploy/kubernetes.yaml."""

import os
import shlex
import subprocess

from deployed import SECRET, USER, Container, documents, instructions

FILE = "kubernetes.yaml"


def of_kind(kind):
    [found] = [document for document in documents(FILE) if document["kind"] == kind]
    return found


def pod_spec():
    return of_kind("Deployment")["spec"]["template"]["spec"]


def gateway():
    [container] = pod_spec()["containers"]
    return container


def port(named):
    """The number behind a port's name."""
    return next(row["containerPort"] for row in gateway()["ports"] if row["name"] == named)


def secret_values(secret):
    """What the file's own command puts into the secret."""
    [command] = [line for line in instructions(FILE) if "create secret" in line]
    # The shell that an operator has makes the words, and prints them instead of calling kubectl.
    script = "kubectl() { for word; do printf '%s\\0' \"$word\"; done; }\n" + command
    env = {"PATH": os.environ["PATH"]} | {"SECRET": SECRET, "UPSTREAM_SECRET": secret}
    words = subprocess.run(["sh", "-c", script], env=env, check=True, capture_output=True, text=True).stdout.split("\0")
    literals = [word.removeprefix("--from-literal=") for word in words if word.startswith("--from-literal=")]
    return dict(literal.split("=", 1) for literal in literals)


def service_links():
    """What Kubernetes itself puts into the environment of each pod beside a service: names that begin as our settings do."""
    service = of_kind("Service")
    name, number = service["metadata"]["name"].upper(), service["spec"]["ports"][0]["port"]
    tcp = f"{name}_PORT_{number}_TCP"
    return {
        f"{name}_SERVICE_HOST": "10.96.0.10", f"{name}_SERVICE_PORT": str(number), f"{name}_SERVICE_PORT_S3": str(number),
        f"{name}_PORT": f"tcp://10.96.0.10:{number}", tcp: f"tcp://10.96.0.10:{number}", f"{tcp}_PROTO": "tcp",
        f"{tcp}_PORT": str(number), f"{tcp}_ADDR": "10.96.0.10",
    }


def volumes(root, values):
    """The pod's volumes, each a directory: a secret's files are the root user's, and its group's for `fsGroup`."""
    spec, made = pod_spec(), {}
    assert spec["securityContext"]["fsGroup"] == USER
    for volume in spec["volumes"]:
        path = made[volume["name"]] = root / volume["name"]
        path.mkdir()
        if "secret" in volume:
            for name, value in values.items():
                (path / name).write_text(value)
                os.chown(path / name, 0, USER)
                (path / name).chmod(volume["secret"]["defaultMode"])
            path.chmod(0o755)
        else:
            assert "emptyDir" in volume
            os.chown(path, 0, USER)
            path.chmod(0o2777)
    return made


def mounted(container, spec, made):
    for mount in spec["volumeMounts"]:
        container.mounts[mount["mountPath"]] = made[mount["name"]]


def pod(root, given, extra, values):
    """A pod of the deployment; its containers that come first have run."""
    root.mkdir()
    spec, main = pod_spec(), gateway()
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsGroup"]) == (USER, USER)
    env = {}
    for entry in main["envFrom"]:
        source = of_kind("ConfigMap")
        assert entry["configMapRef"]["name"] == source["metadata"]["name"]
        env |= source["data"]
    # What the file leaves to its operator.
    assert all(env[name] in ("change-me", "https://s3.example.com") for name in given)
    env |= given | {entry["name"]: entry["value"] for entry in main["env"]}
    container = Container(root, env | service_links() | extra, spec["terminationGracePeriodSeconds"])
    made = volumes(root, values)
    for first in spec["initContainers"]:
        before = Container(root, {}, 0)
        mounted(before, first, made)
        assert before.run(first["command"], {}).wait(30) == 0, shlex.join(first["command"])
    mounted(container, main, made)
    return container


def containers(directory, given, extra, secret):
    """The gateways of two pods."""
    values = secret_values(secret)
    return [pod(directory / f"pod-{number}", given, extra, values) for number in (1, 2)]

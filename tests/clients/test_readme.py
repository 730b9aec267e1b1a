"""The README's commands, run as it says: on what `make run` starts, in its order, with what it prints."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest
from conftest import BINARY, ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
SHELL = [text for language, text in BLOCKS if language == "sh"]
DEFAULT = "127.0.0.1:9000"


def blocks(beginning):
    return [text for text in SHELL if re.search(rf"^{beginning} ", text, re.M)]


def of_keys(text=README):
    """The chapter on keys: one session, from its first block on."""
    found = [text for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S) if language == "sh"]
    return [text for text in found if re.search(r"^(kms|sealgate audit)", text, re.M)]


class Shell:
    """A user's terminal: a directory, and the variables exported so far."""

    def __init__(self, directory):
        self.directory = directory
        tools = directory / "bin"
        tools.mkdir()
        (tools / "sealgate").symlink_to(BINARY)
        venv = pathlib.Path(sys.executable).parent
        self.env = {"PATH": f"{tools}:{venv}:{os.environ['PATH']}", "HOME": str(directory), "AWS_EC2_METADATA_DISABLED": "true",
                    "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore"}

    def run(self, text, *command):
        command = command or ("sh", "-eux", "-c")
        done = subprocess.run([*command, text], cwd=self.directory, env=self.env, capture_output=True, text=True, timeout=120,
                              check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def terminal(tmp_path):
    shell = Shell(tmp_path)
    shutil.copy(ROOT / "README.md", tmp_path)
    return shell


@pytest.fixture
def running(terminal, request):
    """What `make run` runs after building, with the arguments that a test asks for; gives the process and what it printed."""
    recipe = subprocess.run(["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"^deploy/run-local ", recipe, re.M), recipe
    process = subprocess.Popen(
        [ROOT / "deploy" / "run-local", BINARY, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
         *getattr(request, "param", [])],
        cwd=terminal.directory, env=terminal.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if "http://127.0.0.1" in line and DEFAULT not in line:
            break
    yield process, "".join(said)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    process.stdout.close()


def test_every_command_is_one_that_is_run_here():
    assert {language for language, _ in BLOCKS} <= {"", "sh", "python", "toml", "console"}
    # What needs an upstream is run by tests/upstream, in words of its own.
    [upstream] = [text for language, text in BLOCKS if language == "console"]
    assert "SEALGATE_STORE=upstream" in upstream
    keys = of_keys()
    covered = [text for beginning in ("make", "aws", "ossutil", "sealgate") for text in blocks(beginning)
               if text not in keys]
    covered += keys
    assert sorted(covered) == sorted(SHELL) and len(SHELL) >= 4
    assert not re.search(r"^ {4}(sealgate|aws|make|curl) ", README, re.M), "a command stands in a fenced block"


def test_the_targets_of_make_exist():
    targets = re.findall(r"\bmake ([a-z-]+)", README)
    assert {"run", "test", "bench"} <= set(targets)
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def exported(terminal, said):
    """Takes over the variables that `make run` prints; gives the address that it serves."""
    exports = re.findall(r"^\s*(export \w+=\S+)$", said, re.M)
    assert [line.split("=")[0] for line in exports] == ["export AWS_ACCESS_KEY_ID", "export AWS_SECRET_ACCESS_KEY"]
    terminal.env |= dict(line.removeprefix("export ").split("=", 1) for line in exports)
    return re.findall(r"http://(127\.0\.0\.1:\d+)", said.splitlines()[-1])[0]


def example(client):
    [text] = [text for language, text in BLOCKS if language == "python" and f"import {client}\n" in text]
    return text


def test_its_commands_work_on_what_make_run_starts(terminal, running):
    process, said = running
    host = exported(terminal, said)

    def here(text):
        assert DEFAULT in text
        return text.replace(DEFAULT, host)

    [using] = [text for text in blocks("aws") if text not in of_keys()]
    answer = terminal.run(here(using))
    assert '"ServerSideEncryption": "aws:kms"' in answer and '"ContentLength"' in answer
    assert terminal.run(here(example("boto3")), sys.executable, "-c") == "b'hello'\n"
    # What `make run` itself says to try: the bucket is there by now, and it is the user's own.
    tries = re.findall(r"^\s*(aws .*)$", said, re.M)
    assert len(tries) == 2
    terminal.run(here(using.splitlines()[0]).replace("s3 mb s3://", "s3 rb --force s3://"))
    for line in tries:
        terminal.run(here(line))

    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    verify, rebuild = (text for text in blocks("sealgate") if text not in of_keys())
    assert re.search(r"\b1 objects?\b|\b1\b", terminal.run(verify))
    terminal.run(rebuild)
    assert (terminal.directory / "sealgate-data" / "db").is_dir()
    terminal.run(verify)


def test_its_chapter_on_keys_is_the_same_in_chinese():
    assert of_keys((ROOT / "README.zh-CN.md").read_text()) == of_keys()


def test_a_key_owner_can_follow_its_chapter_on_keys(terminal, running):
    host = exported(terminal, running[1])
    text = "\n".join(of_keys()).replace(DEFAULT, host)
    said = terminal.run(text)
    assert text.count("import-key-material") == 2 and '"RotationPeriodInDays": 180' in said and '"ON_DEMAND"' in said
    assert "user/reader" in said and '"CiphertextBlob"' in said
    assert '"eventName":"GenerateDataKey"' in said and re.search(r"verified \d+ events; 0 problems", said)
    names = "import os; access_key_id = os.environ['AWS_ACCESS_KEY_ID']; access_key_secret = os.environ['AWS_SECRET_ACCESS_KEY']\n"
    [sdk] = [text for language, text in BLOCKS if language == "python" and "alibabacloud_kms20160120" in text]
    assert terminal.run(names + sdk.replace(DEFAULT, host), sys.executable, "-c") == "aGVsbG8=\n"


@pytest.mark.parametrize("running", [re.findall(r'make run ARGS="([^"]+)"', README)[0].split()], indirect=True)
def test_its_oss_commands_work_on_what_make_run_starts_with_a_region(terminal, running):
    host = exported(terminal, running[1])
    cache = pathlib.Path(os.environ.get("SEALGATE_CACHE", pathlib.Path.home() / ".cache" / "sealgate"))
    terminal.env["PATH"] = f"{cache / 'go'}:{terminal.env['PATH']}"
    [using] = blocks("ossutil")
    assert DEFAULT in using
    answer = terminal.run(using.replace(DEFAULT, host))
    assert re.search(r"X-Oss-Server-Side-Encryption\s*:\s*KMS", answer), answer
    # The credential is the reader's to fill in.
    named = "import os; access_key_id = os.environ['AWS_ACCESS_KEY_ID']; access_key_secret = os.environ['AWS_SECRET_ACCESS_KEY']\n"
    text = named + example("oss2").replace(DEFAULT, host)
    assert terminal.run(text, sys.executable, "-c") == "b'hello'\n"

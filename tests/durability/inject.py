"""Kills a running server at a chosen system call, or makes the call fail, with strace: the binary has no test code.

strace counts calls for each thread by itself, from the moment it attaches: "the second fdatasync" is the second of any
thread that makes two.
"""

import signal
import subprocess

# The calls by which the store and its databases change the disk.
WRITING = ["openat", "pwritev", "write", "fdatasync", "fsync", "unlink", "rename", "ftruncate", "fallocate"]


class Injection:
    """strace on a server while this lasts."""

    def __init__(self, server, call, effect, when="1"):
        self.server = server
        self.arguments = ["-e", f"trace={call}", "-e", f"inject={call}:{effect}:when={when}"]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            ["strace", "-f", "-o", "/dev/null", *self.arguments, "-p", str(self.server.pid)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        # "Process n attached with m threads" comes when all of them are stopped and followed.
        line = self.process.stderr.readline()
        assert "attached" in line, f"strace: {line} {self.process.stderr.read()}"
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.stderr.read()
        self.process.wait(30)
        self.process.stderr.close()


def killing(server, call, when):
    """Kills the server as it enters this call."""
    return Injection(server, call, "signal=KILL", str(when))


def failing(server, call, error, when="1"):
    """Lets this call fail, undone, with this error. `1+` means every time."""
    return Injection(server, call, f"error={error}", when)

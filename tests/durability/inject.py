"""Watches a running server's system calls with strace, kills it at a chosen one, or makes one fail: the binary has no
test code.

strace counts calls for each thread by itself, from the moment it attaches: "the second fdatasync" is the second of any
thread that makes two.
"""

import pathlib
import re
import signal
import subprocess
import tempfile

# The calls by which the store and its databases change the disk.
WRITING = [
    "openat", "pwritev", "pwrite64", "write", "fdatasync", "fsync", "unlink", "rename", "ftruncate", "fallocate",
]


class Trace:
    """strace on a server while this lasts; then `lines` are its calls, in the order in which they ended."""

    def __init__(self, server, calls, *arguments):
        self.server = server
        self.arguments = ["-e", f"trace={','.join(calls)}", *arguments]
        self.process = None
        self.lines = []

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile("r", prefix="strace", errors="replace")
        self.process = subprocess.Popen(
            ["strace", "-f", "-o", self.file.name, *self.arguments, "-p", str(self.server.pid)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        # "Process n attached with m threads" comes when all of them are stopped and followed.
        line = self.process.stderr.readline()
        assert "attached" in line, f"strace: {line} {self.process.stderr.read()}"
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            # A kill just before the signal: strace waits for the leader of the threads, which waits for threads that
            # strace holds. Without strace they go on, to their end.
            self.process.kill()
            self.process.wait(30)
        self.process.stderr.close()
        self.lines = list(whole_calls(pathlib.Path(self.file.name).read_text(errors="replace")))
        self.file.close()

    @property
    def injected(self):
        """How many calls were made to fail."""
        return sum("(INJECTED)" in line for line in self.lines)


def whole_calls(text):
    """The calls of a trace. One that another thread interrupts is on two lines: they are joined where it ends."""
    begun = {}
    for line in text.splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            begun[thread] = call.removesuffix("<unfinished ...>")
        elif found := re.match(r"<\.\.\. \w+ resumed>", call):
            yield begun.pop(thread, "") + call[found.end():]
        else:
            yield call


def killing(server, call, when):
    """Kills the server as it enters this call."""
    return Trace(server, [call], "-e", f"inject={call}:signal=KILL:when={when}")


def failing(server, call, error, when="1"):
    """Lets this call fail, undone, with this error. `1+` means every time."""
    return Trace(server, [call], "-y", "-e", f"inject={call}:error={error}:when={when}")

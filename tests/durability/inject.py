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
    """strace on a server while this lasts; then `lines` are its calls, in the order in which they ended. With a `thread`,
    on the one of that name only."""

    def __init__(self, server, calls, *arguments, thread=None):
        self.server = server
        self.thread = thread
        self.arguments = ["-e", f"trace={','.join(calls)}", *arguments]
        self.process = None
        self.lines = []

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile("r", prefix="strace", errors="replace")
        self.process = subprocess.Popen(
            ["strace", "-o", self.file.name, *self.arguments, *self.whom()],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        # "Process n attached with m threads" comes when all of them are stopped and followed.
        line = self.process.stderr.readline()
        assert "attached" in line, f"strace: {line} {self.process.stderr.read()}"
        return self

    def whom(self):
        if self.thread is None:
            return ["-f", "-p", str(self.server.pid)]
        tasks = pathlib.Path(f"/proc/{self.server.pid}/task").iterdir()
        [task] = [task for task in tasks if (task / "comm").read_text().strip() == self.thread]
        return ["-p", task.name]

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
        text = pathlib.Path(self.file.name).read_text(errors="replace")
        # Of one thread alone, strace does not say at each call which it is.
        self.lines = list(whole_calls(text)) if self.thread is None else text.splitlines()
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


def failing(server, call, error, when="1", path=None, thread=None):
    """Lets this call fail, undone, with this error, if it is about this very `path`. `1+` means every time."""
    paths = [] if path is None else ["-P", str(path)]
    return Trace(server, [call], "-y", *paths, "-e", f"inject={call}:error={error}:when={when}", thread=thread)

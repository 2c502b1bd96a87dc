"""Processes of a trial, forked from a driver that has all imported and no thread: a start costs little."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path


def fork(work: Callable[[], None], log: Path, close: list[int]) -> int:
    """Run `work` in a child with a process group of its own; returns its process id.

    Args:
        work: What the child does; it exits after that.
        log: What the child writes to stderr is appended here.
        close: Descriptors that the child must not keep.
    """
    pid = os.fork()
    if pid:
        os.setpgid(pid, pid)
        return pid
    status = 1
    try:
        os.setpgid(0, 0)
        for descriptor in close:
            os.close(descriptor)
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(file, 2)
        work()
        status = 0
    except BaseException:  # the end of a process: its driver reads the log
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


class Child:
    """A worker process with a pipe in and a pipe out."""

    def __init__(self, work: Callable[[int, int], None], log: Path, others: list[Child]) -> None:
        commands, self._commands = os.pipe()
        self._news, news = os.pipe()
        mine = [self._commands, self._news]
        self.pid = fork(lambda: work(commands, news), log, mine + [pipe for other in others for pipe in other.pipes()])
        os.close(commands)
        os.close(news)
        self._rest = b""
        self.ready_s: float | None = None
        self._begun = time.monotonic()
        self.lines: list[str] = []
        """What it said so far."""
        self._closed = False

    def pipes(self) -> list[int]:
        """The driver's ends."""
        return [] if self._closed else [self._commands, self._news]

    def tell(self, line: str) -> None:
        """Give a command; a dead worker hears nothing."""
        try:
            os.write(self._commands, f"{line}\n".encode())
        except BrokenPipeError:
            pass

    def listen(self, seconds: float, until: Callable[[str], bool] = lambda _: False) -> bool:
        """Collect what it says for so long, or until a line fits, or it dies. True when a line fitted."""
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self._news], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return False
            chunk = os.read(self._news, 65536)
            if not chunk:
                return False
            if self._collect(chunk, until):
                return True

    def _collect(self, chunk: bytes, until: Callable[[str], bool]) -> bool:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        said = [line.decode() for line in lines]
        if "ready" in said:
            self.ready_s = time.monotonic() - self._begun
        self.lines += said
        return any(until(line) for line in said)

    def signal(self, number: int) -> None:
        """Send a signal to its process group."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self) -> None:
        """End it at once, and read the last of what it said."""
        self.signal(signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._drain()

    def stop(self, seconds: float) -> int | None:
        """Let it end by itself; its exit status, or None when it had to be killed."""
        self.tell("stop")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._drain()
                return os.waitstatus_to_exitcode(status)
            self.listen(0.02)
        self.kill()
        return None

    def _drain(self) -> None:
        self.listen(0.05)
        for pipe in self.pipes():
            os.close(pipe)
        self._closed = True

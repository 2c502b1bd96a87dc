"""One box from its start to its end: output and use are watched, and at a limit everything in it is killed."""

from __future__ import annotations

import os
import select
import time

from . import inmate, kernel, usage

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` itself is slow to load
    from ..order import Order

_SIGKILL = 9
_FIRST_LOOK_S, _LATER_LOOKS_S = 0.01, 0.04
_KILLING_S = 5.0


def carry_out(order: Order) -> tuple[str, bytes, bytes]:
    """Run the program; words that say what came of it, its output and its errors."""
    return _Box(order).run()


class _Box:
    def __init__(self, order: Order) -> None:
        self.order = order
        self.apart = order["walls"] == "namespaces"
        self.output = {"output": b"", "errors": b""}
        self.status = b""
        self.begun = time.monotonic()

    def run(self) -> tuple[str, bytes, bytes]:
        try:
            self.used = usage.Usage(self.order)
            pipes = self._start()
        except OSError as error:
            return f"failed {error}".replace("\n", " "), b"", b""
        try:
            ended_by = self._watch(pipes)
        except Exception as error:  # whatever went wrong while it was watched, nothing of it may live on
            self.status = f"failed while it was watched, {type(error).__name__}: {error}".encode()
            ended_by = "gone"
        self._kill()
        if self._drain(pipes) and ended_by == "itself":
            ended_by = "output"
        took, peak = time.monotonic() - self.begun, self.used.peak_bytes
        times = os.times()
        cpu_s = max(self.used.cpu_s, times.children_user + times.children_system)
        said = self.status.decode(errors="replace").replace("\n", " ")
        if said.startswith("failed"):
            return said, b"", b""
        code = said.split()[-1] if said else "-"
        words = f"{ended_by} {code} {took:.4f} {cpu_s:.3f} {peak}"
        return words, self.output["output"], self.output["errors"]

    def _start(self) -> dict[int, str]:
        """Fork the box; what is to be read from it, by descriptor."""
        uid, gid = self._user()
        kernel.adopt_orphans()
        (output, to_output), (errors, to_errors) = os.pipe(), os.pipe()
        (status, to_status), (go, to_go) = os.pipe(), os.pipe()
        self.child = os.fork()
        if self.child == 0:
            nothing = os.open("/dev/null", os.O_RDONLY)
            for source, target in ((nothing, 0), (to_output, 1), (to_errors, 2)):
                os.dup2(source, target)
            for descriptor in (output, errors, status, to_go):
                os.close(descriptor)
            enter = inmate.enter_namespaces if self.apart else inmate.enter_filters
            enter(self.order, uid, gid, to_status, go)
        for descriptor in (to_output, to_errors, to_status, go):
            os.close(descriptor)
        os.write(to_go, b"g")
        os.close(to_go)
        pipes = {output: "output", errors: "errors", status: "status", 0: "life"}
        return pipes if self.apart else {**pipes, os.pidfd_open(self.child): "end"}

    def _user(self) -> tuple[int, int]:
        """Whose the program will be; leaves the namespaces that the box is to have of its own."""
        order, uid, gid = self.order, os.getuid(), os.getgid()
        flags = kernel.NEWPID | kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS
        wanted = order["user"]
        if not self.apart:
            return (wanted, wanted) if wanted else (uid, gid)
        if wanted:
            kernel.unshare(flags)
            return wanted, wanted
        inner = uid or 1000
        kernel.unshare(flags | kernel.NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{inner} {uid} 1"), ("gid_map", f"{inner} {gid} 1")):
            descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(descriptor, text.encode())
            os.close(descriptor)
        return inner, inner

    def _watch(self, pipes: dict[int, str]) -> str:
        """Why it ended: by itself, at a limit, or because nobody waits for it any more."""
        poll = select.poll()
        for descriptor in pipes:
            poll.register(descriptor, select.POLLIN)
        look = _FIRST_LOOK_S
        deadline = self.begun + self.order["wall_s"]
        next_look = self.begun + look
        while True:
            now = time.monotonic()
            for descriptor, _ in poll.poll(max(0.0, min(next_look, deadline) - now) * 1000):
                if reason := self._read(poll, descriptor, pipes[descriptor]):
                    return reason
            now = time.monotonic()
            if now >= deadline:
                return "wall"
            if now >= next_look:
                if reason := self.used.look(self.order, os.getpid(), self.apart and self.child):
                    return reason
                look = min(look * 2, _LATER_LOOKS_S)
                next_look = time.monotonic() + look

    def _read(self, poll: select.poll, descriptor: int, what: str) -> str:
        if what == "life":
            return "gone"
        if what == "end":
            self.status = self.status or f"ended {os.waitpid(self.child, 0)[1]}".encode()
            return "itself"
        piece = os.read(descriptor, 65536)
        if not piece:
            poll.unregister(descriptor)
            # without namespaces this pipe closes when the program starts; there the process itself tells its end
            return "itself" if what == "status" and self.apart else ""
        if what == "status":
            self.status += piece
            return ""
        self.output[what] += piece
        return "output" if len(self.output["output"]) + len(self.output["errors"]) > self._most() else ""

    def _most(self) -> int:
        return self.order["output_bytes"]

    def _drain(self, pipes: dict[int, str]) -> bool:
        """Take what is left in the pipes of a box that is over, up to the limit; whether there was more."""
        for descriptor, what in pipes.items():
            if what in self.output:
                os.set_blocking(descriptor, False)
                try:
                    self.output[what] += os.read(descriptor, 65536)
                except BlockingIOError:
                    continue
        rest = self._most()
        more = sum(map(len, self.output.values())) > rest
        for what in ("output", "errors"):
            self.output[what] = self.output[what][:rest]
            rest -= len(self.output[what])
        return more

    def _kill(self) -> None:
        """End every process of the box and wait until it is gone."""
        if self.apart:
            _send(self.child)
            os.waitpid(self.child, 0)  # the kernel ends all others before the first one is gone
            return
        try:
            os.killpg(self.child, _SIGKILL)  # all that left no group, at one stroke
        except ProcessLookupError:
            pass
        give_up = time.monotonic() + _KILLING_S
        while time.monotonic() < give_up:
            for process in usage.below(os.getpid()):
                _send(process)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            time.sleep(0.002)


def _send(process: int) -> None:
    try:
        os.kill(process, _SIGKILL)
    except ProcessLookupError:
        pass

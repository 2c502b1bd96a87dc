"""Where a trial takes place: one store, one sink, one person, and workers that come and go."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from . import history, marks, person, sink, worker
from .checker import UNSAFE
from .children import Child, fork
from .worker import Setup

STOP_S = 15.0


class Stage:
    """The processes of one trial, and the files that the checker reads."""

    def __init__(self, folder: Path, *, seed: int, lease_s: float, **person: Any) -> None:
        """Describe it; `begin` starts its processes.

        Args:
            folder: Empty; keeps everything that the checker reads.
            seed: Draws what the person says.
            lease_s: Of the workers, in seconds.
            person: How the person is (`Setup`).
        """
        self.folder = folder
        self._listening = sink.listen()
        self.setup = Setup(folder, self._listening.getsockname()[1], seed, lease_s, **person)
        self.workers: list[Child] = []
        self._helpers: list[int] = []

    @property
    def store(self) -> Path:
        """The store's file."""
        return self.folder / "runs.db"

    def begin(self) -> None:
        """Start the sink, a first worker, and, when there is a store, the person."""
        self._helpers.append(self._fork(lambda: sink.serve(self._listening, self.folder / "sink.jsonl")))
        self.spawn().listen(30, lambda line: line == "ready")
        self._helpers.append(self._fork(lambda: person.run(self.setup)))

    def _fork(self, work: Callable[[], None]) -> int:
        return fork(work, self.folder / "stderr.log", [pipe for child in self.workers for pipe in child.pipes()])

    def spawn(self, aim: marks.Aim | None = None) -> Child:
        """Start a worker; with an aim it dies there, be it before it is ready."""
        setup, log = self.setup, self.folder / "stderr.log"
        child = Child(lambda c, n: worker.run(setup, aim, c, n), log, self.workers)
        self.workers.append(child)
        return child

    def bury(self, child: Child) -> None:
        """Kill a worker, unless it is dead, and keep what it had said: which runs it had accepted."""
        child.kill()
        self.workers.remove(child)
        self._hear(child)

    def _hear(self, child: Child) -> None:
        for line in child.lines:
            word, *rest = line.split()
            if word == "accepted":
                self._log("accepted.jsonl", {"label": rest[0], "run_id": rest[1]})

    def note_doubts(self) -> None:
        """While nobody works, every unsafe effect without an outcome is in doubt."""
        for effect in history.effects(self.store):
            if effect["state"] in ("intent", "in_doubt") and effect["tool"] in UNSAFE:
                self._log("doubts.jsonl", {name: effect[name] for name in ("key", "run_id", "tool")})

    def _log(self, name: str, entry: dict[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="ascii") as file:
            file.write(f"{json.dumps(entry)}\n")

    def finish(self) -> None:
        """Stop all in good order, and write down what the runs came to."""
        for child in list(self.workers):
            self.workers.remove(child)
            status = child.stop(STOP_S)
            self._hear(child)
            if status != 0:
                self._log("stops.jsonl", {"status": status})
        pid = self._helpers.pop()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.waitpid(self._fork(lambda: worker.tell_states(self.setup)), 0)
        with closing(sqlite3.connect(self.store)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def sweep(self) -> None:
        """Kill whatever is left of it."""
        for child in self.workers:
            child.kill()
        for pid in self._helpers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._listening.close()

"""Submits, kills, restarts, and lets everything come to rest: one trial."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from . import history, marks, person, sink, worker
from .checker import AT_REST, UNSAFE
from .children import Child, fork
from .worker import Setup

UNIFORM_S = 0.4
PATIENCE_S = 0.8
"""How long an aimed kill waits for its point; then the worker is killed where it is."""
SETTLE_S = 10.0
END_S = 90.0

FREEZING = tuple(f"{point}.{when}" for point in ("intent", "outcome", "put", "park") for when in ("before", "after"))
"""Where a worker is frozen: on the two sides of what another may do meanwhile."""


@dataclass(slots=True)
class Figures:
    """What the driver saw."""

    kills: int = 0
    with_two: int = 0
    """Kills while two workers shared the store."""
    frozen: int = 0
    """Workers that were stopped for longer than their lease."""
    points: Counter[str] = field(default_factory=Counter[str])
    """Where workers died: a point, `moment` for a uniform kill, `missed` for an aim that was not reached."""
    ready_s: list[float] = field(default_factory=list[float])
    """From the start of a worker to its readiness."""
    settled_s: list[float] = field(default_factory=list[float])
    """From the last restart of each batch until every run had been seen at rest."""
    ended_s: list[float] = field(default_factory=list[float])
    """The same until every run had ended, the person's thinking included."""
    seconds: float = 0.0


class Trial:
    """One store, one sink, one person, and workers that die."""

    def __init__(self, folder: Path, *, seed: int, kills: int, workers: int, lease_s: float = 0.6) -> None:
        """Describe it; `run` does it.

        Args:
            folder: Empty; keeps everything that the checker reads.
            seed: Draws every wait, aim and answer.
            kills: How many workers die.
            workers: 2 lets two of them share the store in every second round; 1 never.
            lease_s: Of the workers, in seconds.
        """
        self._folder, self._seed, self._kills, self._most = folder, seed, kills, workers
        self._listening = sink.listen()
        self._setup = Setup(folder, self._listening.getsockname()[1], seed, lease_s)
        self._workers: list[Child] = []
        self._helpers: list[int] = []
        self._submitted = 0
        self.figures = Figures()

    def run(self, tell: Callable[[str], None]) -> Figures:
        """Kill as often as asked, in batches that each come to rest; then stop everything."""
        begun = time.monotonic()
        try:
            self._begin()
            batch = min(100, max(1, self._kills // 2))
            while self.figures.kills < self._kills:
                goal = min(self._kills, self.figures.kills + batch)
                while self.figures.kills < goal:
                    self._round(Random(f"{self._seed}/{self.figures.kills}"))
                self._settle()
                tell(f"{self.figures.kills} kills, {self._submitted} runs, {time.monotonic() - begun:.0f} s")
            self._finish()
        finally:
            self._sweep()
        self.figures.seconds = time.monotonic() - begun
        return self.figures

    def _begin(self) -> None:
        self._helpers.append(self._fork(lambda: sink.serve(self._listening, self._folder / "sink.jsonl")))
        self._spawn()
        self._workers[0].listen(30, lambda line: line == "ready")
        self._helpers.append(self._fork(lambda: person.run(self._setup)))

    def _fork(self, work: Callable[[], None]) -> int:
        return fork(work, self._folder / "stderr.log", [pipe for child in self._workers for pipe in child.pipes()])

    def _spawn(self) -> None:
        setup = self._setup
        log = self._folder / "stderr.log"
        self._workers.append(Child(lambda c, n: worker.run(setup, c, n), log, self._workers))

    # -- one round ----------------------------------------------------------------------------

    def _round(self, rng: Random) -> None:
        two = self._most == 2 and rng.random() < 0.5
        while len(self._workers) < 1 + two:
            self._spawn()
        for child in self._workers:
            child.listen(0)
        self._submit(rng)
        shared = len(self._workers) > 1
        victims = list(self._workers) if shared and (not two or rng.random() < 0.2) else [rng.choice(self._workers)]
        if shared and len(victims) == 1 and rng.random() < 0.3:
            self._freeze(victims[0], rng)
        for victim in victims:
            self._strike(victim, rng, shared)
        if not self._workers:
            self._note_doubts()

    def _submit(self, rng: Random) -> None:
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            self._submitted += 1
            rng.choice(self._workers).tell(f"start w{self._submitted:04d}")

    def _strike(self, victim: Child, rng: Random, shared: bool) -> None:
        style = rng.random()
        if style < 0.4:
            where = "moment"
            victim.listen(rng.uniform(0, UNIFORM_S))
        else:
            where = self._aimed(victim, rng, by="itself" if style < 0.8 else "driver")
        victim.kill()
        self._workers.remove(victim)
        self._hear(victim)
        self.figures.kills += 1
        self.figures.with_two += shared
        self.figures.points[where] += 1

    def _aimed(self, victim: Child, rng: Random, by: str) -> str:
        point = marks.POINTS[self.figures.kills % len(marks.POINTS)]
        victim.tell(f"arm {point} {rng.choice((1, 1, 2, 3, 5))} {by}")
        reached = victim.listen(PATIENCE_S, lambda line: line.startswith("at "))
        if not reached:
            return "missed"
        time.sleep(rng.uniform(0, 0.003))
        return point

    def _freeze(self, victim: Child, rng: Random) -> None:
        """Stop a worker past its lease, so that others take its runs; then let it go on among them."""
        if rng.random() < 0.7:
            victim.tell(f"arm {rng.choice(FREEZING)} {rng.choice((1, 2, 3))} freeze")
            victim.listen(PATIENCE_S, lambda line: line.startswith("at "))
        else:
            victim.listen(rng.uniform(0, UNIFORM_S))
        victim.signal(signal.SIGSTOP)
        time.sleep(self._setup.lease_s * rng.uniform(1.2, 2.0))
        victim.signal(signal.SIGCONT)
        self.figures.frozen += 1
        victim.listen(rng.uniform(0, UNIFORM_S))

    def _hear(self, child: Child) -> None:
        """Keep what a worker said before it died: which runs it had accepted."""
        if child.ready_s is not None:
            self.figures.ready_s.append(child.ready_s)
        for line in child.lines:
            word, *rest = line.split()
            if word == "accepted":
                self._log("accepted.jsonl", {"label": rest[0], "run_id": rest[1]})

    def _note_doubts(self) -> None:
        """While nobody works, every unsafe effect without an outcome is in doubt."""
        for effect in history.effects(self._folder / "runs.db"):
            if effect["state"] in ("intent", "in_doubt") and effect["tool"] in UNSAFE:
                self._log("doubts.jsonl", {name: effect[name] for name in ("key", "run_id", "tool")})

    def _log(self, name: str, entry: dict[str, Any]) -> None:
        with (self._folder / name).open("a", encoding="ascii") as file:
            file.write(f"{json.dumps(entry)}\n")

    # -- rest ---------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Restart a last time, and see how long it takes until every run rests, and until all have ended."""
        while len(self._workers) < self._most:
            self._spawn()
        begun = time.monotonic()
        settled: float | None = None
        restless = {run["run_id"] for run in history.runs(self._folder / "runs.db")}
        while time.monotonic() - begun < END_S:
            for child in self._workers:
                child.listen(0.02)
            found = history.runs(self._folder / "runs.db")
            restless -= {run["run_id"] for run in found if run["status"] in AT_REST}
            if settled is None and not restless:
                settled = time.monotonic() - begun
            if all(run["status"] in ("done", "failed", "cancelled") for run in found):
                break
        self.figures.settled_s.append(END_S if settled is None else settled)
        self.figures.ended_s.append(time.monotonic() - begun)

    def _finish(self) -> None:
        """Stop all in good order, and write down what the runs came to."""
        for child in list(self._workers):
            self._workers.remove(child)
            status = child.stop(15)
            self._hear(child)
            if status != 0:
                self._log("stops.jsonl", {"status": status})
        os.kill(self._helpers.pop(), signal.SIGKILL)
        os.wait()
        time.sleep(0)
        pid = self._fork(lambda: worker.tell_states(self._setup))
        os.waitpid(pid, 0)
        with closing(sqlite3.connect(self._folder / "runs.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _sweep(self) -> None:
        for child in self._workers:
            child.kill()
        for pid in self._helpers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._listening.close()

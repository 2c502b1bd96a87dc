"""One run at a time, killed at every point that it passes, and killed once more while it is recovered.

A first run counts the points: each mark at each step of the workload. Then the worker of one run after the other
dies at the first of them, the second, and so on to the last. In the second half of the pass the worker that takes
the run over dies, too, at a point drawn from those that it passes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from . import history, marks
from .children import Child
from .driver import SETTLE_S
from .stage import Stage

DEEPEST = 16
"""The second kill falls on one of so many points after the first: registration, claim, and about two steps."""

TRIES = 8
"""Most runs until a person chose to have an effect tried again."""

ENDED = ("done", "failed", "cancelled")


@dataclass(slots=True)
class Pass:
    """What the pass saw."""

    points: int = 0
    """How many points one run passes when nobody is killed."""
    cases: int = 0
    kills: int = 0
    second: int = 0
    """Kills of a worker that recovered the run of another."""
    killed_at: Counter[str] = field(default_factory=Counter[str])
    again_at: Counter[str] = field(default_factory=Counter[str])
    """Where workers died that recovered the run of another."""
    missed: int = 0
    """First kills whose point was not reached: the run had fewer."""
    slowest_s: float = 0.0
    """From the last restart of a case to the end of its run, at most."""
    late: list[str] = field(default_factory=list[str])
    seconds: float = 0.0


class Systematic:
    """The pass over one store."""

    def __init__(self, folder: Path, *, seed: int, cases: int | None = None, lease_s: float = 0.6) -> None:
        """Describe it; `run` does it.

        Args:
            folder: Empty; keeps everything that the checker reads.
            seed: Draws the second kills, and which cases a short pass keeps.
            cases: How many of the cases are tried, evenly spread over the run; all by default.
            lease_s: Of the workers, in seconds.
        """
        self._stage = Stage(folder, seed=seed, lease_s=lease_s, thinks_s=0.0, moody=False)
        self._rng, self._most = Random(seed), cases
        self._label = ""
        self._beginner: Child | None = None
        self.found = Pass()

    def run(self, tell: Callable[[str], None]) -> Pass:
        """Every case, one after the other; then everything is stopped."""
        begun = time.monotonic()
        try:
            self._stage.begin()
            self.found.points = self._count()
            for second in (False, True):
                for nth in self._chosen(second):
                    self._case(nth, second)
                kills = f"{self.found.kills} kills, {self.found.second} of them in a recovery"
                tell(f"{self.found.cases} cases, {kills}, {time.monotonic() - begun:.0f} s")
            self._retries()
            self._stage.finish()
        finally:
            self._stage.sweep()
        self.found.seconds = time.monotonic() - begun
        return self.found

    def _chosen(self, second: bool) -> Sequence[int]:
        every = range(1, self.found.points + 1)
        if self._most is None:
            return every
        share = max(1, self._most // 2)
        stride = len(every) / share
        offset = self._rng.random()
        return [1 + int((place + offset) * stride) for place in range(share)]

    def _count(self) -> int:
        worker = self._begin("arm any 1000000 driver")
        self._end(worker)
        worker.tell("count")
        worker.listen(SETTLE_S, lambda line: line.startswith("passed"))
        return int(worker.lines[-1].split()[1])

    def _begin(self, aim: str) -> Child:
        """Let the living worker, or a new one, start the next run under an aim."""
        self._label = f"w{self.found.cases:04d}"
        self.found.cases += 1
        worker = self._beginner = self._stage.workers[0] if self._stage.workers else self._stage.spawn()
        worker.tell(aim)
        worker.tell(f"start {self._label}")
        return worker

    def _case(self, nth: int, second: bool) -> None:
        aim = marks.Aim(marks.ANY, self._rng.randrange(1, DEEPEST + 1), "itself") if second else None
        self._kill(f"{marks.ANY} {nth}", aim)

    def _retries(self) -> None:
        """A new try is made when a person chose it, so for these points some runs are needed."""
        for when in ("before", "inside", "after"):
            for _ in range(TRIES):
                self._kill("effect.before 1", marks.Aim(f"retry.{when}", 1, "itself"))
                if self.found.again_at[f"retry.{when}"]:
                    break

    def _kill(self, first: str, aim: marks.Aim | None) -> None:
        """One run whose worker dies, and, with an aim, the worker that recovers it, too."""
        worker = self._begin(f"arm {first} itself")
        where = self._died(worker)
        if where is None:
            self.found.missed += 1
            return
        self.found.killed_at[where] += 1
        worker = self._stage.spawn(aim)
        if aim is not None:
            again = self._died(worker)
            if again is None:
                return
            self.found.again_at[again] += 1
            self.found.second += 1
            worker = self._stage.spawn()
        self._end(worker)

    def _died(self, worker: Child) -> str | None:
        """Where the worker died, or None when the run ended before."""
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            if worker.listen(0.01, lambda line: line.startswith("at ")):
                self._stage.bury(worker)
                self.found.kills += 1
                self._stage.note_doubts()
                return next(line for line in worker.lines if line.startswith("at ")).split()[1]
            if self._has_ended():
                return None
        self.found.late.append(self._label)
        return None

    def _end(self, worker: Child) -> None:
        """Wait for the run's end; a run that was never stored has none."""
        begun = time.monotonic()
        while not self._has_ended():
            worker.listen(0.01)
            if time.monotonic() - begun > SETTLE_S:
                self.found.late.append(self._label)
                return
        self.found.slowest_s = max(self.found.slowest_s, time.monotonic() - begun)

    def _has_ended(self) -> bool:
        """True when the run is over, or was never stored and can be no more, as who began it is gone."""
        runs = [run for run in history.runs(self._stage.store) if run["label"] == self._label]
        if not runs:
            return self._beginner not in self._stage.workers
        return all(run["status"] in ENDED for run in runs)

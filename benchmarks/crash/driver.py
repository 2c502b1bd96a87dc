"""Submits, kills, restarts, and lets everything come to rest: one trial."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from . import history, marks
from .checker import AT_REST
from .children import Child
from .stage import Stage

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
        self._stage = Stage(folder, seed=seed, lease_s=lease_s)
        self._seed, self._kills, self._most = seed, kills, workers
        self._submitted = 0
        self.figures = Figures()

    def run(self, tell: Callable[[str], None]) -> Figures:
        """Kill as often as asked, in batches that each come to rest; then stop everything."""
        begun = time.monotonic()
        try:
            self._stage.begin()
            batch = min(100, max(1, self._kills // 2))
            while self.figures.kills < self._kills:
                goal = min(self._kills, self.figures.kills + batch)
                while self.figures.kills < goal:
                    self._round(Random(f"{self._seed}/{self.figures.kills}"))
                self._settle()
                tell(f"{self.figures.kills} kills, {self._submitted} runs, {time.monotonic() - begun:.0f} s")
            self._stage.finish()
        finally:
            self._stage.sweep()
        self.figures.seconds = time.monotonic() - begun
        return self.figures

    # -- one round ----------------------------------------------------------------------------

    def _round(self, rng: Random) -> None:
        two, workers = self._most == 2 and rng.random() < 0.5, self._stage.workers
        while len(workers) < 1 + two:
            self._stage.spawn()
        for child in workers:
            child.listen(0)
        self._submit(rng)
        shared = len(workers) > 1
        victims = list(workers) if shared and (not two or rng.random() < 0.2) else [rng.choice(workers)]
        if shared and len(victims) == 1 and rng.random() < 0.3:
            self._freeze(victims[0], rng)
        for victim in victims:
            self._strike(victim, rng, shared)
        if not workers:
            self._stage.note_doubts()

    def _submit(self, rng: Random) -> None:
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            self._submitted += 1
            rng.choice(self._stage.workers).tell(f"start w{self._submitted:04d}")

    def _strike(self, victim: Child, rng: Random, shared: bool) -> None:
        style = rng.random()
        if style < 0.4:
            where = "moment"
            victim.listen(rng.uniform(0, UNIFORM_S))
        else:
            where = self._aimed(victim, rng, by="itself" if style < 0.8 else "driver")
        self._stage.bury(victim)
        if victim.ready_s is not None:
            self.figures.ready_s.append(victim.ready_s)
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
        time.sleep(self._stage.setup.lease_s * rng.uniform(1.2, 2.0))
        victim.signal(signal.SIGCONT)
        self.figures.frozen += 1
        victim.listen(rng.uniform(0, UNIFORM_S))

    # -- rest ---------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Restart a last time, and see how long it takes until every run rests, and until all have ended."""
        while len(self._stage.workers) < self._most:
            self._stage.spawn()
        begun = time.monotonic()
        settled: float | None = None
        restless = {run["run_id"] for run in history.runs(self._stage.store)}
        while time.monotonic() - begun < END_S:
            for child in self._stage.workers:
                child.listen(0.02)
            found = history.runs(self._stage.store)
            restless -= {run["run_id"] for run in found if run["status"] in AT_REST}
            if settled is None and not restless:
                settled = time.monotonic() - begun
            if all(run["status"] in ("done", "failed", "cancelled") for run in found):
                break
        self.figures.settled_s.append(END_S if settled is None else settled)
        self.figures.ended_s.append(time.monotonic() - begun)

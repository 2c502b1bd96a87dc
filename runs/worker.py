"""Moves runs in one process: claims them, advances each in a task of its own, and gives back what it cannot move."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from functools import partial
from sqlite3 import Connection

from langgraph.runtime import RunControl

from ..core.errors import CorruptState, GraphChanged, StoreError, UnknownRun
from .advance import Outcome, advance
from .engine import Engine
from .fitting import migrate_all
from .heart import Heart
from .scope import run_of
from .store import RunRow, approvals, runs, workers

log = logging.getLogger(__name__)

ANONYMOUS = "th"
"""Prefix of the ids of threads that nobody named, so that nobody goes on with them."""

FORGET_EVERY = 256
"""In memory: so many finished runs on anonymous threads are kept at least, twice as many at most."""


class Worker:
    """The runs at work in one Runner."""

    def __init__(self, engine: Engine, *, serve: bool, slots: int, lease_s: float, poll_s: float) -> None:
        self._engine, self._store = engine, engine.store
        self._serve, self._lease_s, self._poll_s = serve, lease_s, poll_s
        self._slots = slots
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._controls: dict[str, RunControl] = {}
        self._mine: set[str] = set()
        self._unmoved: dict[str, float] = {}
        """Runs that may be held here without being moved, and when (in the loop's time) they are queued anew."""
        self._stuck: set[str] = set()
        """Runs that cannot be read, or whose graph has changed; they are not tried again by themselves."""
        self._generation = 0
        """Of the registry, when they were tried."""
        self._migrating: asyncio.Task[None] | None = None
        self._heart: Heart | None = None
        self._pump: asyncio.Task[None] | None = None
        self._room: asyncio.Semaphore | None = None
        self._finished = 0

    async def open(self) -> None:
        """Register, and begin to look for work."""
        await self._register()
        if self._store.path is None:
            return
        self._heart = Heart(self._store, self._engine, self._lease_s, asyncio.get_running_loop(), self._declared_dead)
        self._heart.start()
        self._pump = asyncio.create_task(self._keep_pumping(), name="collegium-pump")

    async def close(self, drain_s: float) -> None:
        """Let runs come to the end of their present step, and put them back into the queue."""
        if self._pump:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump
            self._pump = None
        if self._migrating:
            self._migrating.cancel()
            with suppress(asyncio.CancelledError):
                await self._migrating
            self._migrating = None
        for control in self._controls.values():
            control.request_drain()
        await self._settle_tasks(drain_s)
        if self._heart:
            await asyncio.to_thread(self._heart.stop)
            self._heart = None
        if self._store.is_open:
            now = self._engine.clock.now()
            await self._store.write(lambda conn: workers.leave(conn, self._engine.worker_id, now))

    def hurry(self) -> None:
        """Give the steps at work no more time; they are repeated at resume."""
        for task in self._tasks.values():
            task.cancel()

    @property
    def is_idle(self) -> bool:
        """Whether no run is moved here."""
        return not self._tasks

    def at_work(self, run_id: str) -> asyncio.Task[Outcome] | None:
        """The task that moves a run here, if one does."""
        return self._tasks.get(run_id)

    def adopt(self, run_id: str) -> None:
        """Count a run among those that are moved here, serving or not."""
        self._mine.add(run_id)
        self._stuck.discard(run_id)

    def give_back(self, run_id: str) -> None:
        """Queue a run anew that may be held here and that nobody will move."""
        self._unmoved[run_id] = 0.0

    def spawn(self, run_id: str, claimed: RunRow | None = None) -> None:
        """Move a run, in a task of its own; `claimed` when its lease was taken already."""
        if run_id in self._tasks:
            return
        task = asyncio.create_task(self._work(run_id, claimed), name=f"collegium-{run_id}")
        self._tasks[run_id] = task
        generation = self._engine.registry.generation
        task.add_done_callback(lambda done: self._done(run_id, done, generation))

    async def stop(self, run_id: str) -> None:
        """Stop moving a run."""
        if task := self._tasks.get(run_id):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def served_elsewhere(self, graph: str) -> bool:
        """Whether another living worker takes up runs of this graph, and this one does not."""
        await self.sweep()
        alive = await self._store.read(workers.listing)
        others = [w for w in alive if w.worker_id != self._engine.worker_id]
        return not self._serve and any(w.serving and graph in w.graphs for w in others)

    async def sweep(self) -> datetime:
        """Free the runs of dead workers; in memory there is one worker, without a heart, that lives with its store."""
        now = self._engine.clock.now()
        if self._store.path is not None:
            await self._store.write(lambda conn: workers.sweep(conn, now, self._lease_s))
        return now

    async def take_up(self) -> None:
        """Begin to work on queued runs that nobody works on."""
        await self._let_go()
        graphs = self._engine.registry.names
        if not graphs or await self._store.flaws():  # an effect that is not found would be made again
            return
        self._look_again()
        among, without = None if self._serve else set(self._mine), self._stuck
        for row in await self._store.read(
            lambda conn: runs.claimable(conn, graphs=graphs, among=among, without=without)
        ):
            self.spawn(row.run_id)
        now = self._engine.clock.now()
        if self._store.path is not None and await self._store.read(lambda conn: approvals.any_due(conn, now)):
            await self._store.write(lambda conn: approvals.expire_due(conn, now), full=True)

    def _look_again(self) -> None:
        """Try what could not go on once more where graphs were added, and migrate what waits for a person."""
        generation = self._engine.registry.generation
        if generation == self._generation or self._migrating is not None:
            return
        self._generation = generation
        self._stuck.clear()
        if self._serve and self._store.path is not None and self._migrating is None:
            self._migrating = asyncio.create_task(self._migrate(), name="collegium-migrating")

    async def _migrate(self) -> None:
        """Bring runs at rest to the version of their graph for which there is a way, so that they ask anew."""
        try:
            for target in list(self._engine.registry):
                for step in target.migrations:
                    await migrate_all(self._engine, target.name, step.version, self._stuck)
        except StoreError:  # each run is tried again at its next answer or resume
            log.warning("could not migrate the runs in %s", self._store.name, exc_info=True)
        finally:
            self._migrating = None

    async def _work(self, run_id: str, claimed: RunRow | None) -> Outcome:
        room = self._room
        if room is None:
            room = self._room = asyncio.Semaphore(self._slots)
        async with room:
            control = self._controls[run_id] = RunControl()
            outcome = await advance(self._engine, run_id, control, claimed=claimed)
            if outcome.cause is not None:
                self._engine.causes[run_id] = outcome.cause
        if outcome.end in ("done", "cancelled"):
            self._engine.services.pop(run_id, None)
            self._mine.discard(run_id)
        if self._store.path is None:
            await self._forget()
        if outcome.next_run_id is not None:
            self._mine.add(outcome.next_run_id)
            self.spawn(outcome.next_run_id)
        return outcome

    async def _forget(self) -> None:
        """In memory, drop the oldest finished runs that stand alone, so that a long-lived process does not grow."""
        self._finished += 1
        if self._finished % FORGET_EVERY == 0:
            gone = [run_of(lane) for lane in self._store.let_go(FORGET_EVERY)]
            gone += await self._store.write(lambda conn: runs.forget(conn, ANONYMOUS, keep=FORGET_EVERY), beside=True)
            for run_id in gone:
                self._engine.forget(run_id)

    def _done(self, run_id: str, task: asyncio.Task[Outcome], generation: int) -> None:
        self._tasks.pop(run_id, None)
        self._controls.pop(run_id, None)
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.debug("run %s could not be advanced: %s", run_id, error)
        if isinstance(error, CorruptState) or (
            # A graph that was added meanwhile may be the one that the run needs.
            isinstance(error, GraphChanged) and generation == self._engine.registry.generation
        ):
            self._stuck.add(run_id)
        if isinstance(error, GraphChanged):
            return  # it was never held
        # As long as others would wait before they take it from a worker that says nothing.
        self._unmoved[run_id] = asyncio.get_running_loop().time() + self._lease_s

    async def _keep_pumping(self) -> None:
        while True:
            try:
                await self.take_up()
            except Exception:  # the pump outlives whatever the store does; callers hear of it themselves
                log.warning("could not look for work in %s", self._store.name, exc_info=True)
            await asyncio.sleep(self._poll_s)

    async def _let_go(self) -> None:
        """Queue anew what this worker holds and does not move, as the store failed it or a start was given up."""
        worker_id, now = self._engine.worker_id, self._engine.clock.now()
        for run_id, due in list(self._unmoved.items()):
            if run_id in self._tasks or asyncio.get_running_loop().time() < due:
                continue
            with suppress(UnknownRun, CorruptState):
                await self._store.write(partial(runs.let_go, run_id=run_id, worker_id=worker_id, now=now))
            self._unmoved.pop(run_id, None)

    async def _register(self) -> None:
        engine, now = self._engine, self._engine.clock.now()
        names = tuple(engine.registry.names)
        row = workers.this_worker(engine.worker_id, now, graphs=names, serving=self._serve)

        def register(conn: Connection) -> None:
            workers.sweep(conn, now, self._lease_s)
            workers.register(conn, row)

        await self._store.write(register)

    async def _declared_dead(self) -> None:
        """Others took this worker for dead: drop everything, go on under a new id."""
        await self._settle_tasks(0)
        self._engine.worker_id = self._engine.ids("wk")
        await self._register()

    async def _settle_tasks(self, drain_s: float) -> None:
        tasks = list(self._tasks.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=drain_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

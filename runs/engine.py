"""What every advance of one Runner shares."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any
from weakref import WeakKeyDictionary

from ..core.clock import Clock
from ..core.ids import IdSource
from ..guardrails.guards import Guards
from ..guardrails.policy import Policy
from .events import LIVE_ONLY, Event, event_of, row_of
from .guarding import Placeholders
from .registry import Registry
from .store import RunRow, Store, events, given, runs
from .store.saver import StoreSaver
from .target import Target
from .watch import Watch


@dataclass(frozen=True, slots=True)
class Services:
    """What one run was given in this process; each wins over the Runner's own."""

    model: object | None = None
    policy: Policy | None = None
    context: object | None = None
    guards: Guards | None = None


@dataclass(slots=True)
class Engine:
    """Store, graphs and services, and the doors through which an advance uses them."""

    store: Store
    registry: Registry
    clock: Clock
    ids: IdSource
    watch: Watch
    worker_id: str
    policy: Policy | None = None
    model: object | None = None
    context: object | None = None
    """An object for tools and nodes, or a function (sync or async) that makes one."""
    guards: Guards | None = None
    placeholders: dict[str, Placeholders] = field(default_factory=dict[str, Placeholders])
    """By thread id."""
    services: dict[str, Services] = field(default_factory=dict[str, Services])
    """By run id."""
    causes: dict[str, BaseException] = field(default_factory=dict[str, BaseException])
    """The exceptions behind failed runs of this process, by run id."""
    remembered: dict[str, list[Event]] = field(default_factory=dict[str, list[Event]])
    """Events of runs whose store is in memory, by run id: no table would make them last longer."""
    _savers: WeakKeyDictionary[Target, StoreSaver] = field(default_factory=WeakKeyDictionary[Target, StoreSaver])

    @property
    def durability(self) -> str:
        """`sync` where a crash can be survived; in memory, checkpoints only at rest."""
        return "exit" if self.store.path is None else "sync"

    def guards_for(self, run_id: str, target: Target | None) -> Guards | None:
        """The guards of a run: those it was given, else the Runner's, else its graph's."""
        given = self.services.get(run_id, Services()).guards
        if given is not None or self.guards is not None:
            return self.guards if given is None else given
        return target.guards if target else None

    def placeholders_of(self, thread_id: str) -> Placeholders:
        """What stands behind a thread's placeholders; of a thread that is new here nothing is known."""
        return self.placeholders.setdefault(thread_id, Placeholders.later())

    async def deps(self, given: Services) -> Any:
        """The user's own context object, made anew where a function makes it."""
        context = self.context if given.context is None else given.context
        made = context() if callable(context) else context
        return await made if inspect.isawaitable(made) else made

    def saver(self, row: RunRow, target: Target) -> StoreSaver:
        """The run's checkpoints; a write is refused once the lease of `row.epoch` is lost."""
        return self._saver(target).scoped(
            row.run_id,
            row.epoch,
            fresh=target.fresh,
            blank=target.fresh and row.epoch == 1 and row.forked_at is None,
        )

    def reader(self, row: RunRow, target: Target) -> StoreSaver:
        """The run's checkpoints, those of other runs on its thread left out; for reading."""
        return self._saver(target).scoped(row.run_id, row.epoch, fresh=True)

    def _saver(self, target: Target) -> StoreSaver:
        if (known := self._savers.get(target)) is None:
            known = self._savers[target] = StoreSaver(self.store, serde=target.serializer)
        return known

    def _keep(self, event: Event, epoch: int) -> None:
        if self.store.path is None:
            self.remembered.setdefault(event.run_id, []).append(event)
            return

        def store(conn: Connection) -> None:
            runs.check_fence(conn, event.run_id, epoch)
            events.append_all(conn, [row_of(event)])

        self.store.post(store, lane=f"{event.run_id}/{epoch}")

    def forget(self, run_id: str) -> None:
        """Drop what this process remembers of a run."""
        for memory in (self.remembered, self.causes, self.services):
            memory.pop(run_id, None)

    def announce(self, event: Event) -> None:
        """Show an event that is stored already to watchers."""
        if self.store.path is None:
            self.remembered.setdefault(event.run_id, []).append(event)
        self.watch.publish(event)

    async def given(self, row: RunRow) -> bytes:
        """The input that a run was admitted with.

        Raises:
            CorruptState: A piece of it is missing or damaged.
        """
        if given.stored_names(row.input) is None:
            return row.input
        return await self.store.read(lambda conn: given.whole(conn, row))

    async def last_event(self, run_id: str) -> int:
        """The number of a run's latest event, 0 when it has none."""
        if self.store.path is None:
            return len(self.remembered.get(run_id, ()))
        return await self.store.read(lambda conn: events.last_seq(conn, run_id))

    async def events_after(self, run_id: str, seq: int, *, kinds: Collection[str] = ()) -> list[Event]:
        """The stored events of a run with a number above `seq`, of some kinds or of all."""
        if self.store.path is None:
            found = [event for event in self.remembered.get(run_id, ()) if event.seq > seq]
            return [event for event in found if not kinds or event.kind in kinds]
        if kinds:
            rows = await self.store.read(lambda conn: events.of_kinds(conn, run_id, kinds))
            return [event_of(row) for row in rows if row.seq > seq]
        return [event_of(row) for row in await self.store.read(lambda conn: events.after(conn, run_id, seq))]

    def publish(self, event: Event, epoch: int) -> None:
        """Store an event under a lease (unless it is live only) and show it to watchers."""
        if event.kind not in LIVE_ONLY:
            self._keep(event, epoch)
        self.watch.publish(event)

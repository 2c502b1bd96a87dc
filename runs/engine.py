"""What every advance of one Runner shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from ..core.clock import Clock
from ..core.ids import IdSource
from ..guardrails.policy import Policy
from .events import LIVE_ONLY, Event, row_of
from .registry import Registry
from .store import RunRow, Store, events, runs
from .store.saver import StoreSaver
from .target import Target
from .watch import Watch


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
    make_deps: Callable[[], Awaitable[Any]] | None = None
    causes: dict[str, BaseException] = field(default_factory=dict[str, BaseException])
    """The exceptions behind failed runs of this process, by run id."""
    results: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """What runs ended with in this process, until somebody asks for it."""

    _held_back: dict[str, list[Event]] = field(default_factory=dict[str, list[Event]])

    @property
    def durability(self) -> str:
        """`sync` where a crash can be survived; in memory, checkpoints only at rest."""
        return "exit" if self.store.path is None else "sync"

    def saver(self, row: RunRow, target: Target) -> BaseCheckpointSaver[Any]:
        """The run's checkpoints; a write is refused once the lease of `row.epoch` is lost."""
        return self._saver(target).scoped(row.run_id, row.epoch, fresh=target.fresh)

    def reader(self, row: RunRow, target: Target) -> BaseCheckpointSaver[Any]:
        """The run's checkpoints, those of other runs on its thread left out; for reading."""
        return self._saver(target).scoped(row.run_id, row.epoch, fresh=True)

    def _saver(self, target: Target) -> StoreSaver:
        return StoreSaver(self.store, serde=target.serializer)

    def held_back(self, run_id: str) -> list[Event]:
        """Events of a run that are not stored yet; whoever takes them stores them."""
        return self._held_back.pop(run_id, [])

    def _keep(self, event: Event, epoch: int) -> None:
        if self.store.path is None:  # nothing in memory outlives a crash: stored together when the run rests
            self._held_back.setdefault(event.run_id, []).append(event)
            return

        def store(conn: Connection) -> None:
            runs.check_fence(conn, event.run_id, epoch)
            events.append_all(conn, [row_of(event)])

        self.store.post(store, lane=f"{event.run_id}/{epoch}")

    def publish(self, event: Event, epoch: int) -> None:
        """Store an event under a lease (unless it is live only) and show it to watchers."""
        if event.kind not in LIVE_ONLY:
            self._keep(event, epoch)
        self.watch.publish(event)

"""What every advance of one Runner shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from ..core.clock import Clock
from ..core.ids import IdSource
from ..guardrails.policy import Policy
from .events import LIVE_ONLY, Event
from .registry import Registry
from .store import RunRow, Store, events
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

    def publish(self, event: Event, epoch: int) -> None:
        """Store an event under a lease (unless it is live only) and show it to watchers."""
        if event.kind not in LIVE_ONLY:
            self.store.post(
                lambda conn: events.append(
                    conn, event.run_id, event.kind, event.data, now=event.at, node=event.node, epoch=epoch
                ),
                lane=event.run_id,
            )
        self.watch.publish(event)

"""Whether a stored run can go on in the graph that is there, and what makes it: as it is, adopted, or migrated.

A run *fits* when its version and shape are its graph's. One whose graph has changed without breaking it is
*adopted*: its record takes the new version and shape. One that a migration leads on is *migrated*. Any other is
refused, and stays as it was.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, Literal

from langgraph.types import StateSnapshot

from ..core.errors import CorruptState, GraphChanged, UnknownRun
from .changes import Change, changes, told
from .events import Event, EventKind
from .migrating import Migrated, migrated
from .migration import route_from
from .private import CHECKPOINTER
from .registry import Registry
from .standing import Standing, listed, standing_of
from .store import RunRow, Store, events, runs
from .store.saver import StoreSaver
from .store.tables import update_run
from .target import Target

if TYPE_CHECKING:
    from .engine import Engine

log = logging.getLogger(__name__)

How = Literal["fits", "adopted", "migrated"]


@dataclass(frozen=True, slots=True)
class Fit:
    """How a stored run goes on."""

    how: How
    row: RunRow
    """As it was looked at."""
    target: Target
    found: tuple[Change, ...] = ()
    migration: Migrated | None = None


async def fit(store: Store, registry: Registry, row: RunRow) -> Fit:
    """How a run at rest goes on; nothing is written.

    Raises:
        UnknownTarget: No graph of its name is known.
        GraphChanged: It cannot go on; the error says why.
        CorruptState: A record of it is damaged.
    """
    target = registry.target(row)
    if registry.fits(row):
        return Fit("fits", row, target)
    found = changes(json.loads(row.shape), target.shape)
    standing = await store.read(lambda conn: standing_of(conn, row))
    route = route_from(target.migrations, row.version) if row.version != target.version else None
    if route is not None:
        return Fit("migrated", row, target, tuple(found), await migrated(standing, target, route, found))
    if problem := _stranded(standing, target, found):
        raise GraphChanged(row.run_id, row.graph, problem)
    if standing.begun and not (await _snapshot(store, row, target)).tasks:
        raise GraphChanged(row.run_id, row.graph, f"nothing would run of {listed(standing.next_nodes)}")
    return Fit("adopted", row, target, tuple(found))


async def settle(engine: Engine, run_id: str) -> bool:
    """Adopt or migrate a run at rest where its graph has changed; False when it fits as it is.

    Raises:
        UnknownRun: There is no such run.
        UnknownTarget: No graph of its name is known.
        GraphChanged: It cannot go on, and is left as it was.
    """
    while True:
        row = await engine.store.read(lambda conn: runs.get(conn, run_id))
        if row.status not in ("pending", "queued", "waiting", "failed"):
            return False
        found = await fit(engine.store, engine.registry, row)
        if found.how == "fits":
            return False
        event = await _event(engine, found)
        if await engine.store.write(partial(_store, found=found, event=event, keep=_keeper(engine)), full=True):
            if event is not None:
                engine.announce(event)
            return True


async def migrate_all(engine: Engine, graph: str, version: str, stuck: set[str]) -> None:
    """Migrate the waiting and queued runs of a version of a graph; those that refuse are added to `stuck`."""
    last = 0
    while True:
        found = await engine.store.read(partial(runs.at_rest, graph=graph, version=version, after=last))
        if not found:
            return
        for _, run_id in found:
            try:
                await settle(engine, run_id)
            except (GraphChanged, CorruptState, UnknownRun) as error:
                log.warning("%s", error)
                stuck.add(run_id)
        last = found[-1][0]


def why_not(found: Sequence[Change]) -> str:
    """What of the changes breaks every run, wherever it stands; empty when nothing does."""
    fields = [change for change in found if change.breaking and change.kind == "field"]
    return told(found) if fields else ""


def _stranded(standing: Standing, target: Target, found: Sequence[Change]) -> str:
    """Why a run cannot go on in a graph with these changes; empty when it can."""
    if problem := why_not(found):
        return problem
    if not standing.begun:
        return ""
    for change in found:
        if change.breaking and (reason := _touched(standing, change)):
            return f"{told(found)}; {reason}"
    known: Any = target.compiled
    lost = [node for channel, node in standing.triggers.items() if channel not in known.channels]
    lost += [send.node for send in standing.sends if send.node not in known.nodes]
    return f"{told(found)}; nothing leads on to {listed(lost)}" if lost else ""


def _touched(standing: Standing, change: Change) -> str:
    """Why a change concerns a run that stands here; empty when it does not."""
    match change.kind:
        case "node":
            outer, _, inner = change.name.partition("/")
            if change.name in standing.next_nodes:
                return f"the run stands before {change.name!r}"
            return f"the run stands inside {outer!r}" if inner and _within(standing, outer) else ""
        case "inner":
            return f"the run stands inside {change.name!r}" if _within(standing, change.name) else ""
        case "tool":
            return standing.mentions(change.name) or ""
        case _:
            return change.text


def _within(standing: Standing, path: str) -> bool:
    return any(f"{place}/".startswith(f"{path}/") for place in standing.inside)


async def _snapshot(store: Store, row: RunRow, target: Target) -> StateSnapshot:
    saver = StoreSaver(store, serde=target.serializer).scoped(row.run_id, row.epoch, fresh=True)
    config: Any = {"configurable": {"thread_id": row.thread_id, CHECKPOINTER: saver}}
    return await target.compiled.aget_state(config)


async def _event(engine: Engine, found: Fit) -> Event | None:
    """What the run's history says about it; a run that has not begun has none."""
    if found.row.epoch == 0:
        return None
    kind: EventKind = "run_migrated" if found.how == "migrated" else "run_adopted"
    data = {"was": found.row.version, "version": found.target.version, "changes": told(found.found)}
    number = await engine.last_event(found.row.run_id) + 1
    return Event(found.row.run_id, number, kind, None, engine.clock.now(), data)


def _keeper(engine: Engine) -> Callable[[Connection, Event], object] | None:
    if engine.store.path is None:
        return None
    return lambda conn, event: events.append(conn, event.run_id, event.kind, event.data, now=event.at, node=None)


def _store(
    conn: Connection, found: Fit, event: Event | None, keep: Callable[[Connection, Event], object] | None
) -> bool:
    """Write it, all or nothing; False when the run has moved since it was looked at."""
    row, target = found.row, found.target
    if runs.get(conn, row.run_id) != row:
        return False
    if found.migration is not None:
        row = found.migration.write(conn, row)
    update_run(conn, row, version=target.version, fingerprint=target.fingerprint, shape=target.shape_text)
    if event is not None and keep is not None:
        keep(conn, event)
    return True

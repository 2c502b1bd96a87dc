"""Removing what finished runs no longer need: all but their audit trail, or all but their latest checkpoint.

Plain functions of a connection. `survey` reads and decides what may go; `prune` removes it, thread by thread, and looks
at each run once more in the transaction that removes, so that what has changed since stays as it is. A run is whole or
pruned, whenever the process dies.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from . import checkpoints, history, vault
from .checkpoints import Key, Record, Search
from .codec import stamp
from .rows import RunRow
from .tables import SELECT_RUN, decode_run, update_run

_RESUMABLE = "failed"
"""Runs in this state can go on, so that their number alone is no reason to prune them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs to prune."""

    before: datetime | None = None
    """Those that finished before."""
    keep: int | None = None
    """Those beyond the newest so many that are done or cancelled."""
    history: bool = False
    """Of all other runs that are done or cancelled, every checkpoint but the latest."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What may go of the runs of one thread."""

    thread_id: str
    whole: list[str] = field(default_factory=list[str])
    """Runs whose state, checkpoints and events may go."""
    history: list[str] = field(default_factory=list[str])
    """Runs of whose checkpoints all but the latest may go."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What went."""

    runs: tuple[str, ...] = ()
    """Ids of runs that went whole."""
    history: int = 0
    """How many runs lost their history."""
    checkpoints: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.runs + other.runs, self.history + other.history, self.checkpoints + other.checkpoints)


def survey(conn: sqlite3.Connection, wanted: Wanted) -> list[Chosen]:
    """What may go, by thread, those first whose runs are the oldest."""
    chosen: dict[str, Chosen] = {}
    aged, counted = stamp(wanted.before) if wanted.before else "", 0
    long = _with_history(conn) if wanted.history else frozenset[str]()
    for run_id, thread_id, status, finished_at in conn.execute(
        "SELECT run_id, thread_id, status, finished_at FROM run"
        " WHERE finished_at IS NOT NULL AND pruned_at IS NULL ORDER BY seq DESC"
    ):
        counted += status != _RESUMABLE
        surplus = wanted.keep is not None and counted > wanted.keep and status != _RESUMABLE
        if surplus or finished_at < aged:
            chosen.setdefault(thread_id, Chosen(thread_id)).whole.append(run_id)
        elif run_id in long and status != _RESUMABLE:
            chosen.setdefault(thread_id, Chosen(thread_id)).history.append(run_id)
    return list(reversed(chosen.values()))


def prune(conn: sqlite3.Connection, chosen: Iterable[Chosen], *, now: datetime) -> Removed:
    """Remove what may go of these threads.

    Raises:
        CorruptState: A record that decides about it is damaged.
    """
    return sum((_prune_thread(conn, one, now) for one in chosen), Removed())


def would_remove(conn: sqlite3.Connection, chosen: Iterable[Chosen]) -> Removed:
    """What `prune` would remove.

    Raises:
        CorruptState: A record that decides about it is damaged.
    """
    return sum((_counted(_plan(conn, one)) for one in chosen), Removed())


@dataclass(frozen=True, slots=True)
class _Plan:
    """What goes of one thread."""

    thread_id: str
    whole: list[RunRow]
    history: list[RunRow]
    keys: list[Key]
    """Checkpoints that go."""
    all_keys: bool
    """The thread keeps none."""


def _counted(plan: _Plan) -> Removed:
    return Removed(tuple(row.run_id for row in plan.whole), len(plan.history), len(plan.keys))


def _prune_thread(conn: sqlite3.Connection, chosen: Chosen, now: datetime) -> Removed:
    plan = _plan(conn, chosen)
    for row in plan.whole:
        conn.execute("DELETE FROM event WHERE run_id=?", (row.run_id,))
        vault.drop(conn, row.run_id)
        # The shape tells what a run could go on with, and this one cannot; the fingerprint stays.
        update_run(conn, row, input=b"", shape="{}", tip=None, pruned_at=now)
    if plan.all_keys:
        checkpoints.delete_thread(conn, plan.thread_id)
    elif plan.keys or plan.whole:
        for key in plan.keys:
            checkpoints.delete(conn, key)
        history.drop_unused(conn, plan.thread_id)
    return _counted(plan)


def _plan(conn: sqlite3.Connection, chosen: Chosen) -> _Plan:
    """What goes of a thread as it stands."""
    whole, thinned = _doomed(conn, chosen)
    records = list(checkpoints.find(conn, Search(thread_id=chosen.thread_id)))
    pruned, long = {row.run_id for row in whole}, {row.run_id for row in thinned}
    stay = _latest(records) | _fork_points(conn, records, long)
    going = {
        record.key
        for record in records
        if record.run_id in pruned or (record.run_id in long and record.key not in stay)
    }
    going -= _needed(conn, [record for record in records if record.key not in going])
    shorter = {record.run_id for record in records if record.key in going}
    return _Plan(
        chosen.thread_id,
        whole,
        [row for row in thinned if row.run_id in shorter],
        [record.key for record in records if record.key in going],
        bool(records) and len(going) == len(records),
    )


def _doomed(conn: sqlite3.Connection, chosen: Chosen) -> tuple[list[RunRow], list[RunRow]]:
    """Those runs of a thread that may be pruned whole, and those that may lose their history.

    As long as any run of a thread stays, the one that its next run goes on from stays, too.
    """
    rows = _unpruned(conn, chosen.thread_id)
    may_go = {row.run_id for row in rows if row.finished_at is not None} & set(chosen.whole)
    if len(may_go) < len(rows):
        may_go -= _carrying(conn, rows)
    thinned = [row for row in rows if row.run_id in chosen.history and row.finished_at is not None]
    return [row for row in rows if row.run_id in may_go], thinned


def _unpruned(conn: sqlite3.Connection, thread_id: str) -> list[RunRow]:
    found = conn.execute(f"{SELECT_RUN} WHERE thread_id=? AND pruned_at IS NULL ORDER BY seq", (thread_id,))
    return [decode_run(conn, record) for record in found]


def _carrying(conn: sqlite3.Connection, rows: Collection[RunRow]) -> set[str]:
    """Runs of a thread that the next one may start from.

    A Collegium graph takes the fields that it keeps from the thread's last run of it that was done; a LangGraph graph
    goes on from the newest checkpoint, whoever wrote it.
    """
    done = {row.graph: row.run_id for row in rows if row.status == "done"}
    newest = checkpoints.latest(conn, next(iter(rows)).thread_id, "", None)
    return {*done.values(), *([newest.run_id] if newest is not None and newest.run_id is not None else [])}


def _with_history(conn: sqlite3.Connection) -> frozenset[str]:
    """Runs that have more than one checkpoint in a namespace."""
    found = conn.execute(
        "SELECT DISTINCT run_id FROM checkpoint WHERE run_id IS NOT NULL GROUP BY thread_id, ns, run_id"
        " HAVING count(*) > 1"
    )
    return frozenset(run_id for (run_id,) in found)


def _latest(records: Iterable[Record]) -> set[Key]:
    """The newest checkpoint of each run in each namespace."""
    newest: dict[tuple[str, str | None], Key] = {}
    for record in records:  # the newest come first
        newest.setdefault((record.key.ns, record.run_id), record.key)
    return set(newest.values())


def _fork_points(conn: sqlite3.Connection, records: Iterable[Record], run_ids: Collection[str]) -> set[Key]:
    """Checkpoints of these runs that a fork went on from, the one before each, and those of the graphs around it."""
    forks = conn.execute("SELECT parent_run_id, parent_checkpoint_id FROM run WHERE parent_checkpoint_id IS NOT NULL")
    points = {point for parent, point in forks if parent in run_ids} if run_ids else set[str]()
    kept: set[Key] = set()
    for record in records:
        if record.key.checkpoint_id in points:
            around: dict[str, str] = history.unpack_body(record).metadata.get("parents", {})
            kept.add(record.key)
            kept.add(record.key._replace(checkpoint_id=record.parent_id or ""))
            kept.update(record.key._replace(ns=ns, checkpoint_id=point) for ns, point in around.items())
    return kept


def _needed(conn: sqlite3.Connection, records: Iterable[Record]) -> set[Key]:
    """The checkpoints without which these could not be put together."""
    return {part.key for record in records for part in history.needed(conn, record)}

"""Run records: the lease on a thread, the fence, and the life of a run.

Plain functions of a connection; call them inside `Store.write` or `Store.read`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from ...core.errors import RunPruned, ThreadBusy, UnknownRun
from . import approvals, labels, tip, vault
from .found import Found
from .rows import ApprovalRow, RunRow, StoredStatus
from .tables import (
    RUN,
    SELECT_RUN,
    Record,
    change_run,
    check_chain,
    check_fence,
    decode_run,
    get_run,
    held_run,
    insert_run,
    readable,
    run_record,
    select,
    update_run,
)

__all__ = [
    "Parked",
    "admit",
    "at_rest",
    "begun",
    "cancel",
    "check_fence",
    "claim",
    "claimable",
    "count",
    "finish",
    "forget",
    "get",
    "let_go",
    "listing",
    "park",
    "reopen",
    "requeue",
    "resumable",
    "unpruned",
    "verify",
]

_HOLDING = "status IN ('queued', 'running', 'waiting')"


@dataclass(frozen=True, slots=True)
class Parked:
    """What `park` left behind."""

    status: Literal["waiting", "queued"]
    """queued when every question of the run is decided already."""
    approvals: list[ApprovalRow]
    """As stored, in the order given."""


def get(conn: sqlite3.Connection, run_id: str) -> RunRow:
    """The run with this id.

    Raises:
        UnknownRun: There is none.
        CorruptState: Its record is damaged.
    """
    return get_run(conn, run_id)


def unpruned(conn: sqlite3.Connection, run_id: str) -> RunRow:
    """The run with this id, if its state is still kept.

    Raises:
        UnknownRun: There is none.
        RunPruned: Its state was removed.
        CorruptState: Its record is damaged.
    """
    run = get_run(conn, run_id)
    if run.pruned_at is not None:
        raise RunPruned(run_id, run.pruned_at)
    return run


def admit(
    conn: sqlite3.Connection,
    row: RunRow,
    on_busy: Literal["reject", "enqueue"] = "reject",
    *,
    worker_id: str | None = None,
) -> RunRow:
    """Store a new run; returns it as stored: `queued`, or `pending` behind the thread's unfinished run.

    With `worker_id` a run that need not wait is claimed by that worker at once, `running` under epoch 1.

    Raises:
        ThreadBusy: The thread has an unfinished run, and `on_busy` is `reject`.
    """
    ahead = conn.execute(
        f"SELECT run_id, status FROM run WHERE thread_id=? AND ({_HOLDING} OR status='pending')"
        " ORDER BY seq DESC LIMIT 1",
        (row.thread_id,),
    ).fetchone()
    if ahead is None:
        held = _is_alive(conn, worker_id)
        admitted = begun(row, worker_id) if held else replace(row, status="queued")
    elif on_busy == "enqueue":
        admitted = replace(row, status="pending", after_run_id=ahead[0])
    else:
        raise ThreadBusy(row.thread_id, *_holder(conn, row.thread_id, ahead))
    labels.write(conn, insert_run(conn, admitted), admitted)
    return admitted


def begun(row: RunRow, worker_id: str | None) -> RunRow:
    """A new run as its first worker holds it."""
    return replace(row, status="running", epoch=1, owner=worker_id)


def claim(conn: sqlite3.Connection, run_id: str, worker_id: str, now: datetime) -> int | None:
    """Take a queued run: its new epoch, or None when it is not queued or the worker counts as dead.

    Raises:
        UnknownRun: There is no such run.
        CorruptState: The run's record is damaged, or approvals or effects of it have vanished.
    """
    run = get_run(conn, run_id)
    if run.status != "queued":
        return None
    # A worker that was just declared dead must not claim: nobody would sweep the run afterwards.
    if not _is_alive(conn, worker_id):
        return None
    check_chain(conn, run)
    tip.check(conn, run)
    return update_run(conn, run, epoch=run.epoch + 1, owner=worker_id, status="running", updated_at=now).epoch


def claimable(
    conn: sqlite3.Connection,
    *,
    graphs: Collection[str] | None = None,
    among: Collection[str] | None = None,
    without: Collection[str] = (),
    limit: int = 50,
) -> list[RunRow]:
    """Queued runs, those that go on ahead of new ones, then oldest first; those whose record is damaged are left out.

    Args:
        conn: Any connection of the store.
        graphs: Only runs of these graphs: what nobody here can run must not fill the list.
        among: Only runs with these ids.
        without: No runs with these ids.
        limit: Most runs.
    """
    tests, values = ["status='queued'"], list[Any]()
    if graphs is not None:
        tests.append("graph IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(list(graphs)))
    if among is not None:
        tests.append("run_id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(list(among)))
    if without:
        tests.append("run_id NOT IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(list(without)))
    found = conn.execute(f"{SELECT_RUN} WHERE {' AND '.join(tests)} ORDER BY epoch = 0, seq LIMIT ?", (*values, limit))
    return readable(conn, found)


def at_rest(
    conn: sqlite3.Connection, *, graph: str, version: str | None = None, after: int = 0, limit: int = 100
) -> list[tuple[int, str]]:
    """Numbers and ids of the runs of a graph that wait or are queued, oldest first.

    Args:
        conn: Any connection of the store.
        graph: The graph's name.
        version: Only runs of this version of it.
        after: The number of the last run of the page before.
        limit: Length of a page.
    """
    return conn.execute(
        "SELECT seq, run_id FROM run WHERE graph=? AND (? IS NULL OR version=?) AND seq>?"
        " AND status IN ('waiting', 'queued') ORDER BY seq LIMIT ?",
        (graph, version, version, after, limit),
    ).fetchall()


def resumable(conn: sqlite3.Connection, *, graph: str) -> list[str]:
    """Ids of the runs of a graph that may go on one day, failed ones too, oldest first."""
    found = conn.execute(
        "SELECT run_id FROM run WHERE graph=? AND status NOT IN ('done', 'cancelled') ORDER BY seq", (graph,)
    )
    return [run_id for (run_id,) in found]


def let_go(conn: sqlite3.Connection, run_id: str, worker_id: str, now: datetime) -> bool:
    """Queue a run that a worker holds and does not move, under a new epoch. False when it does not hold it."""
    run = get_run(conn, run_id)
    if (run.status, run.owner) != ("running", worker_id):
        return False
    update_run(conn, run, status="queued", owner=None, epoch=run.epoch + 1, updated_at=now)
    return True


def park(
    conn: sqlite3.Connection,
    run_id: str,
    epoch: int,
    questions: Sequence[ApprovalRow],
    *,
    now: datetime,
    usage: Mapping[str, Any] | None = None,
    model: str | None = None,
    worked_s: float | None = None,
    heads: tip.Heads | None = None,
) -> Parked:
    """Let a run wait for these questions, all that it has open; nothing of it stays in memory.

    Questions that are stored already keep their id and their decision; open ones that are not among
    these are withdrawn. `heads` names the newest checkpoints that the run wrote, from which its tip is taken.

    Raises:
        Fenced: Another worker took the run over, or it was cancelled.
    """
    stored = approvals.ensure(conn, held_run(conn, run_id, epoch), questions)
    approvals.cancel_open(conn, run_id, keep=[row.approval_id for row in stored])
    waiting = sum(row.state == "pending" for row in stored)
    status: Literal["waiting", "queued"] = "waiting" if waiting else "queued"
    changes = _used(usage, model, worked_s)
    # One event for each question, and one for the run that waits.
    run = run_record(conn, run_id, epoch)
    changes |= _tip(conn, run, heads, news=waiting + 1 if waiting else 0)
    change_run(conn, run, status=status, owner=None, updated_at=now, **changes)
    return Parked(status, stored)


def finish(
    conn: sqlite3.Connection,
    run_id: str,
    epoch: int,
    status: Literal["done", "failed", "cancelled"],
    *,
    now: datetime,
    error: str | None = None,
    fence: bool = False,
    usage: Mapping[str, Any] | None = None,
    model: str | None = None,
    worked_s: float | None = None,
    heads: tip.Heads | None = None,
) -> str | None:
    """End a run and free its thread; returns the id of the pending run that is queued by it.

    With `fence` the epoch ends, too: what may still be at work for the run, in a thread that cannot be stopped,
    writes nothing more.

    Raises:
        Fenced: Another worker took the run over, or it was cancelled.
    """
    run = run_record(conn, run_id, epoch)
    last = {"epoch": epoch + 1} if fence else {}
    changes = _used(usage, model, worked_s) | last | _tip(conn, {**run, **last}, heads, news=1)
    return _end(conn, run, status, now, error, **changes)


def cancel(conn: sqlite3.Connection, run_id: str, reason: str, *, now: datetime) -> str | None:
    """End an unfinished run from outside; its worker is fenced. A finished run stays as it is.

    Returns:
        The id of the pending run of its thread that is queued by it.

    Raises:
        UnknownRun: There is no such run.
    """
    run = get_run(conn, run_id)
    if run.finished_at is not None:
        return None
    return _end(conn, run_record(conn, run_id), "cancelled", now, reason, epoch=run.epoch + 1)


def requeue(
    conn: sqlite3.Connection,
    run_id: str,
    epoch: int,
    *,
    now: datetime,
    usage: Mapping[str, Any] | None = None,
    model: str | None = None,
    worked_s: float | None = None,
    heads: tip.Heads | None = None,
) -> None:
    """Give a running run back, so that another worker (or this one, later) goes on with it.

    Raises:
        Fenced: Another worker took the run over, or it was cancelled.
    """
    run = run_record(conn, run_id, epoch)
    changes = _used(usage, model, worked_s) | _tip(conn, run, heads, news=0)
    change_run(conn, run, status="queued", owner=None, updated_at=now, **changes)


def reopen(conn: sqlite3.Connection, run_id: str, *, now: datetime) -> None:
    """Queue a failed run once more; it goes on from its last checkpoint, and may be at work for its whole time again.

    Raises:
        UnknownRun: There is no such run.
        RunPruned: Its state was removed.
        ThreadBusy: Its thread has another unfinished run.
    """
    run = unpruned(conn, run_id)
    ahead = conn.execute(
        f"SELECT run_id, status FROM run WHERE thread_id=? AND {_HOLDING}", (run.thread_id,)
    ).fetchone()
    if ahead is not None:
        raise ThreadBusy(run.thread_id, *ahead)
    update_run(conn, run, status="queued", error=None, finished_at=None, worked_s=0.0, updated_at=now)


def forget(conn: sqlite3.Connection, prefix: str, *, keep: int) -> list[str]:
    """Delete finished runs, but for the newest `keep`, on threads whose ids begin with `prefix`; returns their ids.

    Right only for threads of one run.
    """
    conn.execute(
        "CREATE TEMP TABLE old AS SELECT run_id, thread_id, seq FROM run"
        " WHERE finished_at IS NOT NULL AND thread_id GLOB ? ORDER BY seq DESC LIMIT -1 OFFSET ?",
        (f"{prefix}-*", keep),
    )
    for table in ("approval", "effect", "event", "run"):
        conn.execute(f"DELETE FROM {table} WHERE run_id IN (SELECT run_id FROM old)")
    for table in ("checkpoint", "blob", "pending_write", "piece"):
        conn.execute(f"DELETE FROM {table} WHERE thread_id IN (SELECT thread_id FROM old)")
    conn.execute("DELETE FROM run_label WHERE seq IN (SELECT seq FROM old)")
    forgotten = [run_id for (run_id,) in conn.execute("SELECT run_id FROM old")]
    conn.execute("DROP TABLE old")
    return forgotten


def verify(conn: sqlite3.Connection, run: RunRow) -> None:
    """See whether records of a run have vanished.

    Raises:
        CorruptState: An approval, an effect, or something else of what it rested with has vanished.
    """
    check_chain(conn, run)
    tip.check(conn, run)


def listing(
    conn: sqlite3.Connection,
    *,
    status: StoredStatus | None = None,
    thread_id: str | None = None,
    graph: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Found[RunRow]:
    """Runs, newest first, and which of them could not be read.

    Args:
        conn: Any connection of the store.
        status: Only runs in this state.
        thread_id: Only runs of this thread.
        graph: Only runs of this graph.
        tags: Only runs that have all of these.
        metadata: Only runs whose metadata has these values.
        before: The id of the last run of the page before; None for the first page.
        limit: Length of a page.

    Raises:
        UnknownRun: There is no run `before`.
    """
    wanted = {"status": status, "thread_id": thread_id, "graph": graph}
    given = {name: value for name, value in wanted.items() if value is not None}
    wanted_labels = labels.kept(conn, labels.labels_of(tags, metadata or {}))
    # A thread has few runs, so their labels are looked at run by run.
    source = labels.EACH if wanted_labels and thread_id is None else labels.ALL
    tests, values = source.having(wanted_labels)
    tests += [f"run.{name}=?" for name in given]
    values += given.values()
    if before is not None:
        tests.append(f"{source.order} < ?")
        values.append(_seq(conn, before))
    where = f"WHERE {' AND '.join(tests)} " if tests else ""
    query = f"{select(RUN, source.tables)} {where}ORDER BY {source.order} DESC LIMIT ?"
    return readable(conn, conn.execute(query, (*values, limit)))


def _seq(conn: sqlite3.Connection, run_id: str) -> int:
    found = conn.execute("SELECT seq FROM run WHERE run_id=?", (run_id,)).fetchone()
    if found is None:
        raise UnknownRun(run_id)
    return int(found[0])


def count(conn: sqlite3.Connection) -> dict[StoredStatus, int]:
    """How many runs there are in each state that occurs."""
    return dict(conn.execute("SELECT status, count(*) FROM run GROUP BY status").fetchall())


def _is_alive(conn: sqlite3.Connection, worker_id: str | None) -> bool:
    return conn.execute("SELECT 1 FROM worker WHERE worker_id=?", (worker_id,)).fetchone() is not None


def _holder(conn: sqlite3.Connection, thread_id: str, ahead: tuple[str, str]) -> tuple[str, str]:
    found = conn.execute(f"SELECT run_id, status FROM run WHERE thread_id=? AND {_HOLDING}", (thread_id,)).fetchone()
    return found or ahead


def _used(usage: Mapping[str, Any] | None, model: str | None, worked_s: float | None) -> dict[str, Any]:
    """What a run has used, as changes of its row."""
    changes = {"usage": None if usage is None else dict(usage), "model": model, "worked_s": worked_s}
    return {name: value for name, value in changes.items() if value is not None}


def _tip(conn: sqlite3.Connection, run: Record, heads: tip.Heads | None, *, news: int) -> dict[str, Any]:
    """What the run at rest must still have, as a change of its row; nothing where nobody knows what it wrote."""
    if heads is None:
        return {}
    before = run["tip"]
    return {"tip": tip.taken(conn, run, json.loads(str(before)) if before else None, heads, news)}


def _end(
    conn: sqlite3.Connection, run: Record, status: StoredStatus, now: datetime, error: str | None, **changes: Any
) -> str | None:
    if run["links"]:
        approvals.cancel_open(conn, str(run["run_id"]))
    if status != "failed":  # which may be taken up again
        vault.drop(conn, str(run["run_id"]))
    change_run(conn, run, status=status, owner=None, error=error, updated_at=now, finished_at=now, **changes)
    return _promote(conn, str(run["thread_id"]), now) if run["status"] != "pending" else None


def _promote(conn: sqlite3.Connection, thread_id: str, now: datetime) -> str | None:
    """Queue the pending run of a thread that waits longest."""
    waiting = _fetch(conn, "WHERE thread_id=? AND status='pending' ORDER BY seq LIMIT 1", thread_id)
    if not waiting:
        return None
    return update_run(conn, waiting[0], status="queued", updated_at=now).run_id


def _fetch(conn: sqlite3.Connection, where: str, *values: Any) -> list[RunRow]:
    return [decode_run(conn, record) for record in conn.execute(f"{SELECT_RUN} {where}", values)]

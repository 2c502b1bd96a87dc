"""What a run at rest must still have of its checkpoints, writes, effects and events, kept in its own row.

A checksum shows that a record was changed, not that it is gone: where a damaged tree hides the newest checkpoint, the
one before it looks as good. The row is written anyway when a run comes to rest, so the tip costs no statement of its
own, and no super-step knows of it.

Plain functions of a connection; call them inside `Store.write` or `Store.read`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

from ...core.errors import CorruptState
from . import events
from .rows import RunRow

Heads = Mapping[str, str]
"""The newest checkpoint of each namespace that a run wrote."""


def taken(
    conn: sqlite3.Connection,
    run: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    heads: Heads,
    news: int,
) -> dict[str, Any]:
    """The tip of a run that comes to rest now.

    Args:
        conn: A connection in the transaction that stores the run.
        run: Its columns `run_id`, `thread_id`, `links`, and the `epoch` that it rests with.
        before: The tip of its last rest.
        heads: What was written since the run was claimed.
        news: How many events this transaction will still add.
    """
    thread_id, run_id = run["thread_id"], run["run_id"]
    old: dict[str, str] = (before or {}).get("heads", {})
    # A worker that was killed may have written since the last rest, so what this one did not write is looked up.
    root = heads.get("") or _newest(conn, thread_id, run_id, "")
    # Sub-graphs belong to tasks of the root's checkpoint: as long as that one stands, theirs stand too.
    kept = {ns: _newest(conn, thread_id, run_id, ns) for ns in old} if root == old.get("") else {}
    now = {ns: head for ns, head in {"": root, **kept, **heads}.items() if head is not None}
    return {
        "epoch": run["epoch"],
        "heads": now,
        "writes": _writes(conn, thread_id, now),
        "effects": _effects(conn, run_id) if run["links"] else 0,
        "events": events.last_seq(conn, run_id) + news,
    }


def check(conn: sqlite3.Connection, run: RunRow) -> None:
    """See whether a run at rest still has what it rested with.

    Raises:
        CorruptState: A checkpoint, a write, an effect or an event of it has vanished.
    """
    tip = run.tip
    if tip is None or run.pruned_at is not None:
        return
    rests = tip["epoch"] == run.epoch  # each claim raises it, and so does whoever frees a dead worker's run
    for ns, head in tip["heads"].items():
        newest = _newest(conn, run.thread_id, run.run_id, ns)
        if (newest != head) if rests else (not ns and (newest or "") < head):
            raise _vanished(run, f"its checkpoint {head} is missing")
    if rests and _writes(conn, run.thread_id, tip["heads"]) != tip["writes"]:
        raise _vanished(run, "what its last step wrote is not what was stored")
    if rests and run.links and _effects(conn, run.run_id) != tip["effects"]:
        raise _vanished(run, "its effects are not those that were stored")


def sealed_anew(conn: sqlite3.Connection, run: RunRow) -> RunRow:
    """The run with the tip that it has after its records got other checksums."""
    if run.tip is None or run.pruned_at is not None:
        return run
    sums = {"writes": _writes(conn, run.thread_id, run.tip["heads"]), "effects": _effects(conn, run.run_id)}
    return replace(run, tip={**run.tip, **sums} if run.links else {**run.tip, "writes": sums["writes"]})


def last_event(run: RunRow) -> int:
    """The number of the last event that a run must have at least."""
    return 0 if run.tip is None or run.pruned_at is not None else run.tip["events"]


def _newest(conn: sqlite3.Connection, thread_id: str, run_id: str, ns: str) -> str | None:
    found = conn.execute(
        "SELECT checkpoint_id FROM checkpoint WHERE thread_id=? AND ns=? AND run_id=?"
        " ORDER BY checkpoint_id DESC LIMIT 1",
        (thread_id, ns, run_id),
    ).fetchone()
    return None if found is None else found[0]


def _writes(conn: sqlite3.Connection, thread_id: str, heads: Heads) -> int:
    seal = 0
    for ns, checkpoint_id in sorted(heads.items()):
        seals = conn.execute(
            "SELECT checksum FROM pending_write WHERE thread_id=? AND ns=? AND checkpoint_id=? ORDER BY task_id, idx",
            (thread_id, ns, checkpoint_id),
        ).fetchall()
        seal = crc32(repr(seals).encode(), seal)
    return seal


def _effects(conn: sqlite3.Connection, run_id: str) -> int:
    found = conn.execute("SELECT checksum FROM effect WHERE run_id=? ORDER BY link", (run_id,)).fetchall()
    return crc32(repr(found).encode())


def _vanished(run: RunRow, what: str) -> CorruptState:
    return CorruptState(f"run {run.run_id}", f"{what}. The store has lost records; restore a copy, or cancel the run.")

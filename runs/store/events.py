"""What happened in a run, numbered without gaps.

Plain functions of a connection; call them inside `Store.write`, `Store.post` or `Store.read`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...core.errors import CorruptState
from .codec import columns
from .rows import EventRow
from .tables import check_fence, decode, sealed, select

_NAMES = columns(EventRow)
_SELECT = select(_NAMES, "event")
_INSERT = f"INSERT INTO event ({', '.join(_NAMES)}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)"


def append(
    conn: sqlite3.Connection,
    run_id: str,
    kind: str,
    data: Mapping[str, Any],
    *,
    now: datetime,
    node: str | None = None,
    epoch: int | None = None,
) -> EventRow:
    """Store an event as the next of its run.

    Raises:
        Fenced: An epoch was given and another worker took the run over, or it was cancelled.
    """
    if epoch is not None:
        check_fence(conn, run_id, epoch)
    (last,) = conn.execute("SELECT coalesce(max(seq), 0) FROM event WHERE run_id=?", (run_id,)).fetchone()
    row = EventRow(run_id, last + 1, kind, node, dict(data), now)
    conn.execute(_INSERT, sealed(conn, row, "event", _NAMES))
    return row


def append_all(conn: sqlite3.Connection, rows: Sequence[EventRow]) -> None:
    """Store events that carry their numbers already, as the one who holds the run counts them."""
    conn.executemany(_INSERT, [sealed(conn, row, "event", _NAMES) for row in rows])


def after(conn: sqlite3.Connection, run_id: str, seq: int = 0, *, limit: int = 1000) -> list[EventRow]:
    """The events of a run with a number above `seq`, in order.

    Raises:
        CorruptState: A record is damaged, or missing between others.
    """
    found = conn.execute(f"{_SELECT} WHERE run_id=? AND seq>? ORDER BY seq LIMIT ?", (run_id, seq, limit))
    rows = [_decoded(conn, record) for record in found]
    for number, row in enumerate(rows, start=max(seq, 0) + 1):
        if row.seq != number:
            raise CorruptState(f"run {run_id}", f"its event {number} is missing. Restore the store from a copy.")
    return rows


def of_kinds(conn: sqlite3.Connection, run_id: str, kinds: Collection[str]) -> list[EventRow]:
    """The events of a run of these kinds, in order.

    Raises:
        CorruptState: A record is damaged.
    """
    marks = ", ".join("?" * len(kinds))
    found = conn.execute(f"{_SELECT} WHERE run_id=? AND kind IN ({marks}) ORDER BY seq", (run_id, *kinds))
    return [_decoded(conn, record) for record in found]


def last_seq(conn: sqlite3.Connection, run_id: str) -> int:
    """The number of a run's latest event, 0 when it has none."""
    (last,) = conn.execute("SELECT coalesce(max(seq), 0) FROM event WHERE run_id=?", (run_id,)).fetchone()
    return int(last)


def _decoded(conn: sqlite3.Connection, record: tuple[Any, ...]) -> EventRow:
    return decode(conn, EventRow, "event", _NAMES, record, f"event {record[1]} of run {record[0]}")

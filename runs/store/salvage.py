"""Reading what a damaged tree still holds: row by row, on every way that leads to one.

Plain functions of a connection, slow, for a store that is known to be damaged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from ...core.errors import CorruptState, UnknownRun
from .found import Found
from .rows import ApprovalRow, EffectRow, RunRow
from .soundness import lenient
from .tables import (
    SELECT_APPROVAL,
    SELECT_EFFECT,
    SELECT_RUN,
    decode_approval,
    decode_effect,
    decode_run,
)

T = TypeVar("T")

_WAYS = {
    "run": ("run_thread", "run_status", "run_graph", "sqlite_autoindex_run_1"),
    "approval": ("approval_run", "sqlite_autoindex_approval_1"),
    "effect": ("effect_run", "sqlite_autoindex_effect_1"),
}
"""Indexes that hold the number of every row of a table."""


def all_runs(conn: sqlite3.Connection) -> Found[RunRow]:
    """Every run that can be read, the newest first."""
    return _salvaged(conn, "run", SELECT_RUN, decode_run)


def all_approvals(conn: sqlite3.Connection) -> Found[ApprovalRow]:
    """Every approval that can be read, the newest first."""
    return _salvaged(conn, "approval", SELECT_APPROVAL, decode_approval)


def all_effects(conn: sqlite3.Connection) -> Found[EffectRow]:
    """Every effect that can be read, the newest first."""
    return _salvaged(conn, "effect", SELECT_EFFECT, decode_effect)


def page(
    conn: sqlite3.Connection,
    *,
    before: str | None = None,
    limit: int = 50,
    tags: Iterable[str] = (),
    metadata: Mapping[str, Any] | None = None,
    **wanted: Any,
) -> Found[RunRow]:
    """What `runs.listing` would give from a whole store.

    Raises:
        UnknownRun: There is no run `before`.
    """
    found = all_runs(conn)
    rows = list(found)
    if before is not None:
        ids = [row.run_id for row in rows]
        if before not in ids:
            raise CorruptState(f"run {before}", "it cannot be read.") if found.damaged else UnknownRun(before)
        rows = rows[ids.index(before) + 1 :]
    for name, value in wanted.items():
        rows = [row for row in rows if value is None or getattr(row, name) == value]
    rows = [row for row in rows if {*tags} <= {*row.tags}]
    rows = [row for row in rows if all(row.metadata.get(name) == value for name, value in (metadata or {}).items())]
    return Found(rows[:limit], found.damaged)


def inbox(
    conn: sqlite3.Connection,
    *,
    now: datetime,
    run_id: str | None = None,
    after: str | None = None,
    limit: int = 1000,
) -> Found[ApprovalRow]:
    """What `approvals.inbox` would give from a whole store."""
    found = all_approvals(conn)
    rows = [
        row
        for row in reversed(found)
        if row.state == "pending"
        and (row.expires_at is None or row.expires_at > now)
        and (run_id is None or row.run_id == run_id)
    ]
    start = next((place for place, row in enumerate(rows, 1) if row.approval_id == after), 0)
    return Found(rows[start : start + limit], found.damaged)


def _salvaged(
    conn: sqlite3.Connection, table: str, query: str, decoded: Callable[[sqlite3.Connection, tuple[Any, ...]], T]
) -> Found[T]:
    rows: list[T] = []
    damaged: list[str] = []
    conn.text_factory = lenient
    for number in reversed(_numbers(conn, table)):
        try:
            record = conn.execute(f"{query} NOT INDEXED WHERE rowid=?", (number,)).fetchone()
            if record is None:
                damaged.append(f"{table} number {number}: its record is missing.")
            else:
                rows.append(decoded(conn, record))
        except (sqlite3.DatabaseError, CorruptState) as error:
            damaged.append(f"{table} number {number}: {error}")
    return Found(rows, damaged)


def _numbers(conn: sqlite3.Connection, table: str) -> list[int]:
    """Numbers of all rows that there are or were, in order."""
    seen: set[Any] = set()
    ways = [f"NOT INDEXED ORDER BY rowid {way}" for way in ("ASC", "DESC")]
    ways += [f"INDEXED BY {index}" for index in _WAYS[table]]
    for way in ways:
        with suppress(sqlite3.DatabaseError):
            for (number,) in conn.execute(f"SELECT rowid FROM {table} {way}"):
                seen.add(number)
    # A damaged number may be anything; rows are numbered from 1 without gaps.
    likely = sorted(number for number in seen if isinstance(number, int) and 0 < number <= 2 * len(seen) + 100)
    return list(range(1, likely[-1] + 1)) if likely else []

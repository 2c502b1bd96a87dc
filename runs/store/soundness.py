"""Whether the trees in which runs and their records are found are whole.

Each record carries its own checksum, so what is read is right. What a damaged tree hides is never read: a flipped
bit in an inner page makes a key vanish from every look-up while its row is still there. SQLite compares each index
with its table when asked (sqlite.org/pragma.html#pragma_integrity_check), which takes some 20 µs a run (measured),
so it is asked once for each open store, when something is listed or moved.

Plain functions of a connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

TABLES = ("run", "approval", "effect", "run_label")
"""Tables in which a hidden row would not be missed by what refers to it."""

_MOST = 20
"""Flaws of a table that are told."""

_COUNTED = (
    "SELECT (SELECT count(*) FROM run NOT INDEXED), (SELECT coalesce(max(seq), 0) FROM run NOT INDEXED),"
    " coalesce((SELECT seq FROM sqlite_sequence WHERE name='run'), 0),"
    " (SELECT coalesce(sum(links), 0) FROM run NOT INDEXED),"
    " (SELECT count(*) FROM approval NOT INDEXED) + (SELECT count(*) FROM effect NOT INDEXED)"
)


def flaws(conn: sqlite3.Connection) -> tuple[str, ...]:
    """What is wrong with the store's trees, one line each; empty when nothing is."""
    found: list[str] = []
    for table in TABLES:
        found += [f"{table}: {line}" for line in _checked(conn, table)]
    return tuple(found or miscounted(conn))


def _checked(conn: sqlite3.Connection, table: str) -> list[str]:
    before, conn.text_factory = conn.text_factory, lenient
    try:
        lines = [str(line) for (line,) in conn.execute(f"PRAGMA integrity_check({table})").fetchmany(_MOST)]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    finally:
        conn.text_factory = before
    # Texts of several lines name the page first; `ok` stands for nothing found.
    return [" ".join(line.split()) for line in lines if line != "ok"]


def miscounted(conn: sqlite3.Connection) -> Iterator[str]:
    """Rows that are gone from a tree and from its indexes alike. No run is ever deleted from a file."""
    try:
        stored, newest, begun, linked, links = conn.execute(_COUNTED).fetchone()
    except sqlite3.DatabaseError as error:
        yield str(error)
        return
    if not stored == newest == begun:
        yield f"run: {begun} runs were begun, {stored} are stored, the last as number {newest}"
    if linked != links:
        yield f"run: they count {linked} approvals and effects, and {links} are stored"


def lenient(raw: bytes) -> str:
    """Text as it is stored, also where a damaged byte fits no character."""
    return raw.decode("utf-8", "surrogateescape")

"""Large values in pieces, each stored once a thread, so that a list which grows costs what it grew by.

Bytes are cut at every `SIZE` from their start: a value that was only added to at its end has the pieces that it
had before, but for the last. A row then holds the names of its pieces in place of the value, and where these
names are long themselves, they are cut in the same way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from hashlib import blake2b

from ...core.errors import CorruptState

Typed = tuple[str, bytes]
"""Kind and bytes of a value; `msgpack/2` is a value of kind `msgpack` that was cut twice."""

SIZE = 1984
"""Bytes of a piece: with their names and thread, two fill one page of 4 KiB."""

NAMES_SIZE = 512
"""Bytes of a piece that holds names: a row with up to twice as many needs no page of its own."""

_NAME = 16
"""Bytes of a name: enough that no two pieces of a thread ever share one by chance."""

_BATCH = 500
"""Names in one query; SQLite takes 999 in its oldest versions."""

_PUT = "INSERT OR IGNORE INTO piece VALUES (?, ?, ?)"


def cut(conn: sqlite3.Connection, thread_id: str, value: Typed) -> Typed:
    """What a row holds for a value: the value, or the names of its pieces, which are stored here."""
    kind, data = value
    level = 0
    size = SIZE
    while len(data) > 2 * size:
        parts = [data[start : start + size] for start in range(0, len(data), size)]
        names = [_name(part) for part in parts]
        conn.executemany(_PUT, [(thread_id, name, part) for name, part in zip(names, parts, strict=True)])
        data = b"".join(names)
        level, size = level + 1, NAMES_SIZE
    return (f"{kind}/{level}", data) if level else value


def joined(conn: sqlite3.Connection, thread_id: str, stored: Typed, what: str) -> Typed:
    """The value that `cut` made a row of.

    Raises:
        CorruptState: A piece is missing or damaged; `what` names the value.
    """
    kind, level = _kind_of(stored)
    data = stored[1]
    for _ in range(level):
        data = b"".join(_read(conn, thread_id, _names(data), what))
    return kind, data


def drop_unused(conn: sqlite3.Connection, thread_id: str) -> None:
    """Remove the pieces of a thread that none of its values needs."""
    used: set[bytes] = set()
    for table in ("blob", "pending_write"):
        rows = conn.execute(f"SELECT type, data FROM {table} WHERE thread_id=? AND type LIKE '%/%'", (thread_id,))
        for stored in rows.fetchall():
            used.update(_needed(conn, thread_id, stored))
    present = conn.execute("SELECT name FROM piece WHERE thread_id=?", (thread_id,)).fetchall()
    unused = [(thread_id, name) for (name,) in present if name not in used]
    conn.executemany("DELETE FROM piece WHERE thread_id=? AND name=?", unused)


def copy(conn: sqlite3.Connection, source: str, target: str) -> None:
    """Give one thread the pieces of another."""
    conn.execute("INSERT OR IGNORE INTO piece SELECT ?, name, data FROM piece WHERE thread_id=?", (target, source))


def _needed(conn: sqlite3.Connection, thread_id: str, stored: Typed) -> Iterator[bytes]:
    _, level = _kind_of(stored)
    data = stored[1]
    while level:
        names = _names(data)
        yield from names
        level -= 1
        if level:
            data = b"".join(_read(conn, thread_id, names, "value"))


def _read(conn: sqlite3.Connection, thread_id: str, names: list[bytes], what: str) -> Iterator[bytes]:
    found: dict[bytes, bytes] = {}
    wanted = list(dict.fromkeys(names))
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        marks = ", ".join("?" * len(some))
        found.update(
            conn.execute(f"SELECT name, data FROM piece WHERE thread_id=? AND name IN ({marks})", (thread_id, *some))
        )
    for name in names:
        if name not in found:
            raise CorruptState(what, "a piece of the value is missing. Restore the store from a copy.")
        if _name(found[name]) != name:
            raise CorruptState(what, "the stored bytes are damaged (a piece differs). Restore the store from a copy.")
        yield found[name]


def _kind_of(stored: Typed) -> tuple[str, int]:
    kind, _, level = stored[0].partition("/")
    return kind, int(level or 0)


def _names(data: bytes) -> list[bytes]:
    return [data[start : start + _NAME] for start in range(0, len(data), _NAME)]


def _name(part: bytes) -> bytes:
    return blake2b(part, digest_size=_NAME).digest()

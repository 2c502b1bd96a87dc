"""The tables of checkpoints: one blob per changed channel, pending writes, and the walks over them.

Plain functions of a connection, about bytes; `saver` turns them into LangGraph's objects.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from langgraph.constants import START

from ...core.errors import CorruptState
from . import pieces
from .codec import checksum, verify
from .pieces import Row, Typed
from .sealing import hidden_at, shown_at

Version = int | str | float


class Key(NamedTuple):
    """Which checkpoint."""

    thread_id: str
    ns: str
    checkpoint_id: str


class Blob(NamedTuple):
    """The value that a channel had from a version on."""

    channel: str
    version: Version
    value: Typed


class Write(NamedTuple):
    """What a task wrote on a checkpoint, before the next one took it in."""

    task_id: str
    idx: int
    task_path: str
    channel: str
    value: Typed


@dataclass(frozen=True, slots=True)
class Record:
    """A checkpoint without its values."""

    key: Key
    parent_id: str | None
    run_id: str | None
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which checkpoints to list; None does not narrow."""

    thread_id: str | None = None
    ns: str | None = None
    checkpoint_id: str | None = None
    before_id: str | None = None
    run_id: str | None = None


_PUT = "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_BLOB = "INSERT OR REPLACE INTO blob VALUES (?, ?, ?, ?, ?, ?, ?)"
_KEEP_WRITE = "INSERT OR IGNORE INTO pending_write VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REPLACE_WRITE = "INSERT OR REPLACE INTO pending_write VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RECORD = "SELECT thread_id, ns, checkpoint_id, parent_id, run_id, body, checksum FROM checkpoint"


def put(
    conn: sqlite3.Connection,
    key: Key,
    parent_id: str | None,
    run_id: str | None,
    body: bytes,
    blobs: Sequence[Blob],
) -> None:
    """Store a checkpoint and the values that changed with it."""
    thread_id, ns, _ = key
    rows = [(thread_id, ns, blob.channel, blob.version, *_cut(conn, thread_id, ns, blob)) for blob in blobs]
    if rows:
        conn.executemany(_PUT_BLOB, [(*row, checksum(*row)) for row in rows])
    kept = hidden_at(conn, body, "checkpoint", *key)
    conn.execute(_PUT, (*key, parent_id, run_id, kept, checksum(*key, parent_id, run_id, kept)))


def put_writes(conn: sqlite3.Connection, key: Key, writes: Sequence[Write], *, replace: bool) -> None:
    """Store what a task wrote; where its write is stored already, keep that one, or replace it."""
    rows = [(*key, *write[:4], *_kept(conn, key.thread_id, write.value, _write_row(key, write))) for write in writes]
    conn.executemany(_REPLACE_WRITE if replace else _KEEP_WRITE, [(*row, checksum(*row)) for row in rows])


def _cut(conn: sqlite3.Connection, thread_id: str, ns: str, blob: Blob) -> Typed:
    row = _blob_row(ns, blob.channel, blob.version)
    return _kept(conn, thread_id, blob.value, row, fields=blob.channel == START)


def _kept(conn: sqlite3.Connection, thread_id: str, value: Typed, row: Row, *, fields: bool = False) -> Typed:
    """Kind and bytes of a value as its row holds them."""
    kind, data = pieces.cut(conn, thread_id, value, row, fields=fields)
    return kind, hidden_at(conn, data, *row.place(thread_id))


def _blob_row(ns: str, channel: str, version: Version) -> Row:
    return Row("blob", (ns, channel), (ns, channel, version))


def _write_row(key: Key, write: Write) -> Row:
    return Row("pending_write", (key.ns, write.channel), (key.ns, key.checkpoint_id, write.task_id, write.idx))


def latest(conn: sqlite3.Connection, thread_id: str, ns: str, run_id: str | None) -> Record | None:
    """The newest checkpoint of a namespace, of one run or of any."""
    return next(find(conn, Search(thread_id=thread_id, ns=ns, run_id=run_id), limit=1), None)


def get(conn: sqlite3.Connection, key: Key, run_id: str | None = None) -> Record | None:
    """The checkpoint with this id, if it is there (and belongs to the run)."""
    search = Search(thread_id=key.thread_id, ns=key.ns, checkpoint_id=key.checkpoint_id, run_id=run_id)
    return next(find(conn, search, limit=1), None)


def find(conn: sqlite3.Connection, search: Search, limit: int | None = None) -> Iterator[Record]:
    """The checkpoints wanted, newest first."""
    tests = {
        "thread_id=?": search.thread_id,
        "ns=?": search.ns,
        "checkpoint_id=?": search.checkpoint_id,
        "checkpoint_id<?": search.before_id,
        "run_id=?": search.run_id,
    }
    given = {test: value for test, value in tests.items() if value is not None}
    where = f" WHERE {' AND '.join(given)}" if given else ""
    cursor = conn.execute(
        f"{_RECORD}{where} ORDER BY checkpoint_id DESC LIMIT ?",
        (*given.values(), -1 if limit is None else limit),
    )
    for *key, parent_id, run_id, body, seal in cursor:
        verify(seal, *key, parent_id, run_id, body, what=f"checkpoint {key[2]} of thread {key[0]}")
        yield Record(Key(*key), parent_id, run_id, shown_at(conn, body, "checkpoint", *key))


def values(
    conn: sqlite3.Connection, thread_id: str, ns: str, versions: Iterable[tuple[str, Version]]
) -> dict[str, Typed]:
    """The stored values of channels at these versions.

    Raises:
        CorruptState: A value is missing or damaged.
    """
    found: dict[str, Typed] = {}
    for channel, version in versions:
        what = f"channel {channel!r} version {version} of thread {thread_id}"
        row = conn.execute(
            "SELECT type, data, checksum FROM blob WHERE thread_id=? AND ns=? AND channel=? AND version=?",
            (thread_id, ns, channel, version),
        ).fetchone()
        if row is None:
            raise CorruptState(what, "the value is missing. Restore the store from a copy.")
        kind, data, seal = row
        verify(seal, thread_id, ns, channel, version, kind, data, what=what)
        row = _blob_row(ns, channel, version)
        value = kind, shown_at(conn, data, *row.place(thread_id))
        found[channel] = pieces.joined(conn, thread_id, value, what, None if channel == START else row)
    return found


def writes(conn: sqlite3.Connection, key: Key, channels: Sequence[str] | None = None) -> list[Write]:
    """What tasks wrote on a checkpoint, in the order in which a run applies it."""
    wanted = "" if channels is None else f" AND channel IN ({', '.join('?' * len(channels))})"
    rows = conn.execute(
        "SELECT task_id, idx, task_path, channel, type, data, checksum FROM pending_write"
        f" WHERE thread_id=? AND ns=? AND checkpoint_id=?{wanted} ORDER BY task_path, task_id, idx",
        (*key, *(channels or ())),
    )
    return [_verified(conn, key, row) for row in rows.fetchall()]


def delete_thread(conn: sqlite3.Connection, thread_id: str) -> None:
    """Remove all that a thread has, but for what its runs were started with."""
    for table in ("checkpoint", "blob", "pending_write"):
        conn.execute(f"DELETE FROM {table} WHERE thread_id=?", (thread_id,))
    pieces.drop_unused(conn, thread_id)


def delete(conn: sqlite3.Connection, key: Key) -> None:
    """Remove a checkpoint and its writes, not the values that it shares with others."""
    for table in ("checkpoint", "pending_write"):
        conn.execute(f"DELETE FROM {table} WHERE thread_id=? AND ns=? AND checkpoint_id=?", key)


def copy_thread(conn: sqlite3.Connection, source: str, target: str) -> None:
    """Give one thread all that another has; records are sealed anew under their new thread."""
    for record in list(find(conn, Search(thread_id=source))):
        key = record.key._replace(thread_id=target)
        put(conn, key, record.parent_id, record.run_id, record.body, ())
        stored = writes(conn, record.key)
        put_writes(conn, key, stored, replace=True)
    pieces.copy(conn, source, target)
    for ns, channel, version, kind, data in conn.execute(
        "SELECT ns, channel, version, type, data FROM blob WHERE thread_id=?", (source,)
    ).fetchall():
        row = _blob_row(ns, channel, version)
        kept = hidden_at(conn, shown_at(conn, data, *row.place(source)), *row.place(target))
        seal = checksum(target, ns, channel, version, kind, kept)
        conn.execute(_PUT_BLOB, (target, ns, channel, version, kind, kept, seal))


def namespaces(conn: sqlite3.Connection, thread_id: str) -> list[str]:
    """The namespaces in which a thread has checkpoints."""
    found = conn.execute("SELECT DISTINCT ns FROM checkpoint WHERE thread_id=? ORDER BY ns", (thread_id,))
    return [ns for (ns,) in found]


def drop_blobs(conn: sqlite3.Connection, thread_id: str, keep: set[tuple[str, str, Version]]) -> None:
    """Remove the values of a thread that are not among these namespaces, channels and versions."""
    stored = conn.execute("SELECT ns, channel, version FROM blob WHERE thread_id=?", (thread_id,)).fetchall()
    conn.executemany(
        "DELETE FROM blob WHERE thread_id=? AND ns=? AND channel=? AND version=?",
        [(thread_id, *blob) for blob in stored if blob not in keep],
    )


def _verified(conn: sqlite3.Connection, key: Key, row: tuple[str, int, str, str, str, bytes, int]) -> Write:
    task_id, idx, task_path, channel, kind, data, seal = row
    what = f"write {idx} of task {task_id} on checkpoint {key.checkpoint_id}"
    verify(seal, *key, task_id, idx, task_path, channel, kind, data, what=what)
    place = ("pending_write", *key, task_id, idx)
    value = kind, shown_at(conn, data, *place)
    return Write(task_id, idx, task_path, channel, pieces.joined(conn, key.thread_id, value, what))

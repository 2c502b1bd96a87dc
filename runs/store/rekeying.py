"""Encrypting a store that is not, or with another key, or no more: every record in one transaction.

The file must be nobody else's meanwhile. A process that is killed leaves the store as it was or as it was to be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.constants import START

from ...core.errors import StoreKeyError, StoreUnavailable
from . import given, labels, log, pieces, runs, tip, vault
from .codec import checksum, columns, verify
from .descriptors import FileConnection
from .problems import translate
from .rows import EventRow, RunRow
from .schema import open_file
from .sealing import Cipher, hidden, hidden_at, lock, shown, shown_at
from .tables import APPROVAL, EFFECT, RUN, SELECT_RUN, decode_run, sealed

_ROWS: dict[str, tuple[str, ...]] = {"approval": APPROVAL, "effect": EFFECT, "event": columns(EventRow)}
_KEYS: dict[str, tuple[str, ...]] = {
    "approval": ("approval_id",),
    "effect": ("key",),
    "event": ("run_id", "seq"),
    "checkpoint": ("thread_id", "ns", "checkpoint_id"),
    "blob": ("thread_id", "ns", "channel", "version"),
    "pending_write": ("thread_id", "ns", "checkpoint_id", "task_id", "idx"),
}
_BODY = ("thread_id", "ns", "checkpoint_id", "parent_id", "run_id", "body")
_VALUES: dict[str, tuple[str, ...]] = {
    "blob": ("thread_id", "ns", "channel", "version", "type", "data"),
    "pending_write": ("thread_id", "ns", "checkpoint_id", "task_id", "idx", "task_path", "channel", "type", "data"),
}


@dataclass(frozen=True, slots=True)
class Keys:
    """With what a store is encrypted, and values that wait in its vault; None: not at all."""

    store: str | None = None
    vault: str | None = None


def rekey(path: Path, old: Keys, new: Keys, *, busy_s: float = 10.0) -> int:
    """Encrypt everything in a store with new keys; returns how many runs it holds.

    Raises:
        StoreKeyError: An old key is not the right one, or a new one is none.
        StoreUnavailable: Another process has the file open, or it cannot be written.
        CorruptState: A record is damaged; nothing was changed.
    """
    seen = log.look(path)
    connection = open_file(path, busy_s, old.store)
    try:
        if warning := log.check(connection, path, seen):
            raise StoreUnavailable(str(path), warning)
        _take(connection, path)
        count = _anew(connection, str(path), old, new)
        connection.execute("COMMIT")
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode=WAL")
        return count
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise translate(error, str(path)) from error
    finally:
        connection.close()


def _take(connection: sqlite3.Connection, path: Path) -> None:
    """Begin the transaction, alone: only the last connection may leave the log."""
    connection.execute("UPDATE mark SET log=NULL")
    # What is taken out of the file is written over.
    connection.execute("PRAGMA secure_delete=ON")
    try:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    except sqlite3.OperationalError:
        mode = "wal"
    if mode != "delete":
        raise StoreUnavailable(str(path), "another process has it open. Stop that one first.")


def _anew(connection: FileConnection, name: str, old: Keys, new: Keys) -> int:
    before = connection.cipher
    found = [decode_run(connection, record) for record in connection.execute(SELECT_RUN).fetchall()]
    for row in found:
        runs.verify(connection, row)
    waiting = vault.opened(connection, old.vault, name)
    after = lock(connection, new.store, "store", name)
    both = _Both(connection, before, after)
    for table in _ROWS:
        _rows(both, table)
    _bodies(both)
    connection.execute("DELETE FROM run_label")
    for thread_id in _threads(connection):
        _values(both, thread_id, [row for row in found if row.thread_id == thread_id])
    connection.execute("DELETE FROM vault")
    connection.execute("DELETE FROM cipher WHERE purpose='vault'")
    if waiting and new.vault is None:
        raise StoreKeyError(name, "its vault holds values of runs that wait. Put a key into COLLEGIUM_VAULT_KEY.")
    for run_id, values in waiting.items():
        vault.put(connection, str(new.vault), name, run_id, values)
    return len(found)


@dataclass(frozen=True, slots=True)
class _Both:
    """A connection that reads under one cipher and writes under another."""

    connection: FileConnection
    before: Cipher | None
    after: Cipher | None

    @contextmanager
    def reading(self) -> Generator[FileConnection]:
        self.connection.cipher = self.before
        try:
            yield self.connection
        finally:
            self.connection.cipher = self.after


def _rows(both: _Both, table: str) -> None:
    names = _ROWS[table]
    for key in _keys(both.connection, table):
        values = _stored(both.connection, table, names, key)
        with both.reading() as conn:
            plain = shown(conn, table, names, values)
        _store(both.connection, table, names, key, hidden(both.connection, table, names, plain))


def _bodies(both: _Both) -> None:
    for key in _keys(both.connection, "checkpoint"):
        *place, body = _stored(both.connection, "checkpoint", _BODY, key)
        with both.reading() as conn:
            plain = shown_at(conn, body, "checkpoint", *key)
        _store(
            both.connection, "checkpoint", _BODY, key, (*place, hidden_at(both.connection, plain, "checkpoint", *key))
        )


def _values(both: _Both, thread_id: str, rows: list[RunRow]) -> None:
    """What the channels of a thread hold, what its tasks wrote, its runs with what they were given, and the pieces."""
    conn = both.connection
    old_pieces = conn.execute("SELECT thread_id, name FROM piece WHERE thread_id=?", (thread_id,)).fetchall()
    for table, names in _VALUES.items():
        for key in _keys(conn, table, thread_id):
            *place, kind, data = _stored(conn, table, names, key)
            with both.reading():
                stored = kind, shown_at(conn, data, table, *key)
                value = pieces.joined(conn, thread_id, stored, f"{table} {key}")
            fields = table == "blob" and key[2] == START
            kind, data = pieces.cut(conn, thread_id, value, fields=fields)
            _store(conn, table, names, key, (*place, kind, hidden_at(conn, data, table, *key)))
    for row in rows:
        _run(both, row)
    if both.before is not both.after:
        conn.executemany("DELETE FROM piece WHERE thread_id=? AND name=?", old_pieces)


def _run(both: _Both, row: RunRow) -> None:
    conn = both.connection
    with both.reading():
        whole = given.whole(conn, row)
    (seq,) = conn.execute("SELECT seq FROM run WHERE run_id=?", (row.run_id,)).fetchone()
    kept = tip.sealed_anew(conn, row)
    values = sealed(conn, given.replaced(conn, kept, whole), "run", RUN)
    assignments = ", ".join(f"{name}=?" for name in (*RUN, "checksum"))
    conn.execute(f"UPDATE run SET {assignments} WHERE run_id=?", (*values, row.run_id))
    labels.write(conn, seq, row)


def _threads(conn: sqlite3.Connection) -> list[str]:
    found = conn.execute(
        "SELECT thread_id FROM run UNION SELECT thread_id FROM blob UNION SELECT thread_id FROM pending_write"
    )
    return [thread_id for (thread_id,) in found.fetchall()]


def _keys(conn: sqlite3.Connection, table: str, thread_id: str | None = None) -> list[tuple[Any, ...]]:
    where = "" if thread_id is None else " WHERE thread_id=?"
    query = f"SELECT {', '.join(_KEYS[table])} FROM {table}{where}"
    return conn.execute(query, () if thread_id is None else (thread_id,)).fetchall()


def _stored(conn: sqlite3.Connection, table: str, names: tuple[str, ...], key: tuple[Any, ...]) -> list[Any]:
    """The values of a row as they are stored.

    Raises:
        CorruptState: Its checksum differs.
    """
    query = f"SELECT {', '.join(names)}, checksum FROM {table} WHERE {_is(table)}"
    record: tuple[Any, ...] = conn.execute(query, key).fetchone()
    values = list(record[:-1])
    verify(record[-1], *values, what=f"{table} {key}")
    return values


def _store(conn: sqlite3.Connection, table: str, names: tuple[str, ...], key: tuple[Any, ...], values: Any) -> None:
    assignments = ", ".join(f"{name}=?" for name in (*names, "checksum"))
    conn.execute(f"UPDATE {table} SET {assignments} WHERE {_is(table)}", (*values, checksum(*values), *key))


def _is(table: str) -> str:
    return " AND ".join(f"{name}=?" for name in _KEYS[table])

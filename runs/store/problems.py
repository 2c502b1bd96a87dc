"""From SQLite's errors to the two that callers know."""

from __future__ import annotations

import sqlite3

from ...core.errors import CorruptState, StoreError, StoreUnavailable

_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process holds it locked. Try again when that one is done.",
    sqlite3.SQLITE_LOCKED: "another process holds it locked. Try again when that one is done.",
    sqlite3.SQLITE_FULL: "the disk is full. Nothing of this step was saved; free some space and resume.",
    sqlite3.SQLITE_IOERR: "reading or writing the disk failed (is it full?). Nothing of this step was saved.",
    sqlite3.SQLITE_READONLY: "the file cannot be written. Check its permissions.",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened. Check that its folder exists and can be written.",
    sqlite3.SQLITE_PERM: "the file cannot be opened. Check its permissions.",
    sqlite3.SQLITE_AUTH: "the file cannot be opened. Check its permissions.",
    sqlite3.SQLITE_NOTADB: "the file is not a Collegium store, or it is damaged. Restore a copy of it.",
}


_IMPOSSIBLE = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_FORMAT,
}
"""What the statements of this room never meet in a whole store: a table is gone, a key is there twice."""

_RESTORE = "Restore a copy of it, or save what is whole with `collegium doctor`."


def primary_code(error: BaseException) -> int:
    """SQLite's primary result code of an error, 0 when it has none."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_busy(error: BaseException) -> bool:
    """True when another connection was in the way."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_fatal(error: BaseException) -> bool:
    """True when the whole transaction is lost, not only the statement."""
    return isinstance(error, sqlite3.Error) and primary_code(error) in _ADVICE.keys() | {sqlite3.SQLITE_CORRUPT}


def is_undecodable(error: BaseException) -> bool:
    """True when a text was read whose bytes are no text; Python says so under no code of SQLite."""
    return isinstance(error, sqlite3.OperationalError) and not primary_code(error) and "decode" in str(error)


def translate(error: Exception, name: str) -> StoreError:
    """The error to raise in place of one of SQLite or of the file system; `name` is the file."""
    code = primary_code(error)
    # Text that is no text: of a record, or of the schema, where SQLite's message names a table.
    if code == sqlite3.SQLITE_CORRUPT or isinstance(error, UnicodeError):
        return CorruptState(name, f"the database is damaged. {_RESTORE}")
    if code in _IMPOSSIBLE:
        return CorruptState(name, f"the database is damaged (SQLite says: {error}). {_RESTORE}")
    if code in _ADVICE:
        return StoreUnavailable(name, _ADVICE[code])
    if isinstance(error, OSError):
        return StoreUnavailable(name, f"{error.strerror or error}.")
    return StoreUnavailable(name, f"SQLite says: {error}.")

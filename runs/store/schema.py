"""Opening a store file: made whole or not at all, brought up to date, refused when it is not ours.

A new file is built under another name and linked into place, so no process ever sees half a store and an
empty file is never taken for a new one.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from ...core.errors import StoreUnavailable
from . import descriptors, sealing
from .codec import checksum
from .problems import translate

APPLICATION_ID = 0x434F4C47
"""`COLG` in the file's header: this SQLite database is a Collegium store."""

_MAGIC = b"SQLite format 3\0"

_FILLED = 1 << 36
"""No file is filled up to more: a damaged header may name any size."""

_BUILT_S = 60
"""No store takes so long to be built; it takes some 20 ms."""


def migrations() -> list[tuple[int, str]]:
    """Version and SQL text of every migration, in order."""
    folder = files(__name__.rpartition(".")[0]) / "migrations"
    texts = [(entry.name, entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted((int(name.split("_", 1)[0]), text) for name, text in texts)


def open_memory() -> sqlite3.Connection:
    """A store that lives and dies with this connection."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema=OFF")
    migrate(connection, ":memory:", migrations())
    return connection


def open_file(path: Path, busy_s: float, key: str | None = None) -> descriptors.FileConnection:
    """A connection for writing, to a store that exists from here on and has the newest schema.

    Raises:
        StoreUnavailable: The folder is missing or not writable, or the file is no store, damaged, locked or
            newer.
        StoreKeyError: It is encrypted, and the key is missing or another; or it is not, and there is a key.
    """
    try:
        if not path.exists():
            _create(path, busy_s, key)
        _clear_away(path)
        refuse_foreign(path)
        connection = _connect(path, busy_s)
        try:
            sealing.unlock(connection, key, str(path))  # nothing is touched under a wrong key
            _prepare(connection, path)
            # Once more: whoever encrypts the file anew waits until it is the only one, and this one counts since then.
            connection.cipher = sealing.unlock(connection, key, str(path))
        except BaseException:
            connection.close()
            raise
        return connection
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise translate(error, str(path)) from error


def open_reader(path: Path, busy_s: float, key: str | None = None) -> descriptors.FileConnection:
    """A connection that cannot write.

    Raises:
        StoreUnavailable: The file cannot be opened.
        StoreKeyError: As for `open_file`.
    """
    try:
        connection = _connect(path, busy_s, "PRAGMA query_only=ON")
        try:
            connection.cipher = sealing.unlock(connection, key, str(path))
        except BaseException:
            connection.close()
            raise
        return connection
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise translate(error, str(path)) from error


def migrate(connection: sqlite3.Connection, name: str, steps: list[tuple[int, str]]) -> None:
    """Bring the schema up to date, all steps in one transaction.

    Raises:
        StoreUnavailable: The store was written by a newer Collegium.
    """
    newest = steps[-1][0]
    if _version(connection, name, newest) == newest:
        return
    connection.create_function("checksum", -1, checksum, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again inside the transaction: another process may have been quicker.
        have = _version(connection, name, newest)
        for version, text in steps:
            if version > have:
                _run_script(connection, text)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={newest}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def refuse_foreign(path: Path) -> None:
    """Refuse what is certainly no whole store, before SQLite touches it.

    Raises:
        StoreUnavailable: The file is empty, of another kind, or cut short.
    """
    header, size = descriptors.head(path, 100)
    if not size:
        raise StoreUnavailable(str(path), "the file is empty. Remove it to start a new store, or restore a copy.")
    if not header.startswith(_MAGIC):
        raise StoreUnavailable(str(path), "the file is not a Collegium store. Name another file with --db.")
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise StoreUnavailable(str(path), "the database belongs to another program. Name another file with --db.")
    # While the log holds pages, the file itself may rightly be shorter than its header says.
    wal = path.with_name(f"{path.name}-wal")
    if size < _pages_size(header) and not (wal.exists() and wal.stat().st_size):
        raise StoreUnavailable(str(path), "the file is cut short. Restore a copy of it.")


def fill_up(path: Path) -> None:
    """Give a store file that was cut short its length again, with empty pages."""
    with path.open("r+b") as file:
        header = file.read(100)
        size = _pages_size(header)
        if header.startswith(_MAGIC) and os.fstat(file.fileno()).st_size < size < _FILLED:
            file.truncate(size)


def _pages_size(header: bytes) -> int:
    page = int.from_bytes(header[16:18])
    return (65536 if page == 1 else page) * int.from_bytes(header[28:32])


def _create(path: Path, busy_s: float, key: str | None) -> None:
    """Build the whole file aside and link it into place; when another process is first, its file stays."""
    if not path.parent.is_dir():
        raise StoreUnavailable(str(path), f"there is no folder {str(path.parent)!r}. Make it, or name another file.")
    aside = path.with_name(f"{_aside(path)}{os.getpid()}-{os.urandom(4).hex()}")
    try:
        connection = _connect(aside, busy_s)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            migrate(connection, str(path), migrations())
            if key is not None:
                sealing.lock(connection, key, "store", str(path))
        finally:
            connection.close()
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            aside.with_name(aside.name + suffix).unlink(missing_ok=True)


def _aside(path: Path) -> str:
    """How the names of files begin that are to become this store."""
    return f".{path.name}."


def _clear_away(path: Path) -> None:
    """Remove what processes left that were killed while they built the store: other names of it, and old pieces."""
    started = _aside(path)
    with os.scandir(path.parent) as found:
        left = [Path(entry) for entry in found if entry.name.startswith(started)]
    for aside in left:
        with suppress(OSError):  # another process may be quicker
            if aside.samefile(path) or time.time() - aside.stat().st_mtime > _BUILT_S:
                aside.unlink()


def _connect(path: Path, busy_s: float, *settings: str) -> descriptors.FileConnection:
    # Each connection is used by one thread at a time; the store's own threads see to that.
    connection = descriptors.connect(path, busy_s)
    try:
        for setting in ("PRAGMA trusted_schema=OFF", *settings):
            connection.execute(setting)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    migrate(connection, str(path), migrations())
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    # Asks for the write lock once, so that a read-only file is found here and not at the first write.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection, name: str, newest: int) -> int:
    have: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if have > newest:
        raise StoreUnavailable(
            name,
            f"it has schema {have}, and this Collegium knows up to {newest}. Upgrade Collegium to open it.",
        )
    return have


def _run_script(connection: sqlite3.Connection, text: str) -> None:
    # executescript would commit the open transaction first, so the statements are run one by one.
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""

"""Giving the space of removed records back to the file system."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from .problems import translate
from .schema import open_file

WORTH = 0.1
"""Share of a file that must be free before it is written anew without it."""


def free_bytes(conn: sqlite3.Connection) -> int:
    """Bytes of the file that hold nothing; new records fill them first."""
    return _pragma(conn, "freelist_count") * _pragma(conn, "page_size")


def total_bytes(conn: sqlite3.Connection) -> int:
    """Bytes of the file as the log leaves it."""
    return _pragma(conn, "page_count") * _pragma(conn, "page_size")


def is_worth_it(conn: sqlite3.Connection) -> bool:
    """Whether enough of the file is free to write all of it once."""
    return _pragma(conn, "freelist_count") > WORTH * _pragma(conn, "page_count")


def compact(path: Path, busy_s: float, key: str | None) -> None:
    """Write the file anew without what is free in it, in one transaction; others wait until it is done.

    Raises:
        StoreUnavailable: The disk is full, or the file is in use for longer than `busy_s` seconds.
    """
    connection = open_file(path, busy_s, key)
    try:
        connection.execute("VACUUM")
        # In WAL mode the file itself shrinks only when the log is copied back.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        raise translate(error, str(path)) from error
    finally:
        connection.close()


def _pragma(conn: sqlite3.Connection, name: str) -> int:
    return int(conn.execute(f"PRAGMA {name}").fetchone()[0])

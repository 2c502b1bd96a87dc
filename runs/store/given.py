"""The input of a run as its row keeps it: large ones as names of pieces, shared with the channels that they fill.

A row stays short by it, so that lists of runs read no inputs.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from . import pieces
from .rows import RunRow

_KIND = "msgpack"


def kept(conn: sqlite3.Connection, thread_id: str, given: bytes) -> bytes:
    """What a row holds for an input; its pieces are stored here."""
    kind, data = pieces.cut(conn, thread_id, (_KIND, given), fields=True)
    _, _, level = kind.partition("/")
    return bytes((pieces.INPUT_MARK, int(level))) + data if level else data


def replaced(conn: sqlite3.Connection, row: RunRow, given: bytes) -> RunRow:
    """The run with another input, cut where it is long."""
    return replace(row, input=kept(conn, row.thread_id, given))


def whole(conn: sqlite3.Connection, row: RunRow) -> bytes:
    """The input that a run was admitted with, as bytes of msgpack.

    Raises:
        CorruptState: A piece of it is missing or damaged.
    """
    stored = stored_names(row.input)
    if stored is None:
        return row.input
    return pieces.joined(conn, row.thread_id, stored, f"input of run {row.run_id}")[1]


def stored_names(held: bytes) -> pieces.Typed | None:
    """Kind and names where a row holds names of pieces."""
    return pieces.cut_input(held)

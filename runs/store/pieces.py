"""Large values in pieces, each stored once a thread, so that a list which grows costs what it grew by.

Bytes are cut at every `SIZE` from their start: a value that was only added to at its end has the pieces that it
had before, but for the last. The input of a run is cut at its fields first, so that it shares its pieces with the
channels that it fills. A row then holds the names of its pieces in place of the value, and where these
names are long themselves, they are cut in the same way. What a process has cut or joined last for a channel it
remembers, so that a list that grew is neither named nor read again as a whole.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, cast

import ormsgpack

from ...core.errors import CorruptState
from .sealing import OVERHEAD, Cipher, cipher_of, hidden_at, shown, shown_at

Typed = tuple[str, bytes]
"""Kind and bytes of a value; `msgpack/2` is a value of kind `msgpack` that was cut twice."""

SIZE = 1984
"""Bytes that a piece takes: with their names and thread, two fill one page of 4 KiB."""

NAMES_SIZE = 512
"""Bytes of a piece that holds names: a row with up to twice as many needs no page of its own."""

_NAME = 16
"""Bytes of a name: enough that no two pieces of a thread ever share one by chance."""

_BATCH = 500
"""Names in one query; SQLite takes 999 in its oldest versions."""

_RUN = 64
"""Pieces compared at a time."""

_ROOM = 64_000_000
"""Bytes of values that a process remembers."""

_NOTHING = (b"", b"")

INPUT_MARK = 0xC1
"""The one byte with which no msgpack begins. An input that was cut stands in its run's row as this byte, how often it
was cut, and the names."""

_CUT = (
    "SELECT type, data, 'blob', thread_id, ns, channel, version FROM blob WHERE thread_id=? AND type LIKE '%/%'",
    "SELECT type, data, 'pending_write', thread_id, ns, checkpoint_id, task_id, idx FROM pending_write"
    " WHERE thread_id=? AND type LIKE '%/%'",
)
"""Kind, bytes and place of every value of a thread that was cut, but for inputs."""

_PUT = "INSERT OR IGNORE INTO piece VALUES (?, ?, ?)"

_STORED = {
    "blob": "SELECT type, data FROM blob WHERE thread_id=? AND ns=? AND channel=? AND version=?",
    "pending_write": "SELECT type, data FROM pending_write"
    " WHERE thread_id=? AND ns=? AND checkpoint_id=? AND task_id=? AND idx=?",
}


class Row(NamedTuple):
    """Where a value stands: the row's key after the thread, and what the values of one channel have in common."""

    table: str
    slot: tuple[object, ...]
    key: tuple[object, ...]

    def place(self, thread_id: str) -> tuple[object, ...]:
        """To what the value is bound where the store is encrypted."""
        return (self.table, thread_id, *self.key)


@dataclass(frozen=True, slots=True)
class Cut:
    """A value as it was cut: its bytes, the names of its pieces, the names of theirs; the last are in the row."""

    row: Row
    levels: tuple[bytes, ...]

    def part(self, level: int) -> tuple[bytes, bytes]:
        """The bytes of a level, and the names of their pieces."""
        return (self.levels[level], self.levels[level + 1]) if level + 1 < len(self.levels) else (b"", b"")


class Memory:
    """The last value of each channel, as it was cut, up to a number of bytes."""

    def __init__(self, room: int) -> None:
        self._room, self._size = room, 0
        self._cuts: dict[tuple[object, ...], Cut] = {}
        self._by_names: dict[bytes, Cut] = {}
        self._lock = threading.Lock()

    def last(self, thread_id: str, row: Row) -> Cut | None:
        """The last value of a row's channel."""
        return self._cuts.get((thread_id, row.table, *row.slot))

    def named(self, names: bytes) -> Cut | None:
        """The value whose row holds these names: the same names are the same bytes, in any thread."""
        return self._by_names.get(names)

    def keep(self, thread_id: str, cut: Cut) -> None:
        """Remember a value in place of its channel's last."""
        slot = (thread_id, cut.row.table, *cut.row.slot)
        with self._lock:
            self._drop(slot)
            self._cuts[slot] = self._by_names[cut.levels[-1]] = cut
            self._size += len(cut.levels[0])
            while self._size > self._room:
                self._drop(next(iter(self._cuts)))

    def _drop(self, slot: tuple[object, ...]) -> None:
        cut = self._cuts.pop(slot, None)
        if cut is not None:
            self._size -= len(cut.levels[0])
            self._by_names.pop(cut.levels[-1], None)


_memory = Memory(_ROOM)


def cut(
    conn: sqlite3.Connection, thread_id: str, value: Typed, row: Row | None = None, *, fields: bool = False
) -> Typed:
    """What a row holds for a value: the value, or the names of its pieces, which are stored here.

    Args:
        conn: A connection in a write transaction.
        thread_id: Whose pieces they are.
        value: Kind and bytes.
        row: Where the value will stand; None: nothing is remembered of it.
        fields: Cut a mapping at its large values first, which then have the pieces that each has on its own.
    """
    kind, data = value
    if len(data) <= 2 * SIZE:
        return value
    edges = _edges(data) if fields and kind == "msgpack" else []
    if edges:
        row = None  # what is remembered was cut from its start
    before = _before(conn, thread_id, row)
    levels, size = [data], SIZE if cipher_of(conn) is None else SIZE - OVERHEAD
    if edges:
        levels.append(b"".join(_named(conn, thread_id, data[a:b], size, _NOTHING) for a, b in pairwise(edges)))
        size = NAMES_SIZE
    while len(levels[-1]) > 2 * size:
        old = before.part(len(levels) - 1) if before else _NOTHING
        levels.append(_named(conn, thread_id, levels[-1], size, old))
        size = NAMES_SIZE
    if row is not None:
        _memory.keep(thread_id, Cut(row, tuple(levels)))
    return f"{kind}/{len(levels) - 1}", levels[-1]


def joined(conn: sqlite3.Connection, thread_id: str, stored: Typed, what: str, row: Row | None = None) -> Typed:
    """The value that `cut` made a row of.

    Raises:
        CorruptState: A piece is missing or damaged; `what` names the value.
    """
    kind, level = _kind_of(stored)
    if not level:
        return stored
    known = _memory.named(stored[1]) if row else None
    if known is not None and len(known.levels) == level + 1:
        return kind, known.levels[0]
    levels = [stored[1]]
    for _ in range(level):
        levels.append(b"".join(_read(conn, thread_id, _names(levels[-1]), what)))
    if row is not None:
        _memory.keep(thread_id, Cut(row, tuple(reversed(levels))))
    return kind, levels[-1]


def _edges(data: bytes) -> list[int]:
    """Where the large values of a packed mapping begin and end; none where it holds one of another type."""
    options = ormsgpack.OPT_NON_STR_KEYS
    try:
        found = ormsgpack.unpackb(data, ext_hook=ormsgpack.Ext, option=options)
    except ormsgpack.MsgpackDecodeError:
        return []
    values = cast("dict[Any, Any]", found if type(found) is dict else {})
    if not values or any(type(value) is ormsgpack.Ext for value in values.values()):
        return []
    parts = [_header(len(values))]
    for pair in values.items():
        parts += [ormsgpack.packb(part, option=options) for part in pair]
    if b"".join(parts) != data:
        return []
    ends = [*accumulate(map(len, parts))]
    large = [place for place, part in enumerate(parts) if len(part) > 2 * SIZE]
    return sorted({0, len(data), *(ends[place - 1] for place in large), *(ends[place] for place in large)})


def _header(length: int) -> bytes:
    """How msgpack begins a mapping."""
    if length < 16:
        return bytes([0x80 | length])
    return b"\xde" + length.to_bytes(2) if length < 65536 else b"\xdf" + length.to_bytes(4)


def _before(conn: sqlite3.Connection, thread_id: str, row: Row | None) -> Cut | None:
    """The last value of the row's channel, if its row still stands, and so its pieces do."""
    last = _memory.last(thread_id, row) if row else None
    if last is None:
        return None
    found = conn.execute(_STORED[last.row.table], (thread_id, *last.row.key)).fetchone()
    if not found or not found[0].endswith(f"/{len(last.levels) - 1}"):
        return None
    return last if shown_at(conn, found[1], *last.row.place(thread_id)) == last.levels[-1] else None


def _named(conn: sqlite3.Connection, thread_id: str, data: bytes, size: int, old: tuple[bytes, bytes]) -> bytes:
    """The names of the pieces of `data`. Those that `old`, bytes and names, has at the same place are stored."""
    before, known = old
    cipher = cipher_of(conn)
    names: list[bytes] = []
    new: list[tuple[str, bytes, bytes]] = []
    for start in range(0, len(data), _RUN * size):
        end = start + _RUN * size
        if end <= len(before) and data[start:end] == before[start:end]:
            names.append(known[start // size * _NAME : end // size * _NAME])
            continue
        for place in range(start, min(end, len(data)), size):
            part = data[place : place + size]
            if part == before[place : place + size]:
                names.append(known[place // size * _NAME :][:_NAME])
            else:
                names.append(_name(cipher, part))
                new.append((thread_id, names[-1], hidden_at(conn, part, "piece", thread_id, names[-1])))
    conn.executemany(_PUT, new)
    return b"".join(names)


def drop_unused(conn: sqlite3.Connection, thread_id: str) -> None:
    """Remove the pieces of a thread that none of its values needs."""
    used: set[bytes] = set()
    for stored in _all_cut(conn, thread_id):
        used.update(_needed(conn, thread_id, stored))
    present = conn.execute("SELECT name FROM piece WHERE thread_id=?", (thread_id,)).fetchall()
    unused = [(thread_id, name) for (name,) in present if name not in used]
    conn.executemany("DELETE FROM piece WHERE thread_id=? AND name=?", unused)


def copy(conn: sqlite3.Connection, source: str, target: str) -> None:
    """Give one thread the pieces of another."""
    if cipher_of(conn) is None:
        conn.execute("INSERT OR IGNORE INTO piece SELECT ?, name, data FROM piece WHERE thread_id=?", (target, source))
        return
    for name, data in conn.execute("SELECT name, data FROM piece WHERE thread_id=?", (source,)).fetchall():
        part = shown_at(conn, data, "piece", source, name)
        conn.execute(_PUT, (target, name, hidden_at(conn, part, "piece", target, name)))


def _all_cut(conn: sqlite3.Connection, thread_id: str) -> Iterator[Typed]:
    """Kind and bytes of every value of a thread that was cut."""
    for query in _CUT:
        for kind, data, *place in conn.execute(query, (thread_id,)).fetchall():
            yield kind, shown_at(conn, data, *place)
    for record in conn.execute("SELECT run_id, input FROM run WHERE thread_id=?", (thread_id,)).fetchall():
        _, held = shown(conn, "run", ("run_id", "input"), record)
        if stored := cut_input(held):
            yield stored


def cut_input(held: bytes) -> Typed | None:
    """Kind and names where a run's row holds names of pieces in place of its input."""
    return (f"msgpack/{held[1]}", held[2:]) if len(held) > 2 and held[0] == INPUT_MARK else None


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
    found: dict[bytes, Any] = {}  # a damaged row may hold anything
    wanted = list(dict.fromkeys(names))
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        marks = ", ".join("?" * len(some))
        found.update(
            conn.execute(f"SELECT name, data FROM piece WHERE thread_id=? AND name IN ({marks})", (thread_id, *some))
        )
    cipher = cipher_of(conn)
    for name in names:
        if name not in found:
            raise CorruptState(what, "a piece of the value is missing. Restore the store from a copy.")
        yield _checked(cipher, thread_id, name, found[name], what)


def _checked(cipher: Cipher | None, thread_id: str, name: bytes, stored: Any, what: str) -> bytes:
    """A piece as it was cut, if it is the one of this name."""
    with suppress(CorruptState):
        part = stored if cipher is None else cipher.open(stored, "piece", thread_id, name)
        if isinstance(part, bytes) and _name(cipher, part) == name:
            return part
    raise CorruptState(what, "the stored bytes are damaged (a piece differs). Restore the store from a copy.")


def _kind_of(stored: Typed) -> tuple[str, int]:
    kind, _, level = stored[0].partition("/")
    return kind, int(level or 0)


def _names(data: bytes) -> list[bytes]:
    return [data[start : start + _NAME] for start in range(0, len(data), _NAME)]


def _name(cipher: Cipher | None, part: bytes) -> bytes:
    return blake2b(part, digest_size=_NAME).digest() if cipher is None else cipher.name(part, _NAME)

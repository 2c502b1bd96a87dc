"""Whether the log beside a store file (`-wal`) is the one that belongs there, whole.

What was committed last is only in the log. SQLite takes a missing log for an empty one, a damaged one for one that
ends there, and a strange one for its own: each time the store looks whole and is a store of the past. So the file
itself says, from the moment at which it is opened, that it has a log, until all is copied back.

The format is SQLite's (sqlite.org/fileformat2.html#walformat).
"""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ...core.errors import CorruptState

_HEADER, _FRAME = 32, 24
_MAGIC = (0x377F0682, 0x377F0683)
"""The last bit says in which order the bytes of checksums are."""

_BEGUN = 2**20
"""How often at most a log is begun anew until its file is opened alone again; another's number is this near once in
4,000 times."""

Mark = tuple[str, str | None]
"""The store's id, and the salts that its log began with, as hex digits."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A log as it was before SQLite opened it."""

    there: bool
    commits: tuple[int, ...] = ()
    """Numbers of the frames that end a transaction."""
    salts: bytes = b""
    frame: int = 0
    """Bytes of a frame."""
    mark: Mark | None = None
    """What the file says without its log; None where it cannot be told."""


def look(path: Path) -> Seen:
    """See what lies beside a file before it is opened."""
    beside = _beside(path)
    if not beside.exists():
        return Seen(there=False)
    with beside.open("rb") as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER or int.from_bytes(header[:4]) not in _MAGIC:
            return Seen(there=bool(header.strip(b"\0")) or not header, mark=_alone(path))
        page, salts = int.from_bytes(header[8:12]), header[16:24]
        frame = page + _FRAME
        commits: list[int] = []
        for number in range(1, (os.fstat(file.fileno()).st_size - _HEADER) // frame + 1):
            file.seek(_HEADER + (number - 1) * frame)
            head = file.read(_FRAME)
            if head[8:16] == salts and head[4:8] != b"\0\0\0\0":
                commits.append(number)
    return Seen(True, tuple(commits), salts, frame, _alone(path))


def check(connection: sqlite3.Connection, path: Path, seen: Seen) -> str:
    """Compare what SQLite made of the log with what was seen before; returns a warning, or nothing.

    Raises:
        CorruptState: The log belongs to another store, or is damaged before its end.
    """
    mark = _mark(connection)
    if not seen.there:
        # Some other program may have copied it back after a crash, so this alone proves no loss.
        gone = mark is not None and mark[1] is not None and not _size(path)
        return f"{_beside(path).name}: the log is missing; what was stored last may be lost." if gone else ""
    if mark is not None and seen.mark is not None and seen.commits and not _belongs(seen, mark):
        raise _lost(path, "belongs to another store")
    if seen.commits:
        _check_frames(connection, path, seen)
    return ""


def begin(connection: sqlite3.Connection, path: Path, seen: Seen) -> None:
    """Say in the file itself which log it has from here on."""
    mark = _mark(connection)
    if mark is None or (mark[1] is not None and seen.salts):
        return
    connection.execute("UPDATE mark SET log='begun'")
    connection.execute("UPDATE mark SET log=?", (_salts(path).hex(),))
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def end(connection: sqlite3.Connection) -> None:
    """Say that all is in the file once its last connection is closed, unless a worker is still there."""
    connection.execute("UPDATE mark SET log=NULL WHERE NOT EXISTS (SELECT 1 FROM worker)")


def _belongs(seen: Seen, mark: Mark) -> bool:
    """Whether the log seen is the one that the file names, or came of it: SQLite counts each new beginning."""
    assert seen.mark is not None  # or nothing could be compared
    store_id, log = seen.mark
    if log is None or len(log) != 2 * len(seen.salts):  # opened, and killed before the file itself was marked
        return (store_id, None) != mark and store_id == mark[0]
    begun = (int.from_bytes(seen.salts[:4]) - int.from_bytes(bytes.fromhex(log)[:4])) % 2**32
    return store_id == mark[0] and begun < _BEGUN


def _check_frames(connection: sqlite3.Connection, path: Path, seen: Seen) -> None:
    _, recovered, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    beyond = [number for number in seen.commits if number > recovered]
    if recovered < 0:  # another process copies it back just now, and has read it
        return
    if not beyond or _salts(path) != seen.salts:  # begun anew by another process meanwhile
        return
    # A process that is killed while it writes leaves at most its last frame half written, in an older one's place.
    first_bad = _first_bad(path, seen, recovered)
    if len(beyond) > 1 or first_bad < beyond[0] or _HEADER + beyond[0] * seen.frame == _size(path):
        raise _lost(path, f"is damaged at frame {first_bad} of {beyond[-1]}")


def _first_bad(path: Path, seen: Seen, recovered: int) -> int:
    """The number of the first frame whose checksum does not follow from those before."""
    with _beside(path).open("rb") as file:
        header = file.read(_HEADER)
        order = ">" if int.from_bytes(header[:4]) & 1 else "<"
        before = header[24:32]
        if recovered:
            file.seek(_HEADER + (recovered - 1) * seen.frame)
            before = file.read(_FRAME)[16:24]
        one, two = struct.unpack(">2I", before)
        for number in range(recovered + 1, seen.commits[-1] + 1):
            file.seek(_HEADER + (number - 1) * seen.frame)
            frame = file.read(seen.frame)
            one, two = _sum(order, frame[:8] + frame[_FRAME:], one, two)
            if frame[8:16] != seen.salts or struct.pack(">2I", one, two) != frame[16:24]:
                return number
    return seen.commits[-1]


def _sum(order: str, content: bytes, one: int, two: int) -> tuple[int, int]:
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two


def _alone(path: Path) -> Mark | None:
    """What the file says about itself without its log."""
    with suppress(sqlite3.Error, UnicodeDecodeError):  # of the schema
        address = f"file:{quote(str(path.absolute()))}?immutable=1"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            return _mark(connection)
    return None


def _mark(connection: sqlite3.Connection) -> Mark | None:
    with suppress(sqlite3.OperationalError):  # a store of an older schema has none yet
        found: Mark | None = connection.execute("SELECT store_id, log FROM mark").fetchone()
        return found
    return None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return _beside(path).stat().st_size
    return 0


def _salts(path: Path) -> bytes:
    with _beside(path).open("rb") as file:
        return file.read(_HEADER)[16:24]


def _lost(path: Path, what: str) -> CorruptState:
    return CorruptState(
        str(path),
        f"its log {_beside(path).name} {what}: what was stored last cannot be read. Put the right log there, or save"
        " what is left with `collegium doctor`.",
    )

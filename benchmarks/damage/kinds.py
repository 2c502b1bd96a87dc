"""Ways in which a store is damaged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

from .stores import Template

PAGE = 4096

Kind = Callable[[Path, "Sources", Random], None]


class Sources:
    """The stores that copies are made of."""

    def __init__(self, closed: Template, killed: Template, other: Template) -> None:
        self.closed, self.killed, self.other = closed, killed, other

    def of(self, kind: str) -> Template:
        """The store that a kind of damage is done to."""
        return self.killed if kind in LOGGED else self.closed


def _put(path: Path, content: bytes, wal: bytes = b"") -> None:
    path.write_bytes(content)
    if wal:
        path.with_name(f"{path.name}-wal").write_bytes(wal)


def _flipped(content: bytes, random: Random, times: int) -> bytes:
    changed = bytearray(content)
    for _ in range(times):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _pages(content: bytes | bytearray) -> int:
    return len(content) // PAGE


def one_flip(path: Path, sources: Sources, random: Random) -> None:
    """One bit of the file."""
    _put(path, _flipped(sources.closed.db, random, 1))


def some_flips(path: Path, sources: Sources, random: Random) -> None:
    """Two to eight bits of the file."""
    _put(path, _flipped(sources.closed.db, random, random.randint(2, 8)))


def cut_tail(path: Path, sources: Sources, random: Random) -> None:
    """The end of the file is gone."""
    content = sources.closed.db
    _put(path, content[: random.randrange(1, len(content))])


def zeroed_page(path: Path, sources: Sources, random: Random) -> None:
    """One page is all zeroes."""
    content = bytearray(sources.closed.db)
    at = random.randrange(_pages(content)) * PAGE
    content[at : at + PAGE] = bytes(PAGE)
    _put(path, bytes(content))


def swapped_pages(path: Path, sources: Sources, random: Random) -> None:
    """Two pages stand in each other's place."""
    content = bytearray(sources.closed.db)
    one, two = (page * PAGE for page in random.sample(range(_pages(content)), 2))
    content[one : one + PAGE], content[two : two + PAGE] = content[two : two + PAGE], content[one : one + PAGE]
    _put(path, bytes(content))


def doubled_page(path: Path, sources: Sources, random: Random) -> None:
    """A page stands in the place of another, too."""
    content = bytearray(sources.closed.db)
    one, two = (page * PAGE for page in random.sample(range(_pages(content)), 2))
    content[one : one + PAGE] = content[two : two + PAGE]
    _put(path, bytes(content))


def stale_page(path: Path, sources: Sources, random: Random) -> None:
    """A page is as it was when the store held half of its runs: a write that the disk lost."""
    content, old = sources.closed.db, sources.closed.old
    changed = [
        at for at in range(0, min(len(content), len(old)), PAGE) if content[at : at + PAGE] != old[at : at + PAGE]
    ]
    at = random.choice(changed)
    _put(path, content[:at] + old[at : at + PAGE] + content[at + PAGE :])


def whole_log(path: Path, sources: Sources, random: Random) -> None:
    """Nothing is damaged: what a kill leaves must be read whole."""
    _put(path, sources.killed.db, sources.killed.wal)


def missing_log(path: Path, sources: Sources, random: Random) -> None:
    """The log of a killed process is gone."""
    _put(path, sources.killed.db)


def foreign_log(path: Path, sources: Sources, random: Random) -> None:
    """The log of another store lies beside this one."""
    _put(path, sources.killed.db, sources.other.wal)


def foreign_log_beside_closed(path: Path, sources: Sources, random: Random) -> None:
    """The log of another store lies beside one that was closed."""
    _put(path, sources.closed.db, sources.other.wal)


def flipped_log(path: Path, sources: Sources, random: Random) -> None:
    """One bit of the log."""
    _put(path, sources.killed.db, _flipped(sources.killed.wal, random, 1))


def cut_log(path: Path, sources: Sources, random: Random) -> None:
    """The end of the log is gone. Such a log is that of an earlier kill, bit for bit, so it is no part of the mix."""
    wal = sources.killed.wal
    _put(path, sources.killed.db, wal[: random.randrange(1, len(wal))])


def empty_file(path: Path, sources: Sources, random: Random) -> None:
    """Nothing is left."""
    _put(path, b"")


def other_kind(path: Path, sources: Sources, random: Random) -> None:
    """The file is no database."""
    _put(path, b"%PDF-1.7\n" + random.randbytes(9000))


def newer_schema(path: Path, sources: Sources, random: Random) -> None:
    """A later Collegium has written the store."""
    _put(path, sources.closed.db)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=999")
        connection.commit()


def read_only_file(path: Path, sources: Sources, random: Random) -> None:
    """The file may not be written."""
    _put(path, sources.closed.db)
    path.chmod(0o444)


def read_only_folder(path: Path, sources: Sources, random: Random) -> None:
    """Nothing may be made beside the file."""
    _put(path, sources.closed.db)
    os.chmod(path.parent, 0o555)


LOGGED = {"whole_log", "missing_log", "foreign_log", "flipped_log", "cut_log"}

WEIGHTS: dict[Kind, int] = {
    one_flip: 40,
    some_flips: 15,
    cut_tail: 5,
    zeroed_page: 7,
    swapped_pages: 7,
    doubled_page: 4,
    stale_page: 6,
    whole_log: 1,
    missing_log: 1,
    foreign_log: 2,
    foreign_log_beside_closed: 2,
    flipped_log: 5,
    cut_log: 0,
    empty_file: 1,
    other_kind: 1,
    newer_schema: 1,
    read_only_file: 1,
    read_only_folder: 1,
}
"""Each kind, and its share in a hundred or so."""

"""Reading a store file as plain bytes while this process has connections to it.

On POSIX, closing any descriptor of a file drops all locks that the process holds on it (fcntl(2)). SQLite therefore
puts off its own closing while one of its connections holds a lock (sqlite.org/src, `os_unix.c`), and so must whoever
reads the file beside it: without their locks, another process that closes the file takes itself for the last one and
removes the log from under them.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .sealing import Cipher

Inode = tuple[int, int]
"""Device and number: a file has one, whatever its names."""

_lock = threading.Lock()
_connections: Counter[Inode] = Counter()
_kept: dict[Inode, BinaryIO] = {}
"""Descriptors to close with the last connection; one a file, read again by whoever comes next."""


class FileConnection(sqlite3.Connection):
    """A connection that counts as long as it is open."""

    inode: Inode | None = None
    cipher: Cipher | None = None
    """What encrypts the store; None where it is kept as it is."""

    def close(self) -> None:
        """Close it, and what was kept open for it."""
        super().close()
        inode, self.inode = self.inode, None
        if inode is not None:
            _leave(inode)


def connect(path: Path, busy_s: float) -> FileConnection:
    """A connection to a file, to be used by one thread at a time."""
    inode = _join(path)
    try:
        connection = sqlite3.connect(
            path, timeout=busy_s, isolation_level=None, check_same_thread=False, factory=FileConnection
        )
    except BaseException:
        if inode is not None:
            _leave(inode)
        raise
    connection.inode = inode
    return connection


def head(path: Path, size: int) -> tuple[bytes, int]:
    """The first bytes of a file, and how many it has."""
    with _reading(path) as file:
        return file.read(size), os.fstat(file.fileno()).st_size


def copy(path: Path, target: Path) -> None:
    """Copy a file byte by byte; meanwhile no other one is opened."""
    with _reading(path) as file, target.open("wb") as out:
        shutil.copyfileobj(file, out, 2**20)


@contextmanager
def _reading(path: Path) -> Generator[BinaryIO]:
    with _lock:  # no connection may come between the look at their number and the closing
        file = _kept.get(_inode(path.stat())) or path.open("rb", buffering=0)
        try:
            file.seek(0)
            yield file
        finally:
            inode = _inode(os.fstat(file.fileno()))
            if _connections[inode]:
                _kept[inode] = file
            else:
                file.close()


def _join(path: Path) -> Inode | None:
    """Count a connection before it takes its first lock; a file that is still to be made is nobody else's."""
    with _lock:
        try:
            inode = _inode(path.stat())
        except FileNotFoundError:
            return None
        _connections[inode] += 1
        return inode


def _leave(inode: Inode) -> None:
    with _lock:
        _connections[inode] -= 1
        if _connections[inode] <= 0:
            del _connections[inode]
            if (file := _kept.pop(inode, None)) is not None:
                file.close()


def _inode(stat: os.stat_result) -> Inode:
    return stat.st_dev, stat.st_ino


def _forget() -> None:
    """Locks stay with the parent when a process is forked."""
    global _lock
    _lock = threading.Lock()
    _connections.clear()
    for file in _kept.values():
        file.close()
    _kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

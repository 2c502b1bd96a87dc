"""The store: one SQLite file, one thread that writes to it, one that reads.

`write` and `read` take a function of the connection; the functions that know the tables are in the modules
beside this one, and several of them may be joined in one such function, so in one transaction.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from ...core.errors import CorruptState, StoreError, StoreUnavailable, UnknownApproval, UnknownRun
from ...core.settings import store_key
from . import log, soundness
from .inline import Inline, Work
from .problems import translate
from .schema import open_file, open_memory, open_reader
from .writer import Job, Writer

T = TypeVar("T")

_PREFIX = "sqlite://"
_MEMORY = (":memory:", "/:memory:", "")


class Store:
    """Keeps what runs need to survive a restart. Building one does no I/O; `open` does."""

    def __init__(self, url: str, *, busy_s: float = 10.0, key: str | None = None) -> None:
        """Name the store.

        Args:
            url: `sqlite:///path`, `sqlite://:memory:` or a plain path. A relative path counts from the
                working directory, an absolute one has four slashes in the URL.
            busy_s: Seconds to wait for other processes that write; then `StoreUnavailable`.
            key: With what the file is encrypted: 32 bytes in base64; else `COLLEGIUM_STORE_KEY`, else it is not.
                A store in memory never is.

        Raises:
            StoreUnavailable: The URL names another kind of database.
        """
        self.url = url
        self.path = _path_of(url)
        """The file; None for a store in memory."""
        self.busy_s = busy_s
        """Seconds to wait for other processes that write."""
        self.key = key or store_key()
        """With what the file is encrypted; None for one that is not."""
        self._writer: Writer | Inline | None = None
        self._opened: Future[None] = Future()
        self._reader: Writer | None = None
        self._flaws: tuple[str, ...] | None = None
        self.warning = ""
        """What may be wrong with the file, in one line; it is used all the same."""

    @property
    def name(self) -> str:
        """The file as messages name it."""
        return str(self.path) if self.path else ":memory:"

    @property
    def is_open(self) -> bool:
        """True between `open` and `close`."""
        return self._writer is not None and self._opened.done() and self._opened.exception() is None

    async def open(self) -> None:
        """Open the file, made or brought up to date where needed. Opening twice changes nothing.

        Raises:
            StoreUnavailable: The folder is missing or not writable, or the file is no store, damaged, locked
                or newer.
            StoreKeyError: It is encrypted, and the key is missing or another; or it is not, and there is a key.
        """
        await asyncio.wrap_future(self._start())

    def open_now(self) -> None:
        """`open` for code without an event loop; blocks."""
        self._start().result()

    async def close(self) -> None:
        """Finish what is queued and let go of the file. Closing twice changes nothing.

        Raises:
            StoreError: A posted job could not be stored and nobody had heard of it.
        """
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """`close` for code without an event loop; blocks."""
        writer, reader = self._writer, self._reader
        if self.is_open and isinstance(writer, Writer):
            writer.put(Job(log.end, "", beside=True))
        self._writer = self._reader = self._flaws = None
        for thread in (reader, writer):
            if thread is not None:
                thread.stop()
                thread.join()
        while writer is not None and (error := writer.unheard()) is not None:
            if isinstance(error, StoreError):
                raise error

    async def write(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        full: bool = False,
        lane: str = "",
        beside: bool = False,
        size: int | None = None,
    ) -> T:
        """Run `work` in one transaction that takes the write lock first, and return what it returns.

        Everything queued before is done before. When `work` raises, nothing of it is stored. A caller that is
        cancelled while it waits does not take the job back.

        Args:
            work: Does SQL on the connection and nothing else; it runs in the writer's thread, and again when
                the transaction that it shared with other jobs had to be taken back.
            full: Sync the log to the disk before returning, and with it all earlier commits.
            lane: Jobs that depend on each other share a lane: the error of an earlier `post` of the lane is
                raised here, and `work` is not run.
            beside: Leave what was put off as it is: `work` does not concern it.
            size: About how many bytes `work` writes. A small job that need not be `full` is then done in the
                calling thread where nothing is ahead of it, and `work` must take well under a millisecond.

        Raises:
            StoreUnavailable: The store is closed, full, locked for too long, or cannot be written.
            CollegiumError: What `work` or an earlier post of the lane raised.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writing().put(Job(work, lane, full, beside=beside, size=None if full else size, loop=loop, future=future))
        if future.done() and future.exception() is None:  # done in this thread
            return future.result()
        return await self._given(future)

    def write_now(self, work: Callable[[sqlite3.Connection], T], *, full: bool = False, lane: str = "") -> T:
        """`write` for code without an event loop; blocks."""
        future: Future[T] = Future()
        self._writing().put(Job(work, lane, full, future=future))
        return future.result()

    def post(
        self, work: Callable[[sqlite3.Connection], object], *, full: bool = False, lane: str = "", size: int = 0
    ) -> None:
        """Store `work` soon and return at once; the next `write` of its lane, or `flush`, raises its error.

        Until then nothing more of the lane is stored, so nothing stands without what came before it. `size` is
        about the number of bytes that it writes.

        Raises:
            StoreUnavailable: The store is closed.
        """
        self._writing().post(Job(work, lane, full, size=size))

    def put_off(self, lane: str, work: Work, *, first: bool = False, last: bool = False) -> bool:
        """In memory, keep `work` until the store is next asked for anything; in a file it would not survive.

        Whoever reads or writes finds everything done that was put off before.

        Args:
            lane: What depends on each other: all of it is put off, or none.
            work: As for `write`; what it returns is lost.
            first: The lane begins with it.
            last: The lane ends with it, so that `let_go` may drop it.

        Returns:
            False when it was not put off, and must be written.
        """
        writer = self._writing()
        return isinstance(writer, Inline) and writer.put_off(lane, work, first=first, last=last)

    def let_go(self, keep: int) -> list[str]:
        """Drop ended lanes that are still put off, but for the newest `keep`; returns those that are gone."""
        writer = self._writing()
        return writer.let_go(keep) if isinstance(writer, Inline) else []

    async def flush(self, lane: str | None = None) -> None:
        """Wait until everything queued so far is stored.

        Raises:
            CollegiumError: A posted job of the lane (of any, when none is named) had failed.
        """
        error: BaseException | None = None
        try:
            await self._settle()
        finally:  # who waited may have shared the transaction that failed, and hears of it by that
            error = self._writing().unheard(lane)
        if error is not None:
            raise error

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a connection that cannot write; it sees everything that this store was given before.

        Raises:
            StoreUnavailable: The store is closed or cannot be read.
            CorruptState: A record is damaged.
        """
        if not self._writing().idle:
            await self._settle()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._reading().put(Job(work, "", writes=False, loop=loop, future=future))
        return await self._given(future)

    async def flaws(self) -> tuple[str, ...]:
        """What is wrong with the trees of the file, one line each: then a search may miss what is there.

        Looked for once, when first asked; in memory there is nothing that could be damaged.
        """
        if self._flaws is None:
            self._flaws = () if self.path is None else await self.read(soundness.flaws)
        return self._flaws

    async def refuse_unsound(self) -> None:
        """Refuse to change a file whose trees are damaged: an effect that is not found would be made again.

        Raises:
            CorruptState: They are.
        """
        flaws = self._flaws if self._flaws is not None else await self.flaws()
        for first in flaws[:1]:
            raise self._unsound(first, len(flaws) - 1)

    def _unsound(self, first: str, others: int) -> CorruptState:
        more = f" and {others} more" if others else ""
        problem = f"records may be hidden ({first}{more})."
        return CorruptState(self.name, f"{problem} `collegium doctor` lists what is damaged and saves the rest.")

    async def _given(self, future: asyncio.Future[T]) -> T:
        """What a job gave. What it did not find may be hidden."""
        try:
            return await future
        except (UnknownRun, UnknownApproval):
            await self.refuse_unsound()
            if self.warning:
                raise CorruptState(self.name, self.warning) from None
            raise

    def read_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`read` for code without an event loop; blocks."""
        writer = self._writing()
        if not writer.idle:
            settled: Future[None] = Future()
            writer.put(Job(_nothing, _BARRIER, writes=False, future=settled))
            settled.result()
        future: Future[T] = Future()
        self._reading().put(Job(work, "", writes=False, future=future))
        return future.result()

    async def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._writing().put(Job(_nothing, _BARRIER, writes=False, loop=loop, future=future))
        await future

    def _start(self) -> Future[None]:
        """Start the writer, unless it runs; the future tells when the file is open, or why it is not."""
        if self._writer is None or (self._opened.done() and self._opened.exception() is not None):
            path, busy_s = self.path, self.busy_s
            if path is None:
                self._writer = Inline(self.name, open_memory)
            else:
                self._writer = Writer(self.name, lambda: self._connected(path, busy_s), busy_s)
            self._opened = self._writer.start()
        return self._opened

    def _connected(self, path: Path, busy_s: float) -> sqlite3.Connection:
        seen = log.look(path)
        connection = open_file(path, busy_s, self.key)
        try:
            self.warning = log.check(connection, path, seen)
            log.begin(connection, path, seen)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error | UnicodeDecodeError):
                raise translate(error, self.name) from error
            raise
        return connection

    def _writing(self) -> Writer | Inline:
        if self._writer is None:
            raise StoreUnavailable(self.name, "the store is not open.")
        return self._writer

    def _reading(self) -> Writer | Inline:
        """The reader's thread, started at first use; a store in memory has one connection only."""
        path = self.path
        if path is None:
            return self._writing()
        if self._reader is None:
            self._reader = Writer(self.name, lambda: open_reader(path, self.busy_s, self.key), self.busy_s)
            self._reader.start()
        return self._reader


_BARRIER = "\0"


def _nothing(_: sqlite3.Connection) -> None:
    """What a barrier does."""


def _path_of(url: str) -> Path | None:
    if url == ":memory:":
        return None
    if not url.startswith(_PREFIX):
        if "://" in url:
            raise StoreUnavailable(url, 'only SQLite is supported. Use "sqlite:///path" or a plain path.')
        return _file(url, url)
    rest = url.removeprefix(_PREFIX)
    return None if rest in _MEMORY else _file(url, rest.removeprefix("/"))


def _file(url: str, given: str) -> Path:
    path = Path(os.path.expanduser(given))
    if not path.name:
        raise StoreUnavailable(url, "that is a folder. Name a file in it.")
    return path

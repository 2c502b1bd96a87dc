"""The one thread that writes: takes jobs in order, several in one transaction, and says how each went."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from traceback import clear_frames
from typing import Any

from ...core.errors import StoreUnavailable
from .problems import is_busy, is_fatal, translate

GROUP = 64
"""Most jobs in one transaction: keeps the time that other processes wait for the lock short."""

Done = Callable[[Any, BaseException | None], None]


@dataclass(slots=True, eq=False)
class Job:
    """One piece of work on the connection. It may be run a second time after its transaction was taken back."""

    work: Callable[[sqlite3.Connection], Any]
    lane: str
    """Jobs of one lane depend on each other: after one failed unheard, the next is not done."""
    full: bool = False
    writes: bool = True
    beside: bool = False
    """Does not concern work that was put off."""
    loop: asyncio.AbstractEventLoop | None = None
    future: asyncio.Future[Any] | Future[Any] | None = None
    """Who waits; None for a posted job."""
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs jobs on one connection, in a thread of its own."""

    def __init__(self, name: str, connect: Callable[[], sqlite3.Connection], busy_s: float) -> None:
        self._name, self._connect, self._busy_s = name, connect, busy_s
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._unheard: dict[str, BaseException] = {}
        self._lock = threading.Lock()
        self._unsettled = 0
        self._closed = False
        self._full = False
        self._thread = threading.Thread(target=self._live, name=f"collegium-store {name}", daemon=True)

    def start(self) -> Future[None]:
        """Open the connection in the thread; the future tells how that went."""
        self._opened: Future[None] = Future()
        self._opened.set_running_or_notify_cancel()  # a caller that is cancelled does not stop the opening
        self._thread.start()
        return self._opened

    def put(self, job: Job) -> None:
        """Queue a job.

        Raises:
            StoreUnavailable: The store is closed.
        """
        with self._lock:
            if self._closed:
                raise StoreUnavailable(self._name, "the store is closed.")
            self._unsettled += 1
            self._jobs.put(job)

    def stop(self) -> None:
        """Let the thread end when everything queued before is done. Does not wait."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)

    def join(self) -> None:
        """Wait for the thread's end."""
        if self._thread.is_alive():
            self._thread.join()

    @property
    def idle(self) -> bool:
        """True when every job so far is settled."""
        return not self._unsettled

    def unheard(self, lane: str | None = None) -> BaseException | None:
        """Take the error of a posted job that nobody has heard of yet: of one lane, or of any."""
        with self._lock:
            if lane is None:
                lane = next(iter(self._unheard), "")
            return self._unheard.pop(lane, None)

    def _live(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:
            self._refuse(error)
            return
        self._opened.set_result(None)
        try:
            while jobs := self._take():
                self._serve(connection, jobs)
                self._settle(jobs)
        finally:
            connection.close()

    def _refuse(self, error: BaseException) -> None:
        """Tell whoever waits that the file could not be opened."""
        self.stop()
        jobs: list[Job] = []
        while (job := self._jobs.get()) is not None:
            job.error = error
            jobs.append(job)
        self._opened.set_exception(error)
        self._settle(jobs)

    def _take(self) -> list[Job]:
        """The next jobs, in order; empty at the end. Those that only read are served alone."""
        first = self._jobs.get()
        if first is None:
            return []
        taken = [first]
        while first.writes and len(taken) < GROUP:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            taken.append(job)
        return taken

    def _serve(self, connection: sqlite3.Connection, jobs: list[Job]) -> None:
        try:
            if jobs[0].writes:
                self._commit(connection, jobs)
            else:
                self._read(connection, jobs[0])
        except BaseException as error:  # whatever it is, those who wait must hear it and the thread must live
            _let_go(error)
            if len(jobs) > 1 and not is_fatal(error):
                self._serve_each(connection, jobs)
            else:
                self._fail(jobs, self._explain(error))

    def _read(self, connection: sqlite3.Connection, job: Job) -> None:
        """Do a job that only reads, on one snapshot from its start to its end."""
        connection.execute("BEGIN")
        try:
            job.result = job.work(connection)
        finally:
            connection.execute("ROLLBACK")

    def _serve_each(self, connection: sqlite3.Connection, jobs: list[Job]) -> None:
        """One job of a group failed and all were taken back: give each a transaction of its own."""
        for job in jobs:
            if job.error is None:
                self._serve(connection, [job])

    def _fail(self, jobs: list[Job], error: BaseException) -> None:
        """Give the jobs this error, and keep it for lanes in which nobody waits for one of them."""
        told = {job.lane for job in jobs if job.future is not None}
        for job in jobs:
            job.error = job.error or error
            if job.lane not in told:
                with self._lock:
                    self._unheard.setdefault(job.lane, job.error)

    def _commit(self, connection: sqlite3.Connection, jobs: list[Job]) -> None:
        """All jobs in one transaction, or none."""
        self._synchronise(connection, any(job.full for job in jobs))
        self._begin(connection)
        try:
            for job in jobs:
                job.error = self._blocked(job)
                if job.error is None:
                    job.result = job.work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _blocked(self, job: Job) -> BaseException | None:
        """The unheard error of the job's lane: whoever waits hears it now, a posted job is passed over."""
        if not self._unheard or job.lane not in self._unheard:
            return None
        with self._lock:
            return self._unheard.pop(job.lane, None) if job.future else self._unheard.get(job.lane)

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Take the write lock. SQLite waits for it; a few errors of a busy file come at once, though."""
        until = monotonic() + self._busy_s
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or monotonic() >= until:
                    raise
                sleep(0.005)

    def _synchronise(self, connection: sqlite3.Connection, full: bool) -> None:
        # In WAL mode a FULL commit syncs the log, one file, so every NORMAL commit before it too; NORMAL syncs
        # nothing until the log is copied back (sqlite.org/pragma.html#pragma_synchronous, sqlite.org/wal.html).
        if full != self._full:
            connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            self._full = full

    def _explain(self, error: BaseException) -> BaseException:
        return translate(error, self._name) if isinstance(error, sqlite3.Error) else error

    def _settle(self, jobs: list[Job]) -> None:
        waiting: defaultdict[asyncio.AbstractEventLoop, list[Job]] = defaultdict(list)
        for job in jobs:
            if job.loop is not None:
                waiting[job.loop].append(job)
        with self._lock:
            self._unsettled -= len(jobs)
        for job in jobs:
            if isinstance(job.future, Future):
                _tell([job])
        for loop, told in waiting.items():
            if not loop.is_closed():
                _call_soon(loop, told)


def _let_go(error: BaseException | None) -> None:
    """Release what the frames of an error hold.

    A query that was not read to its end keeps the connection on its snapshot for as long as its cursor lives. In a
    traceback that somebody keeps, that would be long: reads would see the past, and writes be refused as outdated.
    """
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _call_soon(loop: asyncio.AbstractEventLoop, jobs: list[Job]) -> None:
    try:
        loop.call_soon_threadsafe(_tell, jobs)
    except RuntimeError:
        pass  # the loop was closed meanwhile: nobody waits any more


def _tell(jobs: Iterable[Job]) -> None:
    for job in jobs:
        future = job.future
        if future is None or future.done():
            continue
        if job.error is None:
            future.set_result(job.result)
        else:
            future.set_exception(job.error)

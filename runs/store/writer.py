"""The one thread that writes: takes jobs in order, several in one transaction, and says how each went.

A small job that nothing is ahead of is done in the thread that brings it: its commit is a copy into the system's page
cache (0.1 ms), while the way to the writer's thread and back costs as much again. What may wait for the disk or for
another process stays in the writer's thread: commits that are synced, copying the log back, a lock that is held
elsewhere, and large values.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from traceback import clear_frames
from typing import Any

from ...core.errors import StoreUnavailable
from . import soundness
from .problems import is_busy, is_fatal, is_undecodable, translate

GROUP = 64
"""Most jobs in one transaction: keeps the time that other processes wait for the lock short."""

SMALL = 65536
"""Most bytes of a job that is done in the thread that brings it."""

SHARE = 4_000_000
"""Bytes that such jobs write before one goes to the writer's thread, which copies the log back when it has grown."""

PAGES = 8192
"""Bytes that a job writes at least: two pages."""

ALONE_S = 0.005
"""Seconds without a small job of another lane after which one is done in the thread that brings it."""

LOG_PAGES = 1000
"""Pages in the log from which on it is copied back."""

HELD_S = 0.005
"""Seconds that a posted job waits for one that it can share a transaction with; each wait wakes the loop once."""


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
    size: int | None = None
    """About how many bytes it writes; None: it is done in the writer's thread in any case."""
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
        self._held: list[Job] = []
        self._releasing: asyncio.AbstractEventLoop | None = None
        self._at_work = threading.Lock()
        """Held by whoever uses the connection."""
        self._connection: sqlite3.Connection | None = None
        self._returned: list[Job] = []
        """Jobs that could not be done in the thread that brought them; they come before all that is queued."""
        self._written = 0
        self._lane, self._brought_at = "", 0.0
        self._closed = False
        self._full = False
        self._here = False
        self._thread = threading.Thread(target=self._live, name=f"collegium-store {name}", daemon=True)

    def start(self) -> Future[None]:
        """Open the connection in the thread; the future tells how that went."""
        self._opened: Future[None] = Future()
        self._opened.set_running_or_notify_cancel()  # a caller that is cancelled does not stop the opening
        self._thread.start()
        return self._opened

    def put(self, job: Job) -> None:
        """Do a job at once where it is small and nothing is ahead of it, else queue it.

        Raises:
            StoreUnavailable: The store is closed.
        """
        if not self._at_once(job):
            self._enqueue(job)

    def post(self, job: Job) -> None:
        """Keep a job for the next one, or for a moment, so that both share a transaction.

        Raises:
            StoreUnavailable: The store is closed.
        """
        loop = _running_loop()
        if loop is None or job.full:
            self._enqueue(job)
            return
        with self._lock:
            self._refuse_if_closed()
            self._held.append(job)
            if len(self._held) >= GROUP:
                self._release()
            elif self._releasing is not loop:
                self._releasing = loop
                loop.call_later(HELD_S, self._release_now)

    def stop(self) -> None:
        """Let the thread end when everything queued before is done. Does not wait."""
        with self._lock:
            if not self._closed:
                self._release()
                self._closed = True
                self._jobs.put(None)

    def join(self) -> None:
        """Wait for the thread's end."""
        if self._thread.is_alive():
            self._thread.join()

    @property
    def idle(self) -> bool:
        """True when every job so far is settled."""
        return not (self._unsettled or self._held)

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
        self._connection = connection
        self._opened.set_result(None)
        try:
            while jobs := self._take():
                self._serve_next(connection, jobs)
        finally:
            self._serve_next(connection, [])
            with self._at_work:
                self._connection = None
                connection.close()

    def _serve_next(self, connection: sqlite3.Connection, jobs: list[Job]) -> None:
        with self._at_work:
            jobs, self._returned = [*self._returned, *jobs], []
            if jobs:
                self._serve(connection, jobs)
        self._settle(jobs)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreUnavailable(self._name, "the store is closed.")

    def _enqueue(self, job: Job) -> None:
        with self._lock:
            self._refuse_if_closed()
            self._release()
            self._queue(job)

    def _queue(self, job: Job) -> None:
        self._unsettled += 1
        self._jobs.put(job)

    def _release(self) -> None:
        for job in self._held:
            self._queue(job)
        self._held.clear()

    def _release_now(self) -> None:
        with self._lock:
            self._releasing = None
            if not self._closed:
                self._release()

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

    def _at_once(self, job: Job) -> bool:
        """Do a small job in this thread, after all that is held; False when it has to be queued."""
        if job.size is None or not self._is_alone(job.lane) or not self._at_work.acquire(blocking=False):
            return False
        try:
            connection, jobs = self._connection, self._take_held(job)
            if connection is None or not jobs:
                return False
            self._commit_here(connection, jobs)
        finally:
            self._at_work.release()
        return True

    def _take_held(self, job: Job) -> list[Job]:
        """What is held and this job, if they are to be done in this thread; else nothing."""
        with self._lock:
            jobs = [*self._held, job]
            size = sum(one.size or 0 for one in jobs)
            if self._connection is None or self._closed or self._unsettled:
                return []
            if self._written >= SHARE or size > SMALL:
                return []
            self._held = []
            self._unsettled += len(jobs)
            self._written += PAGES + size
            return jobs

    def _is_alone(self, lane: str) -> bool:
        """Whether no other lane brought a job just now. Those of several lanes better share transactions."""
        now = monotonic()
        alone = lane == self._lane or now - self._brought_at > ALONE_S
        self._lane, self._brought_at = lane, now
        return alone

    def _commit_here(self, connection: sqlite3.Connection, jobs: list[Job]) -> None:
        """Commit in this thread; where that fails, for whatever reason, the writer's thread tries and tells."""
        try:
            self._tune(connection, full=False, here=True)
            connection.execute("BEGIN IMMEDIATE")
            self._do_all(connection, jobs)
        except BaseException as error:
            _let_go(error)
            _take_back(connection)
            with self._lock:
                self._returned += jobs
                self._queue(Job(_nothing, ""))
            if not isinstance(error, Exception):  # not of the work, but of whoever stops this thread
                raise
            return
        with self._lock:
            self._unsettled -= len(jobs)
        _tell(jobs[-1:])

    def _serve(self, connection: sqlite3.Connection, jobs: list[Job]) -> None:
        try:
            if jobs[0].writes:
                self._commit(connection, jobs)
            else:
                self._read(connection, jobs[0])
        except BaseException as error:  # whatever it is, those who wait must hear it and the thread must live
            _let_go(error)
            _take_back(connection)
            if is_undecodable(error) and connection.text_factory is not soundness.lenient:
                # A damaged text fails the whole search that meets it; read as it is, it fails its own checksum alone.
                connection.text_factory = soundness.lenient
                self._serve(connection, jobs)
            elif len(jobs) > 1 and not is_fatal(error):
                self._serve_each(connection, jobs)
            else:
                self._fail(jobs, self._explain(connection, error))

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
        self._written = 0
        self._tune(connection, full=any(job.full for job in jobs), here=False)
        self._begin(connection)
        self._do_all(connection, jobs)

    def _do_all(self, connection: sqlite3.Connection, jobs: list[Job]) -> None:
        try:
            for job in jobs:
                job.error = job.error or self._blocked(job)
                if job.error is None:
                    job.result = job.work(connection)
            connection.execute("COMMIT")
        except BaseException:
            _take_back(connection)
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

    def _tune(self, connection: sqlite3.Connection, *, full: bool, here: bool) -> None:
        # In WAL mode a FULL commit syncs the log, one file, so every NORMAL commit before it too; NORMAL syncs
        # nothing until the log is copied back (sqlite.org/pragma.html#pragma_synchronous, sqlite.org/wal.html).
        if full != self._full:
            connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            self._full = full
        # A caller's thread neither waits for the lock nor copies the log back.
        if here != self._here:
            connection.execute(f"PRAGMA busy_timeout={0 if here else round(self._busy_s * 1000)}")
            connection.execute(f"PRAGMA wal_autocheckpoint={0 if here else LOG_PAGES}")
            self._here = here

    def _explain(self, connection: sqlite3.Connection, error: BaseException) -> BaseException:
        known: tuple[type[Exception], ...] = (sqlite3.Error, UnicodeDecodeError)
        if connection.text_factory is soundness.lenient:  # text that is no text is refused wherever it is used again
            known = (sqlite3.Error, UnicodeError)
        return translate(error, self._name) if isinstance(error, known) else error

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


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _nothing(_: sqlite3.Connection) -> None:
    """What a job does that only wakes the thread."""


def _let_go(error: BaseException | None) -> None:
    """Release what the frames of an error hold.

    A query that was not read to its end keeps the connection on its snapshot for as long as its cursor lives. In a
    traceback that somebody keeps, that would be long: reads would see the past, and writes be refused as outdated.
    """
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _take_back(connection: sqlite3.Connection) -> None:
    """End a transaction that failed. An open one would keep others out, or the connection in the past."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):  # what went wrong before is told; the next statement meets the rest
            connection.execute("ROLLBACK")


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

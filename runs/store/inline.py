"""A store in memory: nothing waits for a disk, so jobs are done at once, in the thread that brings them.

A hop to a writer's thread and back costs more than the statements themselves (measured: 3 ms of a 4 ms run). And
work may be put off until somebody asks for anything: of a run that is over by then and was asked about by nobody,
nothing need ever be written (a tenth of an agent's turn).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from ...core.errors import StoreUnavailable
from .problems import translate
from .writer import Job

Work = Callable[[sqlite3.Connection], Any]


class Inline:
    """Takes jobs as `Writer` does, and is done with each when `put` returns."""

    def __init__(self, name: str, connect: Callable[[], sqlite3.Connection]) -> None:
        self._name, self._connect = name, connect
        self._lock = threading.RLock()
        self._unheard: dict[str, BaseException] = {}
        self._held: dict[str, list[Work]] = {}
        self._over: dict[str, None] = {}
        self._connection: sqlite3.Connection | None = None
        self.idle = True

    def start(self) -> Future[None]:
        """Open the connection; the future is done."""
        opened: Future[None] = Future()
        self._connection = self._connect()
        opened.set_result(None)
        return opened

    def put(self, job: Job) -> None:
        """Do a job and tell whoever waits for it.

        Raises:
            StoreUnavailable: The store is closed.
        """
        with self._lock:
            connection = self._open()
            if self._held and not job.beside:
                self._catch_up(connection)
            error = self.unheard(job.lane) if job.future else self._unheard.get(job.lane)
            if error is None:
                error = self._do(connection, job)
        if job.future is None:
            if error is not None:
                self._unheard.setdefault(job.lane, error)
        elif error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(job.result)

    def post(self, job: Job) -> None:
        """Do a job for which nobody waits."""
        self.put(job)

    def put_off(self, lane: str, work: Work, *, first: bool, last: bool) -> bool:
        """Keep work of a lane for later, all of the lane or none of it; False when it must be done now."""
        with self._lock:
            self._open()
            if first:
                self._held[lane] = []
            if lane not in self._held:
                return False
            self._held[lane].append(work)
            if last:
                self._over[lane] = None
            return True

    def let_go(self, keep: int) -> list[str]:
        """Forget work of lanes that are over, but for the newest; returns those lanes."""
        with self._lock:
            gone = list(self._over)[: max(len(self._over) - keep, 0)]
            for lane in gone:
                del self._over[lane], self._held[lane]
            return gone

    def stop(self) -> None:
        """Close the connection; what it held is gone."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def join(self) -> None:
        """Nothing is at work."""

    def unheard(self, lane: str | None = None) -> BaseException | None:
        """Take the error of a posted job that nobody has heard of yet: of one lane, or of any."""
        if not self._unheard:
            return None
        with self._lock:
            return self._unheard.pop(next(iter(self._unheard)) if lane is None else lane, None)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable(self._name, "the store is closed.")
        return self._connection

    def _catch_up(self, connection: sqlite3.Connection) -> None:
        """Do what was put off, each lane in a transaction, in the order in which they began."""
        held, self._held, self._over = self._held, {}, {}
        for lane, works in held.items():
            error = self._do(connection, Job(partial(_in_turn, works), lane))
            if error is not None:
                self._unheard[lane] = error

    def _do(self, connection: sqlite3.Connection, job: Job) -> Exception | None:
        try:
            if job.writes:
                connection.execute("BEGIN")
            job.result = job.work(connection)
            if job.writes:
                connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return translate(error, self._name) if isinstance(error, sqlite3.Error) else error
        return None


def _in_turn(works: list[Work], connection: sqlite3.Connection) -> None:
    for work in works:
        work(connection)

"""A worker's sign of life, in a thread of its own so that busy nodes do not stop it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable

from ..core.errors import CollegiumError
from .engine import Engine
from .store import Store, workers

log = logging.getLogger(__name__)


class Heart:
    """Beats three times a lease, and frees the runs of workers that no longer do."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        lease_s: float,
        loop: asyncio.AbstractEventLoop,
        declared_dead: Callable[[], Awaitable[None]],
    ) -> None:
        self._store, self._engine, self._lease_s, self._loop = store, engine, lease_s, loop
        self._declared_dead = declared_dead
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name="collegium-heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End; blocks until the thread is gone."""
        self._stopping.set()
        self._thread.join()

    def _live(self) -> None:
        while not self._stopping.wait(self._lease_s / 3):
            try:
                if not self._beat():
                    asyncio.run_coroutine_threadsafe(_started(self._declared_dead), self._loop).result()
            except CollegiumError as error:
                log.warning("no sign of life could be written: %s", error)

    def _beat(self) -> bool:
        now, worker_id = self._engine.clock.now(), self._engine.worker_id
        alive = self._store.write_now(lambda conn: workers.beat(conn, worker_id, now))
        self._store.write_now(lambda conn: workers.sweep(conn, now, self._lease_s))
        return alive


async def _started(work: Callable[[], Awaitable[None]]) -> None:
    await work()

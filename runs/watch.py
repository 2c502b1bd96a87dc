"""Hands events to those who watch a run, from any thread to any event loop."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

from .events import Event


class Watch:
    """Watchers by run. Publishing never waits: a watcher's queue is unbounded and dropped with it."""

    def __init__(self) -> None:
        self._queues: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Queue[Event]]]] = defaultdict(list)

    def watched(self, run_id: str) -> bool:
        """Whether somebody follows this run in this process."""
        return run_id in self._queues

    def publish(self, event: Event) -> None:
        """Show an event to all watchers of its run; safe from any thread."""
        for loop, queue in self._queues.get(event.run_id, ()):
            if _running() is loop:
                queue.put_nowait(event)
            else:
                loop.call_soon_threadsafe(queue.put_nowait, event)

    @contextmanager
    def queue(self, run_id: str) -> Generator[asyncio.Queue[Event]]:
        """A queue of the run's events from this moment on."""
        entry = (asyncio.get_running_loop(), asyncio.Queue[Event]())
        self._queues[run_id].append(entry)
        try:
            yield entry[1]
        finally:
            self._queues[run_id].remove(entry)
            if not self._queues[run_id]:
                del self._queues[run_id]


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def arriving(queue: asyncio.Queue[Event], patience_s: float) -> AsyncIterator[Event]:
    """The events that are in the queue; waits for the first one for at most `patience_s` seconds."""
    try:
        first = await asyncio.wait_for(queue.get(), patience_s)
    except TimeoutError:
        return
    yield first
    while not queue.empty():
        yield queue.get_nowait()

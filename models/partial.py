"""Objects that can be seen while they are being written, and the channel through which they are shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from pydantic_core import from_json

from ._json import as_object
from .base import Completion, PartialOutput, StreamEvent

Show = Callable[[StreamEvent], Awaitable[None]]
"""Hands an event to whoever reads; waits until it is taken."""


class Unfinished:
    """JSON that is still being written.

    Args:
        wrapped: The value travels as the field `value` of an object.
    """

    def __init__(self, *, wrapped: bool = False) -> None:
        self._text, self._wrapped = "", wrapped
        self._read_at = 0
        self._last: Any = None

    def add(self, piece: str) -> PartialOutput | None:
        """What has come so far, where that is more than before.

        Long texts are read anew only after each sixteenth of them, so that all readings together stay linear.
        """
        self._text += piece
        start = self._text.find("{")
        if start < 0 or len(self._text) < self._read_at:
            return None
        self._read_at = len(self._text) + max(1, len(self._text) // 16)
        try:
            value: Any = from_json(self._text[start:], allow_partial="trailing-strings")
        except ValueError:  # talk around it, or an end that cannot be read yet
            return None
        if self._wrapped:
            value = as_object(value).get("value")
        if value is None or value == self._last:
            return None
        self._last = value
        return PartialOutput(value)


async def shown(work: Callable[[Show], Awaitable[Completion[Any]]]) -> AsyncGenerator[StreamEvent, None]:
    """What `work` shows while it runs, then what it returns.

    The work waits while nobody reads, and is cancelled when the reader leaves.

    Args:
        work: Gets the function that hands events on.
    """
    ready: asyncio.Queue[StreamEvent] = asyncio.Queue(1)

    async def run() -> Completion[Any]:
        return await work(ready.put)

    task = asyncio.create_task(run())
    try:
        while True:
            taken = asyncio.create_task(ready.get())
            try:
                await asyncio.wait({task, taken}, return_when=asyncio.FIRST_COMPLETED)
                if taken.done():
                    yield taken.result()
                    continue
            finally:
                taken.cancel()
            yield await task
            return
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # raised above already, or nobody is left to hear it

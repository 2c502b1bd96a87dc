"""Work that its caller cannot leave half done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T], *, hurry: Callable[[], object]) -> T:
    """The result of `work`, which goes on when the caller is cancelled.

    Args:
        work: What must not be left half done.
        hurry: Called when the caller is cancelled, so that it need not wait for long.

    Raises:
        CancelledError: The caller was cancelled; the work is done all the same.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            hurry()
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # heard, if by nobody who could do anything about it
        raise cancelled
    return task.result()

"""The sync door to async code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_blocking(work: Coroutine[Any, Any, T], *, door: str = "this function") -> T:
    """Run `work` to its end in a loop of its own.

    Raises:
        RuntimeError: An event loop already runs in this thread; `await` the async form there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise RuntimeError(f"{door} cannot be used where an event loop runs; await the async form instead.")

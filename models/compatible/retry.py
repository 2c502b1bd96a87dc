"""Trying again, with tenacity: jitter, the server's own wait, and never past the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...core.errors import BackendUnavailable
from .failures import Transient
from .limits import LIMITS

T = TypeVar("T")
_LEAST_S = 0.1
"""Time that a try needs to be worth it: with less the request would not even reach its server."""
Retrying = Callable[[Transient, float], None]
Sleep = Callable[[float], Awaitable[None]]


async def persist(
    attempt: Callable[[], Awaitable[T]],
    *,
    time_left: Callable[[], float],
    sleep: Sleep = asyncio.sleep,
    attempts: int = LIMITS.attempts,
    retrying: Retrying = lambda failure, wait_s: None,
) -> T:
    """What `attempt` returns, tried again after each `Transient` failure.

    Args:
        attempt: One try.
        time_left: Seconds until the deadline; a wait that would outlast it is not begun.
        sleep: Waits.
        attempts: Tries in all.
        retrying: Told of each failure that another try follows, and how many seconds later.

    Raises:
        BackendError: The last failure.
    """
    try:
        return await attempt()
    except Transient as failure:  # tenacity is loaded, and paid for, only once something went wrong
        return await _again(attempt, failure, time_left, sleep, attempts, retrying)


async def _again(
    attempt: Callable[[], Awaitable[T]],
    first: Transient,
    time_left: Callable[[], float],
    sleep: Sleep,
    attempts: int,
    retrying: Retrying,
) -> T:
    from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
    from tenacity.wait import wait_random_exponential

    jitter = wait_random_exponential(multiplier=0.25, max=20)

    def wait(state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.wait_s if isinstance(failure, Transient) else None
        own = jitter(state)
        return own if asked is None else asked + min(own, 0.25)

    def too_late(state: RetryCallState) -> bool:
        return (state.upcoming_sleep or 0.0) + _LEAST_S >= time_left()

    def tell(state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        if isinstance(failure, Transient):
            retrying(failure, state.upcoming_sleep or 0.0)

    tried_out = stop_after_attempt(attempts)
    failures = iter((first,))

    async def next_try() -> T:
        for failure in failures:
            raise failure
        return await attempt()

    persistent = AsyncRetrying(
        sleep=sleep,
        wait=wait,
        stop=lambda state: tried_out(state) or too_late(state),
        retry=retry_if_exception_type(Transient),
        before_sleep=tell,
        reraise=True,
    )
    try:
        return await persistent(next_try)
    except Transient as failure:
        raise _final(failure, time_left()) from failure


def _final(failure: Transient, left_s: float) -> Exception:
    error = failure.error
    if failure.wait_s is not None and failure.wait_s >= left_s:
        return BackendUnavailable(
            error.model, f"{error.problem} It asks to wait {failure.wait_s:g} s, which is past the deadline."
        )
    return error

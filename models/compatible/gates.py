"""The gate before each server: a circuit breaker, the server's own waits, and limits, shared by all runs here.

A circuit breaker and a pacer of our own, since those on the package index belong to one event loop, and a
process may have several.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from ...core.errors import BackendUnavailable, CircuitOpen
from .effort import Effort
from .failures import Transient

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]
MINUTE_S: Final = 60.0


class Circuit:
    """Opens after so many failures in a row; after a pause lets one request try.

    Args:
        clock: Seconds that only grow.
    """

    opens_after = 10
    """High enough that a server which loses one request in five is never shut out by chance."""
    pause_s = 5.0
    longest_pause_s = 60.0

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._failures, self._pauses, self._until = 0, 0, 0.0
        self._trying = False
        self._last = ""

    @property
    def open(self) -> bool:
        """Whether requests are refused here, unsent."""
        return self._failures >= self.opens_after and (self._trying or self._clock() < self._until)

    def enter(self, model: str) -> bool:
        """Let a request pass; True for the one that tries whether the server is back.

        Raises:
            CircuitOpen: It is not sent.
        """
        if self._failures < self.opens_after:
            return False
        if self.open:
            raise CircuitOpen(model, self._failures, max(0.0, self._until - self._clock()), self._last)
        self._trying = True
        return True

    def worked(self) -> None:
        """The server gave an answer, if only a refusal."""
        self._failures = self._pauses = 0
        self._trying = False

    def failed(self, problem: str, *, trial: bool) -> None:
        """It gave none."""
        self._failures += 1
        self._last = problem
        if trial or self._failures == self.opens_after:
            pause_s = min(self.pause_s * 2**self._pauses, self.longest_pause_s)
            self._pauses += 1
            self._until, self._trying = self._clock() + pause_s, False

    def left(self, *, trial: bool) -> None:
        """The request was given up before it could tell."""
        if trial:
            self._trying = False


class Slots:
    """At most so many at once, over all event loops of the process; first come, first served.

    Args:
        free: How many.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._lock = threading.Lock()

    async def take(self) -> None:
        """Wait for a slot."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            place = (loop, loop.create_future())
            self._waiting.append(place)
        try:
            await place[1]
        except asyncio.CancelledError:
            self._leave(place)
            raise

    def give(self) -> None:
        """Hand a slot to the next in line."""
        with self._lock:
            while self._waiting:
                loop, turn = self._waiting.popleft()
                try:
                    loop.call_soon_threadsafe(_wake, turn)
                except RuntimeError:
                    continue  # its loop is closed
                return
            self._free += 1

    def _leave(self, place: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]) -> None:
        with self._lock:
            if place in self._waiting:
                self._waiting.remove(place)
                return
        self.give()  # the slot came at the moment of leaving


@dataclass(slots=True)
class Spent:
    """An amount that counts in the minute after a moment."""

    at: float
    amount: int


class Window:
    """At most so much in any minute; what does not fit is booked for the first moment at which it does.

    Args:
        most: Amount a minute.
        clock: Seconds that only grow.
    """

    def __init__(self, most: int, clock: Clock = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._spent: deque[Spent] = deque()

    def book(self, amount: int) -> Spent:
        """Book an amount; more than a minute's worth waits until nothing else counts."""
        now = self._clock()
        while self._spent and self._spent[0].at <= now - MINUTE_S:
            self._spent.popleft()
        at = max(now, self._spent[-1].at) if self._spent else now
        inside = [spent for spent in self._spent if spent.at > at - MINUTE_S]
        total = sum(spent.amount for spent in inside)
        for oldest in inside:
            if total + amount <= self._most:
                break
            total -= oldest.amount
            at = max(at, oldest.at + MINUTE_S)
        booked = Spent(at, amount)
        self._spent.append(booked)
        return booked

    def wait_s(self, booked: Spent) -> float:
        """Seconds until it is due."""
        return booked.at - self._clock()

    def cancel(self, booked: Spent) -> None:
        """Give back what is not used."""
        booked.amount = 0


class Gate:
    """What requests to one server pass, whichever run they belong to."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.circuit = Circuit(clock)
        self._slots: Slots | None = None
        self._requests: Window | None = None
        self._tokens: Window | None = None
        self._not_before: dict[str, float] = {}

    def limit(
        self,
        *,
        concurrency: int | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
    ) -> None:
        """Set all limits anew; None lifts one. Requests on their way keep to the old ones."""
        self._slots = Slots(concurrency) if concurrency else None
        self._requests = Window(requests_per_minute, self._clock) if requests_per_minute else None
        self._tokens = Window(tokens_per_minute, self._clock) if tokens_per_minute else None

    def passing(self, model: str, effort: Effort, tokens: int, sleep: Sleep) -> Passage:
        """One request through the gate, as a context: waits to enter, learns from how it ends.

        Args:
            model: Names it in errors; waits that the server asks for hold for one model.
            effort: Its deadline. Only the first request of a call waits for others; a retry has waited itself.
            tokens: What it is guessed to use, prompt and answer together.
            sleep: Waits.
        """
        return Passage(self, model, effort, tokens, sleep)

    async def enter(self, passage: Passage) -> None:
        """Wait for a turn, a slot and the circuit, in this order."""
        if self._not_before and not passage.effort.requests:
            await self._wait(passage, self._not_before.get(passage.model, 0.0) - self._clock(), "the server asked")
        for window, amount, what in ((self._requests, 1, "requests"), (self._tokens, passage.tokens, "tokens")):
            if window is not None:
                booked = window.book(amount)
                passage.booked = booked if window is self._tokens else passage.booked
                try:
                    await self._wait(passage, window.wait_s(booked), f"the limit of {what} a minute asks")
                except BaseException:
                    window.cancel(booked)
                    raise
        if self._slots is not None:
            await self._slots.take()
            passage.slots = self._slots
        try:
            passage.trial = self.circuit.enter(passage.model)
        except CircuitOpen:
            passage.give_slot()
            raise

    def pause(self, model: str, wait_s: float) -> None:
        """Let new calls of a model wait, since its server asks for that."""
        self._not_before[model] = max(self._not_before.get(model, 0.0), self._clock() + wait_s)

    async def _wait(self, passage: Passage, wait_s: float, who: str) -> None:
        if wait_s <= 0:
            return
        if wait_s >= passage.effort.left_s():
            raise BackendUnavailable(
                passage.model, f"{who} to wait {wait_s:.3g} s, which is past the deadline of this call."
            )
        await passage.sleep(wait_s + random.uniform(0.0, min(0.25, wait_s)))


class Passage:
    """One request through a gate."""

    __slots__ = ("_gate", "booked", "effort", "model", "sleep", "slots", "tokens", "trial")

    def __init__(self, gate: Gate, model: str, effort: Effort, tokens: int, sleep: Sleep) -> None:
        self._gate, self.model, self.effort, self.tokens, self.sleep = gate, model, effort, tokens, sleep
        self.trial = False
        self.slots: Slots | None = None
        self.booked: Spent | None = None

    async def __aenter__(self) -> Passage:
        await self._gate.enter(self)
        self.effort.requests += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.give_slot()
        circuit = self._gate.circuit
        if isinstance(error, Transient):
            if not error.busy:
                return circuit.failed(error.error.problem, trial=self.trial)
            if error.wait_s:
                self._gate.pause(self.model, error.wait_s)
        elif isinstance(error, TimeoutError | asyncio.CancelledError) and self._is_late(error):
            return circuit.failed("it did not answer in time.", trial=self.trial)
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            return circuit.left(trial=self.trial)
        return circuit.worked()

    def used(self, tokens: int) -> None:
        """Correct the guess by what the server counted."""
        if self.booked is not None:
            self.booked.amount = tokens

    def give_slot(self) -> None:
        """Let the next request in."""
        slots, self.slots = self.slots, None
        if slots is not None:
            slots.give()

    def _is_late(self, error: BaseException) -> bool:
        """Whether the server let a fair deadline pass; a call in a great hurry proves nothing."""
        fair = self.effort.limit_s >= 0.5
        return fair and (isinstance(error, TimeoutError) or self.effort.left_s() <= 0)


_gates: dict[str, Gate] = {}


def gate_of(place: str) -> Gate:
    """The one gate of this process before a server."""
    found = _gates.get(place)
    return found if found is not None else _gates.setdefault(place, Gate())


def forget_gates() -> None:
    """Start afresh: all circuits closed, no limits."""
    _gates.clear()


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)

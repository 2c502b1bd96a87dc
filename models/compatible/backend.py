"""A model behind a server that speaks chat completions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from ...core.errors import BackendTimeout, InvalidInput
from ..backend import Backend, Call, ask_leave, is_watched, report, tell
from ..base import Capabilities, Completion, Rung, StreamEvent, TextDelta
from ..listing import Listing
from ..memory import Memory
from ..probe import measure
from ..profiles import Profile
from ..structured import FormatRefused, Ladder
from .failures import Transient
from .limits import LIMITS
from .request import build_request
from .response import Reader
from .retry import Sleep, persist
from .stream import Assembly, Delta, EventSplitter
from .transport import Body, Opened, Transport

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a call has to be over, on the loop's clock."""

    at: float

    def left_s(self) -> float:
        """Seconds until then."""
        return self.at - asyncio.get_running_loop().time()


class CompatibleModel(Backend):
    """A model behind one server.

    Args:
        spec: What names it.
        name: Its name at the server.
        profile: The server's row of the table.
        transport: Carries the requests.
        capabilities: What it can do, when that is known; else declared by the profile, or measured.
        memory: Where measurements are remembered.
        sleep: Waits before another try.
    """

    def __init__(
        self,
        spec: str,
        name: str,
        profile: Profile,
        transport: Transport,
        *,
        capabilities: Capabilities | None = None,
        memory: Memory | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._spec, self._name, self._profile, self._transport = spec, name, profile, transport
        self._reader = Reader(spec, profile.reasoning)
        self._known = capabilities
        self._memory = memory or Memory()
        self._ladder = Ladder(spec, hosted=profile.hosted, lowered=self._lower)
        self._start: Rung | None = None
        self._counts = True
        self._probing = asyncio.Lock()
        self._sleep = sleep

    @property
    def spec(self) -> str:
        """What names this model."""
        return self._spec

    async def capabilities(self) -> Capabilities:
        """As given, as declared for a paid service, else measured once and remembered on disk."""
        if self._known is None and not self._profile.probed:
            self._known = Capabilities(structured=self._profile.structured, tools=self._profile.tools)
        if self._known is None:
            async with self._probing:
                self._known = self._known or await self._measured()
        return self._known

    async def probe(self) -> Capabilities:
        """Measure afresh what the model can do, and remember it."""
        self._known = await self._measured(afresh=True)
        return self._known

    async def listing(self) -> Listing:
        """What the server lists, and the window of this model where it says so.

        Raises:
            BackendError: The server does not answer, or not with a listing.
        """
        if self._profile.listing is None:
            return Listing()
        body = await self._within(30.0, lambda _: self._transport.get(self._profile.listing or ""))
        return Listing.read(self._reader.loads(body))

    async def answer(self, call: Call) -> Completion[Any]:
        """One whole answer; plain text is streamed to the run's watchers where there are some."""
        _check(call)
        if call.output is not None:
            return await self._within(call.timeout_s, lambda deadline: self._fill(call, deadline))
        if is_watched() and not call.tools:
            return await self._within(call.timeout_s, lambda deadline: self._show(call, deadline))
        return await self._within(call.timeout_s, lambda deadline: self._ask(call, deadline))

    async def answer_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes; tried again only while nothing of it was handed on."""
        _check(call)
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop.time() + (call.timeout_s or LIMITS.timeout_s))
        events = self._events(call, deadline)
        try:
            async for event in events:
                if not isinstance(event, Completion):
                    kind = "text_delta" if isinstance(event, TextDelta) else "reasoning_delta"
                    tell(kind, {"text": event.text})
                yield event
        except Transient as failure:
            raise failure.error from failure
        except TimeoutError as error:
            raise BackendTimeout(self._spec, "the stream stalled, or the deadline passed.") from error
        finally:
            await events.aclose()

    async def aclose(self) -> None:
        """Close the connections of the present event loop."""
        await self._transport.aclose()

    async def _fill(self, call: Call, deadline: Deadline) -> Completion[Any]:
        level = self._known.level if self._known else "capable"
        return await self._ladder.descend(call, self._rung(), level, lambda step, form: self._ask(step, deadline, form))

    def _rung(self) -> Rung:
        """Where the ladder begins: as measured, as learnt in an earlier process, else as declared."""
        if self._known is not None and self._start is None:
            return self._known.structured
        if self._start is None:
            learnt = self._memory.recall("rung", self._transport.place, self._name)
            self._start = learnt.structured if learnt else self._profile.structured
        return self._start

    def _lower(self, rung: Rung) -> None:
        self._start = rung
        self._memory.remember(Capabilities(structured=rung), "rung", self._transport.place, self._name)

    async def _measured(self, *, afresh: bool = False) -> Capabilities:
        """The remembered measurement of this very model, else a new one."""
        entry = (await self.listing()).find(self._name)
        key = (self._transport.place, entry.name, entry.digest)
        if not afresh and (known := self._memory.recall(*key)):
            return known
        found = replace(await measure(self, self._profile), context_tokens=entry.context_tokens)
        self._memory.remember(found, *key)
        return found

    async def _within(self, timeout_s: float | None, work: Callable[[Deadline], Awaitable[T]]) -> T:
        limit_s = LIMITS.timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s) as scope:
                return await work(Deadline(scope.when() or 0.0))
        except TimeoutError as error:
            raise BackendTimeout(self._spec, f"no usable answer came within {limit_s:g} s.") from error
        except Transient as failure:
            raise failure.error from failure

    async def _ask(self, call: Call, deadline: Deadline, form: Mapping[str, Any] | None = None) -> Completion[None]:
        """One whole answer, tried again while that may help."""
        body = self._request(call, response_format=form)

        async def attempt() -> Completion[None]:
            ask_leave()
            started = time.perf_counter()
            completion = self._read(await self._transport.post(body), call)
            report(self._spec, completion, time.perf_counter() - started)
            return completion

        return await persist(attempt, time_left=deadline.left_s, sleep=self._sleep)

    def _read(self, body: Body, call: Call) -> Completion[None]:
        if not body.events:
            return self._reader.read(self._reader.loads(body.data), _size(call), call.tools)
        assembly, splitter = self._assembly(call), EventSplitter(self._reader)
        for data in splitter.feed(body.data + b"\n\n"):
            assembly.add(data)
        assembly.end()
        return assembly.completion()

    async def _show(self, call: Call, deadline: Deadline) -> Completion[None]:
        """One whole answer whose text is shown as it comes; a broken stream is asked for again, unshown."""
        shown = self._events(call, deadline)
        try:
            async for event in shown:
                if isinstance(event, Completion):
                    return event
                tell("text_delta" if isinstance(event, TextDelta) else "reasoning_delta", {"text": event.text})
        except (Transient, TimeoutError, FormatRefused):
            if deadline.left_s() <= 0:
                raise
        finally:
            await shown.aclose()
        return await self._ask(call, deadline)

    async def _events(self, call: Call, deadline: Deadline) -> AsyncGenerator[StreamEvent, None]:
        """One stream, begun again only while nothing of it was handed on."""

        async def begin() -> _Begun:
            events = self._one_stream(call, deadline)
            try:
                return _Begun(await anext(events), events)
            except FormatRefused:
                if not self._counts:
                    raise
            self._counts = False  # an older server, which may know no `stream_options`
            events = self._one_stream(call, deadline)
            return _Begun(await anext(events), events)

        begun = await persist(begin, time_left=deadline.left_s, sleep=self._sleep)
        try:
            yield begun.first
            async for event in begun.rest:
                yield event
        finally:
            await begun.rest.aclose()

    async def _one_stream(self, call: Call, deadline: Deadline) -> AsyncGenerator[StreamEvent, None]:
        ask_leave()
        started = time.perf_counter()
        body = self._request(call, stream=True, count=self._counts)
        async with AsyncExitStack() as stack:
            async with asyncio.timeout_at(deadline.at):
                opened = await stack.enter_async_context(self._transport.open(body))
            if opened.events:
                assembly = self._assembly(call)
                async for delta in self._deltas(opened, assembly, deadline):
                    yield delta
                completion = assembly.completion()
            else:
                completion = self._read(Body(await self._collect(opened, deadline), events=False), call)
                if completion.text:
                    yield TextDelta(completion.text)
        report(self._spec, completion, time.perf_counter() - started)
        yield completion

    async def _deltas(self, opened: Opened, assembly: Assembly, deadline: Deadline) -> AsyncGenerator[Delta, None]:
        splitter = EventSplitter(self._reader)
        async for chunk in _paced(opened.chunks, deadline):
            for data in splitter.feed(chunk):
                for delta in assembly.add(data):
                    yield delta
            if assembly.done:
                break
        for data in splitter.feed(b"\n\n"):  # an event that the server did not close
            for delta in assembly.add(data):
                yield delta
        for delta in assembly.end():
            yield delta

    async def _collect(self, opened: Opened, deadline: Deadline) -> bytes:
        parts: list[bytes] = []
        async for chunk in _paced(opened.chunks, deadline):
            parts.append(chunk)
            if sum(map(len, parts)) > LIMITS.body_bytes:
                raise self._reader.odd(f"is larger than {LIMITS.body_bytes} bytes")
        return b"".join(parts)

    def _request(self, call: Call, **form: Any) -> dict[str, Any]:
        if call.params.max_tokens is None and self._profile.max_tokens is not None:
            call = replace(call, params=replace(call.params, max_tokens=self._profile.max_tokens))
        return build_request(self._name, call, max_tokens_field=self._profile.max_tokens_field, **form)

    def _assembly(self, call: Call) -> Assembly:
        return Assembly(self._reader, _size(call), call.tools)


class _Begun(NamedTuple):
    first: StreamEvent
    rest: AsyncGenerator[StreamEvent, None]


async def _paced(chunks: AsyncIterator[bytes], deadline: Deadline) -> AsyncGenerator[bytes, None]:
    """The chunks, each within the deadline, and after the first also within the idle limit."""
    loop = asyncio.get_running_loop()
    until = deadline.at
    while True:
        async with asyncio.timeout_at(until):
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                return
        yield chunk
        until = min(deadline.at, loop.time() + LIMITS.idle_s)


def _size(call: Call) -> int:
    """Characters of the request's text."""
    return sum(len(message.content) for message in call.messages)


def _check(call: Call) -> None:
    if not call.messages:
        raise InvalidInput("messages", "a model needs at least one message.")

"""Requests to one server and their answers: tried again, let through its gate, read strictly, whole or streamed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, TypeVar

from ...core.errors import BackendTimeout
from ..backend import Call, ask_leave, report, tell
from ..base import Completion, StreamEvent, TextDelta
from ..structured import FormatRefused
from .effort import Effort
from .failures import Transient
from .gates import Passage, gate_of
from .response import Reader
from .retry import Sleep, persist
from .stream import Assembly, Delta, EventSplitter
from .transport import Body, Opened, Transport

T = TypeVar("T")
Build = Callable[[bool], dict[str, Any]]
"""Makes the body of a streamed request; the argument says whether to ask for token counts among the events."""


class Exchange:
    """What is sent to one server, and what comes back.

    Args:
        reader: Reads the answers; names the model in errors.
        transport: Carries the requests.
        sleep: Waits before another try.
    """

    def __init__(self, reader: Reader, transport: Transport, sleep: Sleep = asyncio.sleep) -> None:
        self._reader, self.transport, self._sleep = reader, transport, sleep
        self._spec, self._limits = reader.model, reader.limits
        self._counts = True

    async def ask(self, body: Mapping[str, Any], call: Call, effort: Effort) -> Completion[None]:
        """One whole answer, tried again while that may help.

        Raises:
            Transient: The last failure.
            BackendError: An answer that no further try would better.
        """

        async def attempt() -> Completion[None]:
            await ask_leave(call)
            async with self._passing(call, effort) as passage:
                started = time.perf_counter()
                completion = self._read(await self.transport.post(body), call)
                self._report(completion, started, passage)
                return completion

        return await self._persist(attempt, effort)

    async def events(self, build: Build, call: Call, effort: Effort) -> AsyncGenerator[StreamEvent, None]:
        """One stream, begun again only while nothing of it was handed on.

        Raises:
            Transient: The stream broke, or none began.
            BackendError: It is not usable.
        """

        async def begin() -> _Begun:
            events = self._one_stream(build, call, effort)
            try:
                return _Begun(await anext(events), events)
            except FormatRefused:
                if not self._counts:
                    raise
            events = self._one_stream(lambda _: build(False), call, effort)
            begun = _Begun(await anext(events), events)
            self._counts = False  # an older server, which knows no `stream_options`
            return begun

        begun = await self._persist(begin, effort)
        try:
            yield begun.first
            async for event in begun.rest:
                yield event
        finally:
            await begun.rest.aclose()

    async def _persist(self, attempt: Callable[[], Awaitable[T]], effort: Effort) -> T:
        def tell_why(failure: Transient, wait_s: float) -> None:
            told = {"requests": effort.requests, "wait_s": round(wait_s, 3), "error": str(failure.error)}
            tell("model_retried", {"spec": self._spec, **told})

        return await persist(
            attempt,
            time_left=effort.left_s,
            sleep=self._sleep,
            attempts=self._limits.attempts,
            retrying=tell_why,
        )

    def _passing(self, call: Call, effort: Effort) -> Passage:
        tokens = size_of(call) // 4 + (call.params.max_tokens or 0)
        return gate_of(self.transport.place).passing(self._spec, effort, tokens, self._sleep)

    async def _one_stream(self, build: Build, call: Call, effort: Effort) -> AsyncGenerator[StreamEvent, None]:
        await ask_leave(call)
        body = build(self._counts)
        async with AsyncExitStack() as stack:
            async with asyncio.timeout_at(effort.at):
                passage = await stack.enter_async_context(self._passing(call, effort))
                started = time.perf_counter()
                opened = await stack.enter_async_context(self.transport.open(body))
            if opened.events:
                assembly = self._assembly(call)
                async for delta in self._deltas(opened, assembly, effort):
                    yield delta
                completion = assembly.completion()
            else:
                completion = self._read(Body(await self._collect(opened, effort), events=False), call)
                if completion.text:
                    yield TextDelta(completion.text)
            self._report(completion, started, passage)
        yield effort.counted(completion)

    def _read(self, body: Body, call: Call) -> Completion[None]:
        if not body.events:
            return self._reader.read(self._reader.loads(body.data), size_of(call), call.tools)
        assembly, splitter = self._assembly(call), EventSplitter(self._reader)
        for data in splitter.feed(body.data + b"\n\n"):
            assembly.add(data)
        assembly.end()
        return assembly.completion()

    async def _deltas(self, opened: Opened, assembly: Assembly, effort: Effort) -> AsyncGenerator[Delta, None]:
        splitter = EventSplitter(self._reader)
        async for chunk in self._paced(opened.chunks, effort):
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

    async def _collect(self, opened: Opened, effort: Effort) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for chunk in self._paced(opened.chunks, effort):
            parts.append(chunk)
            size += len(chunk)
            if size > self._limits.body_bytes:
                raise self._reader.odd(f"is larger than {self._limits.body_bytes} bytes")
        return b"".join(parts)

    async def _paced(self, chunks: AsyncIterator[bytes], effort: Effort) -> AsyncGenerator[bytes, None]:
        """The chunks, each within the deadline, and after the first also within the idle limit."""
        loop = asyncio.get_running_loop()
        until = effort.at
        while True:
            try:
                async with asyncio.timeout_at(until):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                if until < effort.at:
                    silent = f"the stream stalled: nothing came for {self._limits.idle_s:g} s."
                    raise Transient(BackendTimeout(self._spec, silent)) from error
                raise
            yield chunk
            until = min(effort.at, loop.time() + self._limits.idle_s)

    def _report(self, completion: Completion[None], started: float, passage: Passage) -> None:
        passage.used(completion.usage.input_tokens + completion.usage.output_tokens)
        report(self._spec, completion, time.perf_counter() - started)

    def _assembly(self, call: Call) -> Assembly:
        return Assembly(self._reader, size_of(call), call.tools)


class _Begun(NamedTuple):
    first: StreamEvent
    rest: AsyncGenerator[StreamEvent, None]


def size_of(call: Call) -> int:
    """Characters of the request's text."""
    return sum(len(message.content) for message in call.messages)

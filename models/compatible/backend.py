"""A model behind a server that speaks chat completions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

from ...core.errors import BackendError, BackendTimeout, InvalidInput, PromptTooLong
from ..asking import ask_server, count_tokens
from ..backend import Backend, Call, is_watched, leave, tell
from ..base import Behaviour, Capabilities, Completion, ReasoningDelta, Rung, StreamEvent, TextDelta, ToolCallDelta
from ..counting import estimate_prompt, prompt_text, surely
from ..decoding import Names, without_untaken
from ..listing import Listing
from ..memory import Memory
from ..observing import observe
from ..partial import Show, Unfinished, shown
from ..probe import GREEDY, measure
from ..profiles import Profile
from ..schemas import schema_of
from ..structured import FormatRefused, Ladder
from .effort import Effort
from .exchange import Exchange, size_of
from .failures import Transient
from .limits import LIMITS, Limits
from .request import build_request, narrowed
from .response import Reader
from .retry import Sleep
from .subject import Bare
from .transport import Transport

T = TypeVar("T")


class CompatibleModel(Backend):
    """A model behind one server.

    Args:
        spec: What names it.
        name: Its name at the server.
        profile: The server's row of the table.
        transport: Carries the requests.
        capabilities: What it can do, when that is known; else declared by the profile, or measured.
        memory: Where measurements are remembered.
        limits: How much is believed, how long is waited, how often is tried.
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
        limits: Limits = LIMITS,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._spec, self._name, self._profile, self._transport = spec, name, profile, transport
        self._limits = limits
        self._reader = Reader(spec, profile.reasoning, limits)
        self._exchange = Exchange(self._reader, transport, sleep)
        self._settings = profile.settings(name)
        self._greedy = without_untaken(GREEDY, self._settings)
        self._known = capabilities
        self._memory = memory or Memory()
        self._ladder = Ladder(
            spec,
            hosted=profile.hosted,
            penalised="repetition_penalty" in self._settings,
            lowered=self._lower,
        )
        self._start: Rung | None = None
        self._probing = asyncio.Lock()

    @property
    def spec(self) -> str:
        """What names this model."""
        return self._spec

    @property
    def place(self) -> str:
        """Where the model is; what is measured of it and how its server fares is kept under it."""
        return self._transport.place

    async def capabilities(self) -> Capabilities:
        """As given, as declared for a paid service, else measured once and remembered on disk."""
        if self._known is None and not self._profile.probed:
            self._known = Capabilities(structured=self._profile.structured, tools=self._profile.tools)
        if self._known is None:
            async with self._probing:
                self._known = self._known or await self._measured()
        return self._known

    async def probe(self) -> Capabilities:
        """Measure afresh and in full what the model and its server can do, and remember it."""
        self._known = await self._measured(fully=True)
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
        work = self._fill if call.output is not None else self._show if is_watched() and not call.tools else self._ask

        async with leave(self._spec, call) as call:

            async def counted(effort: Effort) -> Completion[Any]:
                await self._check_window(call)
                done = effort.counted(await work(call, effort))
                return done if call.output is not None else self._asked_for(done, call)

            return await self._within(call.timeout_s, counted)

    async def answer_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes; tried again only while nothing of it was handed on."""
        _check(call)
        async with leave(self._spec, call) as call, aclosing(self._streamed(call)) as events:
            async for event in events:
                yield event

    async def _streamed(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        effort = Effort.of(self._limits.timeout_s if call.timeout_s is None else call.timeout_s)
        events = (
            self._events(call, effort)
            if call.output is None
            else shown(lambda show: self._fill_shown(call, effort, show))
        )
        try:
            async with asyncio.timeout_at(effort.at):
                await self._check_window(call)
            async for event in events:
                _show_delta(event)
                yield self._asked_for(event, call) if isinstance(event, Completion) and call.output is None else event
        except Transient as failure:
            raise effort.blamed(failure.error) from failure
        except BackendError as error:
            effort.blamed(error)
            raise
        except TimeoutError as error:
            raise effort.blamed(_too_late(self._spec, effort)) from error
        finally:
            await events.aclose()

    async def aclose(self) -> None:
        """Close the connections of the present event loop."""
        await self._transport.aclose()

    async def _fill(self, call: Call, effort: Effort) -> Completion[Any]:
        level = self._known.level if self._known else "capable"
        return await self._ladder.descend(call, self._rung(), level, lambda step, form: self._ask(step, effort, form))

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

    async def _measured(self, *, fully: bool = False) -> Capabilities:
        """The remembered measurement of this very model, else (or if it is to be full) a new one."""
        entry = (await self.listing()).find(self._name)
        said = await ask_server(self._transport, self._profile, self._name)
        key = (self._transport.place, entry.name, entry.digest, said.version)
        if not fully and (known := self._memory.recall(*key)):
            return known
        window = said.context_tokens or entry.context_tokens
        found = replace(await measure(self, self._profile, self._greedy), context_tokens=window)
        if fully:
            bare = Bare(self._name, self._profile, self._exchange, self._reader, self._limits.timeout_s)
            found = found.seen(await observe(bare, said, context_tokens=window, tools=self._profile.tools))
        self._memory.remember(found, *key)
        return found

    async def _within(self, timeout_s: float | None, work: Callable[[Effort], Awaitable[T]]) -> T:
        effort = Effort.of(self._limits.timeout_s if timeout_s is None else timeout_s)
        try:
            async with asyncio.timeout_at(effort.at):
                return await work(effort)
        except TimeoutError as error:
            raise effort.blamed(_too_late(self._spec, effort)) from error
        except Transient as failure:
            raise effort.blamed(failure.error) from failure
        except BackendError as error:
            effort.blamed(error)
            raise

    async def _ask(self, call: Call, effort: Effort, form: Mapping[str, Any] | None = None) -> Completion[None]:
        """One whole answer, tried again while that may help."""
        return await self._exchange.ask(self._request(call, response_format=form), call, effort)

    async def _fill_shown(self, call: Call, effort: Effort, show: Show) -> Completion[Any]:
        """As `_fill`; what there is of the object is shown while it is being written."""
        wrapped = schema_of(call.output).wrapped

        async def ask(step: Call, form: Mapping[str, Any] | None) -> Completion[None]:
            unfinished = Unfinished(wrapped=wrapped)
            try:
                async with aclosing(self._events(step, effort, form)) as events:
                    async for event in events:
                        if isinstance(event, Completion):
                            return event
                        if (seen := _seen(event, unfinished)) is not None:
                            await show(seen)
            except (Transient, TimeoutError):
                if effort.left_s() <= 0:
                    raise
            return await self._ask(step, effort, form)  # what was shown is replaced, not gone on with

        async with asyncio.timeout_at(effort.at):
            level = self._known.level if self._known else "capable"
            return effort.counted(await self._ladder.descend(call, self._rung(), level, ask))

    async def _show(self, call: Call, effort: Effort) -> Completion[None]:
        """One whole answer whose text is shown as it comes; a broken stream is asked for again, unshown."""
        shown = self._events(call, effort)
        try:
            async for event in shown:
                if isinstance(event, Completion):
                    return event
                _show_delta(event)
        except (Transient, TimeoutError, FormatRefused):
            if effort.left_s() <= 0:
                raise
        finally:
            await shown.aclose()
        return await self._ask(call, effort)

    async def _check_window(self, call: Call) -> None:
        """Refuse what cannot fit, where the window is known: some servers cut it in silence.

        Raises:
            PromptTooLong: By the server's own tokenizer, else by an estimate that leaves no doubt.
        """
        window = self._known.context_tokens if self._known else None
        if window is None or (2 * size_of(call) <= window and not call.tools):
            return
        guess = estimate_prompt(call.messages, call.tools, self._name)
        if 2 * guess <= window:
            return
        text = prompt_text(call.messages, call.tools)
        counted = await count_tokens(self._transport, self._profile, self._name, text)
        if (surely(guess) if counted is None else counted) >= window:
            how = "an estimate" if counted is None else ""
            raise PromptTooLong(self._spec, guess if counted is None else counted, window, how)

    def _asked_for(self, completion: Completion[Any], call: Call) -> Completion[Any]:
        """The completion without calls of tools that nobody offered.

        Raises:
            BackendUnavailable: It holds nothing else.
        """
        if not completion.tool_calls or call.tools:
            return completion
        if completion.text:
            return replace(completion, tool_calls=(), finish_reason="stop")
        raise self._reader.odd("calls a tool where none was offered")

    def _events(
        self, call: Call, effort: Effort, form: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        streamed = self._streams(call)
        return self._exchange.events(
            lambda count: self._request(call, response_format=form, stream=streamed, count=count), call, effort
        )

    def _request(self, call: Call, **form: Any) -> dict[str, Any]:
        return build_request(self._name, self._fitted(call), names=self._taken(), spec=self._spec, **form)

    def _taken(self) -> Names:
        """The settings that may be sent: those of the table, but for what was seen to have no effect."""
        if self._known and self._known.behaviour.logprobs is False:
            return {name: wire for name, wire in self._settings.items() if name != "logprobs"}
        return self._settings

    def _fitted(self, call: Call) -> Call:
        """The call with this server's limit, and its tools narrowed where `tool_choice` is not obeyed."""
        if call.params.max_tokens is None and self._profile.max_tokens is not None:
            call = replace(call, params=replace(call.params, max_tokens=self._profile.max_tokens))
        if call.tools and call.tool_choice != "auto":
            seen = self._known.behaviour if self._known else Behaviour()
            if not self._profile.tool_choice or seen.tool_named is False:
                return narrowed(call, said=self._profile.tool_choice)
        return call

    def _streams(self, call: Call) -> bool:
        """Whether the answer is asked for as a stream; not where calls come through broken in one."""
        return not (call.tools and self._known and self._known.behaviour.stream_tools is False)


def _seen(event: StreamEvent, unfinished: Unfinished) -> StreamEvent | None:
    """What a reader sees of an event of an object being written."""
    match event:
        case TextDelta(text) | ToolCallDelta(arguments=text):
            return unfinished.add(text)
        case _:
            return event


def _show_delta(event: StreamEvent) -> None:
    """Let the run's watchers see a piece of text or of reasoning."""
    if isinstance(event, TextDelta):
        tell("text_delta", {"text": event.text})
    elif isinstance(event, ReasoningDelta):
        tell("reasoning_delta", {"text": event.text})


def _too_late(spec: str, effort: Effort) -> BackendTimeout:
    return BackendTimeout(spec, f"no usable answer came within {effort.limit_s:g} s.")


def _check(call: Call) -> None:
    if not call.messages:
        raise InvalidInput("messages", "a model needs at least one message.")

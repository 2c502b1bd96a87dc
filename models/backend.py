"""What every backend shares: the typed door of `Model`, and the account it gives to the run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, overload

from ..core.context import Permit, current_node, current_run
from ..core.errors import UnknownPrice
from ..core.messages import Message, ToolSpec, Usage
from ..core.tape import hear, tape_in_use
from ..core.trust import current_reading
from .base import Capabilities, Completion, Model, OutputT, Params, StreamEvent, ToolChoice
from .counting import prompt_bound
from .guarding import Live, guarded_events, live, model_guard, showing
from .prices import cost_usd
from .taping import answer_on_tape, stream_on_tape

NO_PARAMS = Params()


@dataclass(frozen=True, slots=True)
class Call:
    """Everything that one call of a model asks for."""

    messages: tuple[Message, ...]
    output: Any = None
    """The type asked for, or None for text."""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    params: Params = NO_PARAMS
    timeout_s: float | None = None
    permit: Permit | None = None
    """What the run's budget has set aside for it."""


class Backend(ABC):
    """A `Model` whose subclasses answer a `Call`."""

    @property
    @abstractmethod
    def spec(self) -> str:
        """What names this model, `provider:model[@url]`."""

    @abstractmethod
    async def capabilities(self) -> Capabilities:
        """What it can do."""

    @abstractmethod
    async def answer(self, call: Call) -> Completion[Any]:
        """One whole answer; `output` is validated when the call asks for a type."""

    @abstractmethod
    def answer_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes; the last event is the whole Completion."""

    async def aclose(self) -> None:  # noqa: B027 (most backends hold nothing)
        """Close connections; a process of its own ends."""

    @overload
    async def complete(
        self,
        messages: Sequence[Message],
        *,
        output: type[OutputT],
        params: Params | None = None,
        timeout_s: float | None = None,
    ) -> Completion[OutputT]: ...

    @overload
    async def complete(
        self,
        messages: Sequence[Message],
        *,
        output: None = None,
        tools: Sequence[ToolSpec] = (),
        tool_choice: ToolChoice = "auto",
        params: Params | None = None,
        timeout_s: float | None = None,
    ) -> Completion[None]: ...

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        output: type[Any] | None = None,
        tools: Sequence[ToolSpec] = (),
        tool_choice: ToolChoice = "auto",
        params: Params | None = None,
        timeout_s: float | None = None,
    ) -> Completion[Any]:
        """One whole answer; see `Model.complete`.

        Raises:
            BackendError: No usable answer came; the subclass says why.
        """
        _note_origins(messages)
        guard, asked = model_guard.get(), tuple(messages)
        if guard is not None:
            asked = await guard.asked(asked)
        call = Call(asked, output, tuple(tools), tool_choice, params or NO_PARAMS, timeout_s)
        tape = tape_in_use()
        return await (self.guarded_answer(call) if tape is None else answer_on_tape(tape, self, call))

    async def guarded_answer(self, call: Call) -> Completion[Any]:
        """`answer`, through the guards of the present run."""
        if (guard := model_guard.get()) is None:
            return await self.answer(call)
        shown = Live(guard)
        with showing(shown):
            said = await self.answer(replace(call, messages=guard.marked(call.messages)))
        passed = await guard.said(said, call.output)
        for kind, rest in shown.end().items():
            tell(kind, {"text": rest})
        return passed

    def stream(
        self,
        messages: Sequence[Message],
        *,
        output: type[Any] | None = None,
        tools: Sequence[ToolSpec] = (),
        tool_choice: ToolChoice = "auto",
        params: Params | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes: deltas, then the whole Completion as the last event; see `Model.stream`.

        Raises:
            BackendError: The stream broke off or was not usable; what came before must not be acted on.
        """
        _note_origins(messages)
        call = Call(tuple(messages), output, tuple(tools), tool_choice, params or NO_PARAMS, timeout_s)
        return self._plain_stream(call) if model_guard.get() is None else self._guarded_stream(call)

    def _plain_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        tape = tape_in_use()
        return self.guarded_stream(call) if tape is None else stream_on_tape(tape, self, call)

    async def _guarded_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        if (guard := model_guard.get()) is not None:
            call = replace(call, messages=await guard.asked(call.messages))
        async with aclosing(self._plain_stream(call)) as events:
            async for event in events:
                yield event

    def guarded_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """`answer_stream`, through the guards of the present run."""
        if (guard := model_guard.get()) is None:
            return self.answer_stream(call)
        return guarded_events(guard, self, replace(call, messages=guard.marked(call.messages)))


def _note_origins(messages: Sequence[Message]) -> None:
    """Label the node at work with what its model reads: what a model wrote comes from there, too."""
    if (reading := current_reading.get()) is not None:
        reading.found.add("model")
        for message in messages:
            reading.found |= message.origins


async def answer_of(model: Model, call: Call) -> Completion[Any]:
    """What any model answers to a call."""
    if isinstance(model, Backend):
        return await model.answer(call)
    messages, params, timeout_s = call.messages, call.params, call.timeout_s
    if call.output is not None:
        filled: Completion[Any] = await model.complete(messages, output=call.output, params=params, timeout_s=timeout_s)
        return filled
    return await model.complete(
        messages, tools=call.tools, tool_choice=call.tool_choice, params=params, timeout_s=timeout_s
    )


async def events_of(model: Model, call: Call) -> AsyncGenerator[StreamEvent, None]:
    """What any model streams for a call."""
    if isinstance(model, Backend):
        events: AsyncIterator[StreamEvent] = model.answer_stream(call)
    else:
        events = model.stream(
            call.messages,
            output=call.output,
            tools=call.tools,
            tool_choice=call.tool_choice,
            params=call.params,
            timeout_s=call.timeout_s,
        )
    try:
        async for event in events:
            yield event
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()


def is_watched() -> bool:
    """Whether somebody watches the present run, so that text is worth streaming."""
    run = current_run.get()
    return run is not None and run.watched


@asynccontextmanager
async def leave(spec: str, call: Call) -> AsyncGenerator[Call]:
    """The call as it may be made under the budget of the present run, with what it may use set aside meanwhile.

    The run parks where the budget has too little left. Enter it once for all requests of a call.

    Raises:
        UnknownPrice: The budget is in US dollars, and the model has no price.
    """
    run = current_run.get()
    if run is None or not run.limited:
        yield call
        return
    asked = call.params.max_tokens
    permit = await run.reserve(prompt_bound(call.messages, call.tools), asked, partial(_cost, spec))
    params = call.params if asked is not None else replace(call.params, max_tokens=permit.output_tokens)
    try:
        yield replace(call, params=params, permit=permit)
    finally:
        permit.release()


async def ask_leave(call: Call) -> None:
    """Ask for leave for one request of a call; to be done before each."""
    if call.permit is not None:
        await call.permit.again()


def _cost(spec: str, input_tokens: int, output_tokens: int) -> float:
    cost = cost_usd(spec, Usage(input_tokens, output_tokens))
    if cost is None:
        raise UnknownPrice(spec)
    return cost


def tell(kind: str, data: Mapping[str, Any]) -> None:
    """Emit an event of the node at work, if a run is there."""
    if run := current_run.get():
        if kind in ("text_delta", "reasoning_delta") and (shown := live.get()) is not None:
            data = {"text": shown.push(kind, str(data["text"]))}
            if not data["text"]:
                return
        run.emit(kind, data, node=current_node.get())
        if kind not in ("text_delta", "reasoning_delta"):
            hear({"kind": kind, "data": dict(data)})


def report(spec: str, completion: Completion[Any], duration_s: float, *, cached: bool = False) -> None:
    """Count one model call on the present run and tell its watchers."""
    run = current_run.get()
    if run is None:
        return
    usage = completion.usage
    usd = cost_usd(spec, usage) or 0.0
    if usd != usage.usd:
        usage = replace(usage, usd=usd)
    tell(
        "model_called",
        {
            "model": completion.model,
            "spec": spec,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "usd": usage.usd,
            "duration_s": duration_s,
            **({"cached": True} if cached else {}),
        },
    )
    run.spend(usage, completion.model or spec)
    hear({"usage": usage.as_dict(), "model": completion.model or spec})

"""What every backend shares: the typed door of `Model`, and the account it gives to the run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from ..core.context import current_node, current_run
from ..core.messages import Message, ToolSpec
from .base import Capabilities, Completion, Model, OutputT, Params, StreamEvent, ToolChoice

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
        call = Call(tuple(messages), output, tuple(tools), tool_choice, params or NO_PARAMS, timeout_s)
        return await self.answer(call)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        tool_choice: ToolChoice = "auto",
        params: Params | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes: deltas, then the whole Completion as the last event.

        Raises:
            BackendError: The stream broke off or was not usable; what came before must not be acted on.
        """
        call = Call(tuple(messages), None, tuple(tools), tool_choice, params or NO_PARAMS, timeout_s)
        return self.answer_stream(call)


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


def ask_leave() -> None:
    """Ask the present run for leave to call a model.

    Raises:
        BudgetExceeded: A limit of the run is spent.
    """
    if run := current_run.get():
        run.before_model_call()


def tell(kind: str, data: Mapping[str, Any]) -> None:
    """Emit an event of the node at work, if a run is there."""
    if run := current_run.get():
        run.emit(kind, data, node=current_node.get())


def report(spec: str, completion: Completion[Any], duration_s: float) -> None:
    """Count one model call on the present run and tell its watchers."""
    run = current_run.get()
    if run is None:
        return
    usage = completion.usage
    tell(
        "model_called",
        {
            "model": completion.model,
            "spec": spec,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "duration_s": duration_s,
        },
    )
    run.spend(usage, completion.model or spec)

"""The contract of a model: what every backend, adapter and scripted model satisfies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar, overload, runtime_checkable

from ..core.messages import Message, ToolCall, ToolSpec, Usage

OutputT = TypeVar("OutputT")

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "other"]
ToolChoice = Literal["auto", "required", "none"] | str
"""`auto`, `required`, `none`, or the name of the one tool to call."""
Level = Literal["tiny", "small", "capable"]
"""tiny: fills a schema and no more (agents quote and use fixed plans). small: short answers from given
text. capable: plans, calls tools and judges freely."""
Rung = Literal["json_schema", "tool", "json_object", "prompt"]


@dataclass(frozen=True, slots=True)
class Params:
    """How to decode. None leaves a setting to the server."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of the server's own, sent as they are."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model on a server can really do, declared by its catalogue entry or measured by the probe."""

    level: Level = "capable"
    structured: Rung = "json_schema"
    """The highest rung of the ladder that holds on this server."""
    tools: bool = True
    """Whether the server parses the model's tool calls."""
    context_tokens: int | None = None
    """The window of one request, prompt and answer together."""


@dataclass(frozen=True, slots=True)
class Completion(Generic[OutputT]):
    """One answer of a model."""

    text: str
    output: OutputT
    """The validated object when `output=` was given, else None."""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    """The model that answered, as its server names it."""
    finish_reason: FinishReason = "stop"
    reasoning: str | None = None
    rung: Rung | None = None
    """Which rung of the structured-output ladder gave `output`."""

    def message(self) -> Message:
        """The answer as the next assistant turn of the conversation."""
        return Message("assistant", self.text, self.tool_calls)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text, as it comes."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning; never part of the answer."""

    text: str


StreamEvent = TextDelta | ReasoningDelta | Completion[None]
"""Deltas as they come; the last event is the whole Completion."""


@runtime_checkable
class Model(Protocol):
    """A model behind a spec. One object serves many runs at once."""

    @property
    def spec(self) -> str:
        """What names this model, `provider:model[@url]`; shown to users and stored with a run."""
        ...

    async def capabilities(self) -> Capabilities:
        """What it can do; measured once for each server, model and version, then remembered."""
        ...

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
        """One whole answer.

        Args:
            messages: The conversation; not empty.
            output: A pydantic model (or any type pydantic can validate): the answer is a valid object of it.
            tools: What the model may propose to call; nothing is run here.
            tool_choice: Whether it must call one.
            params: Decoding.
            timeout_s: Deadline over all attempts, in seconds.

        Raises:
            BackendError: No usable answer came; the subclass says why.
        """
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        tool_choice: ToolChoice = "auto",
        params: Params | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[StreamEvent]:
        """The answer as it comes: deltas, then the whole Completion as the last event.

        Raises:
            BackendError: The stream broke off or was not usable; what came before must not be acted on.
        """
        ...

    async def aclose(self) -> None:
        """Close connections; a process of its own ends."""
        ...

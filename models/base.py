"""The contract of a model: what every backend, adapter and scripted model satisfies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeVar, overload, runtime_checkable

from ..core.messages import Message, ToolCall, ToolSpec, Usage
from .decoding import Params, ReasoningEffort

__all__ = [
    "Behaviour",
    "Capabilities",
    "Completion",
    "FinishReason",
    "Level",
    "Model",
    "OutputT",
    "Params",
    "PartialOutput",
    "ReasoningDelta",
    "ReasoningEffort",
    "Rung",
    "StreamEvent",
    "TextDelta",
    "TokenLogprob",
    "ToolCallDelta",
    "ToolChoice",
]

OutputT = TypeVar("OutputT")

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "other"]
ToolChoice = Literal["auto", "required", "none"] | str
"""`auto`, `required`, `none`, or the name of the one tool to call."""
Level = Literal["tiny", "small", "capable"]
"""tiny: fills a schema and no more (agents quote and use fixed plans). small: short answers from given
text. capable: plans, calls tools and judges freely."""
Rung = Literal["json_schema", "tool", "json_object", "prompt"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a server was seen to do with a model. None: not measured, or it could not be told."""

    version: str = ""
    """Of the server, where it says."""
    schema_enforced: bool | None = None
    """Whether an answer keeps to its schema against what the prompt asks for."""
    schema_with_tools: bool | None = None
    """Whether tools are still called in a request that also has a schema."""
    tool_required: bool | None = None
    """Whether `required` is obeyed where a tool is of no use."""
    tool_named: bool | None = None
    """Whether the one tool that is named is called, and no other."""
    parallel_calls: bool | None = None
    """Whether one turn can hold two calls."""
    stream_tools: bool | None = None
    """Whether calls come through whole when they are streamed."""
    reasoning_field: str | None = None
    """Where reasoning was found: a field of the message, or `tags` in its text."""
    window_reported: int | None = None
    """Tokens, as the server says."""
    window_found: int | None = None
    """Tokens of a longer prompt that the server counted: where it cuts in silence."""
    logprobs: bool | None = None
    seed: bool | None = None
    """Whether one seed gives the same text twice at temperature 1, and another one another."""
    tokenizer: bool | None = None
    """Whether it counts the tokens of a text without answering it."""


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
    behaviour: Behaviour = Behaviour()
    """What the full probe (`collegium models probe`) saw."""

    def seen(self, behaviour: Behaviour) -> Capabilities:
        """The same, corrected by what was seen: a schema that is not enforced, a window that is smaller."""
        structured = self.structured
        if structured == "json_schema" and behaviour.schema_enforced is False:
            structured = "tool" if self.tools and behaviour.tool_named else "json_object"
        window = behaviour.window_found or behaviour.window_reported or self.context_tokens
        return replace(self, structured=structured, context_tokens=window, behaviour=behaviour)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of the answer and how likely the model took it to be."""

    token: str
    logprob: float
    others: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens in its place, with their log-probabilities."""


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
    requests: int = 1
    """How many requests it took, all tries, repairs and forms together."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """One for each token, where `Params.logprobs` asked for them."""

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


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a call that the model is about to propose; only the whole Completion may be acted on."""

    index: int
    """Which call of the turn."""
    name: str
    """The tool, in the first piece; else empty."""
    arguments: str
    """What comes after the pieces before."""


@dataclass(frozen=True, slots=True)
class PartialOutput:
    """As much of the object asked for as has come, as JSON types; each takes the place of the one before.

    Nothing in it is validated, and its last text or number may be half of one.
    """

    value: Any


StreamEvent = TextDelta | ReasoningDelta | ToolCallDelta | PartialOutput | Completion[Any]
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
        output: type[Any] | None = None,
        tools: Sequence[ToolSpec] = (),
        tool_choice: ToolChoice = "auto",
        params: Params | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[StreamEvent]:
        """The answer as it comes: deltas, then the whole Completion as the last event.

        With `output` the deltas are `PartialOutput`, and the Completion carries the valid object.

        Raises:
            BackendError: The stream broke off or was not usable; what came before must not be acted on.
        """
        ...

    async def aclose(self) -> None:
        """Close connections; a process of its own ends."""
        ...

"""The conversation with a model: messages, tool calls, usage.

Plain frozen dataclasses: building and reading them costs a fraction of a pydantic model, and a
conversation is built at every model call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from .errors import InvalidArguments
from .trust import Origin

Role = Literal["system", "user", "assistant", "tool"]


class ToolSpec(TypedDict):
    """A tool as a model sees it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments: an object."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model proposes. `arguments` is the model's own JSON text, not yet believed."""

    call_id: str
    name: str
    arguments: str

    def parsed(self) -> dict[str, Any]:
        """The arguments as a mapping.

        Raises:
            InvalidArguments: The text is not one JSON object.
        """
        try:
            value = json.loads(self.arguments or "{}")
        except (ValueError, RecursionError) as error:
            raise InvalidArguments(self.name, f"the arguments are not JSON ({error})") from error
        if not isinstance(value, dict):
            raise InvalidArguments(self.name, f"the arguments are {type(value).__name__}, not an object")
        return value  # pyright: ignore[reportUnknownVariableType]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation with a model."""

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    """What an assistant turn proposes to call."""
    tool_call_id: str | None = None
    """Which call a tool turn answers."""
    origins: frozenset[Origin] = field(default_factory=frozenset[Origin])
    """Where the content came from; never sent to a server."""

    def to_wire(self) -> dict[str, Any]:
        """The message in the shape of OpenAI's chat completions."""
        wire: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            wire["tool_calls"] = [
                {"id": c.call_id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in self.tool_calls
            ]
        if self.tool_call_id is not None:
            wire["tool_call_id"] = self.tool_call_id
        return wire

    def to_state(self) -> dict[str, Any]:
        """The message as JSON types, for a checkpoint: the wire shape and the origins."""
        return {**self.to_wire(), "origins": sorted(self.origins)}

    @classmethod
    def from_state(cls, data: Mapping[str, Any]) -> Message:
        """The message that `to_state` (or a server) described."""
        calls = tuple(
            ToolCall(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in data.get("tool_calls") or ()
        )
        return cls(
            role=data["role"],
            content=data.get("content") or "",
            tool_calls=calls,
            tool_call_id=data.get("tool_call_id"),
            origins=frozenset(data.get("origins") or ()),
        )


def system(text: str) -> Message:
    """Instructions of the developer."""
    return Message("system", text)


def user(text: str, *, origins: frozenset[Origin] = frozenset()) -> Message:
    """What the user, or the program for the user, says."""
    return Message("user", text, origins=origins)


def assistant(text: str = "", tool_calls: Sequence[ToolCall] = ()) -> Message:
    """What the model said."""
    return Message("assistant", text, tuple(tool_calls))


@dataclass(frozen=True, slots=True)
class Usage:
    """What model calls used; adds up over a run."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """The part of `input_tokens` that the server had in its prefix cache."""
    reasoning_tokens: int = 0
    """The part of `output_tokens` that was reasoning."""
    model_calls: int = 0
    usd: float = 0.0
    """What it cost, in US dollars, as far as prices are known."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.model_calls + other.model_calls,
            self.usd + other.usd,
        )

    def as_dict(self) -> dict[str, Any]:
        """The fields by name; asked for after every call, so without what `dataclasses.asdict` does for nesting."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "model_calls": self.model_calls,
            "usd": self.usd,
        }

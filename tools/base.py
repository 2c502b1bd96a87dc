"""What a tool is: a schema, a body, and a declaration of what it does to the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NewType, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, JsonValue

from ..core.messages import ToolSpec
from ..core.trust import Origin

DepsT = TypeVar("DepsT")

Effect = Literal["read", "idempotent", "checkable", "unsafe"]
"""read: changes nothing. idempotent: the same key twice is one effect. checkable: `probe` can tell whether
it happened. unsafe: none of these; a person decides when it is in doubt."""
Risk = Literal["low", "medium", "high"]

IdempotencyKey = NewType("IdempotencyKey", str)
"""A parameter of this type receives a key that is equal for every attempt of one call, and is not part
of the schema that the model sees."""


@dataclass(frozen=True, slots=True)
class ToolContext(Generic[DepsT]):
    """What a tool may know of its run; a parameter of this type stays out of the model's schema."""

    deps: DepsT
    run_id: str
    thread_id: str
    call_id: str
    idempotency_key: IdempotencyKey


class ToolResult(BaseModel):
    """What came of one call; errors are results too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call_id: str
    tool: str
    status: Literal["ok", "error", "rejected", "responded"]
    """ok: it ran. error: it failed, or could not be called. rejected: a person, the policy or the passing of
    time said no. responded: a person answered in its place."""
    content: str
    """What the model reads."""
    data: JsonValue = None
    """The tool's return value as JSON types."""
    origin: Origin = "tool"


class Probe(Protocol):
    """Asks the world whether the effect of a call happened."""

    async def __call__(self, **arguments: Any) -> JsonValue | None:
        """The effect's result if it happened, else None."""
        ...


@runtime_checkable
class Tool(Protocol):
    """A tool as the rest of the program sees it. `@tool` makes one from a function."""

    @property
    def name(self) -> str:
        """What a model calls it: letters, digits, `_` and `-`, at most 64."""
        ...

    @property
    def description(self) -> str:
        """The first paragraph of its docstring."""
        ...

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        ...

    @property
    def effect(self) -> Effect:
        """What a call does to the world."""
        ...

    @property
    def risk(self) -> Risk:
        """How much harm a wrong call can do."""
        ...

    @property
    def timeout_s(self) -> float:
        """Limit of one call, in seconds."""
        ...

    @property
    def probe(self) -> Callable[..., Awaitable[JsonValue | None]] | None:
        """For a checkable tool: asks whether the effect of these arguments happened."""
        ...

    @property
    def origin(self) -> Origin:
        """What label its results carry."""
        ...

    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        ...

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments checked and converted, as JSON types.

        Raises:
            InvalidArguments: They do not fit the schema; the message names the argument.
        """
        ...

    async def execute(self, arguments: Mapping[str, Any], context: ToolContext[Any]) -> Any:
        """Run the body with arguments that `validate` returned. Only `runs.call_tool` calls this."""
        ...

"""`@tool`: a function with annotations and a docstring becomes a tool."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from pydantic import JsonValue

from ..core.errors import InvalidTool, nearest
from ..core.messages import ToolSpec
from ..core.trust import Origin
from .base import Effect, Risk, Tool, ToolContext
from .docstrings import read_docstring
from .schema import read_signature
from .values import to_json_value

P = ParamSpec("P")
ReturnT = TypeVar("ReturnT")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EFFECTS = ("read", "idempotent", "checkable", "unsafe")
_RISKS = ("low", "medium", "high")


class FunctionTool(Generic[P, ReturnT]):
    """A tool made from a function; satisfies `Tool`.

    It cannot be called like the function: in a run, `runs.call_tool` is what calls it, so that no call
    passes by the policy and the journal. A unit test of the body calls `.fn`.
    """

    fn: Callable[P, ReturnT]
    """The function itself, as it was written: `await send_briefing.fn("ada@example.org", "…")`."""

    def __init__(
        self,
        fn: Callable[P, ReturnT],
        *,
        name: str | None = None,
        description: str | None = None,
        effect: Effect = "unsafe",
        risk: Risk = "high",
        timeout_s: float = 30,
        probe: Callable[..., Any] | None = None,
        origin: Origin = "tool",
        destinations: Sequence[str] = (),
    ) -> None:
        doc = read_docstring(fn)
        self.fn = fn
        self.name = name or str(getattr(fn, "__name__", ""))
        self.description = description or doc.summary
        self.effect: Effect = effect
        self.risk: Risk = risk
        self.timeout_s = timeout_s
        self.origin: Origin = origin
        self.destinations = tuple(destinations)
        """The parameters that name where something goes; see `guardrails.destinations_in`."""
        self._check()
        self._signature = read_signature(self.name, fn, doc)
        self._check_destinations()
        self._probe = probe
        self._check_effect()

    def __repr__(self) -> str:
        return f"<tool {self.name} effect={self.effect} risk={self.risk}>"

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON Schema of the arguments, without what the program fills in."""
        return self._signature.parameters

    @property
    def probe(self) -> Callable[..., Awaitable[JsonValue | None]] | None:
        """Asks whether the effect happened; takes the arguments as `validate` returned them."""
        return self._ask_world if self._probe else None

    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        return ToolSpec(name=self.name, description=self.description, parameters=self.parameters)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments checked, with defaults filled in, as JSON types.

        Raises:
            InvalidArguments: One is unknown, missing or of another type; the message names it.
        """
        checked = self._signature.check(self.name, arguments)
        return checked.model_dump(mode="json", by_alias=True)

    async def execute(self, arguments: Mapping[str, Any], context: ToolContext[Any]) -> JsonValue:
        """Run the body and return its result as JSON types; a sync body runs in a thread.

        Only `runs.call_tool` calls this, with arguments that `validate` returned.
        """
        values = self._values(arguments)
        if self._signature.context:
            values[self._signature.context] = context
        if self._signature.key:
            values[self._signature.key] = context.idempotency_key
        return to_json_value(await _call(self.fn, values))

    async def _ask_world(self, **arguments: Any) -> JsonValue | None:
        assert self._probe is not None
        found = await _call(self._probe, self._values(arguments))
        return None if found is None else to_json_value(found)

    def _values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return self._signature.values(self._signature.check(self.name, arguments))

    def _check(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidTool(self.name, "a name is 1 to 64 letters, digits, `_` and `-`; pass name=.")
        if not self.description:
            raise InvalidTool(self.name, "it has no docstring; its first paragraph is what a model reads.")
        if self.effect not in _EFFECTS or self.risk not in _RISKS:
            raise InvalidTool(self.name, f"effect is one of {_EFFECTS}, risk one of {_RISKS}.")
        if not self.timeout_s > 0:
            raise InvalidTool(self.name, f"timeout_s is {self.timeout_s!r}; give seconds above 0.")

    def _check_destinations(self) -> None:
        known = cast("dict[str, Any]", self.parameters.get("properties", {}))
        for parameter in self.destinations:
            if parameter not in known:
                raise InvalidTool(self.name, f"destinations= names {parameter!r}. {nearest(parameter, tuple(known))}")

    def _check_effect(self) -> None:
        if self.effect == "checkable" and not self._probe:
            raise InvalidTool(self.name, "a checkable tool needs probe=, a function that finds its effect.")
        if self._probe and self.effect != "checkable":
            raise InvalidTool(self.name, f'probe= is for effect="checkable", not {self.effect!r}.')
        if self.effect == "idempotent" and not self._signature.key:
            raise InvalidTool(self.name, "an idempotent tool takes a parameter typed IdempotencyKey.")


@overload
def tool(fn: Callable[P, ReturnT], /) -> FunctionTool[P, ReturnT]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    effect: Effect = "unsafe",
    risk: Risk = "high",
    timeout_s: float = 30,
    probe: Callable[..., Any] | None = None,
    origin: Origin = "tool",
    destinations: Sequence[str] = (),
) -> Callable[[Callable[P, ReturnT]], FunctionTool[P, ReturnT]]: ...


def tool(fn: Callable[..., Any] | None = None, /, **declared: Any) -> Any:
    """Make a tool from a function: `@tool`, or `@tool(effect="read", risk="low")`.

    The schema comes from the annotations, the descriptions from the docstring (its first paragraph, and the
    `Args:` section in Google style). A parameter typed `ToolContext[Deps]` or `IdempotencyKey` is filled in
    by the run and stays out of the schema.

    Args:
        fn: The function, sync or async; a sync one runs in a thread.
        **declared: `effect`: read, idempotent, checkable or unsafe (default). `risk`: low, medium or high
            (default). `timeout_s`: limit of a call, 30 by default. `name`, `description`: instead of the
            function's own. `probe`: for a checkable tool, a function of the same arguments that returns the
            result if the effect happened, else None. `origin`: the label of its results.
            `destinations`: names of the parameters that say where something goes (to, url, account).

    Raises:
        InvalidTool: The declaration does not hold together: no docstring, a parameter without a type, a
            checkable tool without probe, an idempotent one without a key.
    """
    if fn is not None:
        return FunctionTool(fn)

    def decorate(function: Callable[..., Any]) -> FunctionTool[..., Any]:
        return FunctionTool(function, **declared)

    return decorate


def as_tools(tools: Iterable[Tool | Callable[..., Any]]) -> list[Tool]:
    """The tools, each plain function wrapped as `@tool` does (unsafe, high risk).

    Raises:
        InvalidTool: Something is neither a tool nor a function, or two tools have one name.
    """
    made = [_as_tool(item) for item in tools]
    names = [item.name for item in made]
    for name in names:
        if names.count(name) > 1:
            raise InvalidTool(name, "two tools have this name; pass name= to one of them.")
    return made


def _as_tool(item: object) -> Tool:
    if isinstance(item, Tool):
        return item
    if callable(item):
        return cast("Tool", FunctionTool(item))
    raise InvalidTool(repr(item), "this is neither a tool nor a function.")


async def _call(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**values)
    result = await asyncio.to_thread(function, **values)
    return await result if inspect.isawaitable(result) else result

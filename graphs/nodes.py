"""What LangGraph runs for a node: ports fed from fields, the callable, and the guard."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel

from ..core.context import current_node, node_calls, unjournaled_effects
from ..core.errors import GraphSetupError, MissingInput
from ..core.trust import current_reading
from .channels import runtime_of
from .fields import MISSING, Fields
from .guard import Guard
from .labels import Labeller, leave, was_sent
from .ports import Special
from .typing_match import is_dict_schema, schema_fields

ITEM = "__item__"
"""In place of a field: the item of a map."""


@dataclass(frozen=True, slots=True)
class Feed:
    """How one parameter gets its value."""

    port: str
    field: str
    takes_none: bool
    optional: bool
    """Whether the parameter's own default serves where the field holds nothing."""


class Inputs:
    """Makes the arguments of a callable from channel values."""

    def __init__(
        self,
        node: str,
        fields: Fields,
        feeds: tuple[Feed, ...],
        specials: Mapping[str, Special],
        view: Any = None,
        reads: tuple[str, ...] = (),
        positional: tuple[str, ...] = (),
    ) -> None:
        self.node, self.fields, self.feeds, self.view = node, fields, feeds, view
        self.specials, self.reads, self.positional = tuple(specials.items()), reads, positional
        self.takes_state = "state" in specials.values()
        self._view_fields = tuple(schema_fields(view)) if view is not None else ()

    def arguments(self, values: Mapping[str, Any], config: RunnableConfig | None) -> dict[str, Any]:
        """Parameter names to values.

        Raises:
            MissingInput: A field holds nothing, or None where the parameter does not take None.
        """
        found: dict[str, Any] = {}
        for feed in self.feeds:
            value = values[ITEM] if feed.field == ITEM else self.fields.value(feed.field, values)
            if value is MISSING or (value is None and not feed.takes_none):
                if feed.optional:
                    continue
                raise MissingInput(self.node, feed.field)
            found[feed.port] = value
        for name, special in self.specials:
            found[name] = self._special(special, values, config)
        return found

    def _special(self, special: Special, values: Mapping[str, Any], config: RunnableConfig | None) -> Any:
        if special == "state":
            return self.state(values)
        if special == "config":
            return config
        runtime = runtime_of(config)
        if special == "runtime":
            return runtime
        return runtime.store if special == "store" else runtime.stream_writer

    def state(self, values: Mapping[str, Any]) -> Any:
        """The whole state, or the narrower one that the callable asks for.

        Raises:
            MissingInput: An input of the graph was never given.
        """
        if not isinstance(values, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - a Send carries anything
            return values
        names = self._view_fields or self.reads
        found = {name: value for name in names if (value := self.fields.value(name, values)) is not MISSING}
        missing = next((name for name in names if name not in found), None)
        if missing is not None:
            raise MissingInput(self.node, missing)
        return build_state(self.view or self.fields.schema, found)


def build_state(schema: Any, values: dict[str, Any]) -> Any:
    """A state object of values that were checked when they were written."""
    if is_dict_schema(schema):
        return values
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema.model_construct(**{_alias(schema, name): value for name, value in values.items()})
    return schema(**values)


def _alias(schema: type[BaseModel], name: str) -> str:
    return schema.model_fields[name].alias or name


class Step(Runnable[Any, Any]):
    """What every node of a `Graph` is to LangGraph."""

    def __init__(self, name: str, guard: Guard) -> None:
        self.name = name
        self.guard = guard
        self.labeller = Labeller(guard.fields, None)
        self.takes_sends = True
        """Whether a `Send` brings it a value that nobody vouches for."""
        self.unjournaled = False
        """Whether tools with effects may run here without a journal."""

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the node in this thread."""
        node = current_node.set(self.name)
        calls = node_calls.set(count())
        effects = unjournaled_effects.set(True) if self.unjournaled else None
        seen = self.labeller.begin(config, sent=self.takes_sends and was_sent(config))
        outer = current_reading.set(seen)
        try:
            return self.labeller.landed(self.run(input, config), seen)
        finally:
            current_reading.reset(outer)
            leave(seen, current_reading.get())
            current_node.reset(node)
            node_calls.reset(calls)
            if effects is not None:
                unjournaled_effects.reset(effects)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the node in this event loop; a sync function in a thread."""
        node = current_node.set(self.name)
        calls = node_calls.set(count())
        effects = unjournaled_effects.set(True) if self.unjournaled else None
        seen = self.labeller.begin(config, sent=self.takes_sends and was_sent(config))
        outer = current_reading.set(seen)
        try:
            return self.labeller.landed(await self.arun(input, config), seen)
        finally:
            current_reading.reset(outer)
            leave(seen, current_reading.get())
            current_node.reset(node)
            node_calls.reset(calls)
            if effects is not None:
                unjournaled_effects.reset(effects)

    def run(self, input: Any, config: RunnableConfig | None) -> Any:
        """The node's work, sync."""
        raise NotImplementedError

    async def arun(self, input: Any, config: RunnableConfig | None) -> Any:
        """The node's work, async."""
        raise NotImplementedError


class FunctionStep(Step):
    """A node that calls a function."""

    def __init__(
        self, name: str, guard: Guard, inputs: Inputs, function: Callable[..., Any], *, is_async: bool
    ) -> None:
        super().__init__(name, guard)
        self.inputs, self.function, self.is_async = inputs, function, is_async
        self._by_position = inputs.positional

    def run(self, input: Any, config: RunnableConfig | None) -> Any:
        """Call the function.

        Raises:
            GraphSetupError: It is async; the graph must be run with `ainvoke`.
        """
        if self.is_async:
            raise GraphSetupError(f"Node {self.name!r} is async; use ainvoke or astream instead of invoke.")
        arguments = self.inputs.arguments(input, config)
        return self.guard.land(self._call(arguments), config, self._seen(input))

    async def arun(self, input: Any, config: RunnableConfig | None) -> Any:
        """Call the function, in a thread if it is sync."""
        arguments = self.inputs.arguments(input, config)
        if self.is_async:
            result = await self._call(arguments)
        else:
            result = await asyncio.to_thread(self._call, arguments)
            if inspect.isawaitable(result):
                result = await result
        return self.guard.land(result, config, self._seen(input))

    def _call(self, arguments: dict[str, Any]) -> Any:
        if not self._by_position:
            return self.function(**arguments)
        ordered = [arguments.pop(name) for name in self._by_position if name in arguments]
        return self.function(*ordered, **arguments)

    def _seen(self, input: Any) -> Mapping[str, Any] | None:
        return cast("dict[str, Any]", input) if self.inputs.takes_state and type(input) is dict else None


class RunnableStep(Step):
    """A node that is a LangChain runnable: it takes the whole state, as under LangGraph."""

    def __init__(self, name: str, guard: Guard, inputs: Inputs, runnable: Runnable[Any, Any]) -> None:
        super().__init__(name, guard)
        self.inputs, self.runnable = inputs, runnable

    def run(self, input: Any, config: RunnableConfig | None) -> Any:
        """Invoke the runnable."""
        state = self.inputs.state(cast("Mapping[str, Any]", input))
        return self.guard.land(self.runnable.invoke(state, config), config, input)

    async def arun(self, input: Any, config: RunnableConfig | None) -> Any:
        """Invoke the runnable."""
        state = self.inputs.state(cast("Mapping[str, Any]", input))
        return self.guard.land(await self.runnable.ainvoke(state, config), config, input)

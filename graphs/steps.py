"""From a binding to what LangGraph is given: the step, the channels that it reads, the error handler."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from langgraph.config import get_config
from typing_extensions import TypedDict

from ..core.trust import current_reading
from .binding import Binding
from .channels import read_channels
from .fields import MISSING, Fields
from .guard import Guard, Targets
from .labels import Labeller
from .maps import ItemStep
from .nodes import FunctionStep, Inputs, RunnableStep, Step, build_state
from .ports import is_async
from .subgraphs import GraphStep


def step_for(
    binding: Binding, fields: Fields, targets: Targets, declared: tuple[str, ...] = (), over: str = ""
) -> Step:
    """The step that runs a bound node.

    Args:
        binding: The node.
        fields: The state.
        targets: The nodes of the graph.
        declared: Targets that it may go to.
        over: Of a map, the field that holds its items.
    """
    guard = Guard(
        binding.name,
        fields,
        targets,
        one=binding.one,
        several=binding.several,
        declared=declared or binding.goto,
    )
    step = _step(binding, guard, inputs_of(binding, fields))
    if binding.item is None:
        step.labeller = Labeller(fields, binding.reads)
        return step
    mapped = ItemStep(step, binding.reads)
    mapped.labeller = Labeller(fields, (*binding.reads, over))
    return mapped


def _step(binding: Binding, guard: Guard, inputs: Inputs) -> Step:
    name, function = binding.name, binding.function
    if binding.inner is not None:
        outputs = binding.several or {}
        fed = {feed.port: feed.field for feed in binding.feeds}
        carried = {port: field for port, field in outputs.items() if fed.get(port) == field}
        return GraphStep(name, guard, inputs, binding.inner, outputs, carried)
    if binding.runnable is not None:
        return RunnableStep(name, guard, inputs, binding.runnable)
    return FunctionStep(name, guard, inputs, function, is_async=is_async(function))


def inputs_of(binding: Binding, fields: Fields) -> Inputs:
    """What makes the arguments of a bound callable."""
    signature = binding.signature
    return Inputs(
        binding.name,
        fields,
        binding.feeds,
        signature.specials,
        binding.view,
        binding.reads,
        signature.positional,
    )


def reading_schema(binding: Binding, fields: Fields) -> type[Any]:
    """A schema of exactly the fields that a node reads, so that nothing else is built for it.

    It is a TypedDict: LangGraph then hands over channel values as they are, checked when they were written.
    """
    return reading(fields, binding.reads)


@functools.lru_cache(maxsize=1024)
def reading(fields: Fields, names: tuple[str, ...]) -> type[Any]:
    """A TypedDict of these fields."""
    hints = {name: fields[name].type for name in names}
    return cast("type[Any]", TypedDict(f"{fields.schema.__name__}Reads", hints))  # type: ignore[operator]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues] - the names are known at run time only


def guarded_handler(handler: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    """An error handler that takes the whole state, and whose updates and targets are checked."""
    labeller = Labeller(guard.fields, None)
    if is_async(handler):

        @functools.wraps(handler)
        async def arun(state: Any, *args: Any, **kwargs: Any) -> Any:
            seen = labeller.begin(get_config())
            outer = current_reading.set(seen)
            try:
                landed = guard.land(await handler(_state_now(guard), *args, **kwargs), get_config())
            finally:
                current_reading.reset(outer)
            return labeller.landed(landed, seen)

        return arun

    @functools.wraps(handler)
    def run(state: Any, *args: Any, **kwargs: Any) -> Any:
        seen = labeller.begin(get_config())
        outer = current_reading.set(seen)
        try:
            landed = guard.land(handler(_state_now(guard), *args, **kwargs), get_config())
        finally:
            current_reading.reset(outer)
        return labeller.landed(landed, seen)

    return run


def _state_now(guard: Guard) -> Any:
    # LangGraph hands over what the failed node was given, which is only what that node reads.
    fields = guard.fields
    values = read_channels(get_config(), tuple(fields))
    found = {name: value for name in fields if (value := fields.value(name, values)) is not MISSING}
    return build_state(fields.schema, found)

"""Graphs as nodes: the fields of the inner graph's input and output are its ports."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel

from ..core.trust import LABELS, current_reading, met
from .fields import MISSING
from .guard import Guard, additions
from .labels import labelled, met_inside
from .nodes import ITEM, Inputs, Step
from .ports import Port, Signature
from .typing_match import is_dict_schema, schema_fields

Builder = Any
"""A StateGraph; the attributes that are read here have no useful types."""
Compiled = Any
"""A CompiledStateGraph, for the same reason."""


class Inner:
    """A graph inside a graph."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.builder: Builder = graph.builder if _is_compiled(graph) else graph

    @cached_property
    def compiled(self) -> Compiled:
        """The inner graph, ready to run; it uses the saver of the graph around it."""
        return self.graph if _is_compiled(self.graph) else self.graph.compile()

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """Names and types of what it gives."""
        return self._typed(self.builder.output_schema)

    def signature(self) -> Signature:
        """Its input as ports; only the required fields of a model must be fed."""
        schema = self.builder.input_schema
        ports = [Port(name, kind, not _required(schema, name)) for name, kind in self._typed(schema).items()]
        return Signature(tuple(ports), {}, None, (), None, (), False, True)

    def _typed(self, schema: Any) -> dict[str, Any]:
        types = schema_fields(schema)
        return {name: types.get(name, Any) for name in self.builder.schemas[schema]}


def inner_graph(action: Any) -> Inner | None:
    """The graph that `action` is, or builds; None for anything else."""
    build = getattr(action, "build_graph", None)
    if callable(build) and not isinstance(action, type):
        action = build()
    return Inner(action) if isinstance(action, (StateGraph, CompiledStateGraph)) else None


def _is_compiled(graph: object) -> bool:
    return isinstance(graph, CompiledStateGraph)


def _required(schema: Any, name: str) -> bool:
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema.model_fields[name].is_required()
    return False


class GraphStep(Step):
    """A node that runs a graph inside its own checkpoint namespace."""

    def __init__(
        self,
        name: str,
        guard: Guard,
        inputs: Inputs,
        inner: Inner,
        outputs: Mapping[str, str],
        carried: Mapping[str, str],
    ) -> None:
        """A node for `inner`.

        Args:
            name: The node.
            guard: Checks what comes out.
            inputs: Feeds the inner input from the outer fields.
            inner: The graph.
            outputs: Inner output to outer field.
            carried: Of these, the fields that also went in under the same names.
        """
        super().__init__(name, guard)
        self.inputs, self.inner, self.outputs, self.carried = inputs, inner, dict(outputs), dict(carried)

    def run(self, input: Any, config: RunnableConfig | None) -> Any:
        """Run the inner graph to its end, or to its interrupt."""
        arguments = self._entering(input, config)
        inner = self.inner.compiled
        return self._landed(inner.invoke(arguments, config, output_keys=labelled(inner)), input, config)

    async def arun(self, input: Any, config: RunnableConfig | None) -> Any:
        """Run the inner graph to its end, or to its interrupt."""
        arguments = self._entering(input, config)
        inner = self.inner.compiled
        return self._landed(await inner.ainvoke(arguments, config, output_keys=labelled(inner)), input, config)

    def _entering(self, input: Any, config: RunnableConfig | None) -> dict[str, Any]:
        """The inner input; each part of it keeps its label."""
        seen = current_reading.get()
        if LABELS not in self.inner.compiled.channels:
            met("tool")  # nobody knows what the nodes of a plain graph read
        if seen is not None:
            seen.entering = {
                feed.port: sorted(seen.found) if feed.field == ITEM else seen.labels.get(feed.field, ())
                for feed in self.inputs.feeds
            }
        return self.inputs.arguments(input, config)

    def _landed(self, values: Any, seen: Mapping[str, Any], config: RunnableConfig | None) -> Any:
        update: dict[str, Any] = {}
        labels = met_inside(values)
        reading = current_reading.get()
        for port, field in self.outputs.items():
            if reading is not None and labels is not None:
                reading.written[field] = frozenset(labels.get(port, ()))
            value = self._value(port, values)
            if value is not MISSING and port in self.carried and field in self.guard.fields:
                value = additions(self.guard.fields, field, value, seen)
            if value is not MISSING:
                update[port] = value
        return self.guard.land(update, config)

    def _value(self, port: str, values: Mapping[str, Any]) -> Any:
        if port in values:
            return values[port]
        schema = self.inner.builder.output_schema
        if is_dict_schema(schema) or not issubclass(schema, BaseModel) or port in self.carried:
            return MISSING
        info = schema.model_fields[port]
        return MISSING if info.is_required() else info.get_default(call_default_factory=True, validated_data={})

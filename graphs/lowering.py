"""From the user's graph to the one that LangGraph runs: maps in three parts, hidden counters, a checked input."""

from __future__ import annotations

import copy
import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.channels.last_value import LastValue
from langgraph.constants import TAG_HIDDEN
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel._write import ChannelWrite, ChannelWriteEntry
from pydantic import BaseModel

from ..core.trust import LABELS, Labels
from .admission import landed
from .channels import write_channel
from .labels import Labeller, label_channel
from .maps import Join, Map, Split
from .nodes import Step
from .quiet import quieten
from .steps import reading

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from .graph import Graph

Compiled = CompiledStateGraph[Any, Any, Any, Any]
_builder: Any = StateGraph


def compiled_from(
    graph: Graph[Any], saver: bool | BaseCheckpointSaver[Any] | None, options: Mapping[str, Any], unjournaled: bool
) -> Compiled:
    """Compiles a graph that was checked; the graph itself stays as it is."""
    lowered = _copy(graph, unjournaled)
    for spec in graph.maps.values():
        _lower_map(lowered, spec)
    cast(Any, lowered).channels[LABELS] = label_channel(graph.fields)
    compiled: Compiled = _builder.compile(lowered, saver, **options)
    compiled.stream_channels = [name for name in compiled.stream_channels_list if name != LABELS]
    _hide(compiled, graph)
    compiled.nodes[START].bound = _Entrance(graph)
    _count_loops(compiled, graph)
    _name_subgraphs(compiled, graph)
    quieten(compiled)
    return compiled


def _copy(graph: Graph[Any], unjournaled: bool) -> Graph[Any]:
    lowered = copy.copy(graph)
    lowered.nodes = {name: dataclasses.replace(spec) for name, spec in graph.nodes.items()}
    lowered.edges = set(graph.edges)
    lowered.waiting_edges = set(graph.waiting_edges)
    lowered.branches = defaultdict(dict, {source: dict(found) for source, found in graph.branches.items()})
    source, target = cast(Any, graph), cast(Any, lowered)
    target.schemas, target.channels = dict(source.schemas), dict(source.channels)
    lowered.source = graph
    for spec in lowered.nodes.values() if unjournaled else ():
        if isinstance(spec.runnable, Step):
            spec.runnable = copy.copy(spec.runnable)
            spec.runnable.unjournaled = True
    return lowered


def _lower_map(graph: Graph[Any], spec: Map) -> None:
    """Edges into the map lead to what splits its items, edges out of it leave what joins them."""
    name = spec.name
    graph.edges = {
        (spec.join if start == name else start, spec.split if end == name else end) for start, end in graph.edges
    } | {(name, spec.join)}
    graph.waiting_edges = {
        (tuple(spec.join if start == name else start for start in starts), spec.split if end == name else end)
        for starts, end in graph.waiting_edges
    }
    if name in graph.branches:
        graph.branches[spec.join] = graph.branches.pop(name)
    for branches in graph.branches.values():
        for key, branch in branches.items():
            if branch.ends:
                ends: dict[Hashable, str] = {k: spec.split if end == name else end for k, end in branch.ends.items()}
                branches[key] = branch._replace(ends=ends)
    for node in graph.nodes.values():
        node.ends = _renamed(node.ends, name, spec.split)
    schema = reading(graph.fields, (spec.field,))
    _builder.add_node(graph, spec.split, Split(spec, graph.fields), input_schema=schema, destinations=(name, spec.join))
    _builder.add_node(graph, spec.join, Join(spec), input_schema=reading(graph.fields, ()))


def _renamed(ends: Any, old: str, new: str) -> Any:
    if isinstance(ends, dict):
        return {new if end == old else end: label for end, label in cast("dict[str, str]", ends).items()}
    return tuple(new if end == old else end for end in ends) if ends else ends


def _hide(compiled: Compiled, graph: Graph[Any]) -> None:
    for spec in graph.maps.values():
        for name in (spec.split, spec.join):
            compiled.nodes[name].tags = [TAG_HIDDEN]


class _Entrance(Runnable[Any, Any]):
    """Checks the input of a run, which LangGraph would write as it comes, dropping what it does not know.

    It is the work of the start task and not a mapper: a mapper that raises would bar the thread for good.
    """

    def __init__(self, graph: Graph[Any]) -> None:
        self.name = START
        self.graph = graph
        self._labeller = Labeller(graph.fields, None)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The input as updates of the fields.

        Raises:
            InvalidInput: A field is unknown or refused.
        """
        if isinstance(input, BaseModel):
            input = {name: getattr(input, name) for name in input.model_fields_set}
        if not isinstance(input, Mapping):
            return input
        schema = cast("type[BaseModel]", self.graph.input_schema)
        given = dict(cast("Mapping[str, Any]", input))
        kept = cast("Labels", given.pop(LABELS, {}))
        values = landed(self.graph.fields, schema, given, self.graph.kept_fields())
        if config is not None:
            write_channel(config, LABELS, self._labeller.entered(values, kept))
        for name in values.keys() - schema.model_fields.keys():
            if config is not None:
                write_channel(config, name, values[name])
        return values

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The input as updates of the fields."""
        return self.invoke(input, config)


def _count_loops(compiled: Compiled, graph: Graph[Any]) -> None:
    inside = cast(Any, compiled)
    for loop in graph.loops.values():
        inside.channels[loop.counter] = LastValue(int, loop.counter)
        inside.nodes[START].writers.append(ChannelWrite((ChannelWriteEntry(loop.counter, 0),)))


def _name_subgraphs(compiled: Compiled, graph: Graph[Any]) -> None:
    # A step hides its graph from LangGraph, which asks for it when it lists or draws sub-graphs.
    for name, binding in graph.bindings.items():
        if binding.inner is not None:
            compiled.nodes[name].subgraphs = [binding.inner.compiled]

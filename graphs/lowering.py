"""From the user's graph to the one that LangGraph runs: maps in three parts, hidden counters, a checked input."""

from __future__ import annotations

import copy
import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langgraph.channels.last_value import LastValue
from langgraph.constants import TAG_HIDDEN
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel._write import ChannelWrite, ChannelWriteEntry
from pydantic import BaseModel

from .admission import landed
from .maps import Join, Map, Split
from .nodes import Step
from .steps import reading

if TYPE_CHECKING:
    from langgraph.types import Checkpointer

    from .graph import Graph

Compiled = CompiledStateGraph[Any, Any, Any, Any]


def compiled_from(graph: Graph[Any], saver: Checkpointer, options: Mapping[str, Any], unjournaled: bool) -> Compiled:
    """Compiles a graph that was checked; the graph itself stays as it is."""
    lowered = _copy(graph, unjournaled)
    for spec in graph.maps.values():
        _lower_map(lowered, spec)
    compiled = cast(Compiled, StateGraph.compile(lowered, saver, **options))
    _hide(compiled, graph)
    _check_input(compiled, graph)
    _count_loops(compiled, graph)
    _name_subgraphs(compiled, graph)
    return compiled


def _copy(graph: Graph[Any], unjournaled: bool) -> Graph[Any]:
    lowered = copy.copy(graph)
    lowered.nodes = {name: dataclasses.replace(spec) for name, spec in graph.nodes.items()}
    lowered.edges = set(graph.edges)
    lowered.waiting_edges = set(graph.waiting_edges)
    lowered.branches = defaultdict(dict, {source: dict(found) for source, found in graph.branches.items()})
    lowered.schemas, lowered.channels = dict(graph.schemas), dict(graph.channels)
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
    StateGraph.add_node(
        graph, spec.split, Split(spec, graph.fields), input_schema=schema, destinations=(name, spec.join)
    )
    StateGraph.add_node(graph, spec.join, Join(spec), input_schema=reading(graph.fields, ()))


def _renamed(ends: Any, old: str, new: str) -> Any:
    if isinstance(ends, dict):
        return {new if end == old else end: label for end, label in cast("dict[str, str]", ends).items()}
    return tuple(new if end == old else end for end in ends) if ends else ends


def _hide(compiled: Compiled, graph: Graph[Any]) -> None:
    for spec in graph.maps.values():
        for name in (spec.split, spec.join):
            compiled.nodes[name].tags = [TAG_HIDDEN]


def _check_input(compiled: Compiled, graph: Graph[Any]) -> None:
    # LangGraph writes the input to the channels as it comes, and drops what it does not know.
    compiled.nodes[START].mapper = partial(_input, graph)


def _input(graph: Graph[Any], given: Any) -> Any:
    if isinstance(given, BaseModel):
        given = {name: getattr(given, name) for name in given.model_fields_set}
    if not isinstance(given, Mapping):
        return given
    return landed(graph.fields, cast("type[BaseModel]", graph.input_schema), cast("Mapping[str, Any]", given))


def _count_loops(compiled: Compiled, graph: Graph[Any]) -> None:
    for loop in graph.loops.values():
        compiled.channels[loop.counter] = LastValue(int, loop.counter)
        compiled.nodes[START].writers.append(ChannelWrite((ChannelWriteEntry(loop.counter, 0),)))


def _name_subgraphs(compiled: Compiled, graph: Graph[Any]) -> None:
    # A step hides its graph from LangGraph, which asks for it when it lists or draws sub-graphs.
    for name, binding in graph.bindings.items():
        if binding.inner is not None:
            compiled.nodes[name].subgraphs = [binding.inner.compiled]

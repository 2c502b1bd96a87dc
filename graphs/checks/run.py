"""All checks of a graph and of the graphs inside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..findings import Finding
from .data import data
from .outline import AnyGraph, NodeOutline, Outline, outline
from .parallel import parallel_writes
from .policies import policies
from .safety import safety
from .structure import structure

_FOREIGN = ("langchain", "langgraph")


def check(graph: AnyGraph) -> list[Finding]:
    """What is wrong with a graph, errors first.

    Args:
        graph: A `Graph`, or LangGraph's `StateGraph` or `CompiledStateGraph`, where less is declared and less
            can be known: there, nodes are read from their source as far as that is plain.

    Returns:
        Findings, each with a stable code; inner graphs' nodes are named `outer/inner`. No node is run.
    """
    whole = outline(graph)
    found = list(dict.fromkeys([*_check(whole), *policies(whole)]))
    return sorted(found, key=lambda finding: finding.severity != "error")


def _check(graph: Outline) -> Iterator[Finding]:
    yield from graph.mistakes
    said = {(mistake.code, mistake.node, mistake.field) for mistake in graph.mistakes}
    for part in (structure, data, parallel_writes, safety):
        for finding in part(graph):
            if (finding.code, finding.node, finding.field) not in said:
                yield finding
    for node in graph.nodes.values():
        yield from _inner(graph, node)


def _inner(graph: Outline, node: NodeOutline) -> Iterator[Finding]:
    # Graphs that a library builds are not the user's to mend.
    if node.inner is None or node.inner.state_schema.__module__.startswith(_FOREIGN):
        return
    inner = outline(node.inner, node.fed if node.fed is not None else set(node.may_read))
    inner.policy = graph.policy or inner.policy  # a run has one policy, that of the graph which is run
    for finding in _check(inner):
        yield dataclasses.replace(finding, node="/".join(filter(None, (node.name, finding.node))))

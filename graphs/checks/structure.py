"""Checks of nodes and edges: what cannot be reached, does not end, leads nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ...core.errors import nearest
from ..findings import Finding
from .outline import END, START, Outline


def structure(graph: Outline) -> Iterator[Finding]:
    """What is wrong with the shape of a graph."""
    yield from unknown_targets(graph)
    reached = reachable(graph, START)
    yield from _unreachable(graph, reached)
    yield from _dead_ends(graph, reached)
    yield from _endless(graph, reached)
    yield from _edges_and_gotos(graph)


def unknown_targets(graph: Outline) -> Iterator[Finding]:
    """Edges from or to a node that does not exist."""
    known = {*graph.nodes, START, END}
    seen: set[tuple[str, str]] = set()
    for source, target in _pairs(graph):
        for name in (source, target):
            if name in known or (source, name) in seen:
                continue
            seen.add((source, name))
            message = f"{_where(source)} leads to {name!r}, which is no node."
            if name == source:
                message = f"An edge to {target!r} starts at {name!r}, which is no node."
            node = source if source in graph.nodes else None
            yield Finding("unknown_target", "error", node, None, message, nearest(name, tuple(graph.nodes)))


def _pairs(graph: Outline) -> Iterator[tuple[str, str]]:
    yield from sorted(graph.edges)
    for starts, end in sorted(graph.joins):
        yield from ((start, end) for start in starts)
    for branch in graph.branches:
        yield from ((branch.source, target) for target in sorted(branch.targets | branch.sends | branch.strays))
    for node in graph.nodes.values():
        yield from ((node.name, target) for target in sorted(node.goto | node.sends))


def _where(source: str) -> str:
    return "The graph's start" if source == START else f"Node {source!r}"


def reachable(graph: Outline, start: str) -> set[str]:
    """Nodes that may run after `start`."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        for name in graph.after(todo.pop()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def _unreachable(graph: Outline, reached: set[str]) -> Iterator[Finding]:
    if not graph.nodes:
        yield Finding(
            "dead_end", "error", None, None, "The graph has no nodes.", "Add one, and an edge from START to it."
        )
        return
    started = bool(graph.after(START))
    for node in graph.nodes.values():
        if node.name in reached or node.handler_of is not None:
            continue
        message = f"Node {node.name!r} is never run: no path from START leads to it."
        fix = "Add an edge to it, or remove it." if started else "Nothing follows START: add_edge(START, …)."
        yield Finding("unreachable_node", "error", node.name, None, message, fix)


def _dead_ends(graph: Outline, reached: set[str]) -> Iterator[Finding]:
    for node in graph.nodes.values():
        if node.name not in reached or node.handler_of is not None or graph.after(node.name):
            continue
        message = f"Nothing follows node {node.name!r}."
        fix = f"Add add_edge({node.name!r}, END), or the next node."
        # LangGraph ends a run there without a word, and its documentation makes use of that.
        yield Finding("dead_end", "warning" if graph.plain else "error", node.name, None, message, fix)


def _endless(graph: Outline, reached: set[str]) -> Iterator[Finding]:
    ending = _ending(graph)
    stuck = {name for name in reached if name in graph.nodes and name not in ending}
    for circle in circles(stuck, lambda name: graph.after(name) & stuck):
        names = " → ".join([*circle, circle[0]])
        message = f"The loop {names} has no way out."
        fix = "Use add_loop with until= and at_most=, or let one of its edges lead out of it."
        yield Finding("endless_loop", "error", circle[0], None, message, fix)


def _ending(graph: Outline) -> set[str]:
    """Nodes from which a run can come to its end: all that must follow can, and one of each choice can."""
    ending = {END} | {name for name in graph.nodes if not graph.after(name)}
    known = {*graph.nodes, END}
    grown = True
    while grown:
        grown = False
        for name in graph.nodes.keys() - ending:
            must = graph.statics(name) & known
            if must <= ending and all(option & ending or option - known for option in graph.options(name)):
                ending.add(name)
                grown = True
    return ending


def circles(names: Iterable[str], after: Callable[[str], set[str]]) -> list[list[str]]:
    """The groups of nodes that lead to each other, each in the order in which they follow, as far as there is one."""
    follow = {name: set(after(name)) for name in names}
    reach = {name: _closure(name, follow) for name in follow}
    found: list[list[str]] = []
    placed: set[str] = set()
    for name in sorted(follow):
        if name in placed or name not in reach[name]:
            continue
        group = {other for other in reach[name] if name in reach.get(other, set())} | {name}
        placed |= group
        found.append(_in_order(name, group, follow))
    return found


def _closure(start: str, follow: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for name in follow.get(todo.pop(), set()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def _in_order(start: str, group: set[str], follow: dict[str, set[str]]) -> list[str]:
    order = [start]
    while step := sorted((follow[order[-1]] & group) - set(order)):
        order.append(step[0])
    return [*order, *sorted(group - set(order))]


def _edges_and_gotos(graph: Outline) -> Iterator[Finding]:
    for node in graph.nodes.values():
        # What a sub-graph's commands do out here happens in place of what would follow it.
        goes = node.inner is None and not node.facts.leaves and (node.goto or node.goto_unknown)
        branches = [branch for branch in graph.branches if branch.source == node.name]
        statics = graph.statics(node.name)
        if not goes or not (statics or branches):
            continue
        targets = ", ".join(map(repr, sorted(node.goto))) or "another node"
        other = f"an edge to {', '.join(map(repr, sorted(statics)))}" if statics else "a conditional edge"
        message = f"Node {node.name!r} has {other} and also goes to {targets} by itself: both run."
        yield Finding("edge_and_goto", "error", node.name, None, message, "Keep one of the two.")

"""Which nodes may run in the same step, and write one field there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from ..findings import Finding
from .outline import END, START, Outline

Pair = tuple[str, str]


def parallel_writes(graph: Outline) -> Iterator[Finding]:
    """Fields without a reducer that two tasks of one step may write."""
    seen: set[tuple[str, frozenset[str]]] = set()
    for one, other in sorted(concurrent(graph)):
        for name in sorted(_plainly_written(graph, one) & _plainly_written(graph, other)):
            key = (name, frozenset((one, other)))
            if key not in seen:
                seen.add(key)
                yield _finding(
                    name, one, f"Nodes {one!r} and {other!r} may run in the same step and both write {name!r}"
                )
    for node in sorted(sent_to(graph)):
        for name in sorted(_plainly_written(graph, node)):
            yield _finding(name, node, f"Node {node!r} may run several times in one step, and writes {name!r}")


def _finding(field: str, node: str, message: str) -> Finding:
    fix = "Give the field a reducer, as in Annotated[list[X], append], or let the nodes run one after the other."
    return Finding("parallel_write", "error", node, field, f"{message}, which has no reducer.", fix)


def _plainly_written(graph: Outline, name: str) -> set[str]:
    node = graph.nodes.get(name)
    writes = node.writes if node and node.writes else set[str]()
    return {field for field in writes if field in graph.fields and not graph.fields[field].reduced}


def sent_to(graph: Outline) -> set[str]:
    """Nodes that one task may send several items to."""
    sends = {name for branch in graph.branches for name in branch.sends}
    return sends | {name for node in graph.nodes.values() for name in node.sends}


def concurrent(graph: Outline) -> set[Pair]:
    """Pairs of different nodes that may run in the same step.

    Two tasks are followed together, step by step, from each place where a run forks. Branches that meet
    in one node become one task; a join waits for the last of its starts.
    """
    steps = _Steps(graph)
    todo = [pair for name in (START, *graph.nodes) for pair in steps.forks(name)]
    seen: set[Pair] = set()
    while todo:
        pair = todo.pop()
        if pair in seen:
            continue
        seen.add(pair)
        todo.extend(steps.next(pair))
    named = {pair for pair in seen if steps.runs(pair[0]) and steps.runs(pair[1])}
    return {pair for pair in named if pair[0] != pair[1]}


class _Steps:
    """Steps of one task. A name that begins with `…` waits for a join; a map takes three steps."""

    def __init__(self, graph: Outline) -> None:
        self.graph = graph
        self.joins = {f"…{index}": join for index, join in enumerate(sorted(graph.joins))}

    def runs(self, name: str) -> bool:
        node = self.graph.nodes.get(name)
        return node is not None and not node.deferred

    def forks(self, name: str) -> Iterator[Pair]:
        """Pairs of tasks that start together when `name` is done."""
        certain = self._single(name)
        groups = [{one} for one in certain] + self._choices(name)
        for one, other in combinations(groups, 2):
            yield from (_pair(a, b) for a in one for b in other if a != b)
        for option in self._several(name):
            yield from (_pair(a, b) for a, b in combinations(sorted(option), 2))

    def next(self, pair: Pair) -> Iterator[Pair]:
        """Pairs one step later."""
        one, other = pair
        for a in self._follow(one, other):
            for b in self._follow(other, one):
                if a != b:
                    yield _pair(a, b)

    def _follow(self, name: str, beside: str) -> set[str]:
        if name in self.joins:
            starts, end = self.joins[name]
            # The other task may be the last start of the join: then both are one from here on.
            return {name} if beside in starts or beside in self.joins else {name, self._entered(end)}
        if name.endswith((" (split)", " (join)")):
            mapped = name.rpartition(" ")[0]
            return {mapped} if name.endswith("(split)") else self._left(mapped)
        node = self.graph.nodes.get(name)
        if node is not None and node.map is not None:
            return {f"{name} (join)"}
        return self._left(name)

    def _left(self, name: str) -> set[str]:
        return self._single(name).union(*self._choices(name)) - {END}

    def _single(self, name: str) -> set[str]:
        plain = {self._entered(end) for start, end in self.graph.edges if start == name and end != END}
        waits = {key for key, (starts, end) in self.joins.items() if name in starts and end != END}
        return plain | waits

    def _choices(self, name: str) -> list[set[str]]:
        return [{self._entered(target) for target in option if target != END} for option in self.graph.options(name)]

    def _several(self, name: str) -> Iterator[set[str]]:
        for branch in self.graph.branches:
            if branch.source == name and (branch.several or len(branch.sends) > 1):
                chosen = branch.targets if branch.several else set[str]()
                yield {self._entered(target) for target in chosen | branch.sends if target != END}
        node = self.graph.nodes.get(name)
        if node is not None and len(node.sends) > 1:
            yield set(node.sends)
        if node is not None:
            yield from ({self._entered(target) for target in fork if target != END} for fork in node.facts.forks)

    def _entered(self, name: str) -> str:
        node = self.graph.nodes.get(name)
        return f"{name} (split)" if node is not None and node.map is not None else name


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)

"""What a drawing shows: boxes and arrows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from langgraph.graph import END, START

from ..checks.outline import AnyGraph, BranchOutline, NodeOutline, Outline, outline

Kind = Literal["start", "end", "node", "map", "graph"]


@dataclass(frozen=True, slots=True)
class Box:
    """A node."""

    name: str
    label: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge."""

    start: str
    end: str
    label: str = ""
    optional: bool = False
    """Whether it is one of several ways on."""


@dataclass(frozen=True, slots=True)
class Diagram:
    """A whole graph."""

    name: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def diagram(graph: AnyGraph) -> Diagram:
    """The boxes and arrows of a graph."""
    found = outline(graph)
    arrows = _arrows(found)
    known = {START, END, *found.nodes}
    shown = [arrow for arrow in arrows.values() if arrow.start in known and arrow.end in known]
    boxes = [Box(START, "start", "start"), *map(_box, found.nodes.values())]
    if any(arrow.end == END for arrow in shown):
        boxes.append(Box(END, "end", "end"))
    return Diagram(found.name, tuple(boxes), tuple(shown))


def _box(node: NodeOutline) -> Box:
    if node.map is not None:
        return Box(node.name, f"{node.name} × {node.map.over}", "map")
    if node.inner is not None:
        return Box(node.name, f"{node.name} (graph)", "graph")
    return Box(node.name, node.name, "node")


def _arrows(graph: Outline) -> dict[tuple[str, str], Arrow]:
    found: dict[tuple[str, str], Arrow] = {}
    plain = [(start, end) for start, end in graph.edges]
    plain += [(start, end) for starts, end in graph.joins for start in starts]
    for start, end in sorted(plain):
        found[start, end] = Arrow(start, end)
    for branch in graph.branches:
        for arrow in _choices(branch):
            found.setdefault((arrow.start, arrow.end), arrow)
    for node in graph.nodes.values():
        for end in sorted(node.goto | node.sends | (graph.everywhere() if node.goto_unknown else set())):
            found.setdefault((node.name, end), Arrow(node.name, end, optional=True))
        if node.handler_of is not None:
            found.setdefault((node.handler_of, node.name), Arrow(node.handler_of, node.name, "on error", optional=True))
    return found


def _choices(branch: BranchOutline) -> list[Arrow]:
    loop = branch.loop
    if loop is not None:
        back = Arrow(loop.name, loop.back_to, f"at most {loop.at_most}", optional=True)
        ways = [back, Arrow(loop.name, loop.then, "done" if loop.then != loop.otherwise else "", optional=True)]
        return [*ways, Arrow(loop.name, loop.otherwise, "given up", optional=True)]
    ends = sorted(branch.targets | branch.sends)
    return [Arrow(branch.source, end, branch.labels.get(end, ""), optional=True) for end in ends]

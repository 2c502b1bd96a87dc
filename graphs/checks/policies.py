"""Checks of what a policy lets a graph do: the rule of two, and tools that an agent was not granted.

The rule of two (Meta, 2025): of reading what others wrote, reading what is private, and acting or talking to the
outside, a session should have at most two, unless a person is asked. It sees the tools that agents bring; calls that
a function makes by itself are labelled and judged when they are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...core.trust import UNTRUSTED_ORIGINS
from ...guardrails.policy import Policy
from ...tools.base import Tool
from ..findings import Finding
from ..shape import node_tools
from .outline import NodeOutline, Outline, outline


def policies(graph: Outline) -> Iterator[Finding]:
    """What the policy would let happen, or never let happen."""
    policy = graph.policy or Policy()
    held = {name: list(_held(node, name)) for name, node in graph.nodes.items()}
    for name, tools in held.items():
        for path, tool in tools:
            if not policy.grants_tool(path, tool.name):
                message = f"Node {name!r} has the tool {tool.name!r}, which the policy does not grant to {path!r}."
                yield Finding("tool_not_granted", "warning", name, None, message, "Grant it, or take it from the node.")
    yield from _trifecta(graph, policy, held)


def _trifecta(graph: Outline, policy: Policy, held: dict[str, list[tuple[str, Tool]]]) -> Iterator[Finding]:
    reads = {name: _Reads.of(graph, node, [tool for _, tool in held[name]]) for name, node in graph.nodes.items()}
    for name, tools in held.items():
        before = [reads[other] for other in graph.nodes if other == name or name in _after(graph, other)]
        outside = next((one.outside for one in before if one.outside), "")
        private = next((one.private for one in before if one.private), "")
        unasked = next((tool.name for path, tool in tools if _acts_unasked(policy, tool, path)), "")
        if outside and private and unasked:
            message = (
                f"Node {name!r} may call {unasked!r} without a person, after text from outside was read ({outside}) "
                f"and what may be private ({private}): whoever writes such text can have it sent out or acted on."
            )
            fix = f"Let the policy ask about {unasked!r} once untrusted text was read, or part the three."
            yield Finding("lethal_trifecta", "warning", name, None, message, fix)


@dataclass(frozen=True, slots=True)
class _Reads:
    """What a node brings in, by the name of what brings it; empty for nothing."""

    outside: str
    private: str

    @classmethod
    def of(cls, graph: Outline, node: NodeOutline, tools: list[Tool]) -> _Reads:
        index = "its index" if _searches(node) else ""
        fields = node.reads | node.may_read
        marked = next((name for name in sorted(fields & graph.fields.keys()) if graph.fields[name].came), "")
        untrusted = (tool.name for tool in tools if tool.effect == "read" and tool.origin in UNTRUSTED_ORIGINS)
        own = (tool.name for tool in tools if tool.effect == "read" and tool.origin != "web")
        return cls(next(untrusted, "") or index or marked, next(own, "") or index)


def _acts_unasked(policy: Policy, tool: Tool, path: str) -> bool:
    """Whether a call shaped by untrusted text would do harm, or leave, and nobody would be asked."""
    places: tuple[str, ...] = tuple(getattr(tool, "destinations", ()))
    if not places and (tool.effect == "read" or tool.risk == "low"):
        return False
    somewhere: dict[str, Any] = dict.fromkeys(places, "https://elsewhere.example/")
    return policy.decide(tool, "untrusted", somewhere, agent=path) == "allow"


def _held(node: NodeOutline, path: str) -> Iterator[tuple[str, Tool]]:
    """The tools of a node and of the graphs inside it, each with the path of who holds it."""
    own = node_tools(node.action)
    yield from ((path, tool) for tool in own)
    if node.inner is not None and not own:
        for name, inner in outline(node.inner).nodes.items():
            yield from _held(inner, f"{path}/{name}")


def _searches(node: NodeOutline) -> bool:
    if node.inner is not None:
        return any(_searches(inner) for inner in outline(node.inner).nodes.values())
    return hasattr(getattr(node.action, "index", None), "search")


def _after(graph: Outline, name: str) -> set[str]:
    found: set[str] = set()
    left = [name]
    while left:
        fresh = graph.after(left.pop()) - found
        found |= fresh
        left.extend(fresh & graph.nodes.keys())
    return found

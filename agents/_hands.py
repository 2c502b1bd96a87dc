"""Who can do a step of a plan: tools and agents, and what kind of work each is good for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ..tools import Tool, as_tools

Kind = Literal["search", "calculate", "write", "check", "other"]

_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("calculate", re.compile(r"calculat|arithmetic|\bmath", re.IGNORECASE)),
    ("check", re.compile(r"\bcheck|verif|\bjudge|validat|proofread", re.IGNORECASE)),
    ("search", re.compile(r"search|\bfind|look ?up|lookup|retriev|fetch|\bread", re.IGNORECASE)),
    ("write", re.compile(r"writ|draft|summari|compos|answer", re.IGNORECASE)),
)
_SUM = re.compile(r"\d|\b(sums?|total|average|mean|differen|percent|ratio|multipl|divid|subtract|times)", re.IGNORECASE)
_CHECK = re.compile(r"\b(verif|check|double-check)|nothing invented|make sure", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hand:
    """A tool or an agent that a plan may name."""

    name: str
    is_tool: bool
    description: str
    acts: bool = False
    """A tool that is not `read`."""

    @property
    def kind(self) -> Kind:
        """What it is good for, by its name and, where that says nothing, by its description."""
        for text in (self.name.replace("_", " "), self.description):
            for kind, pattern in _KINDS:
                if pattern.search(text):
                    return kind
        return "other"

    @property
    def line(self) -> str:
        """The hand as one line of a prompt."""
        return f"- {self.name} ({'tool' if self.is_tool else 'agent'}): {self.description}"


def hands_of(
    tools: Iterable[Tool | Callable[..., Any]], agents: Mapping[str, object] | Iterable[str]
) -> tuple[Hand, ...]:
    """The hands of a planner: tools as they describe themselves, agents by name.

    Args:
        tools: Tools, or functions that become tools.
        agents: Names, or name to a description (or to the agent itself, whose docstring describes it).
    """
    named: Mapping[str, object] = (
        cast("Mapping[str, object]", agents) if isinstance(agents, Mapping) else dict.fromkeys(agents, "")
    )
    made = [Hand(t.name, True, t.description, t.effect != "read") for t in as_tools(tools)]
    return (*made, *(Hand(name, False, _description(agent)) for name, agent in named.items()))


def needs_sum(goal: str) -> bool:
    """Whether the goal speaks of numbers or of something to be worked out from them."""
    return _SUM.search(goal) is not None


def needs_check(goal: str) -> bool:
    """Whether the goal asks for its result to be checked."""
    return _CHECK.search(goal) is not None


def _description(agent: object) -> str:
    if isinstance(agent, str):
        return agent
    return (type(agent).__doc__ or "").strip().split("\n", 1)[0]

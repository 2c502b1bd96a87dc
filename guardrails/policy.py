"""The policy: from a tool's declared risk and the trust of its arguments to allow, ask or deny."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from ..core.trust import Trust
from ..tools.base import Tool

Verdict = Literal["allow", "ask", "deny"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Decides about each tool call before it runs.

    Without a rule: `read` tools of low or medium risk are allowed; so is every tool of low risk; a medium
    risk asks once untrusted text has had a part in the call; a high risk always asks.
    """

    rules: Mapping[str, Verdict] = field(default_factory=dict[str, Verdict])
    """Tool name, or a pattern with `*`, to verdict. An exact name wins over a pattern, then the strictest."""

    def decide(self, tool: Tool, trust: Trust = "untrusted") -> Verdict:
        """What to do with a call of `tool` whose arguments have this trust."""
        return self.rule_for(tool.name) or _by_risk(tool, trust)

    def rule_for(self, name: str) -> Verdict | None:
        """The explicit rule for a tool, if one was given."""
        if name in self.rules:
            return self.rules[name]
        matching = {verdict for pattern, verdict in self.rules.items() if fnmatchcase(name, pattern)}
        strictest: tuple[Verdict, ...] = ("deny", "ask", "allow")
        return next((verdict for verdict in strictest if verdict in matching), None)


def _by_risk(tool: Tool, trust: Trust) -> Verdict:
    if tool.risk == "high":
        return "ask"
    if tool.effect == "read" or tool.risk == "low" or trust == "trusted":
        return "allow"
    return "ask"

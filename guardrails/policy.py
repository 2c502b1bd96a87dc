"""The policy: from risk, trust and destination of a call to allow, ask or deny."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from ..core.errors import InvalidInput
from ..core.trust import Trust
from ..tools.base import Risk, Tool
from .destinations import Reach, destinations_in, is_known, reach_of, stands_in

Verdict = Literal["allow", "ask", "deny"]
Mode = Literal["standard", "plan-then-execute"]

BY_RULE = "a rule of the policy says so"
STRICTEST: tuple[Verdict, ...] = ("deny", "ask", "allow")


@dataclass(frozen=True, slots=True)
class Frozen:
    """What was laid down before untrusted text was read, and cannot grow by what that text says."""

    tools: tuple[str, ...] = ()
    """Names of the tools that may be used."""
    words: str = ""
    """Trusted text; what it names may be a destination."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a policy: what to do with the calls that it fits. What is left out fits any call."""

    verdict: Verdict
    tool: str = "*"
    """A name, or a pattern with `*`."""
    agent: str = "*"
    """The node at work, or one around it; a pattern too."""
    risk: Risk | None = None
    effect: Literal["read", "act"] | None = None
    """read: a tool that changes nothing. act: any other."""
    trust: Trust | None = None
    destination: Reach | None = None
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    """Name of an argument to a pattern of its text."""

    def __post_init__(self) -> None:
        for name, kind in _CLOSED.items():
            if (value := getattr(self, name)) is not None and value not in get_args(kind):
                raise InvalidInput(f"rule.{name}", f"{value!r} is none of {', '.join(get_args(kind))}.")

    @property
    def bare(self) -> bool:
        """Whether it looks at nothing but the tool's name, so that it is known before there is a call."""
        return self == Rule(self.verdict, self.tool)


_CLOSED: Mapping[str, Any] = {
    "verdict": Verdict,
    "risk": Risk,
    "effect": Literal["read", "act"],
    "trust": Trust,
    "destination": Reach,
}


class Judgement(NamedTuple):
    """What the policy says about one call, and why."""

    verdict: Verdict
    why: str
    """In words for the person who is asked."""
    destinations: Mapping[str, Reach]
    """Where the call would send something, each known or not."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Decides about each tool call before it runs.

    First the grants: what was not granted to the agent at work is denied. Then the rules: those that name the tool
    win over those with a pattern or for all tools; of several, the strictest wins. Without a rule the table decides:
    high risk asks; once untrusted text has had a part in the call, so do acts of medium risk and whatever goes to a
    destination that is not known; the rest is allowed.
    """

    rules: Mapping[str, Verdict] | Sequence[Rule] = ()
    """Tool name, or a pattern with `*`, to verdict; or rules that look at more than the name."""
    destinations: Sequence[str] = ()
    """Known ones: hosts, mail addresses, accounts, or patterns such as `*.example.org`, `*@example.org`."""
    grants: Mapping[str, Sequence[str]] | None = None
    """Agent (a node's name) to the tools that it may call, as names or patterns; `*` stands for every agent that is
    not named. None grants every agent all tools."""
    mode: Mode = "standard"
    """plan-then-execute: once untrusted text was read, only tools and destinations that were laid down before."""

    def __post_init__(self) -> None:
        for name, verdict in self.rules.items() if isinstance(self.rules, Mapping) else ():
            if verdict not in get_args(Verdict):
                raise InvalidInput(f"rules.{name}", f"{verdict!r} is none of {', '.join(get_args(Verdict))}.")
        if self.mode not in get_args(Mode):
            raise InvalidInput("mode", f"{self.mode!r} is none of {', '.join(get_args(Mode))}.")
        if isinstance(self.destinations, str):
            raise InvalidInput("destinations", "give a list of destinations, not one text.")

    @staticmethod
    def from_file(path: str | Path) -> Policy:
        """The policy in a YAML or JSON file.

        Raises:
            InvalidInput: It cannot be read, or something in it is none of a policy; the message names the place.
        """
        from .policy_file import read_policy

        return read_policy(Path(path))

    def decide(
        self,
        tool: Tool,
        trust: Trust = "untrusted",
        arguments: Mapping[str, Any] | None = None,
        *,
        agent: str = "",
        frozen: Frozen | None = None,
    ) -> Verdict:
        """What to do with a call; see `judge`."""
        return self.judge(tool, trust, arguments, agent=agent, frozen=frozen).verdict

    def judge(
        self,
        tool: Tool,
        trust: Trust = "untrusted",
        arguments: Mapping[str, Any] | None = None,
        *,
        agent: str = "",
        frozen: Frozen | None = None,
    ) -> Judgement:
        """What to do with a call, and why.

        Args:
            tool: What is to be called.
            trust: Of the arguments.
            arguments: As `tool.validate` returned them; without them a call has no destination.
            agent: Path of the node at work, outermost first, as in `research/act`.
            frozen: What was laid down before untrusted text was read.
        """
        given = arguments or {}
        named = destinations_in(tool, given)
        reaches: dict[str, Reach] = {place: reach_of((place,), self.destinations) for place in named}
        reach = reach_of(named, self.destinations)
        refused = self._refusal(tool, agent, trust, named, frozen)
        if refused:
            return Judgement("deny", refused, reaches)
        verdict = self._by_rules(tool, trust, reach, given, agent)
        if verdict is not None:
            return Judgement(verdict, BY_RULE, reaches)
        return Judgement(*_by_table(tool, trust, reach), reaches)

    def rule_for(self, name: str) -> Verdict | None:
        """What the rules say about every call of a tool, whatever else it is like; None where they do not."""
        return _strictest(rule for rule in self._rules() if rule.bare and fnmatchcase(name, rule.tool))

    def grants_tool(self, agent: str, tool: str) -> bool:
        """Whether the agent on this path may call the tool: no agent has more than those around it."""
        if self.grants is None:
            return True
        path = [part for part in agent.split("/") if part]
        granted = [self.grants[name] for name in path if name in self.grants]
        if not granted:
            granted = [self.grants.get("*", ())]
        return all(any(fnmatchcase(tool, pattern) for pattern in patterns) for patterns in granted)

    def _rules(self) -> Iterable[Rule]:
        if isinstance(self.rules, Mapping):
            return [Rule(verdict, name) for name, verdict in self.rules.items()]
        return self.rules

    def _refusal(self, tool: Tool, agent: str, trust: Trust, named: Sequence[str], frozen: Frozen | None) -> str:
        if not self.grants_tool(agent, tool.name):
            return f"{tool.name!r} was not granted to {agent.partition('/')[0] or 'code outside any agent'!r}"
        if self.mode == "standard" or trust == "trusted":
            return ""
        plan = frozen or Frozen()
        if tool.effect != "read" and tool.name not in plan.tools:
            return f"{tool.name!r} is not in the plan that was made before untrusted text was read"
        grown = [place for place in named if not (is_known(place, self.destinations) or stands_in(place, plan.words))]
        return f"the plan that was made before untrusted text was read does not name {grown[0]!r}" if grown else ""

    def _by_rules(
        self, tool: Tool, trust: Trust, reach: Reach, arguments: Mapping[str, Any], agent: str
    ) -> Verdict | None:
        acts: Literal["read", "act"] = "read" if tool.effect == "read" else "act"
        facts = {"risk": tool.risk, "effect": acts, "trust": trust, "destination": reach}
        path = [agent, *agent.split("/")]
        return _strictest(
            rule
            for rule in self._rules()
            if fnmatchcase(tool.name, rule.tool)
            and any(fnmatchcase(part, rule.agent) for part in path)
            and all(getattr(rule, name) in (None, fact) for name, fact in facts.items())
            and all(fits(arguments.get(name), pattern) for name, pattern in rule.arguments.items())
        )


def fits(value: Any, pattern: str) -> bool:
    """Whether the text of an argument fits a pattern in which `*` stands for any text; other values as JSON."""
    from ..core.ids import canonical_json

    return fnmatchcase(value if isinstance(value, str) else canonical_json(value), pattern)


def _strictest(rules: Iterable[Rule]) -> Verdict | None:
    """What rules that all fit say together: those that name the tool count first; of several, the strictest."""
    found: dict[bool, set[Verdict]] = {}
    for rule in rules:
        found.setdefault(any(char in rule.tool for char in "*?["), set()).add(rule.verdict)
    said = found.get(False) or found.get(True) or set[Verdict]()
    return next((verdict for verdict in STRICTEST if verdict in said), None)


def _by_table(tool: Tool, trust: Trust, reach: Reach) -> tuple[Verdict, str]:
    if tool.risk == "high":
        return "ask", "its risk is high"
    if trust == "trusted":
        return "allow", "nothing from outside has had a part in it"
    if reach == "unknown":
        return "ask", "text from outside has had a part in it, and the policy does not know where it goes"
    if tool.effect != "read" and tool.risk == "medium":
        return "ask", "its risk is medium, and text from outside has had a part in it"
    return "allow", "it can do little harm"

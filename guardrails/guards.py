"""Guards: what looks at the texts that pass a point of a run, and what becomes of them.

They stand in an order, and each sees what the one before it has left. A guard is a help: what a tool may do is
decided by the policy, whatever a text says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, get_args, overload, runtime_checkable

from ..core.errors import GraphSetupError
from .finding import Finder, Finding
from .parts import texts_of
from .redacting import Redactor

Point = Literal["input", "output", "tool_call", "tool_result"]
"""input: what comes from people, and every prompt. output: what a model says. tool_call: the arguments of a call.
tool_result: what tools and look-ups bring."""

Action = Literal["block", "redact", "flag", "ask"]
"""block: it does not pass. redact: it passes with placeholders. flag: an event tells of it. ask: a person decides."""

POINTS: tuple[Point, ...] = get_args(Point)


@dataclass(slots=True)
class Memory:
    """What guards may know of the run so far."""

    brought: list[str] = field(default_factory=list[str])
    """The texts that tools and look-ups brought, the last 200."""
    calls: dict[str, set[str]] = field(default_factory=dict[str, "set[str]"])
    """By tool and arguments, the keys of the calls that were asked for."""
    repeats: int = 0
    """How often the call that is looked at was asked for, this time included."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A text at a point of a run."""

    text: str
    point: Point
    tool: str = ""
    """Whose call or result it is; empty for other texts."""
    memory: Memory = field(default_factory=Memory)


@runtime_checkable
class Check(Protocol):
    """A check that needs more than the text, or takes its time: it asks a model, say."""

    async def examine(self, subject: Subject) -> Iterable[Finding]:
        """What is wrong, and where; nothing where the text may pass."""
        ...


@dataclass(frozen=True, slots=True)
class Guard:
    """One check, what to do about what it finds, and where it stands."""

    check: Finder | Check
    action: Action
    at: Point | Collection[Point] = POINTS
    name: str = ""
    """What events and errors call it; default the check's class."""

    def __post_init__(self) -> None:
        points = (self.at,) if isinstance(self.at, str) else tuple(self.at)
        for word, known in ((self.action, get_args(Action)), *((point, POINTS) for point in points)):
            if word not in known:
                raise GraphSetupError(f"{word!r} is not for a guard; there are {', '.join(known)}.")
        object.__setattr__(self, "at", points)
        object.__setattr__(self, "name", self.name or type(self.check).__name__)

    async def findings(self, subject: Subject) -> list[Finding]:
        """What its check finds."""
        if isinstance(self.check, Check):
            return list(await self.check.examine(subject))
        return list(self.check(subject.text))


class Trip(NamedTuple):
    """A guard that found something."""

    guard: str
    point: Point
    action: Action
    kinds: Mapping[str, int]
    """Kind to the number of places."""
    tool: str = ""


class Passed(NamedTuple):
    """What became of a value at a point."""

    value: Any
    trips: tuple[Trip, ...]
    mapping: Mapping[str, str | int]
    """Placeholder to what it stands for: those known before and those that are new."""

    def first(self, action: Action) -> Trip | None:
        """The first guard that wants this."""
        return next((trip for trip in self.trips if trip.action == action), None)


class Guards(Sequence[Guard]):
    """Guards in their order.

        Guards(Guard(Injection(), "flag", at="tool_result"), Guard(PersonalData(), "redact"))

    The first that blocks ends it: guards after it do not look.
    """

    def __init__(self, *guards: Guard, marking: bool = False) -> None:
        """Guards in the order in which they look.

        Args:
            guards: The first looks first.
            marking: Put results of tools between marks that are drawn anew for each call of a model, and tell it
                that what stands between them is data.
        """
        self._guards, self.marking = guards, marking

    def __len__(self) -> int:
        return len(self._guards)

    @overload
    def __getitem__(self, place: int) -> Guard: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Guard]: ...

    def __getitem__(self, place: int | slice) -> Guard | Sequence[Guard]:
        return self._guards[place]

    def __iter__(self) -> Iterator[Guard]:
        return iter(self._guards)

    def at(self, point: Point, *actions: Action) -> list[Guard]:
        """Those that stand at a point, of some actions or of all."""
        return [one for one in self if point in one.at and (not actions or one.action in actions)]

    def __bool__(self) -> bool:
        return bool(self._guards) or self.marking

    def __add__(self, other: Guards) -> Guards:
        return Guards(*self, *other, marking=self.marking or other.marking)

    async def passed(
        self,
        point: Point,
        value: Any,
        *,
        tool: str = "",
        memory: Memory | None = None,
        known: Mapping[str, str | int] | None = None,
        first: int = 1,
    ) -> Passed:
        """What becomes of a value at a point; nothing is raised, `trips` tells what guards want.

        Args:
            point: Where it is.
            value: A text, or any value that holds texts.
            tool: Whose call or result it is.
            memory: What checks may know of the run.
            known: Placeholders of the run so far.
            first: The lowest number for a new placeholder.
        """
        trips: list[Trip] = []
        mapping = dict(known or {})
        for guard in self.at(point):
            found, kinds = await _looked(guard, value, point, tool, memory or Memory())
            if guard.action == "redact" and (kinds or not isinstance(guard.check, Check)):
                redacted = Redactor([_Told(found) if isinstance(guard.check, Check) else guard.check]).redact(
                    value, mapping, first=first
                )
                value, kinds = redacted.value, Counter(redacted.kinds)
                mapping.update(redacted.mapping)
            if kinds:
                trips.append(Trip(guard.name, point, guard.action, dict(kinds), tool))
            if kinds and guard.action == "block":
                break
        return Passed(value, tuple(trips), mapping)


class _Told:
    """A finder of what was found already."""

    def __init__(self, found: Mapping[str, list[Finding]]) -> None:
        self._found = found

    def __call__(self, text: str) -> list[Finding]:
        return self._found.get(text, [])


async def _looked(
    guard: Guard, value: Any, point: Point, tool: str, memory: Memory
) -> tuple[dict[str, list[Finding]], Counter[str]]:
    """What a guard finds in each text, and how often each kind; a finder that redacts looks for itself."""
    found: dict[str, list[Finding]] = {}
    kinds: Counter[str] = Counter()
    if guard.action == "redact" and not isinstance(guard.check, Check):
        return found, kinds
    texts = list(texts_of(value)) or [""]
    for text in texts:
        if text not in found:
            found[text] = await guard.findings(Subject(text, point, tool, memory))
            kinds.update(one.kind for one in found[text])
    return found, kinds

"""The events of a replay, in the order and with the times of its recording.

Branches of a graph end in any order. An event that comes earlier than it was recorded waits for those before it;
one that the recording does not have goes out at once, and what waits for an event that never comes goes out when
the run comes to rest.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from ...core.ids import digest
from ...runs import LIVE_ONLY, Event
from ...runs.interrupts import as_json

TASK_ID = re.compile(r"(?<=[\w\]]:)(?<!urn:uuid:)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
"""LangGraph's ids of tasks, new in each run, as they stand in keys of calls: `node:ID`."""

Scrub = Callable[[Any], Any]


def without_task_ids(value: Any) -> Any:
    """JSON types with the same word in place of every task id."""
    match value:
        case str():
            return TASK_ID.sub("*", value) if ":" in value else value
        case list() | tuple():
            return [without_task_ids(item) for item in cast("list[Any]", value)]
        case dict():
            return {key: without_task_ids(item) for key, item in cast("dict[str, Any]", value).items()}
        case _:
            return value


@dataclass(slots=True)
class Line:
    """One event as a recording keeps it."""

    run_id: str
    kind: str
    node: str | None
    at: datetime
    digest: str
    """Of its data, without its duration and task ids."""
    duration_s: float | None = None
    task_ids: tuple[str, ...] = ()
    """Those in its data, in order."""
    event: Event | None = None
    """In a replay: the event that has come and waits."""

    @classmethod
    def of(cls, event: Event, scrub: Scrub) -> Line:
        """The line of an event."""
        data = scrub(as_json(dict(event.data)))
        duration_s = data.pop("duration_s", None)
        found = digest(_finite(without_task_ids(data)))[:12]
        return cls(event.run_id, event.kind, event.node, event.at, found, duration_s, _task_ids(data))

    @property
    def key(self) -> tuple[str, str, str | None, str]:
        """What it is matched by."""
        return self.run_id, self.kind, self.node, self.digest

    def told(self, event: Event) -> Event:
        """The event as it was recorded."""
        data = dict(event.data)
        if self.duration_s is not None:
            data["duration_s"] = self.duration_s
        ours = iter(self.task_ids)
        return replace(event, at=self.at, data=cast("dict[str, Any]", _with_task_ids(data, ours)))


@dataclass(slots=True)
class _Course:
    """One run on its way along its lines."""

    lines: list[Line]
    at: int = 0
    """The next line to go out."""
    seq: int = 0


@dataclass(slots=True)
class Player:
    """Orders the events of a replay.

    Args:
        lines: Of all runs of the recording.
        scrub: Takes secrets out.
        start: The time before the first event.
    """

    lines: Sequence[Line]
    scrub: Scrub
    now: datetime
    """Of the last event that went out."""
    _courses: dict[str, _Course] = field(default_factory=dict[str, _Course])

    def __post_init__(self) -> None:
        by_run: defaultdict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            by_run[line.run_id].append(line)
        self._courses = {run_id: _Course(lines) for run_id, lines in by_run.items()}

    def arrange(self, events: Sequence[Event], *, rest: bool) -> list[Event]:
        """The events that go out now."""
        out: list[Event] = []
        for event in events:
            if event.kind in LIVE_ONLY:
                out.append(replace(event, at=self.now))
                continue
            course = self._courses.setdefault(event.run_id, _Course([]))
            line = self._line(course, event)
            if line is None:
                out.append(self._numbered(course, replace(event, at=self.now)))
            else:
                line.event = event
                out += self._due(course)
        if rest:
            for run_id in {event.run_id for event in events}:
                out += self._late(self._courses[run_id])
        return out

    def _line(self, course: _Course, event: Event) -> Line | None:
        wanted = Line.of(event, self.scrub).key
        open_lines = (line for line in course.lines[course.at :] if line.event is None)
        return next((line for line in open_lines if line.key == wanted), None)

    def _due(self, course: _Course) -> list[Event]:
        out: list[Event] = []
        while course.at < len(course.lines) and (event := course.lines[course.at].event) is not None:
            out.append(self._numbered(course, course.lines[course.at].told(event)))
            course.at += 1
        return out

    def _late(self, course: _Course) -> list[Event]:
        """What still waits; lines before it that nothing came for are passed over."""
        waiting = [index for index, line in enumerate(course.lines) if index >= course.at and line.event]
        out = [self._numbered(course, course.lines[i].told(cast(Event, course.lines[i].event))) for i in waiting]
        course.at = waiting[-1] + 1 if waiting else course.at
        return out

    def _numbered(self, course: _Course, event: Event) -> Event:
        course.seq += 1
        self.now = event.at
        return replace(event, seq=course.seq)


def _task_ids(value: Any) -> tuple[str, ...]:
    found: list[str] = []

    def see(text: str) -> str:
        found.extend(TASK_ID.findall(text))
        return text

    _each(value, see)
    return tuple(found)


def _with_task_ids(value: Any, ours: Any) -> Any:
    return _each(value, lambda text: TASK_ID.sub(lambda match: next(ours, match.group()), text))


def _each(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case list() | tuple():
            return [_each(item, change) for item in cast("list[Any]", value)]
        case Mapping():
            return {key: _each(item, change) for key, item in cast("Mapping[str, Any]", value).items()}
        case _:
            return value


def _finite(value: Any) -> Any:
    """NaN and infinity as text, which JSON has no number for."""
    match value:
        case float():
            return value if value - value == 0 else str(value)
        case list():
            return [_finite(item) for item in cast("list[Any]", value)]
        case dict():
            return {key: _finite(item) for key, item in cast("dict[str, Any]", value).items()}
        case _:
            return value

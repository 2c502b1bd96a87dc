"""Named points in a worker's life, at which it can be told to die.

Around each transaction there are three: `before` its work, `inside` (done but not committed) and `after` the commit.
Around an effect there are two: `effect.before` and `effect.after`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, cast

from collegium.runs.store import approvals, checkpoints, effects, runs, workers
from collegium.runs.store.writer import Writer

_PLACES: tuple[tuple[ModuleType, str, str], ...] = (
    (runs, "admit", "admission"),
    (runs, "claim", "resume"),
    (effects, "intend", "intent"),
    (effects, "record", "outcome"),
    (effects, "retry", "retry"),
    (checkpoints, "put_writes", "writes"),
    (checkpoints, "put", "put"),
    (approvals, "ensure", "asking"),
    (runs, "park", "park"),
    (runs, "finish", "finish"),
)

_AT_START = (workers, "register", "recovery")
"""A worker registers once, in the transaction that frees the runs of workers that are gone."""

POINTS: tuple[str, ...] = (
    *(f"{point}.{when}" for _, _, point in _PLACES for when in ("before", "inside", "after")),
    "effect.before",
    "effect.after",
)
"""Those that a worker at work passes."""

ANY = "any"
"""Stands for every point, those of the start included."""

BASELINE_POINTS = ("effect.before", "effect.after", "writes.before", "writes.after", "put.before", "put.after")


By = Literal["itself", "driver", "freeze"]


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a worker is to die."""

    point: str
    nth: int
    """At which passing of the point, from 1."""
    by: By
    """itself: at once. driver: it says where it is and goes on, and is killed a moment later. freeze: it stops
    there, alive, until it is told to go on."""


_seen = 0
_aim: Aim | None = None
_say: Callable[[str], None] = print
_lock = threading.Lock()


def aim_of(words: Sequence[str]) -> Aim:
    """The aim that the command `arm POINT NTH BY` names."""
    _, point, nth, by = words
    return Aim(point, int(nth), cast("By", by))


def arm(aim: Aim | None, say: Callable[[str], None]) -> None:
    """Choose where this process dies; `say` reports that the point was reached."""
    global _aim, _say, _seen
    _aim, _say, _seen = aim, say, 0


def passed() -> int:
    """How often points that fit the aim were passed since it was chosen."""
    return _seen


def passing(point: str) -> None:
    """Say that the process is at a point."""
    global _seen
    if _aim is None or _aim.point not in (point, ANY):
        return
    with _lock:
        _seen += 1
        if _seen != _aim.nth:
            return
    _say(f"at {point}")
    if _aim.by != "driver":
        os.killpg(0, signal.SIGKILL if _aim.by == "itself" else signal.SIGSTOP)


def install() -> None:
    """Put the points into the present process's copy of Collegium."""
    done = threading.local()
    for module, name, point in (*_PLACES, _AT_START):
        setattr(module, name, _marked(getattr(module, name), point, done))
    commit = Writer._commit  # pyright: ignore[reportPrivateUsage]  # the moment after a commit has no public door

    def committing(writer: Writer, connection: Any, jobs: Any) -> None:
        done.points = points = list[str]()
        commit(writer, connection, jobs)
        for point in points:
            passing(f"{point}.after")

    Writer._commit = committing  # type: ignore[method-assign, assignment]  # pyright: ignore[reportPrivateUsage]


def _marked(work: Callable[..., Any], point: str, done: threading.local) -> Callable[..., Any]:
    def marked(*given: Any, **named: Any) -> Any:
        passing(f"{point}.before")
        result = work(*given, **named)
        passing(f"{point}.inside")
        if hasattr(done, "points"):
            done.points.append(point)
        return result

    return marked

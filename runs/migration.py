"""From one version of a graph to the next, as its author describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ValuesFunction = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Takes stored field values as plain data, gives those of the next version; it must change nothing else."""


@dataclass(frozen=True, slots=True)
class Migration:
    """What becomes of runs that a version of a graph has stored."""

    version: str
    """The version that they were stored with."""
    function: ValuesFunction | None = None
    nodes: Mapping[str, str] = field(default_factory=dict[str, str])
    """New names of nodes, by their old ones."""
    restart: frozenset[str] = frozenset()
    """Nodes, by their new names, that begin anew where a run stands inside the graph in them."""


class Route:
    """The migrations that lead from a stored version to the present one, in order."""

    def __init__(self, steps: Sequence[Migration]) -> None:
        self.steps = tuple(steps)
        self.restart = frozenset(
            _renamed(name, self.steps[place + 1 :]) for place, step in enumerate(self.steps) for name in step.restart
        )

    def node(self, name: str) -> str:
        """The present name of a node; the hidden ones around a map go with it."""
        base, dot, part = name.rpartition(".")
        if dot and part in ("split", "join") and (new := _renamed(base, self.steps)) != base:
            return f"{new}.{part}"
        return _renamed(name, self.steps)

    def values(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The field values of the present version, not yet checked."""
        values = dict(stored)
        for step in self.steps:
            if step.function is not None:
                values = dict(step.function(values))
        return values


def route_from(migrations: Sequence[Migration], version: str) -> Route | None:
    """The way from a stored version; None where none leads from it.

    Each migration leads to the version of the one after it, the last to the graph's own.
    """
    places = [place for place, step in enumerate(migrations) if step.version == version]
    return Route(migrations[places[0] :]) if places else None


def _renamed(name: str, steps: Sequence[Migration]) -> str:
    for step in steps:
        name = step.nodes.get(name, name)
    return name

"""The graphs that a Runner knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ..core.errors import GraphChanged, UnknownTarget
from .changes import changes, told
from .store.rows import RunRow
from .target import AnyGraph, Target


class Registry:
    """Targets by name and version; one graph object is wrapped and compiled once.

    Of several versions of a graph, the one given last is the present one; the others stay for the runs that were
    started with them.
    """

    def __init__(self, graphs: Sequence[AnyGraph] = ()) -> None:
        self._targets: dict[str, dict[str, Target]] = {}
        self.generation = 0
        """Grows whenever a graph is added: what could not go on before may now."""
        for graph in graphs:
            self.add(graph)

    def __iter__(self) -> Iterator[Target]:
        return (target for versions in self._targets.values() for target in versions.values())

    @property
    def names(self) -> list[str]:
        """Names of the graphs known."""
        return list(self._targets)

    def add(self, graph: AnyGraph, *, changed: bool = False) -> Target:
        """The target of a graph: the one known, unless the graph has `changed`.

        Another graph of its name and version makes place for it.
        """
        for target in self:
            if target.graph is graph and not changed:
                return target
        target = Target(graph)
        versions = self._targets.setdefault(target.name, {})
        versions.pop(target.version, None)
        versions[target.version] = target
        self.generation += 1
        return target

    def named(self, name: str) -> Target:
        """The target of this name that was given last.

        Raises:
            UnknownTarget: No graph of this name was given to the Runner.
        """
        if name not in self._targets:
            raise UnknownTarget(name, self.names, "this Runner's graphs")
        return list(self._targets[name].values())[-1]

    def target(self, row: RunRow) -> Target:
        """The target that a stored run belongs to: of its version, else of its shape, else the one given last.

        Its shape may differ from that of the run; `fitting.fit` tells whether the run can go on.

        Raises:
            UnknownTarget: No graph of this name was given to the Runner.
        """
        last = self.named(row.graph)
        versions = self._targets[row.graph]
        if row.version in versions:
            return versions[row.version]
        same = [target for target in versions.values() if target.fingerprint == row.fingerprint]
        return same[-1] if same else last

    def of(self, row: RunRow) -> Target:
        """The target of a stored run, if it can read what the run has stored, at any of its steps.

        Raises:
            UnknownTarget: No graph of this name was given to the Runner.
            GraphChanged: The graph has changed in a way that may break the run.
        """
        target = self.target(row)
        if target.fingerprint != row.fingerprint:
            found = changes(json.loads(row.shape), target.shape)
            if any(change.breaking for change in found):
                raise GraphChanged(row.run_id, row.graph, told(found))
        return target

    def fits(self, row: RunRow) -> bool:
        """Whether a stored run has the version and the shape of its graph as it is known here.

        Raises:
            UnknownTarget: No graph of this name was given to the Runner.
        """
        target = self.target(row)
        return (target.version, target.fingerprint) == (row.version, row.fingerprint)

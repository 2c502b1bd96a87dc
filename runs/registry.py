"""The graphs that a Runner knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ..core.errors import GraphChanged, UnknownTarget
from .store.rows import RunRow
from .target import AnyGraph, Target


class Registry:
    """Targets by name; one graph object is wrapped and compiled once."""

    def __init__(self, graphs: Sequence[AnyGraph] = ()) -> None:
        self._targets: dict[str, Target] = {}
        for graph in graphs:
            self.add(graph)

    def __iter__(self) -> Iterator[Target]:
        return iter(self._targets.values())

    @property
    def names(self) -> list[str]:
        """Names of the graphs known."""
        return list(self._targets)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of the graphs known, by name."""
        return {name: target.fingerprint for name, target in self._targets.items()}

    def add(self, graph: AnyGraph, *, changed: bool = False) -> Target:
        """The target of a graph: the one known, unless the graph has `changed`; another of its name replaces it."""
        for target in self._targets.values():
            if target.graph is graph and not changed:
                return target
        target = Target(graph)
        self._targets[target.name] = target
        return target

    def named(self, name: str) -> Target:
        """The target of this name.

        Raises:
            UnknownTarget: No graph of this name was given to the Runner.
        """
        if name not in self._targets:
            raise UnknownTarget(name, self.names, "this Runner's graphs")
        return self._targets[name]

    def of(self, row: RunRow) -> Target:
        """The target that a stored run belongs to.

        Raises:
            UnknownTarget: No graph of this name was given to the Runner.
            GraphChanged: The graph has another shape than the run was started with.
        """
        target = self.named(row.graph)
        if target.fingerprint != row.fingerprint:
            raise GraphChanged(row.run_id, row.graph, _difference(json.loads(row.shape), target.shape))
        return target


def _difference(before: dict[str, dict[str, str] | list[str]], after: dict[str, object]) -> str:
    changes: list[str] = []
    old_nodes, new_nodes = set(before.get("nodes", ())), set(_listed(after.get("nodes")))
    changes += [f"node {name!r} is gone" for name in sorted(old_nodes - new_nodes)]
    changes += [f"node {name!r} is new" for name in sorted(new_nodes - old_nodes)]
    old_fields, new_fields = _mapped(before.get("fields")), _mapped(after.get("fields"))
    for name in sorted(old_fields.keys() | new_fields.keys()):
        if name not in new_fields:
            changes.append(f"field {name!r} is gone")
        elif name not in old_fields:
            changes.append(f"field {name!r} is new")
        elif old_fields[name] != new_fields[name]:
            changes.append(f"field {name!r} was {old_fields[name]} and is {new_fields[name]}")
    return "; ".join(changes) or "its shape differs"


def _listed(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _mapped(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]

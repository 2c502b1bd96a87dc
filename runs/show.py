"""Tells watchers which node is at work, from LangGraph's `tasks` stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from ..core.trust import LABELS
from .scope import RunScope, path_of


class NodeShow:
    """Turns task parts into node events with durations."""

    def __init__(self, scope: RunScope) -> None:
        self._scope = scope
        self._begun: dict[str, float] = {}

    def part(self, namespace: Sequence[str], task: Mapping[str, Any]) -> None:
        """One part of the stream: a task begins, or ends with a result, an error or an interrupt."""
        name = str(task["name"])
        path = path_of([*namespace, name])
        if "result" not in task:
            self._begun[task["id"]] = monotonic()
            self._scope.event("node_started", {}, node=path)
            return
        took = round(monotonic() - self._begun.pop(task["id"], monotonic()), 6)
        if task["error"] is not None:
            self._scope.event("node_failed", {"error": str(task["error"]), "duration_s": took}, node=path)
        elif not task["interrupts"]:
            self._scope.event("node_finished", {"duration_s": took, "writes": _fields(task["result"])}, node=path)


def _fields(result: Any) -> list[str]:
    if isinstance(result, Mapping):
        return [str(key) for key in result if key != LABELS]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return []

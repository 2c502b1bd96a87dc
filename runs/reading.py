"""Runs as their callers see them, read from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Any

from ..core.errors import CorruptState, UnknownTarget
from ..core.messages import Usage
from ..core.trust import LABELS, Origin
from .decisions import Approval
from .engine import Engine
from .parking import approval_of
from .run import Run, RunHost
from .store import ApprovalRow, Found, RunRow, approvals, runs
from .target import Target
from .values import values_of


class Reader:
    """Makes views of stored runs, typed where their graph is known."""

    def __init__(self, engine: Engine, host: RunHost) -> None:
        self._engine, self._host = engine, host

    async def get(self, run_id: str) -> Run[Any]:
        """The run as it stands.

        Raises:
            UnknownRun: There is no such run.
            CorruptState: A record of it is damaged.
        """

        def read(conn: Connection) -> tuple[RunRow, list[ApprovalRow]]:
            row = runs.get(conn, run_id)
            runs.verify(conn, row)  # a question that vanished would be waited for without end
            return row, _whole(row, approvals.inbox(conn, run_id=run_id)) if row.status == "waiting" else []

        row, waiting = await self._engine.store.read(read)
        target = self.target(row)
        values = None if target is None or row.pruned_at else await values_of(self._engine, row, target)
        return self.view(row, target, values, [approval_of(one) for one in waiting])

    def target(self, row: RunRow) -> Target | None:
        """The graph of a stored run, where it is known here and can read what the run has stored."""
        try:
            target = self._engine.registry.target(row)
        except UnknownTarget:
            return None
        return None if target.misreads(row) else target

    def view(
        self,
        row: RunRow,
        target: Target | None,
        values: Mapping[str, Any] | None,
        waiting: Sequence[Approval] = (),
    ) -> Run[Any]:
        """A run from its record and its values."""
        return Run(
            run_id=row.run_id,
            thread_id=row.thread_id,
            graph=row.graph,
            status=row.status,
            state=target.view(values) if target is not None and values is not None else None,
            labels=_labels(target, values),
            redacted=dict(known.mapping) if (known := self._engine.placeholders.get(row.thread_id)) else {},
            approvals=tuple(waiting),
            usage=Usage(**row.usage),
            model=row.model,
            error=row.error,
            created_at=row.created_at,
            finished_at=row.finished_at,
            tags=row.tags,
            metadata=row.metadata,
            timeout_s=row.timeout_s,
            worked_s=row.worked_s,
            pruned_at=row.pruned_at,
            parent_run_id=row.parent_run_id,
            forked_at=row.forked_at,
            warning=self._engine.store.warning,
            host=self._host,
            cause=self._engine.causes.get(row.run_id),
        )


def _labels(target: Target | None, values: Mapping[str, Any] | None) -> dict[str, frozenset[Origin]]:
    if target is None or values is None or not target.managed:
        return {}
    stored: Mapping[str, Any] = values.get(LABELS) or {}
    return {name: frozenset(origins) for name, origins in stored.items() if name}


def _whole(row: RunRow, waiting: Found[ApprovalRow]) -> list[ApprovalRow]:
    """What a run waits for, which must be all of it: the rest would be waited for without end."""
    for problem in waiting.damaged:
        raise CorruptState(f"run {row.run_id}", f"a question that it waits for cannot be read: {problem}")
    return waiting

"""The values that a run has come to."""

from __future__ import annotations

from typing import Any, cast

from .engine import Engine
from .store import RunRow, runs
from .target import Target


async def values_of(engine: Engine, row: RunRow, target: Target) -> dict[str, Any]:
    """The run's channel values as of its latest checkpoint, pending writes included."""
    saver = engine.reader(row, target)
    config: Any = {"configurable": {"thread_id": row.thread_id, "__pregel_checkpointer": saver}}
    snapshot = await target.compiled.aget_state(config)
    values = cast("dict[str, Any] | None", snapshot.values)
    return dict(values or {})


async def last_values(engine: Engine, row: RunRow, target: Target) -> dict[str, Any]:
    """What the thread's latest finished run of this graph ended with; empty for the thread's first run."""
    done = await engine.store.read(
        lambda conn: runs.listing(conn, status="done", thread_id=row.thread_id, graph=row.graph, limit=1)
    )
    return await values_of(engine, done[0], target) if done else {}

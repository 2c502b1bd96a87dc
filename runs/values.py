"""The values that a run has come to."""

from __future__ import annotations

from sqlite3 import Connection
from typing import Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver

from ..core.errors import CollegiumError
from .engine import Engine
from .private import CHECKPOINTER
from .store import RunRow, runs
from .target import Target


async def values_of(engine: Engine, row: RunRow, target: Target) -> dict[str, Any]:
    """The run's channel values as of its latest checkpoint, pending writes included.

    A plain graph may have come to values that its own schema refuses, or to writes that do not go together:
    then the values are those of the checkpoint, so that a run which failed by them can be looked at.
    """
    saver = engine.reader(row, target)
    config: Any = {"configurable": {"thread_id": row.thread_id, CHECKPOINTER: saver}}
    try:
        snapshot = await target.compiled.aget_state(config)
    except CollegiumError:
        raise
    except Exception:  # the schemas and reducers of a user's graph ran here
        return await _stored(saver, config, target)
    values = cast("dict[str, Any] | None", snapshot.values)
    return dict(values or {})


async def _stored(saver: BaseCheckpointSaver[Any], config: Any, target: Target) -> dict[str, Any]:
    saved = await saver.aget_tuple(config)
    stored = saved.checkpoint["channel_values"] if saved else {}
    graph: Any = target.compiled
    shown = [name for name in graph.stream_channels_asis if name in stored]
    return {name: graph.channels[name].from_checkpoint(stored[name]).get() for name in shown}


async def last_values(engine: Engine, row: RunRow, target: Target) -> dict[str, Any]:
    """What the thread's latest finished run of this graph ended with; empty for the thread's first run."""

    def read(conn: Connection) -> RunRow | None:
        done = runs.listing(conn, status="done", thread_id=row.thread_id, graph=row.graph, limit=1)
        for last in done:
            runs.verify(conn, last)
        return done[0] if done else None

    last = await engine.store.read(read)
    return {} if last is None else await values_of(engine, last, target)

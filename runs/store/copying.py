"""Checkpoints of one run given to another, on a thread of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple

from . import checkpoints, history
from .checkpoints import Blob, Key, Record, Search
from .inline import Work
from .saver import StoreSaver


class Draft(StoreSaver):
    """Reads the checkpoints of one run and keeps what is written for another, to be stored with it.

    LangGraph's `update_state` can be called with it: nothing is written until `work` is done.
    """

    def __init__(self, reader: StoreSaver, writer: StoreSaver, thread_id: str, metadata: dict[str, Any]) -> None:
        """Read with `reader`; what is written goes to `thread_id` as `writer` would, under this metadata."""
        self.__dict__.update(writer.__dict__)
        self._reader, self._thread_id, self._metadata = reader, thread_id, metadata
        self.work: list[Work] = []

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """A checkpoint of the run that is read."""
        return await self._reader.aget_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint; returns the config that will name it."""
        known = cast("CheckpointMetadata", {**metadata, **self._metadata})
        # Of the versions that it holds, its thread has stored none yet.
        _, work, _ = self._put(self._moved(config), checkpoint, known, checkpoint["channel_versions"])
        self.work.append(work)
        place = {**config.get("configurable", {}), "checkpoint_id": checkpoint["id"]}
        return {"configurable": place}

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a task wrote."""
        self.work.append(self._put_writes(self._moved(config), writes, task_id, task_path)[0])

    def _moved(self, config: RunnableConfig) -> RunnableConfig:
        return {**config, "configurable": {**config.get("configurable", {}), "thread_id": self._thread_id}}


def copy(
    conn: sqlite3.Connection, record: Record, thread_id: str, run_id: str, metadata: dict[str, Any], *, writes: bool
) -> None:
    """Give a checkpoint to another run, under its own id, and what rebuilds channels that it holds as changes.

    Args:
        conn: A connection in a write transaction.
        record: The checkpoint.
        thread_id: The other run's thread.
        run_id: The other run.
        metadata: Replaces values of the checkpoint's own.
        writes: Copy what its tasks wrote, too; without it they are to run anew.

    Raises:
        CorruptState: A record is damaged or missing.
    """
    for part in history.needed(conn, record):
        stored = history.whole(conn, part)
        key = part.key._replace(thread_id=thread_id)
        body = stored.body
        packed = history.pack_body(body.checkpoint, {**body.metadata, **metadata}, body.filled, body.small)
        blobs = [Blob(name, version, stored.values[name]) for name, version in body.versions(body.filled)]
        checkpoints.put(conn, key, part.parent_id, run_id, packed, blobs)
        if writes or part is not record:
            checkpoints.put_writes(conn, key, stored.writes, replace=True)


def before(conn: sqlite3.Connection, record: Record) -> Record | None:
    """The checkpoint that a checkpoint followed, if it is there."""
    if record.parent_id is None:
        return None
    return checkpoints.get(conn, record.key._replace(checkpoint_id=record.parent_id))


def around(conn: sqlite3.Connection, record: Record, ns: str) -> Key:
    """The checkpoint, in the namespace around a checkpoint's own, at which its graph ran."""
    parents = history.unpack_body(record).metadata.get("parents", {})
    return Key(record.key.thread_id, ns, str(parents.get(ns, "")))


def beside(conn: sqlite3.Connection, run_id: str, at: Key, outer: Key) -> list[Record]:
    """The latest checkpoints, up to the moment of `at`, of graphs that ran at the same time as the one of `at`.

    Args:
        conn: Any connection of the store.
        run_id: The run.
        at: A checkpoint of an inner graph.
        outer: The checkpoint of the graph around it, at which its node ran.
    """
    latest: dict[str, Record] = {}
    for record in checkpoints.find(conn, Search(thread_id=at.thread_id, run_id=run_id)):
        parents = history.unpack_body(record).metadata.get("parents", {})
        same = parents.get(outer.ns) == outer.checkpoint_id and not f"{record.key.ns}|".startswith(f"{at.ns}|")
        if same and record.key.checkpoint_id <= at.checkpoint_id:
            latest.setdefault(record.key.ns, record)
    return list(latest.values())


def finished_before(conn: sqlite3.Connection, at: Key) -> set[str]:
    """Ids of the tasks that had run, in the graph of a checkpoint, before it."""
    found = conn.execute(
        "SELECT DISTINCT task_id FROM pending_write WHERE thread_id=? AND ns=? AND checkpoint_id<?", at
    )
    return {task_id for (task_id,) in found}

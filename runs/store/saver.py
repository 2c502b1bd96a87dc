"""LangGraph's checkpointer on the store.

A checkpoint stores the channels that changed, not the whole state; a task's writes are posted without
waiting and are stored before the checkpoint that follows; and every write of a run is refused once the run
changed hands.
"""

from __future__ import annotations

import inspect
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ...core.errors import InvalidInput
from . import checkpoints, history
from .checkpoints import Blob, Key, Record, Search, Write
from .database import Store
from .history import Stored, Trail
from .numbering import count_on
from .serde import StrictSerializer
from .tables import check_fence

_PAGE = 100
"""Checkpoints fetched at a time while listing, so that the reader is free in between."""

_RANDOM_BITS = 40


@dataclass(frozen=True, slots=True)
class Scope:
    """The run on whose behalf a saver works."""

    run_id: str
    epoch: int
    fresh: bool
    """True: the run starts from nothing, and sees only its own checkpoints of the thread."""


class StoreSaver(BaseCheckpointSaver[int]):
    """Keeps LangGraph's checkpoints in an open `Store`. Its sync methods block, and work in any thread."""

    def __init__(self, store: Store, *, serde: SerializerProtocol | None = None) -> None:
        """Use this store.

        Args:
            store: Opened and closed by whoever made it.
            serde: How values become bytes; the default keeps LangGraph's safe types only. `compile()` adds the
                types of its schemas when strict msgpack is on; `with_allowlist` does it by hand.
        """
        super().__init__(serde=serde or StrictSerializer())
        self._store = store
        self._scope: Scope | None = None
        self._lane = ""
        self.refused: list[InvalidInput] = []
        """Values that could not be stored. LangGraph drops the error where a sub-graph that was called inside a
        node stops at an interrupt at the same time, so whoever drives the run looks here."""
        self.heads: dict[str, str] = {}
        """The newest checkpoint that was written for the run, by namespace; what a later one of the root replaces is
        left out."""
        self._blank = False
        # Another serialiser may encrypt, and then no value may pass it by.
        self._inline = isinstance(self.serde, StrictSerializer)

    def scoped(self, run_id: str, epoch: int, *, fresh: bool, blank: bool = False) -> StoreSaver:
        """The same saver for one run, held under `epoch`.

        Every write checks the fence in its own transaction and raises `Fenced` once the run changed hands.

        Args:
            run_id: Whose checkpoints are written.
            epoch: The fencing number that `runs.claim` gave.
            fresh: Show only the checkpoints of this run, so that it starts from defaults; False shows the
                thread's, as LangGraph does.
            blank: Nothing that this saver shows is stored yet, so nothing is looked for before its first write.
        """
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._scope = Scope(run_id, epoch, fresh)
        view._lane = f"{run_id}/{epoch}"
        view.refused, view.heads = [], {}
        view._blank = blank
        return view

    @property
    def store(self) -> Store:
        """Where the checkpoints are."""
        return self._store

    # Writing

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; returns the config that names it.

        Raises:
            Fenced: The run changed hands.
            InvalidInput: The state holds a type that could not be read back.
            StoreError: It could not be stored, or writes posted before could not.
        """
        key, work, size = self._put(config, checkpoint, metadata, new_versions)
        if not self._store.put_off(self._lane, work):
            await self._store.write(work, lane=self._lane, size=size)
        return _config(key)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """`aput` for code without an event loop; blocks."""
        key, work, _ = self._put(config, checkpoint, metadata, new_versions)
        self._store.write_now(work, lane=self._lane)
        return _config(key)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Post what a task wrote. It is stored before any later checkpoint; an error is raised there."""
        work, size = self._put_writes(config, writes, task_id, task_path)
        self._store.post(work, lane=self._lane, size=size)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote; blocks."""
        work, _ = self._put_writes(config, writes, task_id, task_path)
        self._store.write_now(work, lane=self._lane)

    def _put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> tuple[Key, Callable[[sqlite3.Connection], None], int]:
        place = _place(config)
        key = Key(str(place["thread_id"]), place.get("checkpoint_ns", ""), checkpoint["id"])
        parent_id = cast("str | None", place.get("checkpoint_id"))
        known = cast("dict[str, Any]", get_checkpoint_metadata(config, metadata))
        run_id = self._scope.run_id if self._scope else known.get("run_id")
        self._blank = False
        small, large = self._split(checkpoint)
        body = history.pack_body(checkpoint, known, list(large), small)
        blobs = [
            Blob(name, version, self._bytes(large[name])) for name, version in new_versions.items() if name in large
        ]

        def work(conn: sqlite3.Connection) -> None:
            self._check_fence(conn)
            checkpoints.put(conn, key, parent_id, run_id, body, blobs)
            if not key.ns:
                self.heads.clear()
            self.heads[key.ns] = key.checkpoint_id

        return key, work, len(body) + sum(len(blob.value[1]) for blob in blobs)

    def _split(self, checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values that go into the checkpoint itself, and those that get rows."""
        versions, values = checkpoint["channel_versions"], checkpoint["channel_values"]
        small: dict[str, Any] = {}
        large: dict[str, Any] = {}
        for name, value in values.items():
            if self._inline and history.is_small(value):
                small[name] = value
            elif name in versions:
                large[name] = value
        return small, large

    def _put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> tuple[Callable[[sqlite3.Connection], None], int]:
        key = _key(config)
        packed = [
            Write(task_id, WRITES_IDX_MAP.get(channel, idx), task_path, channel, self._bytes(value))
            for idx, (channel, value) in enumerate(writes)
        ]
        replace = all(write.idx < 0 for write in packed)
        self._blank = False

        def work(conn: sqlite3.Connection) -> None:
            self._check_fence(conn)
            checkpoints.put_writes(conn, key, packed, replace=replace)

        return work, sum(len(write.value[1]) for write in packed)

    def _bytes(self, value: Any) -> tuple[str, bytes]:
        try:
            return self.serde.dumps_typed(value)
        except InvalidInput as error:
            self.refused.append(error)
            raise

    def _check_fence(self, conn: sqlite3.Connection) -> None:
        if self._scope is not None:
            check_fence(conn, self._scope.run_id, self._scope.epoch)

    # Reading

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that the config names, else the newest of its thread and namespace, or None.

        Raises:
            CorruptState: A record is damaged or missing, or holds a type that is not allowed.
        """
        if self._blank:
            return None
        stored = await self._store.read(self._get(config))
        return None if stored is None else self._tuple(stored)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """`aget_tuple` for code without an event loop; blocks."""
        if self._blank:
            return None
        stored = self._store.read_now(self._get(config))
        return None if stored is None else self._tuple(stored)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The checkpoints of a thread (or of all), newest first; `filter` compares metadata.

        Raises:
            CorruptState: A record is damaged or missing, or holds a type that is not allowed.
        """
        search = self._search(config, before)
        records = await self._store.read(lambda conn: history.find(conn, search, filter, limit))
        for page in range(0, len(records), _PAGE):
            for stored in await self._store.read(_whole_all(records[page : page + _PAGE])):
                yield self._tuple(stored)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """`alist` for code without an event loop; blocks."""
        search = self._search(config, before)
        records = self._store.read_now(lambda conn: history.find(conn, search, filter, limit))
        for page in range(0, len(records), _PAGE):
            for stored in self._store.read_now(_whole_all(records[page : page + _PAGE])):
                yield self._tuple(stored)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What rebuilds channels that are stored as changes: the last whole value, the writes after it."""
        return self._history(await self._store.read(self._walk(config, channels))) if channels else {}

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """`aget_delta_channel_history` for code without an event loop; blocks."""
        return self._history(self._store.read_now(self._walk(config, channels))) if channels else {}

    def _visible(self) -> str | None:
        return self._scope.run_id if self._scope is not None and self._scope.fresh else None

    def _get(self, config: RunnableConfig) -> Callable[[sqlite3.Connection], Stored | None]:
        run_id = self._visible()

        def work(conn: sqlite3.Connection) -> Stored | None:
            record = _record(conn, config, run_id)
            return None if record is None else history.whole(conn, record)

        return work

    def _search(self, config: RunnableConfig | None, before: RunnableConfig | None) -> Search:
        place = _place(config) if config else {}
        thread_id = place.get("thread_id")
        return Search(
            thread_id=None if thread_id is None else str(thread_id),
            ns=place.get("checkpoint_ns"),
            checkpoint_id=place.get("checkpoint_id"),
            before_id=_place(before).get("checkpoint_id") if before else None,
            run_id=self._visible(),
        )

    def _tuple(self, stored: Stored) -> CheckpointTuple:
        key, parent_id = stored.record.key, stored.record.parent_id
        count_on(key.checkpoint_id)
        body = stored.body
        loads = self.serde.loads_typed
        checkpoint = {
            **body.checkpoint,
            "channel_values": stored.body.small | {name: loads(value) for name, value in stored.values.items()},
        }
        return CheckpointTuple(
            _config(key),
            cast("Checkpoint", checkpoint),
            cast("CheckpointMetadata", body.metadata),
            _config(key._replace(checkpoint_id=parent_id)) if parent_id else None,
            [(write.task_id, write.channel, loads(write.value)) for write in stored.writes],
        )

    def _walk(
        self, config: RunnableConfig, channels: Sequence[str]
    ) -> Callable[[sqlite3.Connection], dict[str, Trail]]:
        run_id = self._visible()

        def work(conn: sqlite3.Connection) -> dict[str, Trail]:
            record = _record(conn, config, run_id)
            if record is None:
                return {name: Trail([]) for name in channels}
            return history.trails(conn, record, channels)

        return work

    def _history(self, trails: dict[str, Trail]) -> Mapping[str, DeltaChannelHistory]:
        loads = self.serde.loads_typed
        told: dict[str, DeltaChannelHistory] = {}
        for name, trail in trails.items():
            writes: Sequence[PendingWrite] = [(w.task_id, w.channel, loads(w.value)) for w in trail.writes]
            told[name] = {"writes": [*writes]}
            if trail.seed is not None:
                told[name]["seed"] = loads(trail.seed)
        return told

    # Looking after threads

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove all checkpoints of a thread."""
        await self._store.write(lambda conn: checkpoints.delete_thread(conn, str(thread_id)))

    def delete_thread(self, thread_id: str) -> None:
        """`adelete_thread` for code without an event loop; blocks."""
        self._store.write_now(lambda conn: checkpoints.delete_thread(conn, str(thread_id)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints of these runs; later runs on their threads keep what they need."""
        await self._store.write(lambda conn: history.delete_runs(conn, run_ids))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """`adelete_for_runs` for code without an event loop; blocks."""
        self._store.write_now(lambda conn: history.delete_runs(conn, run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Give a thread all that another has."""
        await self._store.write(lambda conn: checkpoints.copy_thread(conn, source_thread_id, target_thread_id))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """`acopy_thread` for code without an event loop; blocks."""
        self._store.write_now(lambda conn: checkpoints.copy_thread(conn, source_thread_id, target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the newest checkpoint of each namespace and what rebuilds its changes; or `delete` all."""
        await self._store.write(lambda conn: history.prune(conn, thread_ids, strategy))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """`aprune` for code without an event loop; blocks."""
        self._store.write_now(lambda conn: history.prune(conn, thread_ids, strategy))

    def get_next_version(self, current: int | None, channel: None) -> int:
        """The version after `current`: a counter, then 40 random bits, so that forks never share one."""
        count = 0 if current is None else int(current) >> _RANDOM_BITS
        return (count + 1 << _RANDOM_BITS) | random.getrandbits(_RANDOM_BITS)

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> StoreSaver:
        """The same saver, reading these types (module and name) too."""
        return cast("StoreSaver", super().with_allowlist(extra_allowlist))


# LangGraph asks for it once a run, and working it out each time took 1 % of an agent's turn.
StoreSaver.aput_writes.__dict__["__signature__"] = inspect.signature(StoreSaver.aput_writes)


def _place(config: RunnableConfig) -> dict[str, Any]:
    return config.get("configurable", {})


def _key(config: RunnableConfig) -> Key:
    place = _place(config)
    return Key(str(place["thread_id"]), place.get("checkpoint_ns", ""), str(place["checkpoint_id"]))


def _config(key: Key) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": key.thread_id,
            "checkpoint_ns": key.ns,
            "checkpoint_id": key.checkpoint_id,
        }
    }


def _record(conn: sqlite3.Connection, config: RunnableConfig, run_id: str | None) -> Record | None:
    place = _place(config)
    if place.get("checkpoint_id"):
        return checkpoints.get(conn, _key(config), run_id)
    return checkpoints.latest(conn, str(place["thread_id"]), place.get("checkpoint_ns", ""), run_id)


def _whole_all(records: Sequence[Record]) -> Callable[[sqlite3.Connection], Sequence[Stored]]:
    return lambda conn: [history.whole(conn, record) for record in records]

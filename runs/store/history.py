"""Checkpoints whole: their bodies, the values and writes that belong to them, and what may be forgotten.

Still bytes where the user's values are concerned; `saver` decodes those.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import ormsgpack

from ...core.errors import CorruptState
from . import checkpoints, pieces
from .checkpoints import Record, Search, Version, Write
from .pieces import Typed

_DELTA = "counters_since_delta_snapshot"
"""Where LangGraph's metadata names the channels that are stored as changes."""

_SMALL = 64
"""Characters up to which text lies in the checkpoint itself."""

_PLAIN = (bool, float, type(None))

_PACK = ormsgpack.OPT_NON_STR_KEYS | ormsgpack.OPT_REPLACE_SURROGATES


@dataclass(frozen=True, slots=True)
class Body:
    """What a checkpoint itself holds."""

    checkpoint: dict[str, Any]
    """LangGraph's checkpoint without the channels' values."""
    metadata: dict[str, Any]
    filled: list[str]
    """Channels whose values are in the table of blobs."""
    small: dict[str, Any]
    """Values of channels that are too small for a row of their own. What is in neither is empty."""

    def versions(self, names: Iterable[str]) -> list[tuple[str, Version]]:
        """The versions at which these channels got their values."""
        versions = cast("dict[str, Version]", self.checkpoint["channel_versions"])
        return [(name, versions[name]) for name in names]

    @property
    def unfolded(self) -> set[str]:
        """Channels whose value must be put together from the changes on earlier checkpoints."""
        return set(cast("Mapping[str, object]", self.metadata.get(_DELTA, {}))) - self.valued

    @property
    def valued(self) -> set[str]:
        """Channels that have a value."""
        return {*self.filled, *self.small}


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint with all that belongs to it."""

    record: Record
    body: Body
    values: dict[str, Typed]
    writes: list[Write]


@dataclass(slots=True)
class Trail:
    """What rebuilds a channel that is stored as changes: its last whole value, and the writes after it."""

    writes: list[Write]
    seed: Typed | None = None


def is_small(value: Any) -> bool:
    """True for what costs less inside each checkpoint than as a row of its own: None, numbers, short text."""
    if isinstance(value, bool | float) or value is None:
        return type(value) in _PLAIN
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is str and len(value) <= _SMALL


def pack_body(
    checkpoint: Mapping[str, Any], metadata: Mapping[str, Any], filled: Sequence[str], small: Mapping[str, Any]
) -> bytes:
    """The bytes of a checkpoint's own part."""
    own = {name: value for name, value in checkpoint.items() if name != "channel_values"}
    return ormsgpack.packb((own, metadata, filled, small), default=str, option=_PACK)


def unpack_body(record: Record) -> Body:
    """The part that `pack_body` packed.

    Raises:
        CorruptState: The bytes are something else.
    """
    try:
        return Body(*ormsgpack.unpackb(record.body, option=ormsgpack.OPT_NON_STR_KEYS))
    except (ormsgpack.MsgpackDecodeError, TypeError) as error:
        what = f"checkpoint {record.key.checkpoint_id} of thread {record.key.thread_id}"
        raise CorruptState(what, f"the stored bytes cannot be read: {error}.") from error


def find(conn: sqlite3.Connection, search: Search, wanted: Mapping[str, Any] | None, limit: int | None) -> list[Record]:
    """The checkpoints of a search whose metadata has all the wanted values, newest first."""
    if not wanted:
        return list(checkpoints.find(conn, search, limit))
    found: list[Record] = []
    for record in checkpoints.find(conn, search):
        if limit is not None and len(found) >= limit:
            break
        metadata = unpack_body(record).metadata
        if all(metadata.get(name) == value for name, value in wanted.items()):
            found.append(record)
    return found


def whole(conn: sqlite3.Connection, record: Record) -> Stored:
    """A checkpoint with its values and writes.

    Raises:
        CorruptState: A record of it is damaged or missing.
    """
    body = unpack_body(record)
    thread_id, ns, _ = record.key
    values = checkpoints.values(conn, thread_id, ns, body.versions(body.filled))
    return Stored(record, body, values, checkpoints.writes(conn, record.key))


def trails(conn: sqlite3.Connection, record: Record, channels: Sequence[str]) -> dict[str, Trail]:
    """What rebuilds these channels as they were at a checkpoint, from one walk over its ancestors."""
    found = {name: Trail([]) for name in channels}
    for earlier, body in _ancestors(conn, record):
        key = earlier.key
        open_ones = [name for name, trail in found.items() if trail.seed is None]
        if not open_ones:
            break
        for write in reversed(checkpoints.writes(conn, key, open_ones)):
            found[write.channel].writes.append(write)
        seeded = body.versions(name for name in open_ones if name in body.filled)
        seeds = checkpoints.values(conn, key.thread_id, key.ns, seeded)
        for name in open_ones:
            if name in body.small:
                seeds[name] = ("msgpack", ormsgpack.packb(body.small[name], option=_PACK))
            found[name].seed = seeds.get(name)
    for trail in found.values():
        trail.writes.reverse()
    return found


def prune(conn: sqlite3.Connection, thread_ids: Sequence[str], strategy: str) -> None:
    """Keep the newest checkpoint of each namespace and what rebuilds it, or delete all.

    Raises:
        ValueError: The strategy is not known.
    """
    if strategy not in ("keep_latest", "delete"):
        raise ValueError(f"strategy is {strategy!r}; it must be 'keep_latest' or 'delete'.")
    for thread_id in thread_ids:
        if strategy == "delete":
            checkpoints.delete_thread(conn, thread_id)
            continue
        for ns in checkpoints.namespaces(conn, thread_id):
            _keep_latest(conn, thread_id, ns)
        drop_unused(conn, thread_id)


def delete_runs(conn: sqlite3.Connection, run_ids: Sequence[str]) -> None:
    """Remove the checkpoints of runs, and the values that no other checkpoint needs."""
    for run_id in run_ids:
        keys = [record.key for record in checkpoints.find(conn, Search(run_id=run_id))]
        for key in keys:
            checkpoints.delete(conn, key)
        for thread_id in {key.thread_id for key in keys}:
            drop_unused(conn, thread_id)


def drop_unused(conn: sqlite3.Connection, thread_id: str) -> None:
    """Remove the values of a thread that no checkpoint refers to."""
    used: set[tuple[str, str, Version]] = set()
    for record in checkpoints.find(conn, Search(thread_id=thread_id)):
        body = unpack_body(record)
        used.update((record.key.ns, name, version) for name, version in body.versions(body.filled))
    checkpoints.drop_blobs(conn, thread_id, used)
    pieces.drop_unused(conn, thread_id)


def needed(conn: sqlite3.Connection, record: Record) -> list[Record]:
    """A checkpoint, and those before it that rebuild the channels which it holds as changes."""
    found = [record]
    unfolded = unpack_body(record).unfolded
    for earlier, body in _ancestors(conn, record):
        if not unfolded:
            break
        found.append(earlier)
        unfolded -= body.valued
    return found


def _keep_latest(conn: sqlite3.Connection, thread_id: str, ns: str) -> None:
    newest = checkpoints.latest(conn, thread_id, ns, None)
    if newest is None:
        return
    kept = {record.key for record in needed(conn, newest)}
    for record in list(checkpoints.find(conn, Search(thread_id=thread_id, ns=ns))):
        if record.key not in kept:
            checkpoints.delete(conn, record.key)


def _ancestors(conn: sqlite3.Connection, record: Record) -> Iterable[tuple[Record, Body]]:
    """The checkpoints before one, nearest first, along the parents."""
    seen = {record.key.checkpoint_id}
    parent_id = record.parent_id
    while parent_id is not None and parent_id not in seen:
        seen.add(parent_id)
        parent = checkpoints.get(conn, record.key._replace(checkpoint_id=parent_id))
        if parent is None:
            return
        yield parent, unpack_body(parent)
        parent_id = parent.parent_id

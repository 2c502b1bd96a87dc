"""Where a stored run stands, read from its records alone: what runs next, what it is inside of, what it names.

LangGraph keeps that in channels: `branch:to:NODE` is filled when a node is to run, `join:A+B:NODE` collects those
that a node waits for, `__pregel_tasks` holds `Send`s. The graph that wrote them need not be there to read them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

from langgraph.types import Send
from pydantic import BaseModel

from .private import BRANCH, JOIN, TASKS
from .scope import path_of
from .store import ApprovalRow, EffectRow, RunRow, approvals, effects, given, tip
from .store.checkpoints import Key, latest, namespaces
from .store.history import Stored, whole
from .store.plain import PlainSerializer, WordsSerializer
from .store.tables import check_chain

START = "__start__"


@dataclass(frozen=True)
class Standing:
    """A run at rest."""

    row: RunRow
    stored: Stored | None
    """Its latest checkpoint; None for a run that has not begun."""
    inner: tuple[Stored, ...]
    """The latest checkpoints inside the nodes that are at work."""
    asked: tuple[ApprovalRow, ...]
    """Questions of the present step, decided or not."""
    effects: tuple[EffectRow, ...]
    """Effects of the present step."""
    given: bytes = b""
    """The input of a run that has not begun."""

    @property
    def begun(self) -> bool:
        """Whether anything but the input is there."""
        return self.stored is not None and START not in self.channels

    @cached_property
    def channels(self) -> dict[str, Any]:
        """The values of the latest checkpoint as plain data, by channel."""
        return _values(self.stored, PlainSerializer()) if self.stored else {}

    @property
    def sends(self) -> list[Send]:
        """The `Send`s that are to run."""
        return [part for part in cast("Iterable[Any]", self.channels.get(TASKS) or ()) if isinstance(part, Send)]

    @property
    def triggers(self) -> dict[str, str]:
        """Channels that make a node run, or will once all have come; by channel, the node."""
        found: dict[str, str] = {}
        for channel, value in self.channels.items():
            if channel.startswith(BRANCH) and self._is_new(channel):
                found[channel] = channel.removeprefix(BRANCH)
            elif channel.startswith(JOIN) and value:
                found[channel] = channel.rpartition(":")[2]
        return found

    @property
    def next_nodes(self) -> set[str]:
        """The nodes of the graph itself that are to run, or wait for others."""
        return {*self.triggers.values(), *(send.node for send in self.sends)}

    @property
    def inside(self) -> set[str]:
        """Nodes at work that have come to a checkpoint of the graph inside them, as `outer` or `outer/inner`."""
        return {path_of(stored.record.key.ns.split("|")) for stored in self.inner}

    def mentions(self, tool: str) -> str | None:
        """Where the run names a tool that it may yet call: in words for a message, or None."""
        if any(row.tool == tool for row in self.effects):
            return "the step that the run stands in has called it"
        if any(row.payload.get("tool") == tool for row in self.asked):
            return "a call of it is before a person"
        known = [stored for stored in (self.stored, *self.inner) if stored is not None]
        return "a stored value names it" if any(names(stored, tool) for stored in known) else None

    def _is_new(self, channel: str) -> bool:
        checkpoint = self.stored.body.checkpoint if self.stored else {}
        seen = checkpoint["versions_seen"].get(channel.removeprefix(BRANCH), {}).get(channel)
        return seen is None or checkpoint["channel_versions"][channel] > seen


def standing_of(conn: sqlite3.Connection, row: RunRow) -> Standing:
    """Where a run stands.

    Raises:
        CorruptState: A record of it is damaged or has vanished.
    """
    check_chain(conn, row)
    tip.check(conn, row)
    record = latest(conn, row.thread_id, "", row.run_id)
    if record is None:
        return Standing(row, None, (), (), (), given.whole(conn, row))
    over = _over(conn, record.key)
    asked = [one for one in approvals.of_run(conn, row.run_id) if one.state != "cancelled"]
    found = Standing(
        row,
        whole(conn, record),
        tuple(_inner(conn, record.key, row.run_id, over)),
        tuple(one for one in asked if one.state == "pending" or _task_of(one.question_key) not in over),
        tuple(one for one in effects.of_run(conn, row.run_id) if _task_of(one.key) not in over),
    )
    return found if found.begun else replace(found, given=given.whole(conn, row))


def listed(nodes: Iterable[str]) -> str:
    """Nodes as a message names them; the hidden ones around a map go by its name."""
    return ", ".join(
        repr(name) for name in sorted({node.removesuffix(".split").removesuffix(".join") for node in nodes})
    )


def names(stored: Stored, tool: str) -> bool:
    """Whether a text in the values or writes of a checkpoint is the name of this tool."""
    readable = WordsSerializer()
    return tool in set(_words([_values(stored, readable), _written(stored, readable)]))


def outer_of(stored: Stored) -> str:
    """The node, of the run's own graph, that a checkpoint lies inside of."""
    return stored.record.key.ns.partition("|")[0].rpartition(":")[0]


def task_of(stored: Stored) -> str:
    """The task of that node."""
    return stored.record.key.ns.partition("|")[0].rpartition(":")[2]


def tasks_of(key: str) -> set[str]:
    """The tasks in whose name a call or a question was made: those of its node path, outermost first."""
    return {part.rpartition(":")[2] for part in key.replace("|", "/").split("/") if ":" in part}


def _task_of(key: str) -> str | None:
    """The task of the outer graph in whose name a call or a question was made."""
    space = next((part for part in key.split("/") if ":" in part), None)
    return space.partition("|")[0].rpartition(":")[2] if space else None


def _over(conn: sqlite3.Connection, tip: Key) -> set[str]:
    """The tasks of earlier checkpoints: what they did is taken in."""
    earlier = conn.execute(
        "SELECT DISTINCT task_id FROM pending_write WHERE thread_id=? AND ns=? AND checkpoint_id<?", tip
    )
    return {task_id for (task_id,) in earlier}


def _inner(conn: sqlite3.Connection, tip: Key, run_id: str, over: set[str]) -> Iterator[Stored]:
    for ns in namespaces(conn, tip.thread_id):
        record = latest(conn, tip.thread_id, ns, run_id) if ns else None
        stored = whole(conn, record) if record is not None else None
        if (
            stored is not None
            and task_of(stored) not in over
            and stored.body.metadata.get("parents", {}).get("") == tip.checkpoint_id
        ):
            yield stored


def _values(stored: Stored, serializer: PlainSerializer) -> dict[str, Any]:
    loads = serializer.loads_typed
    return stored.body.small | {name: loads(value) for name, value in stored.values.items()}


def _written(stored: Stored, serializer: PlainSerializer) -> list[Any]:
    return [serializer.loads_typed(write.value) for write in stored.writes]


def _words(value: Any) -> Iterator[str]:
    """All text in a value, however deep."""
    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            todo += [*cast("Mapping[Any, Any]", part).keys(), *cast("Mapping[Any, Any]", part).values()]
        elif isinstance(part, (list, tuple, set, frozenset)):
            todo += cast("Iterable[Any]", part)
        elif isinstance(part, Send):
            todo.append(part.arg)
        elif isinstance(part, BaseModel):  # a message of LangChain
            todo.append(part.model_dump())

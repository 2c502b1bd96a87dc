"""A stored run made to stand in another version of its graph: worked out first, then written in one piece.

The latest checkpoint keeps its id, so that the tasks of nodes that keep their names keep theirs, and with them
their approvals and recorded effects. What nodes had written on it is dropped: they run again, ask the same
questions and find the answers. Earlier checkpoints stay as they were.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from sqlite3 import Connection
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.types import Interrupt, Send

from ..core.errors import CollegiumError, GraphChanged
from ..core.trust import LABELS, PATH, Labels, Origin
from .changes import Change
from .migration import Route
from .private import BRANCH, CHECKPOINTER, JOIN, TASKS
from .standing import Standing, listed, names, outer_of, task_of, tasks_of
from .store import RunRow, approvals, given, tip
from .store.checkpoints import Blob, Key, Search, delete, find, put
from .store.history import Body, is_small, pack_body
from .store.plain import PlainSerializer
from .target import Target

LOOP = "__loop__"
"""How the channel begins that counts a loop of a node."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What is to be written for one run."""

    input: bytes | None = None
    """None: it stays as it is."""
    key: Key | None = None
    """The checkpoint that is replaced; None for a run that has not begun."""
    parent_id: str | None = None
    body: bytes = b""
    blobs: tuple[Blob, ...] = ()
    dropped: tuple[str, ...] = ()
    """Namespaces whose checkpoints go."""
    heads: Mapping[str, str] = field(default_factory=dict[str, str])
    """The newest checkpoint of each namespace afterwards."""
    withdrawn: frozenset[str] = frozenset()
    """Open questions that nobody will ask again under their old names."""
    reuse: tuple[str, ...] = ()
    """Recorded effects that stand in for calls that are made again under another name."""

    def write(self, conn: Connection, row: RunRow) -> RunRow:
        """Write it, inside a transaction; returns the run with what changes in its record."""
        for ns in self.dropped:
            for record in list(find(conn, Search(thread_id=row.thread_id, ns=ns, run_id=row.run_id))):
                delete(conn, record.key)
        if self.key is not None:
            delete(conn, self.key)
            put(conn, self.key, self.parent_id, row.run_id, self.body, self.blobs)
        if self.withdrawn:
            known = [one.approval_id for one in approvals.of_run(conn, row.run_id)]
            approvals.cancel_open(conn, row.run_id, keep=[one for one in known if one not in self.withdrawn])
        place = {"run_id": row.run_id, "thread_id": row.thread_id, "links": row.links, "epoch": row.epoch}
        return replace(
            row,
            input=row.input if self.input is None else given.kept(conn, row.thread_id, self.input),
            status="queued" if row.status == "waiting" else row.status,
            reuse=(*(row.reuse or ()), *self.reuse) or None,
            tip=tip.taken(conn, place, None, self.heads, 0),
        )


async def migrated(standing: Standing, target: Target, route: Route, found: Sequence[Change]) -> Migrated:
    """What makes a run stand in its graph as it is now; the functions of the route are called, nothing is written.

    Raises:
        GraphChanged: The run cannot be migrated; the error says why.
    """
    row = standing.row
    try:
        if not standing.begun:
            return _not_begun(standing, target, route)
        return await _Move(standing, target, route, found).made()
    except GraphChanged:
        raise
    except _Refusal as refusal:
        raise GraphChanged(row.run_id, row.graph, _told(row, str(refusal))) from refusal
    except Exception as error:  # the user's functions run here, and any value may refuse to be read
        what = str(error) if isinstance(error, CollegiumError) else f"{type(error).__name__}: {error}"
        raise GraphChanged(row.run_id, row.graph, _told(row, what)) from error


class _Refusal(Exception):
    """Why a run cannot be migrated; never leaves this module."""


def _told(row: RunRow, what: str) -> str:
    return f"the migration from version {row.version!r} failed: {what}"


def _not_begun(standing: Standing, target: Target, route: Route) -> Migrated:
    """Of a run that has not begun there is the input, and perhaps a checkpoint that holds nothing else."""
    stored = PlainSerializer().loads_typed(("msgpack", standing.given))
    builder = target.builder
    taken = set(builder.schemas[builder.input_schema])
    values = {name: value for name, value in route.values(stored).items() if name in taken}
    return Migrated(target.encode(target.admit(values)), dropped=("",) if standing.stored else ())


class _Move:
    """One run, from the names and values of its old graph to those of the new one."""

    def __init__(self, standing: Standing, target: Target, route: Route, found: Sequence[Change]) -> None:
        assert standing.stored is not None
        self.standing, self.target, self.route, self.found = standing, target, route, found
        self.stored = standing.stored
        self.body: Body = standing.stored.body
        self.known: Any = target.compiled

    async def made(self) -> Migrated:
        if self.body.unfolded:
            raise _Refusal(f"{listed(self.body.unfolded)} is stored as changes, which cannot be migrated.")
        dropped = tuple(self._restarted())
        self._check_tools(dropped)
        fields = self._fields()
        values = self._control() | fields | self._labels(fields)
        checkpoint, blobs, packed = self._packed(values)
        tasks = await self._tasks(checkpoint, values)
        key = self.stored.record.key
        return Migrated(
            None,
            key,
            self.stored.record.parent_id,
            packed,
            blobs,
            dropped,
            {one.ns: one.checkpoint_id for one in (key, *self._inner) if one.ns not in dropped},
            frozenset(self._withdrawn(tasks)),
            tuple(effect.key for effect in self.standing.effects if not tasks_of(effect.key) & tasks.keys()),
        )

    @property
    def _inner(self) -> list[Key]:
        return [stored.record.key for stored in self.standing.inner]

    def _restarted(self) -> Iterable[str]:
        """Namespaces inside of nodes that begin anew; a node that does not must be able to go on from its own."""
        for stored in self.standing.inner:
            outer, task = outer_of(stored), task_of(stored)
            new = self.route.node(outer)
            if new not in self.route.restart:
                self._check_inside(outer, new)
                continue
            if done := [one.tool for one in self.standing.effects if task in tasks_of(one.key)]:
                raise _Refusal(f"node {new!r} cannot begin anew: it has called {listed(done)}.")
            if any(one.state != "pending" and task in tasks_of(one.question_key) for one in self.standing.asked):
                raise _Refusal(f"node {new!r} cannot begin anew: a person has decided in it.")
            yield stored.record.key.ns

    def _check_inside(self, outer: str, new: str) -> None:
        inside = [one for one in self.found if one.kind != "field" and one.breaking and _lies_in(one, outer)]
        if new != outer:
            problem = f"it stands inside node {outer!r}, which is {new!r} now"
        elif inside:
            problem = f"it stands inside node {outer!r}, and {inside[0].text}"
        else:
            return
        raise _Refusal(f"{problem}. Let it begin anew there with restart=[{new!r}].")

    def _check_tools(self, dropped: Sequence[str]) -> None:
        kept = [stored for stored in self.standing.inner if stored.record.key.ns not in dropped]
        for change in self.found:
            if change.kind != "tool" or not change.breaking:
                continue
            if any(effect.tool == change.name for effect in self.standing.effects):
                raise _Refusal(f"{change.text}, and the step that the run stands in has called it.")
            if any(one.state != "pending" and one.payload.get("tool") == change.name for one in self.standing.asked):
                raise _Refusal(f"{change.text}, and a person has decided about a call of it.")
            for stored in kept:
                if names(stored, change.name):
                    outer = outer_of(stored)
                    raise _Refusal(
                        f"{change.text}, and the run stands inside node {outer!r}, which names it. "
                        f"Let it begin anew there with restart=[{self.route.node(outer)!r}]."
                    )

    def _fields(self) -> dict[str, Any]:
        """The field values that the user's functions make, checked against the fields."""
        stored = {name: value for name, value in self.standing.channels.items() if not _is_control(name)}
        values = self.target.land(self.route.values(stored), self.target.builder)
        missing = [name for name in self.target.shape.get("required", ()) if "." not in name and name not in values]
        if missing:
            raise _Refusal(f"field {missing[0]!r} has no default, and no value comes out of the migration.")
        return values

    def _labels(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Labels of the fields: a value that is not the one stored may have been made from all that was."""
        stored: Labels | None = self.standing.channels.get(LABELS)
        if stored is None:
            return {}
        plain = PlainSerializer()
        every: list[Origin] = sorted({origin for name, origins in stored.items() if name for origin in origins})
        made: dict[str, Sequence[Origin]] = {PATH: stored[PATH]} if PATH in stored else {}
        for name, value in fields.items():
            now = plain.loads_typed(self.target.serializer.dumps_typed(value))
            same = name in self.standing.channels and now == self.standing.channels[name]
            made[name] = stored.get(name, ()) if same else every
        return {LABELS: made}

    def _control(self) -> dict[str, Any]:
        """What LangGraph keeps beside the fields, under the present names."""
        values: dict[str, Any] = {}
        for channel, value in self.standing.channels.items():
            if not _is_control(channel):
                continue
            new = self._channel(channel)
            if channel == TASKS:
                values[new] = self._sends()
            elif new in self.known.channels:
                values[new] = self._joined(value) if channel.startswith(JOIN) else value
            elif channel in self.standing.triggers:
                raise _Refusal(f"nothing leads on to {listed([self.standing.triggers[channel]])}.")
        return values

    def _sends(self) -> list[Send]:
        if not self.standing.sends:
            return []
        if any(change.kind == "field" and change.breaking and "." in change.name for change in self.found):
            raise _Refusal("it stands before the items of a map, whose class may have changed.")
        # Read strictly: what is sent must be what its node takes.
        sends = cast("list[Send]", self.target.serializer.loads_typed(self.stored.values[TASKS]))
        for send in sends:
            if self.route.node(send.node) not in self.known.nodes:
                raise _Refusal(f"nothing leads on to {listed([send.node])}.")
        return [Send(self.route.node(send.node), send.arg) for send in sends]

    def _joined(self, value: Any) -> Any:
        """The nodes that a join has seen; of a deferred one, with whether all else is finished."""
        if isinstance(value, (list, tuple)):
            seen, finished = cast("Sequence[Any]", value)
            return [self._joined(seen), finished]
        return {self.route.node(name) for name in cast("Iterable[str]", value)}

    def _channel(self, name: str) -> str:
        if name.startswith(BRANCH):
            return f"{BRANCH}{self.route.node(name.removeprefix(BRANCH))}"
        if name.startswith(LOOP):
            return f"{LOOP}{self.route.node(name.removeprefix(LOOP))}"
        if name.startswith(JOIN):
            _, starts, end = name.split(":")
            renamed = (self.route.node(start) for start in starts.split("+"))
            return f"{JOIN}{'+'.join(renamed)}:{self.route.node(end)}"
        return name

    def _packed(self, values: dict[str, Any]) -> tuple[Checkpoint, tuple[Blob, ...], bytes]:
        versions = self._versions(values)
        seen: dict[str, dict[str, Any]] = self.body.checkpoint["versions_seen"]
        checkpoint = {
            **self.body.checkpoint,
            "channel_versions": versions,
            "versions_seen": {
                self.route.node(node): {self._channel(name): version for name, version in channels.items()}
                for node, channels in seen.items()
            },
            "updated_channels": None,
        }
        small = {name: value for name, value in values.items() if is_small(value)}
        dumps = self.target.serializer.dumps_typed
        blobs = tuple(Blob(name, versions[name], dumps(value)) for name, value in values.items() if name not in small)
        body = pack_body(checkpoint, self.body.metadata, [blob.channel for blob in blobs], small)
        return cast("Checkpoint", checkpoint), blobs, body

    def _versions(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A new version for each value, as earlier checkpoints still name the old ones; triggers keep theirs."""
        old: dict[str, int] = self.body.checkpoint["channel_versions"]
        kept = {
            self._channel(name): version
            for name, version in old.items()
            if _is_control(name) and name not in (TASKS, LABELS)
        }
        # Half of a version's random bits: later, and shared with nothing that the thread has stored.
        fresh = max(old.values()) + 1 + random.getrandbits(39)
        return dict.fromkeys(values, fresh) | kept

    async def _tasks(self, checkpoint: Checkpoint, values: dict[str, Any]) -> dict[str, str]:
        """What LangGraph is to run from there: task ids to nodes."""
        saver = _Held({**checkpoint, "channel_values": values}, cast("CheckpointMetadata", self.body.metadata))
        config: Any = {"configurable": {"thread_id": self.stored.record.key.thread_id, CHECKPOINTER: saver}}
        snapshot = await self.target.compiled.aget_state(config)
        if not snapshot.tasks:
            raise _Refusal(f"nothing would run of {listed(self.standing.next_nodes)}.")
        return {task.id: task.name for task in snapshot.tasks}

    def _withdrawn(self, tasks: Mapping[str, str]) -> Iterable[str]:
        """Open questions whose node runs under another name, or begins anew."""
        asking = {Interrupt.from_ns(None, f"{name}:{task}").id for task, name in tasks.items()}
        kept = {self.route.node(path.partition("/")[0]) for path in self.standing.inside} - self.route.restart
        for row in self.standing.asked:
            by = tasks_of(row.question_key)
            same = bool(by & tasks.keys()) if by else row.interrupt_id in asking or bool(kept)
            if row.state == "pending" and not same:
                yield row.approval_id


class _Held(BaseCheckpointSaver[Any]):
    """Shows LangGraph one checkpoint that is stored nowhere."""

    def __init__(self, checkpoint: Any, metadata: CheckpointMetadata) -> None:
        super().__init__()
        self._checkpoint, self._metadata = cast("Checkpoint", checkpoint), metadata

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint."""
        place = {"checkpoint_ns": "", "checkpoint_id": self._checkpoint["id"], **config.get("configurable", {})}
        return CheckpointTuple({"configurable": place}, self._checkpoint, self._metadata, None, [])


def _is_control(channel: str) -> bool:
    return channel.startswith((BRANCH, JOIN, "__"))


def _lies_in(change: Change, outer: str) -> bool:
    return change.name.startswith(f"{outer}/") or (change.kind == "inner" and change.name == outer)

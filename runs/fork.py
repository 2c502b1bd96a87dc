"""A run that goes on from a step of another: the same past, another future.

A fork has a thread of its own and a copy of the checkpoint that it goes on from, so to LangGraph it looks like a run
that was stopped there. Nothing of its parent changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from sqlite3 import Connection
from typing import Any, Literal

from langgraph.channels import BinaryOperatorAggregate, DeltaChannel
from langgraph.types import Command, Overwrite, Send, StateSnapshot, StateUpdate

from ..core.errors import InvalidInput
from ..core.trust import LABELS
from .engine import Engine
from .private import BRANCH, CHECKPOINTER, TASKS
from .scope import RUN_KEY
from .steps import Step, above, graph_at, step_named, steps_of
from .store import RunRow, copying, effects, runs
from .store.checkpoints import Key, get
from .store.copying import Draft
from .target import Target

Effects = Literal["reuse", "redo"]
"""What becomes of effects that the parent made after the step: where the fork makes the same calls it takes their
recorded results, or makes them anew."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a fork is to be."""

    at: str
    values: Mapping[str, Any]
    effects: Effects | None
    thread_id: str


async def forked(engine: Engine, parent: RunRow, target: Target, wish: Wish) -> RunRow:
    """Admit a fork, held by this worker; all of it is stored, or nothing.

    Raises:
        InvalidInput: There is no such step, a value does not fit, or effects need a choice.
        ThreadBusy: The thread has an unfinished run.
        CorruptState: A checkpoint of the parent is damaged.
    """
    if engine.store.path is None:
        raise InvalidInput("run_id", "in memory the steps of a run are not kept. Run it with a Runner on a file.")
    step = step_named(await steps_of(engine, parent, target), wish.at)
    values = target.land(wish.values, graph_at(target, step.namespace).builder)
    key = Key(parent.thread_id, step.namespace, step.checkpoint_id)
    row = replace(
        _copied(engine, parent, wish),
        input=target.encode(values),
        parent_checkpoint_id=step.checkpoint_id,
        reuse=await _reused(engine, parent, key, wish),
    )
    drafted = await _drafted(engine, parent, row, target, step, values) if values else None

    def admit(conn: Connection) -> RunRow:
        admitted = runs.admit(conn, row, worker_id=engine.worker_id)
        _copy_past(conn, parent, row, key, replaced=drafted is not None)
        for work in drafted.work if drafted else ():
            work(conn)
        return admitted

    return await engine.store.write(admit, full=True)


def _copied(engine: Engine, parent: RunRow, wish: Wish) -> RunRow:
    now = engine.clock.now()
    return RunRow(
        run_id=engine.ids("run"),
        thread_id=wish.thread_id,
        graph=parent.graph,
        version=parent.version,
        fingerprint=parent.fingerprint,
        shape=parent.shape,
        input=b"",
        target=parent.target,
        folder=parent.folder,
        model_spec=parent.model_spec,
        metadata=parent.metadata,
        tags=parent.tags,
        budget=parent.budget,
        timeout_s=parent.timeout_s,
        fork=parent.fork + 1,
        parent_run_id=parent.run_id,
        forked_at=wish.at,
        created_at=now,
        updated_at=now,
    )


def _metadata(row: RunRow) -> dict[str, Any]:
    return {RUN_KEY: row.run_id, "run_id": row.run_id}


def _copy_past(conn: Connection, parent: RunRow, row: RunRow, key: Key, *, replaced: bool) -> None:
    """Copy the checkpoint and the one before it, those around it, and those that ran beside it.

    With `replaced`, a draft takes the place of the checkpoint itself.
    """
    inside: Key | None = None
    while True:
        record = get(conn, key, parent.run_id)
        if record is None:
            raise InvalidInput("at", f"the checkpoint of step {row.forked_at} is gone; it was pruned meanwhile.")
        earlier = copying.before(conn, record)
        if earlier is not None and earlier.run_id == parent.run_id:
            copying.copy(conn, earlier, row.thread_id, row.run_id, _metadata(row), writes=True)
        if inside is not None or not replaced:
            copying.copy(conn, record, row.thread_id, row.run_id, _metadata(row), writes=False)
        if inside is not None:
            for other in copying.beside(conn, parent.run_id, inside, key):
                copying.copy(conn, other, row.thread_id, row.run_id, _metadata(row), writes=True)
        if not key.ns:
            return
        inside, key = key, copying.around(conn, record, above(key.ns))


async def _reused(engine: Engine, parent: RunRow, key: Key, wish: Wish) -> tuple[str, ...] | None:
    """Keys of the effects that the parent made after the step, where the fork is to take their results."""

    def read(conn: Connection) -> list[str]:
        past = _past(conn, parent, key)
        return [effect.key for effect in effects.of_run(conn, parent.run_id) if not _is_past(effect.key, past)]

    later = await engine.store.read(read)
    if later and wish.effects is None:
        raise InvalidInput(
            "effects",
            f"after step {wish.at} the run made {len(later)} effect{'s' * (len(later) > 1)}. Choose: reuse (the same "
            "calls take their recorded results) or redo (they are made anew).",
        )
    return tuple(later) if later and wish.effects == "reuse" else None


def _past(conn: Connection, parent: RunRow, key: Key) -> list[set[str]]:
    """Tasks that had run before a checkpoint, outermost graph first; the last of each level runs the next."""
    levels: list[set[str]] = []
    while True:
        levels.insert(0, copying.finished_before(conn, key))
        if not key.ns:
            return levels
        record = get(conn, key, parent.run_id)
        key = copying.around(conn, record, above(key.ns)) if record else key._replace(ns=above(key.ns))


async def _drafted(
    engine: Engine, parent: RunRow, row: RunRow, target: Target, step: Step, values: dict[str, Any]
) -> Draft:
    """The step once more, as if what ran in it had written these values; routers look at them and choose anew."""
    reader, graph = engine.reader(parent, target), graph_at(target, step.namespace)
    place = {"thread_id": parent.thread_id, "checkpoint_ns": step.namespace, CHECKPOINTER: reader}
    saved = await reader.aget_tuple({"configurable": {**place, "checkpoint_id": step.checkpoint_id}})
    earlier = await reader.aget_tuple(saved.parent_config) if saved and saved.parent_config else None
    if saved is None or earlier is None:
        raise InvalidInput(
            "at", f"step {step.path} is where the run's own history begins. Change values when forking its parent."
        )
    if saved.metadata.get("source") == "update":  # it holds values that an earlier fork gave
        values = {**target.decode(await engine.given(parent)), **values}
    place["checkpoint_id"] = earlier.checkpoint["id"]
    snapshot = await graph.aget_state({"configurable": place})
    draft = Draft(reader, engine.saver(replace(row, epoch=1), target), row.thread_id, _metadata(row))
    updates = _updates(graph, snapshot, earlier.pending_writes or [], values)
    await graph.abulk_update_state({"configurable": {**place, CHECKPOINTER: draft}}, [updates])
    return draft


def _updates(
    graph: Any, snapshot: StateSnapshot, pending: Sequence[tuple[str, str, Any]], values: Mapping[str, Any]
) -> list[StateUpdate]:
    """What the tasks of a step wrote, with these values in place of what they wrote to the same fields."""
    recorded: defaultdict[str, list[tuple[str, Any]]] = defaultdict(list)
    for task_id, channel, value in pending:
        recorded[task_id].append((channel, value))
    given = [(name, _in_place(graph.channels[name], value)) for name, value in values.items()]
    if LABELS in graph.channels:
        given.append((LABELS, {name: ["user"] for name in values}))
    updates: list[StateUpdate] = []
    for task in snapshot.tasks:
        wrote = recorded[task.id]
        kept = [
            (name, {field: came for field, came in value.items() if field not in values} if name == LABELS else value)
            for name, value in wrote
            if name in (*graph.stream_channels_list, LABELS) and name not in values
        ]
        spec = graph.builder.nodes.get(task.name)  # the start has none
        chosen = _gone_to(wrote) if spec is not None and spec.ends else []
        command: Any = Command(update=[*kept, *given], goto=chosen)
        updates.append(StateUpdate(command, task.name, task.id))
        given = []
    return updates


def _in_place(channel: Any, value: Any) -> Any:
    return Overwrite(value) if isinstance(channel, (BinaryOperatorAggregate, DeltaChannel)) else value


def _gone_to(wrote: Sequence[tuple[str, Any]]) -> list[str | Send]:
    """Where a task went by a Command, which nothing but its writes tells."""
    nodes: list[str | Send] = [name.removeprefix(BRANCH) for name, _ in wrote if name.startswith(BRANCH)]
    return nodes + [value for name, value in wrote if name == TASKS]


def _is_past(effect_key: str, past: Sequence[set[str]]) -> bool:
    """Whether a call was made by a task that had run, as its key (run/fork/namespace/turn/index) tells."""
    _, _, rest = (effect_key.split("/", 2) + ["", ""])[:3]
    tasks = [part.partition(":")[2] for part in rest.rsplit("/", 2)[0].split("|") if not part.isdigit()]
    return any(task in done for task, done in zip(tasks, past, strict=False))

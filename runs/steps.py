"""The steps that a run has taken, as its checkpoints tell them, those inside of sub-graphs included."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from langgraph.constants import START
from langgraph.types import StateSnapshot

from ..core.errors import InvalidInput
from ..core.trust import LABELS
from .engine import Engine
from .private import CHECKPOINTER
from .scope import path_of
from .store import RunRow
from .store.checkpoints import Search
from .store.history import find, unpack_body
from .target import Target


@dataclass(frozen=True, slots=True)
class Step:
    """One super-step of a run, or of a graph inside it."""

    path: str
    """Names it for `fork`: `3`, or `3/answer/1` for step 1 of the graph that node `answer` ran after step 3."""
    nodes: tuple[str, ...]
    """What ran in it, a name for each task; empty for the step in which the input came. A map called `x` has a step
    `x.split` before its tasks and one, `x.join`, after them."""
    wrote: tuple[str, ...]
    """Fields that got a value."""
    next: tuple[str, ...]
    """What was to run after it."""
    at: datetime
    checkpoint_id: str
    namespace: str = ""
    """LangGraph's checkpoint namespace; empty for the run's own graph."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """The checkpoints of one graph of a run, oldest first."""

    graph: Any
    namespace: str
    snapshots: Sequence[StateSnapshot]
    versions: dict[str, dict[str, Any]]

    @property
    def parent(self) -> tuple[str, str]:
        """Namespace and checkpoint of the graph around it, at which its node ran."""
        around = above(self.namespace)
        return around, str((self.snapshots[0].metadata or {}).get("parents", {}).get(around, ""))

    def steps(self, prefix: str) -> Iterator[Step]:
        """Its steps; `prefix` leads to them from the run's own graph."""
        before: StateSnapshot | None = None
        for snapshot in self.snapshots:
            if (snapshot.metadata or {}).get("source") != "input":
                yield self._step(prefix, snapshot, before)
            before = snapshot

    def _step(self, prefix: str, snapshot: StateSnapshot, before: StateSnapshot | None) -> Step:
        ran = [task.name for task in before.tasks] if before else []
        new, old = self.versions[id_of(snapshot)], self.versions.get(id_of(before), {}) if before else {}
        return Step(
            path=f"{prefix}{(snapshot.metadata or {}).get('step')}",
            nodes=tuple(name for name in ran if name != START),
            wrote=tuple(
                name for name in self.graph.stream_channels_list if name != LABELS and new.get(name) != old.get(name)
            ),
            next=snapshot.next,
            at=datetime.fromisoformat(snapshot.created_at or ""),
            checkpoint_id=id_of(snapshot),
            namespace=self.namespace,
        )


async def steps_of(engine: Engine, row: RunRow, target: Target) -> list[Step]:
    """The steps of a run, oldest first; those of an inner graph come after the step that its node followed.

    Raises:
        CorruptState: A checkpoint is damaged.
    """
    chains = await _chains(engine, row, target)
    inside: defaultdict[tuple[str, str], list[_Chain]] = defaultdict(list)
    for chain in chains:
        if chain.namespace:
            inside[chain.parent].append(chain)

    def walk(chain: _Chain, prefix: str) -> Iterator[Step]:
        for step in chain.steps(prefix):
            yield step
            below = inside[chain.namespace, step.checkpoint_id]
            for name, inner in zip(_names(below), below, strict=True):
                yield from walk(inner, f"{step.path}/{name}/")

    return [step for chain in chains if not chain.namespace for step in walk(chain, "")]


def step_named(steps: Sequence[Step], path: str) -> Step:
    """The step of this path.

    Raises:
        InvalidInput: The run has no such step; names those that it has.
    """
    found = next((step for step in steps if step.path == path), None)
    if found is None:
        known = ", ".join(step.path for step in steps) or "none"
        raise InvalidInput("at", f"the run has no step {path!r}. Its steps: {known}.")
    return found


def id_of(snapshot: StateSnapshot) -> str:
    """The checkpoint that a snapshot is of."""
    return str((snapshot.config.get("configurable") or {})["checkpoint_id"])


def graph_at(target: Target, namespace: str) -> Any:
    """The compiled graph whose checkpoints lie in a namespace; None for one that LangGraph does not see."""
    graph: Any = target.compiled
    if not namespace:
        return graph
    wanted = path_of(namespace.split("|")).replace("/", "|")
    return next((inner for _, inner in graph.get_subgraphs(namespace=wanted, recurse=True)), None)


def above(namespace: str) -> str:
    """The namespace of the graph around the one whose namespace this is."""
    return "|".join(_without_counters(_without_counters(namespace.split("|"))[:-1]))


def _without_counters(parts: list[str]) -> list[str]:
    """LangGraph adds a number where one task runs a graph more than once."""
    while parts and parts[-1].isdigit():
        parts = parts[:-1]
    return parts


def _names(chains: Sequence[_Chain]) -> list[str]:
    """Names of the nodes that ran these graphs after one step, numbered where a node ran more than once."""
    names = [path_of(chain.namespace.split("|")).rpartition("/")[2] for chain in chains]
    many, seen = Counter(names), Counter[str]()
    told: list[str] = []
    for name in names:
        seen[name] += 1
        told.append(f"{name}[{seen[name]}]" if many[name] > 1 else name)
    return told


async def _chains(engine: Engine, row: RunRow, target: Target) -> list[_Chain]:
    versions = await engine.store.read(lambda conn: _versions(conn, row))
    saver = engine.reader(row, target)
    chains: list[_Chain] = []
    for namespace, found in versions.items():
        graph = graph_at(target, namespace)
        if graph is None:
            continue
        place = {"thread_id": row.thread_id, "checkpoint_ns": namespace, CHECKPOINTER: saver}
        snapshots = [snapshot async for snapshot in graph.aget_state_history({"configurable": place})]
        chains.append(_Chain(graph, namespace, snapshots[::-1], found))
    return sorted(chains, key=lambda chain: id_of(chain.snapshots[0]))


def _versions(conn: Connection, row: RunRow) -> dict[str, dict[str, dict[str, Any]]]:
    """Versions of the channels, by namespace and checkpoint."""
    found: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for record in find(conn, Search(thread_id=row.thread_id, run_id=row.run_id), None, None):
        found[record.key.ns][record.key.checkpoint_id] = unpack_body(record).checkpoint["channel_versions"]
    return dict(found)

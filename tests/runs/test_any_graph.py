"""Graphs drawn at random: each is refused, ends, or reports its limit; and a stopped run ends as an unstopped one.

`COLLEGIUM_EXAMPLES=2000 pytest tests/runs/test_any_graph.py` draws more of them, other ones each time.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, cast

from hypothesis import HealthCheck, assume, event, settings
from hypothesis import given as given_
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver

from collegium.core.errors import AlreadyDecided, StoreError, StoreUnavailable
from collegium.graphs import END, START, Graph, State, append
from collegium.runs import (
    Approval,
    Budget,
    Decision,
    Happened,
    Respond,
    Retry,
    Run,
    Runner,
    ask,
    call_key,
    call_tool,
    question,
)
from collegium.runs.scope import current_scope
from collegium.runs.store import Store, effects
from collegium.tools import IdempotencyKey, Tool, tool

STEPS = 14
PATIENCE_S = 6
MORE = int(os.environ.get("COLLEGIUM_EXAMPLES", "0"))

drawn = settings(
    max_examples=MORE or 40,
    derandomize=not MORE,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

NAMES = ("a", "b", "c", "d", "e")

Place = Literal["anywhere", "effect"]
Kind = Literal["step", "map", "sub", "plain", "ask", "unsafe", "checkable", "idempotent"]


class Work(State):
    items: list[int]
    log: Annotated[list[str], append] = []
    last: str = ""


@dataclass(frozen=True)
class Branch:
    source: str
    targets: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Loop:
    name: str
    back_to: str
    at_most: int
    leaves_at: int
    then: str


@dataclass(frozen=True)
class Drawn:
    """A graph as data, so that a failing example can be read."""

    nodes: tuple[tuple[str, Kind], ...]
    edges: tuple[tuple[str, str], ...]
    joins: tuple[tuple[tuple[str, ...], str], ...]
    branches: tuple[Branch, ...]
    loops: tuple[Loop, ...]
    items: tuple[int, ...]


def choice(state: Work, seed: int, among: int) -> int:
    """Any number, but the same one for the same state."""
    return zlib.crc32(f"{seed}/{len(state.log)}".encode()) % among


PURE: tuple[Kind, ...] = ("step", "step", "map", "sub", "plain")
ACTING: tuple[Kind, ...] = ("unsafe", "checkable", "idempotent", "ask", "map", "sub", "step", "unsafe")


@st.composite
def graphs(draw: st.DrawFn, kinds: tuple[Kind, ...] = PURE, wild_too: bool = True) -> Drawn:
    """A chain with more edges, joins, branches and loops; in one of eight, edges lead anywhere and some are missing."""
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    wild = wild_too and draw(st.integers(0, 7)) == 0
    order = (START, *names, END)
    kind = st.sampled_from(kinds)
    chain = [edge for edge in pairwise(order) if not wild or draw(st.integers(0, 4))]
    loops = [_loop(draw, order, wild) for _ in range(draw(st.integers(0, 2)))]
    left_by = {one.name for one in loops}
    more = [_ahead(draw, order, 1, wild) for _ in range(draw(st.integers(0, 2)))]
    joins = [_ahead(draw, order[1:], 2, wild) for _ in range(draw(st.integers(0, 1))) if len(names) > 1]
    branches = [_branch(draw, order, wild_too) for _ in range(draw(st.integers(0, 1)))]
    return Drawn(
        nodes=tuple((name, draw(kind)) for name in names),
        edges=tuple(edge for edge in (*chain, *((here, there) for (here,), there in more)) if edge[0] not in left_by),
        joins=tuple(joins),
        branches=tuple(branches),
        loops=tuple({one.name: one for one in loops}.values()),
        items=tuple(draw(st.lists(st.integers(0, 9), max_size=3))),
    )


def _ahead(draw: st.DrawFn, order: tuple[str, ...], sources: int, wild: bool) -> tuple[tuple[str, ...], str]:
    """An edge from so many nodes, along the chain unless it is wild."""
    at = draw(st.lists(st.integers(0, len(order) - 1), min_size=sources + 1, max_size=sources + 1, unique=True))
    *here, there = at if wild and END not in [order[i] for i in at[:-1]] and order[at[-1]] != START else sorted(at)
    return tuple(order[i] for i in here), order[there]


def _branch(draw: st.DrawFn, order: tuple[str, ...], back_too: bool) -> Branch:
    at = draw(st.integers(1, len(order) - 2))
    targets = order[1:] if back_too else order[at + 1 :]
    return Branch(
        order[at], tuple(draw(st.lists(st.sampled_from(targets), min_size=1, max_size=3))), draw(st.integers(0, 99))
    )


def _loop(draw: st.DrawFn, order: tuple[str, ...], wild: bool) -> Loop:
    """From a node to one before it, or itself; what follows is what the chain says."""
    at = draw(st.integers(1, len(order) - 2))
    back_to = order[draw(st.integers(1, at))]
    then = draw(st.sampled_from(order[1:])) if wild else order[at + 1]
    return Loop(order[at], back_to, draw(st.integers(0, 3)), draw(st.integers(0, 9)), then)


class World:
    """What happens outside of the system, and the points at which a worker may be stopped."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.stop: Callable[[Place], object] = lambda _: None

    async def pause(self, place: Place = "anywhere") -> None:
        self.stop(place)
        await asyncio.sleep(0)

    async def act(self, label: str, once: bool = False) -> str:
        await self.pause("effect")
        if not (once and label in self.happened):
            self.happened.append(label)
        await self.pause("effect")
        return f"did {label}"

    def tool(self, kind: Kind) -> Tool:
        """A tool of this effect."""

        async def unsafe(label: str) -> str:
            """Act."""
            return await self.act(label)

        async def idempotent(label: str, key: IdempotencyKey) -> str:
            """Act once."""
            return await self.act(label, once=True)

        async def asked(label: str) -> str | None:
            await self.pause()
            return f"did {label}" if label in self.happened else None

        if kind == "idempotent":
            return tool(effect="idempotent", risk="low")(idempotent)
        if kind == "checkable":
            return tool(effect="checkable", risk="low", probe=asked)(unsafe)
        return tool(effect="unsafe", risk="low")(unsafe)


class Parts:
    """The nodes of a drawn graph."""

    def __init__(self, world: World) -> None:
        self.world = world

    def add(self, graph: Graph[Work], name: str, kind: Kind) -> None:
        match kind:
            case "step":
                graph.add_node(name, self.step(name))
            case "plain":
                graph.add_node(name, self.plain(name))
            case "map":
                graph.add_map(name, self.on_item(name), over="items", writes="log")
            case "sub":
                graph.add_node(name, self.inner(name))
            case "ask":
                graph.add_node(name, self.asking(name))
            case _:
                graph.add_node(name, self.acting(name, kind))

    def step(self, name: str) -> Callable[[Work], Any]:
        async def work(state: Work) -> dict[str, Any]:
            await self.world.pause()
            return {"log": [f"{name}{len(state.log)}"]}

        return work

    def plain(self, name: str) -> Callable[[Work], Any]:
        def work(state: Work) -> dict[str, Any]:
            return {"last": f"{name}{len(state.log)}", "log": [name]}

        return work

    def on_item(self, name: str) -> Callable[[int], Any]:
        async def work(item: int) -> str:
            await self.world.pause()
            return f"{name}:{item}"

        return work

    def asking(self, name: str) -> Callable[[Work], Any]:
        async def work(state: Work) -> dict[str, Any]:
            key = call_key(0, 0)
            (said,) = ask([question(key, "input", {"prompt": f"{name}{len(state.log)}"}, ("respond",))])
            await self.world.pause()
            return {"log": [f"{name} heard {said.text if isinstance(said, Respond) else said}"]}

        return work

    def acting(self, name: str, kind: Kind) -> Callable[[Work], Any]:
        acts = self.world.tool(kind)

        async def work(state: Work) -> dict[str, Any]:
            results = [await call_tool(acts, {"label": f"{name}{len(state.log)}/{nth}"}) for nth in range(2)]
            return {"log": [f"{result.status}: {result.content}" for result in results]}

        return work

    def inner(self, name: str) -> Graph[Work]:
        graph = Graph(Work, name=f"inner {name}")
        graph.add_node("first", self.step(f"{name}/first"))
        graph.add_map("each", self.on_item(f"{name}/each"), over="items", writes="log")
        graph.add_edge(START, "first")
        graph.add_edge("first", "each")
        graph.add_edge("each", END)
        return graph


def build(plan: Drawn, world: World) -> Graph[Work]:
    graph, parts = Graph(Work, name="drawn"), Parts(world)
    for name, kind in plan.nodes:
        parts.add(graph, name, kind)
    for here, there in plan.edges:
        graph.add_edge(here, there)
    for sources, there in plan.joins:
        graph.add_edge(list(sources), there)
    for branch in plan.branches:
        graph.add_conditional_edges(branch.source, router(branch), list(branch.targets))
    for loop in plan.loops:
        graph.add_loop(
            loop.name, back_to=loop.back_to, until=until(loop.leaves_at), at_most=loop.at_most, then=loop.then
        )
    return graph


def router(branch: Branch) -> Callable[[Work], str]:
    return lambda state: branch.targets[choice(state, branch.seed, len(branch.targets))]


def until(length: int) -> Callable[[Work], bool]:
    return lambda state: len(state.log) >= length


async def run_drawn(plan: Drawn, folder: str) -> Run[Any]:
    async with Runner(f"sqlite:///{folder}/runs.db", graphs=[build(plan, World())]) as runner:
        run = await runner.start("drawn", {"items": list(plan.items)}, budget=Budget(steps=STEPS))
        return await run.wait(timeout_s=PATIENCE_S)


async def by_langgraph(plan: Drawn) -> tuple[dict[str, Any], Sequence[Any]]:
    """What LangGraph alone makes of the graph, and what is left to do."""
    compiled: Any = build(plan, World()).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": STEPS}
    await compiled.ainvoke({"items": list(plan.items)}, config)
    snapshot = await compiled.aget_state(config)
    return snapshot.values, snapshot.tasks


@drawn
@given_(graphs())
def test_any_graph_is_refused_or_ends_or_reports_its_limit(plan: Drawn) -> None:
    findings = build(plan, World()).check()
    refused = [finding.code for finding in findings if finding.severity == "error"]
    event(f"refused: {refused[0]}" if refused else "accepted")
    if refused:
        return

    with tempfile.TemporaryDirectory() as folder:
        run = asyncio.run(run_drawn(plan, folder))

    if run.status == "failed":
        event(f"failed: {str(run.error)[:40]}")
        limit = f"{STEPS} steps" in str(run.error)
        assert limit or "parallel_write" in {finding.code for finding in findings}, run.error
        return
    assert run.status == "done"
    values, left = asyncio.run(by_langgraph(plan))
    assert not left
    assert run.state.log == values["log"]
    assert run.state.last == values.get("last", "")


# -- stopped anywhere ---------------------------------------------------------------------------

How = Literal["drain", "close", "cancel", "fails", "answer lost"]


@dataclass(frozen=True)
class Stop:
    """How a run is stopped, and where: after so many hundredths of such points that an unstopped run passes."""

    how: How
    place: Place
    percent: int


class StoppingStore(Store):
    """A store whose user may be stopped at each use by a run; `points` says how often an unstopped run is where."""

    def __init__(self, url: str, stop: Stop | None, points: Counter[Place]) -> None:
        super().__init__(url)
        self._stop, self._at = stop, 1 + points[stop.place] * stop.percent // 100 if stop else 0
        self.seen = Counter[Place]()
        self.reached = asyncio.Event()

    def passes(self, place: Place = "anywhere") -> How | None:
        """How the run is stopped here, if it is."""
        task = next((one for one in asyncio.all_tasks() if one.get_name().startswith("collegium-run")), None)
        if task is None:
            return None
        here: set[Place] = {"anywhere", place}
        self.seen.update(here)
        if self._stop is None or self._stop.place not in here or self.seen[self._stop.place] != self._at:
            return None
        if self._stop.how == "cancel":
            task.cancel()
        self.reached.set()
        event(f"stopped: {self._stop.how}")
        return self._stop.how

    async def write(self, work: Any, **options: Any) -> Any:
        how = self.passes() if current_scope() is not None else None
        if how == "fails":
            raise StoreUnavailable(self.name, "it is a test.")
        result: Any = await super().write(work, **options)
        if how == "answer lost":
            raise StoreUnavailable(self.name, "it is a test.")
        return result


def decision_for(approval: Approval, world: World) -> Decision:
    if approval.kind != "in_doubt":
        return Respond(f"on {approval.payload['prompt']}")
    event("in doubt")
    label = approval.payload["args"]["label"]
    return Happened(f"did {label}") if label in world.happened else Retry()


async def to_its_end(runner: Runner, run_id: str, world: World) -> Run[Any]:
    """Wait, answer, and wait again."""
    while True:
        try:
            run = await runner.wait(run_id)
            for approval in run.approvals:
                await runner.answer(approval.id, decision_for(approval, world))
        except (StoreError, AlreadyDecided):
            continue
        if run.status != "waiting":
            return run


async def session(store: StoppingStore, plan: Drawn, world: World, stop: Stop | None) -> Run[Any] | None:
    """What one Runner makes of the run; None when it was closed before the end."""
    world.stop = store.passes
    await store.open()
    runner = Runner(store, graphs=[build(plan, world)], poll_s=0.01, lease_s=0.15)
    await runner.open()
    try:
        known = await runner.runs()
        run = known[0] if known else await runner.start("drawn", {"items": list(plan.items)}, budget=Budget(steps=60))
        end = asyncio.create_task(to_its_end(runner, run.run_id, world))
        reached = asyncio.create_task(store.reached.wait())
        closes = stop is not None and stop.how in ("drain", "close")
        await asyncio.wait([end, reached] if closes else [end], return_when=asyncio.FIRST_COMPLETED)
        await runner.close(drain_s=0 if stop is not None and stop.how == "close" else 5)
        for task in (end, reached):
            task.cancel()
        await asyncio.wait([end, reached])
        return None if end.cancelled() or end.exception() else end.result()
    finally:
        await runner.close()
        await store.close()


async def journal(url: str) -> list[tuple[Any, ...]]:
    store = Store(url)
    await store.open()
    found = await store.read(lambda conn: effects.of_run(conn, _only_run(conn)))
    await store.close()
    rows = [(row.tool, row.args["label"], row.state, row.result or {}) for row in found]
    return sorted((tool, label, state, said.get("status"), said.get("content")) for tool, label, state, said in rows)


def _only_run(conn: sqlite3.Connection) -> str:
    return str(conn.execute("SELECT run_id FROM run").fetchone()[0])


@dataclass(frozen=True)
class Whole:
    """A run from its start to its end, over all Runners that had it."""

    run: Run[Any]
    journal: list[tuple[Any, ...]]
    happened: list[str]
    points: Counter[Place]


async def whole(plan: Drawn, stops: Sequence[Stop], points: Counter[Place], folder: str) -> Whole:
    url, world = f"sqlite:///{folder}/runs.db", World()
    async with asyncio.timeout(PATIENCE_S):
        for stop in (*stops, None):
            store = StoppingStore(url, stop, points)
            run = await session(store, plan, world, stop)
            if run is not None:
                return Whole(run, await journal(url), sorted(world.happened), store.seen)
    raise AssertionError("nobody stopped the last one")


stop_anywhere = st.builds(
    Stop,
    st.sampled_from(cast("tuple[How, ...]", ("close", "cancel", "fails", "answer lost", "drain"))),
    st.sampled_from(cast("tuple[Place, ...]", ("effect", "anywhere"))),
    st.integers(0, 99),
)


@drawn
@given_(graphs(ACTING, wild_too=False), st.lists(stop_anywhere, min_size=1, max_size=3))
def test_a_run_that_was_stopped_anywhere_ends_as_the_one_that_was_not(plan: Drawn, stops: list[Stop]) -> None:
    assume(not [finding for finding in build(plan, World()).check() if finding.severity == "error"])
    with tempfile.TemporaryDirectory() as folder:
        unstopped = asyncio.run(whole(plan, [], Counter(), folder))
    assert unstopped.run.status == "done", unstopped.run.error

    with tempfile.TemporaryDirectory() as folder:
        stopped = asyncio.run(whole(plan, stops, unstopped.points, folder))

    assert (stopped.run.status, stopped.run.error) == ("done", None)
    assert stopped.run.state == unstopped.run.state
    assert stopped.journal == unstopped.journal
    assert stopped.happened == unstopped.happened

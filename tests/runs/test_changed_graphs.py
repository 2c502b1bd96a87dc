"""A stored run whose graph has changed goes on, is migrated, is pinned or is refused; it never ends with nothing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel

from collegium.core.errors import AlreadyDecided, GraphChanged
from collegium.core.ids import digest
from collegium.graphs import END, START, Graph, State, append
from collegium.runs import Approve, Run, Runner, call_tool
from collegium.tools import Tool, tool

Place = Literal["waiting", "queued", "failed"]
What = Literal["node renamed", "field removed", "field retyped", "tool schema changed"]

PLACES: tuple[Place, ...] = ("waiting", "queued", "failed")
WHATS: tuple[What, ...] = ("node renamed", "field removed", "field retyped", "tool schema changed")


class Order(State):
    item: str
    amount: int = 1
    note: str = ""
    shipped: str = ""


class NoNote(State):
    item: str
    amount: int = 1
    shipped: str = ""


class Retyped(State):
    item: str
    amount: str = "1 piece"
    note: str = ""
    shipped: str = ""


class World:
    """What happened outside, and where version 1 stops."""

    def __init__(self, place: Place | None = None) -> None:
        self.place = place
        self.shipped: list[str] = []
        self.at_work = asyncio.Event()

    async def stop(self) -> None:
        """Fail, or hang until cancelled, in place of going on to the question."""
        if self.place == "failed":
            raise RuntimeError("the printer is out of paper")
        if self.place == "queued":
            self.at_work.set()
            await asyncio.Event().wait()

    def tool(self, *, express: bool = False) -> Tool:
        if express:

            @tool(effect="unsafe", risk="high")
            async def ship(item: str, amount: str, express: bool) -> str:
                """Ship something."""
                self.shipped.append(f"{amount} {item} {express}")
                return f"shipped {amount} {item}"

            return ship

        @tool(effect="unsafe", risk="high", name="ship")
        async def ship_slowly(item: str, amount: str) -> str:
            """Ship something.

            Args:
                item: What.
                amount: How many.
            """
            self.shipped.append(f"{amount} {item}")
            return f"shipped {amount} {item}"

        return ship_slowly


class Shipping:
    """A node that ships; it names its tool, so that the graph's shape does."""

    def __init__(self, world: World, tool: Tool, **more: Any) -> None:
        self.world, self.tools, self.more = world, [tool], more

    async def __call__(self, item: str, amount: Any) -> str:
        await self.world.stop()
        result = await call_tool(self.tools[0], {"item": item, "amount": str(amount), **self.more})
        return result.content


def order(
    world: World,
    state: Any = Order,
    *,
    version: str = "1",
    first: str = "prepare",
    node: str = "ship",
    express: bool = False,
) -> Graph[Any]:
    graph = Graph(state, name="order", version=version)

    def prepare(item: str) -> str:
        return f"for {item}"

    def look(item: str) -> None: ...

    shipping = Shipping(world, world.tool(express=express), **({"express": False} if express else {}))
    if "note" in state.model_fields:
        graph.add_node(first, prepare, writes="note")
    else:
        graph.add_node(first, look, writes=())
    graph.add_node(node, shipping, writes="shipped")
    graph.add_edge(START, first)
    graph.add_edge(first, node)
    graph.add_edge(node, END)
    return graph


def changed(what: What, world: World, *, migrated: bool, version: str = "2") -> Graph[Any]:
    match what:
        case "node renamed":
            graph = order(world, version=version, node="send")
            function, nodes = None, {"ship": "send"}
        case "field removed":
            graph = order(world, NoNote, version=version)
            function, nodes = _without_note, {}
        case "field retyped":
            graph = order(world, Retyped, version=version)
            function, nodes = _in_pieces, {}
        case "tool schema changed":
            graph = order(world, version=version, express=True)
            function, nodes = None, {}
    return graph.add_migration("1", function, nodes=nodes) if migrated else graph


def _without_note(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "note"}


def _in_pieces(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"amount": f"{values['amount']} pieces"}


EXPECTED: dict[What, tuple[str, str]] = {
    "node renamed": ("shipped 3 lamps", "3 lamps"),
    "field removed": ("shipped 3 lamps", "3 lamps"),
    "field retyped": ("shipped 3 pieces lamps", "3 pieces lamps"),
    "tool schema changed": ("shipped 3 lamps", "3 lamps False"),
}
REASONS: dict[What, str] = {
    "node renamed": "node 'ship' is gone; node 'send' is new",
    "field removed": "field 'note' is gone",
    "field retyped": "field 'amount' was int and is str",
    "tool schema changed": "tool 'ship' takes other arguments",
}


async def stopped(url: str, place: Place, world: World, **options: Any) -> Run[Any]:
    """A run of version 1 that stands at this place, with its process gone."""
    async with Runner(url, graphs=[order(world)], serve=False) as runner:
        run = await runner.start("order", {"item": "lamps", "amount": 3}, **options)
        if place == "queued":
            await asyncio.wait_for(world.at_work.wait(), 30)
            await runner.close(drain_s=0)
        else:
            run = await run.wait(timeout_s=30)
            assert run.status == place
    world.place = None
    return run


async def finish(runner: Runner, run: Run[Any]) -> Run[Any]:
    """Approve what is asked until the run is done."""
    run = await runner.wait(run.run_id, timeout_s=30)
    if run.status == "waiting":
        run = await run.answer(run.approvals[0].id, Approve(by="ada"))
    return await run.wait(timeout_s=30)


def records(url: str) -> list[Any]:
    """All that the store holds, but for the workers."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
        tables = ("run", "approval", "effect", "event", "checkpoint", "blob", "pending_write", "piece")
        return [conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


def row_of(url: str, run_id: str) -> dict[str, Any]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
        conn.row_factory = sqlite3.Row
        return dict(conn.execute("SELECT * FROM run WHERE run_id=?", (run_id,)).fetchone())


Door = Callable[[Runner, Run[Any]], Awaitable[Any]]


async def by_answer(runner: Runner, run: Run[Any]) -> Any:
    (approval,) = await runner.inbox(run_id=run.run_id)
    return await runner.answer(approval.id, Approve(by="ada"))


async def by_resume(runner: Runner, run: Run[Any]) -> Any:
    return await runner.resume(run.run_id)


# The four changes, at the three places, on the three ways


@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_run_that_a_change_breaks_is_refused_and_stays_as_it_was(
    url: str, what: What, place: Place, version: str
) -> None:
    if what == "tool schema changed" and place != "waiting":
        pytest.skip("it has not come to its tool; the test after this one")
    world = World(place)
    run = await stopped(url, place, world)
    before = records(url)
    async with Runner(url, graphs=[changed(what, world, migrated=False, version=version)], serve=False) as runner:
        for door in (by_answer, by_resume) if place == "waiting" else (by_resume,):
            with pytest.raises(GraphChanged, match=REASONS[what]):
                await door(runner, run)
        shown = await runner.get(run.run_id)
        assert shown.status == place
        assert shown.state is None or shown.state.item == "lamps"
    assert records(url) == before
    assert world.shipped == []


@pytest.mark.parametrize("place", ["queued", "failed"])
async def test_a_run_that_has_not_come_to_a_tool_goes_on_with_its_new_schema(url: str, place: Place) -> None:
    world = World(place)
    run = await stopped(url, place, world)
    async with Runner(url, graphs=[order(world, express=True)], serve=False) as runner:
        await runner.resume(run.run_id)
        done = await finish(runner, run)
    assert (done.status, world.shipped) == ("done", ["3 lamps False"])


@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("place", PLACES)
async def test_a_run_is_migrated_and_ends_in_the_new_version(url: str, what: What, place: Place) -> None:
    world = World(place)
    run = await stopped(url, place, world)
    async with Runner(url, graphs=[changed(what, world, migrated=True)], serve=False) as runner:
        await runner.resume(run.run_id)
        done = await finish(runner, run)
        kinds = [event.kind async for event in runner.events(run.run_id)]
    assert (done.status, done.state.item, done.state.shipped) == ("done", "lamps", EXPECTED[what][0])
    assert world.shipped == [EXPECTED[what][1]]
    assert kinds.count("run_migrated") == 1
    row = row_of(url, run.run_id)
    assert (row["version"], sorted(json.loads(row["shape"]))) == (
        "2",
        ["fields", "inner", "nodes", "required", "tools", "types"],
    )


@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("place", PLACES)
async def test_a_run_ends_in_its_own_version_where_that_stands_beside_the_new_one(
    url: str, what: What, place: Place
) -> None:
    world = World(place)
    run = await stopped(url, place, world)
    both = [order(world), changed(what, world, migrated=True)]
    async with Runner(url, graphs=both, serve=False) as runner:
        await runner.resume(run.run_id)
        done = await finish(runner, run)
        assert (done.status, done.state.shipped) == ("done", "shipped 3 lamps")
        new = await finish(runner, await runner.start("order", {"item": "cups"}))
    assert world.shipped[0] == "3 lamps"
    assert [row_of(url, one.run_id)["version"] for one in (run, new)] == ["1", "2"]


# What does not break a run


class Grown(Order):
    gift: bool = False


class NeedsMore(Order):
    address: str


def grown(world: World, *, version: str = "1") -> Graph[Any]:
    """A field with a default, a node and a tool more."""
    graph = order(world, Grown, version=version)

    @tool(effect="read", risk="low")
    def weigh(item: str) -> int:
        """Weigh something."""
        return len(item)

    wrapping = Shipping(world, weigh)
    graph.add_node("wrap", wrapping, reads={"item": "item", "amount": "amount"}, writes="note")
    graph.add_edge("prepare", "wrap")
    graph.add_edge("wrap", END)
    return graph


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("version", ["1", "2"])
async def test_additions_are_adopted_by_the_record_of_the_run(url: str, place: Place, version: str) -> None:
    world = World(place)
    run = await stopped(url, place, world)
    graph = grown(world, version=version)
    async with Runner(url, graphs=[graph], serve=False) as runner:
        if place == "waiting":
            await by_answer(runner, run)
        else:
            await by_resume(runner, run)
        done = await finish(runner, run)
        kinds = [event.kind async for event in runner.events(run.run_id)]
    assert (done.status, done.state.shipped, world.shipped) == ("done", "shipped 3 lamps", ["3 lamps"])
    assert kinds.count("run_adopted") == 1
    row = row_of(url, run.run_id)
    assert (row["version"], row["fingerprint"], json.loads(row["shape"])) == (
        version,
        graph.fingerprint(),
        graph.shape(),
    )


async def test_a_new_field_without_a_default_breaks_a_run(url: str) -> None:
    world = World()
    run = await stopped(url, "waiting", world)
    async with Runner(url, graphs=[order(world, NeedsMore)], serve=False) as runner:
        with pytest.raises(GraphChanged, match="field 'address' is new and has no default"):
            await by_answer(runner, run)


async def test_a_renamed_node_that_a_run_is_past_does_not_break_it(url: str) -> None:
    world = World()
    run = await stopped(url, "waiting", world)
    async with Runner(url, graphs=[order(world, first="collect")], serve=False) as runner:
        done = await by_answer(runner, run)
    assert (done.status, done.state.note, world.shipped) == ("done", "for lamps", ["3 lamps"])


async def test_a_worker_takes_up_a_queued_run_whose_graph_has_grown(url: str) -> None:
    world = World("queued")
    run = await stopped(url, "queued", world)
    async with Runner(url, graphs=[grown(world)]) as runner:
        done = await finish(runner, run)
    assert done.status == "done"


@pytest.mark.parametrize("parts", [{"fields", "nodes"}, {"fields"}, set[str]()])
async def test_runs_of_stores_whose_shapes_lack_parts_go_on(url: str, parts: set[str]) -> None:
    world = World()
    run = await stopped(url, "waiting", world)
    shape = {name: part for name, part in order(world).shape().items() if name in parts}
    reseal(url, run.run_id, shape=json.dumps(shape), fingerprint=digest(shape))
    async with Runner(url, graphs=[order(world)], serve=False) as runner:
        done = await by_answer(runner, run)
    assert (done.status, world.shipped) == ("done", ["3 lamps"])


def reseal(url: str, run_id: str, **columns: str | None) -> None:
    """Change the stored record of a run as an older release would have written it."""
    from collegium.runs.store.codec import checksum
    from collegium.runs.store.tables import RUN

    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
        conn.create_function("checksum", -1, checksum, deterministic=True)
        sets = ", ".join(f"{name}=?" for name in columns)
        conn.execute(f"UPDATE run SET {sets} WHERE run_id=?", (*columns.values(), run_id))
        conn.execute(f"UPDATE run SET checksum = checksum({', '.join(RUN)}) WHERE run_id=?", (run_id,))


# Refused runs are in nobody's way


async def test_a_page_of_refused_runs_does_not_keep_others_from_their_turn(url: str) -> None:
    world = World("failed")
    async with Runner(url, graphs=[order(world)], serve=False) as runner:
        failed = [await (await runner.start("order", {"item": "cups"})).wait(timeout_s=30) for _ in range(60)]
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
        (last,) = conn.execute("SELECT max(epoch) FROM run").fetchone()
    for run in failed:
        reseal(url, run.run_id, status="queued", finished_at=None)
    good = await stopped(url, "queued", world_good := World("queued"))
    world.place = None
    reseal(url, good.run_id, graph="good")
    beside = order(world_good)
    beside.name = "good"
    async with Runner(url, graphs=[order(world, node="send"), beside], poll_s=0.01) as runner:
        done = await finish(runner, good)
        assert done.status == "done"
        waiting = await runner.runs(status="queued", limit=100)
    assert {run.run_id for run in waiting} == {run.run_id for run in failed}
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
        assert conn.execute("SELECT max(epoch) FROM run WHERE graph='order'").fetchone() == (last,)


async def test_a_refused_run_goes_on_once_its_graph_is_given_again(url: str) -> None:
    world = World("queued")
    run = await stopped(url, "queued", world)
    async with Runner(url, graphs=[order(world, Retyped)], poll_s=0.01) as runner:
        with pytest.raises(GraphChanged):
            await runner.resume(run.run_id)
        runner.add(order(world))
        done = await finish(runner, run)
    assert done.status == "done"


# Classes in the state


class Part(BaseModel):
    name: str
    weight: float = 0.0


class Lighter(BaseModel):
    name: str


Lighter.__name__ = Lighter.__qualname__ = "Part"


class Box(State):
    parts: Annotated[list[Part], append] = []
    label: str = ""


class LightBox(State):
    parts: Annotated[list[Lighter], append] = []
    label: str = ""


def box(state: Any) -> Graph[Any]:
    def pack() -> list[Any]:
        return [{"name": "lamp", "weight": 2.0}]

    async def label(parts: list[Any]) -> str:
        raise RuntimeError("no ink")

    pack.__annotations__["return"] = state.model_fields["parts"].annotation
    label.__annotations__["parts"] = state.model_fields["parts"].annotation
    graph = Graph(state, name="box")
    graph.add_node("pack", pack, writes="parts")
    graph.add_node("label", label, writes="label")
    graph.add_edge(START, "pack")
    graph.add_edge("pack", "label")
    graph.add_edge("label", END)
    return graph


async def test_a_field_that_a_class_in_the_state_has_lost_breaks_a_run(url: str) -> None:
    async with Runner(url, graphs=[box(Box)], serve=False) as runner:
        run = await (await runner.start("box", {})).wait(timeout_s=30)
        assert run.status == "failed"
    async with Runner(url, graphs=[box(LightBox)], serve=False) as runner:
        with pytest.raises(GraphChanged, match=r"field 'Part\.weight' is gone"):
            await runner.resume(run.run_id)


# Pinned versions


async def test_new_runs_by_name_take_the_version_given_last(url: str) -> None:
    world = World()
    for graphs in ([order(world), order(world, version="2")], [order(world, version="2"), order(world)]):
        async with Runner(url, graphs=graphs, serve=False) as runner:
            run = await runner.start("order", {"item": "cups"})
        assert row_of(url, run.run_id)["version"] == graphs[-1].version


async def test_a_graph_of_the_same_name_and_version_replaces_the_one_before(url: str) -> None:
    world = World()
    async with Runner(url, graphs=[order(world), order(world, Retyped)], serve=False) as runner:
        run = await finish(runner, await runner.start("order", {"item": "cups"}))
    assert run.state.amount == "1 piece"


async def test_an_answer_that_a_migration_withdrew_is_refused_and_the_question_asked_anew(url: str) -> None:
    world = World()
    run = await stopped(url, "waiting", world)
    async with Runner(url, graphs=[changed("node renamed", world, migrated=True)], serve=False) as runner:
        with pytest.raises(AlreadyDecided, match="withdrawn"):
            await runner.answer(run.approvals[0].id, Approve(by="ada"))
        (asked,) = await runner.inbox(run_id=run.run_id)
        assert asked.id != run.approvals[0].id
        done = await runner.answer(asked.id, Approve(by="ada"))
    assert (done.status, world.shipped) == ("done", ["3 lamps"])


async def test_a_question_of_a_node_that_kept_its_name_keeps_its_record(url: str) -> None:
    world = World()
    run = await stopped(url, "waiting", world)
    async with Runner(url, graphs=[changed("field removed", world, migrated=True)], serve=False) as runner:
        await runner.resume(run.run_id)
        await runner.wait(run.run_id, timeout_s=30)
        assert [one.id for one in await runner.inbox()] == [run.approvals[0].id]

"""A stored run whose graph has changed goes on, is migrated, is pinned or is refused; it never ends with nothing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
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
    with sqlite3.connect(url.removeprefix("sqlite:///")) as conn:
        tables = ("run", "approval", "effect", "event", "checkpoint", "blob", "pending_write", "piece")
        return [conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


def row_of(url: str, run_id: str) -> dict[str, Any]:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as conn:
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

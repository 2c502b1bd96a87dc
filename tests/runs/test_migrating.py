"""What a migration does to a stored run, and what it leaves alone."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from collegium.agents import Ask, ToolExecutor
from collegium.core.errors import GraphChanged, GraphSetupError
from collegium.core.messages import ToolCall
from collegium.graphs import END, START, Graph, State, append
from collegium.runs import Approve, Respond, Run, Runner, call_tool
from collegium.testing import ScriptedModel
from collegium.tools import ToolResult, tool


class Colour(Enum):
    RED = "red"


@dataclass
class Size:
    height: int


class Step(BaseModel):
    name: str
    size: Size
    colour: Colour = Colour.RED


class Old(State):
    wish: str
    steps: list[Step] = []
    said: str = ""
    rounds: int = 0


class New(State):
    wish: str
    names: list[str] = []
    said: str = ""
    rounds: int = 0


class Newest(State):
    wish: str
    title: str = ""
    said: str = ""
    rounds: int = 0


def asking(state: Any, write: Any, *, version: str = "1", ask: str = "ask", then: Any = None) -> Graph[Any]:
    graph = Graph(state, name="asking", version=version)
    graph.add_node("begin", write)
    graph.add_node(ask, Ask("Well?", into="said"))
    graph.add_edge(START, "begin")
    graph.add_edge("begin", ask)
    if then is None:
        graph.add_edge(ask, END)
    else:
        graph.add_node("then", then)
        graph.add_edge(ask, "then")
        graph.add_edge("then", END)
    return graph


def plan() -> dict[str, list[Step]]:
    return {"steps": [Step(name="saw", size=Size(3)), Step(name="glue", size=Size(4))]}


def nothing() -> None: ...


def old() -> Graph[Any]:
    return asking(Old, plan)


def names_of(values: dict[str, Any]) -> dict[str, Any]:
    return {"wish": values["wish"], "names": [step["name"] for step in values["steps"]]}


def title_of(values: dict[str, Any]) -> dict[str, Any]:
    return {"wish": values["wish"], "title": " and ".join(values["names"])}


async def waiting(url: str, graph: Graph[Any], **input: Any) -> Run[Any]:
    async with Runner(url, graphs=[graph], serve=False) as runner:
        run = await (await runner.start(graph, input or {"wish": "a chair"})).wait(timeout_s=30)
        assert run.status == "waiting", run.error
        return run


async def answered(runner: Runner, run: Run[Any]) -> Run[Any]:
    run = await runner.wait((await runner.resume(run.run_id)).run_id, timeout_s=30)
    return await run.answer(run.approvals[0].id, Respond("yes", "ada"))


def everything(url: str) -> list[Any]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
        tables = ("run", "approval", "effect", "event", "checkpoint", "blob", "pending_write", "piece")
        return [conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


async def test_the_function_gets_plain_data_whatever_the_classes_were(url: str) -> None:
    run = await waiting(url, old())
    seen: list[dict[str, Any]] = []

    def look(values: dict[str, Any]) -> dict[str, Any]:
        seen.append(dict(values))
        return names_of(values)

    graph = asking(New, nothing, version="2").add_migration("1", look)
    async with Runner(url, graphs=[graph], serve=False) as runner:
        done = await answered(runner, run)
    assert seen == [
        {
            "wish": "a chair",
            "steps": [
                {"name": "saw", "size": {"height": 3}, "colour": "red"},
                {"name": "glue", "size": {"height": 4}, "colour": "red"},
            ],
        }
    ]
    assert (done.status, done.state.names, done.state.said) == ("done", ["saw", "glue"], "yes")


async def test_migrations_are_chained_from_version_to_version(url: str) -> None:
    run = await waiting(url, old())
    graph = asking(Newest, nothing, version="3", ask="question")

    @graph.migration("1")
    def first(values: dict[str, Any]) -> dict[str, Any]:
        return names_of(values)

    graph.add_migration("2", title_of, nodes={"ask": "question"})
    async with Runner(url, graphs=[graph], serve=False) as runner:
        done = await answered(runner, run)
    assert (first({"wish": "w", "steps": []}), done.status, done.state.title) == (
        {"wish": "w", "names": []},
        "done",
        "saw and glue",
    )


def failing(values: dict[str, Any]) -> dict[str, Any]:
    return {"wish": values["wishes"]}


def strange(values: dict[str, Any]) -> dict[str, Any]:
    return {**names_of(values), "colour": "red"}


def wrong(values: dict[str, Any]) -> dict[str, Any]:
    return {**names_of(values), "rounds": "many"}


def lost(values: dict[str, Any]) -> dict[str, Any]:
    return {"names": []}


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (failing, "KeyError: 'wishes'"),
        (strange, "no field 'colour'|no such field"),
        (wrong, "rounds"),
        (lost, "field 'wish' has no default"),
        (None, "steps"),
    ],
)
async def test_a_migration_that_fails_leaves_the_run_as_it_was_and_says_why(
    url: str, function: Any, reason: str
) -> None:
    run = await waiting(url, old())
    before = everything(url)
    graph = asking(New, nothing, version="2").add_migration("1", function)
    async with Runner(url, graphs=[graph], serve=False) as runner:
        with pytest.raises(GraphChanged, match=f"the migration from version '1' failed: .*({reason})"):
            await runner.resume(run.run_id)
    async with Runner(url, graphs=[graph], poll_s=0.01) as runner:  # a worker that serves changes nothing either
        for _ in range(3):
            await runner.runs()
            await asyncio.sleep(0.02)
    assert everything(url) == before
    async with Runner(url, graphs=[old()], serve=False) as runner:
        done = await answered(runner, run)
    assert (done.status, len(done.state.steps)) == ("done", 2)


@pytest.mark.parametrize("versions", [["2"], ["1", "1"]])
def test_a_version_has_one_migration_and_the_graphs_own_has_none(versions: list[str]) -> None:
    graph = asking(New, nothing, version="2")
    with pytest.raises(GraphSetupError, match="own|already"):
        for version in versions:
            graph.add_migration(version, names_of)


async def test_a_worker_migrates_waiting_runs_by_itself_so_that_they_ask_anew(url: str) -> None:
    found = [await waiting(url, old()) for _ in range(3)]
    graph = asking(New, nothing, version="2", ask="question").add_migration("1", names_of, nodes={"ask": "question"})
    async with Runner(url, graphs=[graph], poll_s=0.01) as runner:
        old_ones = {run.approvals[0].id for run in found}
        async with asyncio.timeout(30):
            while len(asked := await runner.inbox()) < 3 or old_ones & {one.id for one in asked}:  # noqa: ASYNC110 - the store tells, not this loop
                await asyncio.sleep(0.01)
        for run in found:
            waits = await runner.get(run.run_id)
            assert (waits.status, waits.state.names) == ("waiting", ["saw", "glue"])


async def test_a_run_that_has_not_begun_gets_another_input(url: str) -> None:
    async with Runner(url, graphs=[old()], serve=False) as runner:
        first = await (await runner.start("asking", {"wish": "a"}, thread_id="t")).wait(timeout_s=30)
        second = await runner.start("asking", {"wish": "b"}, thread_id="t", on_busy="enqueue")
    graph = asking(New, nothing, version="2").add_migration("1", lambda values: values | {"wish": values["wish"] * 2})
    async with Runner(url, graphs=[graph], serve=False) as runner:
        await runner.cancel(first.run_id)
        done = await answered(runner, second)
    assert (done.status, done.state.wish) == ("done", "bb")


async def test_earlier_steps_stay_as_they_were_in_the_history_of_the_old_version(url: str) -> None:
    run = await waiting(url, old())
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
        before = conn.execute("SELECT * FROM checkpoint ORDER BY checkpoint_id").fetchall()
        blobs = set(conn.execute("SELECT * FROM blob").fetchall())
    graph = asking(New, nothing, version="2").add_migration("1", names_of)
    async with Runner(url, graphs=[graph], serve=False) as runner:
        await runner.resume(run.run_id)
        await runner.wait(run.run_id, timeout_s=30)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
        after = conn.execute("SELECT * FROM checkpoint ORDER BY checkpoint_id").fetchall()
        assert after[: len(before) - 1] == before[:-1]
        assert [row[2] for row in after[: len(before)]] == [row[2] for row in before]
        assert blobs <= set(conn.execute("SELECT * FROM blob").fetchall())


# Effects


class Paid(State):
    to: str
    receipts: Annotated[list[ToolResult], append] = []


class Payer:
    """Pays twice, then fails as long as it is told to."""

    def __init__(self, done: list[str], *, fails: bool, name: str = "pay") -> None:
        self.done, self.fails = done, fails

        @tool(effect="unsafe", risk="low", name=name)
        async def pay(to: str, amount: int) -> str:
            """Pay somebody."""
            done.append(f"{to} {amount}")
            return f"paid {to} {amount}"

        self.tools = [pay]

    async def __call__(self, to: str) -> list[ToolResult]:
        found = [await call_tool(self.tools[0], {"to": to, "amount": amount}) for amount in (5, 5)]
        if self.fails:
            raise RuntimeError("killed")
        return found


def paying(payer: Payer, *, version: str = "1", node: str = "pay", first: str = "look") -> Graph[Any]:
    graph = Graph(Paid, name="paying", version=version)
    graph.add_node(first, nothing)
    graph.add_node("beside", nothing)
    graph.add_node(node, payer, writes="receipts")
    graph.add_edge(START, first)
    graph.add_edge(START, "beside")
    graph.add_edge([first, "beside"], node)
    graph.add_edge(node, END)
    return graph


@pytest.mark.parametrize(
    "renamed",
    [{"pay": "transfer"}, {"look": "watch"}, {"pay": "transfer", "look": "watch"}, {}],
)
async def test_effects_of_the_step_at_hand_do_not_happen_again(url: str, renamed: dict[str, str]) -> None:
    done: list[str] = []
    async with Runner(url, graphs=[paying(Payer(done, fails=True))], serve=False) as runner:
        run = await (await runner.start("paying", {"to": "bob"})).wait(timeout_s=30)
        assert (run.status, done) == ("failed", ["bob 5", "bob 5"])
    graph = paying(
        Payer(done, fails=False),
        version="2",
        node=renamed.get("pay", "pay"),
        first=renamed.get("look", "look"),
    ).add_migration("1", nodes=renamed)
    async with Runner(url, graphs=[graph], serve=False) as runner:
        await runner.resume(run.run_id)
        run = await runner.wait(run.run_id, timeout_s=30)
    assert (run.status, run.error, done) == ("done", None, ["bob 5", "bob 5"])
    assert [one.content for one in run.state.receipts] == ["paid bob 5"] * 2


async def test_a_step_whose_effects_a_renamed_tool_made_is_not_migrated(url: str) -> None:
    done: list[str] = []
    async with Runner(url, graphs=[paying(Payer(done, fails=True))], serve=False) as runner:
        run = await (await runner.start("paying", {"to": "bob"})).wait(timeout_s=30)
    graph = paying(Payer(done, fails=False, name="transfer"), version="2").add_migration("1")
    async with Runner(url, graphs=[graph], serve=False) as runner:
        with pytest.raises(GraphChanged, match="tool 'pay' is gone, and the step that the run stands in has called it"):
            await runner.resume(run.run_id)
    assert done == ["bob 5", "bob 5"]


# Joins, loops and maps


class Many(State):
    items: list[str] = ["a", "b"]
    made: Annotated[list[str], append] = []
    rounds: int = 0
    said: str = ""


def thrice(rounds: int) -> bool:
    return rounds == 3


def many(*, version: str = "1", left: str = "left", work: str = "work", fails: bool = False) -> Graph[Any]:
    """A question beside a branch that is done; then a map; then a loop."""

    async def make(item: str) -> str:
        if fails:
            raise RuntimeError("broken")
        return item.upper()

    def again(rounds: int) -> int:
        return rounds + 1

    graph = Graph(Many, name="many", version=version)
    graph.add_node(left, nothing)
    graph.add_node("right", nothing)
    graph.add_node("ask", Ask("Well?", into="said"))
    graph.add_map(work, make, over="items", writes="made")
    graph.add_node("again", again, writes="rounds")
    graph.add_edge(START, left)
    graph.add_edge(START, "right")
    graph.add_edge("right", "ask")
    graph.add_edge([left, "ask"], work)
    graph.add_edge(work, "again")
    graph.add_loop("again", back_to=work, until=thrice, at_most=5)
    return graph


async def test_a_join_that_waits_for_the_other_branch_goes_on_under_new_names(url: str) -> None:
    run = await waiting(url, many(), said="")
    graph = many(version="2", left="west", work="build").add_migration("1", nodes={"left": "west", "work": "build"})
    async with Runner(url, graphs=[graph], serve=False) as runner:
        done = await answered(runner, run)
    assert (done.status, done.state.made, done.state.rounds) == ("done", ["A", "B"] * 3, 3)


async def test_a_run_whose_join_would_never_come_is_refused(url: str) -> None:
    run = await waiting(url, many(), said="")
    async with Runner(url, graphs=[many(left="west")], serve=False) as runner:
        with pytest.raises(GraphChanged, match="node 'left' is gone; node 'west' is new; nothing leads on to 'work'"):
            await runner.resume(run.run_id)


async def test_the_items_of_a_map_go_on_under_its_new_name(url: str) -> None:
    async with Runner(url, graphs=[many(fails=True)], serve=False) as runner:
        run = await (await runner.start("many", {})).wait(timeout_s=30)
        run = await run.answer(run.approvals[0].id, Respond("yes", "ada"))
        run = await run.wait(timeout_s=30)
        assert run.status == "failed"
    graph = many(version="2", work="build").add_migration("1", nodes={"work": "build"})
    async with Runner(url, graphs=[graph], serve=False) as runner:
        await runner.resume(run.run_id)
        done = await runner.wait(run.run_id, timeout_s=30)
    assert (done.status, done.state.made) == ("done", ["A", "B"] * 3)


# Graphs inside


def desk(
    done: list[str], answers: list[Any], *, version: str = "1", node: str = "act", more: bool = False
) -> Graph[Any]:
    async def body(to: str) -> str:
        """Pay somebody."""
        done.append(to)
        return f"paid {to}"

    async def body_with_more(to: str, amount: int = 1) -> str:
        """Pay somebody."""
        done.append(f"{to} {amount}")
        return f"paid {to} {amount}"

    pay = tool(effect="unsafe", risk="high", name="pay")(body_with_more if more else body)
    graph = Graph(Paid, name="desk", version=version)
    graph.add_node(node, ToolExecutor(ScriptedModel(answers), tools=[pay]), reads={"goal": "to"}, writes="receipts")
    graph.add_edge(START, node)
    graph.add_edge(node, END)
    return graph


PAY = [ToolCall("c1", "pay", '{"to": "bob"}')]


async def inside(url: str, done: list[str], answers: list[Any]) -> Run[Any]:
    return await waiting(url, desk(done, answers), to="bob")


@pytest.mark.parametrize("migrated", [False, True])
@pytest.mark.parametrize("what", ["renamed", "tool"])
async def test_a_run_inside_a_changed_executor_is_refused(url: str, what: str, migrated: bool) -> None:
    done: list[str] = []
    run = await inside(url, done, [PAY])
    graph = desk(done, [], version="2", node="hands") if what == "renamed" else desk(done, [], version="2", more=True)
    if migrated:
        graph.add_migration("1", nodes={"act": "hands"} if what == "renamed" else {})
    before = everything(url)
    reason = "inside node 'act'.*restart=" if migrated else "node 'act' is gone" if what == "renamed" else "tool 'pay'"
    async with Runner(url, graphs=[graph], serve=False) as runner:
        with pytest.raises(GraphChanged, match=reason):
            await runner.resume(run.run_id)
    assert (everything(url), done) == (before, [])


@pytest.mark.parametrize("what", ["renamed", "tool"])
async def test_a_node_that_begins_anew_proposes_and_asks_anew(url: str, what: str) -> None:
    done: list[str] = []
    run = await inside(url, done, [PAY])
    new = "hands" if what == "renamed" else "act"
    graph = desk(done, [PAY, "done"], version="2", node=new, more=what == "tool")
    graph.add_migration("1", nodes={"act": new} if new != "act" else {}, restart=[new])
    async with Runner(url, graphs=[graph], serve=False) as runner:
        run = await runner.wait((await runner.resume(run.run_id)).run_id, timeout_s=30)
        (asked,) = run.approvals
        run = await run.answer(asked.id, Approve(by="ada"))
    assert (run.status, run.error, done) == ("done", None, ["bob 1" if what == "tool" else "bob"])


async def test_a_node_that_has_had_effects_does_not_begin_anew(url: str) -> None:
    done: list[str] = []
    run = await inside(url, done, [PAY, [ToolCall("c2", "pay", '{"to": "eve"}')]])
    async with Runner(url, graphs=[desk(done, [[ToolCall("c2", "pay", '{"to": "eve"}')]])], serve=False) as runner:
        run = await runner.answer(run.approvals[0].id, Approve(by="ada"))
        assert (run.status, done) == ("waiting", ["bob"]), run.error
    graph = desk(done, [], version="2", node="hands").add_migration("1", nodes={"act": "hands"}, restart=["hands"])
    async with Runner(url, graphs=[graph], serve=False) as runner:
        with pytest.raises(GraphChanged, match="node 'hands' cannot begin anew: it has called 'pay'"):
            await runner.resume(run.run_id)
    assert done == ["bob"]


async def test_an_executor_that_stays_as_it_is_goes_on_where_it_stood(url: str) -> None:
    done: list[str] = []
    run = await inside(url, done, [PAY])
    graph = desk(done, ["done"], version="2").add_migration("1", lambda values: values | {"to": "somebody else"})
    async with Runner(url, graphs=[graph], serve=False) as runner:
        run = await runner.answer(run.approvals[0].id, Approve(by="ada"))
    assert (run.status, run.state.to, done) == ("done", "somebody else", ["bob"])

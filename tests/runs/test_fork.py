"""Forks: the same past, another future, and effects that happen again only where somebody chose so."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from operator import add
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langgraph.graph import StateGraph
from langgraph.types import Command

from collegium.core.errors import InvalidInput
from collegium.graphs import END, START, Graph, State, append
from collegium.runs import MEMORY, Approve, Run, Runner, call_tool
from collegium.tools import IdempotencyKey, Tool, tool


class Letter(State):
    name: str
    drafts: Annotated[list[str], append] = []
    rounds: int = 0
    receipt: str = ""


class World:
    """What happened outside."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.keys: list[str] = []

    def tool(self) -> Tool:
        @tool(effect="unsafe", risk="high")
        async def send(to: str) -> str:
            """Send it."""
            self.sent.append(to)
            return f"letter {len(self.sent)} to {to}"

        return send


def letters(world: World) -> Graph[Letter]:
    send = world.tool()

    def write(name: str, rounds: int) -> list[str]:
        return [f"Dear {name} ({rounds})"]

    def count(rounds: int) -> int:
        return rounds + 1

    async def post(name: str) -> str:
        return (await call_tool(send, {"to": name})).content

    graph = Graph(Letter, name="letters")
    graph.add_node("write", write, writes="drafts")
    graph.add_node("count", count, writes="rounds")
    graph.add_node("post", post, writes="receipt")
    graph.add_edge(START, "write")
    graph.add_edge("write", "count")
    graph.add_loop("count", back_to="write", until=_twice, at_most=3, then="post", otherwise=END)
    graph.add_edge("post", END)
    return graph


def _twice(rounds: int) -> bool:
    return rounds >= 2


async def ended(run: Run[Any]) -> Run[Any]:
    """The run at its end; whatever it asks is approved."""
    run = await run.wait()
    while run.status == "waiting":
        run = await run.answer(run.approvals[0].approval_id, Approve(by="ada"))
    assert run.status == "done", run.error
    return run


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[Runner]:
    async with Runner(f"sqlite:///{tmp_path}/runs.db") as opened:
        yield opened


async def test_the_history_names_each_step_with_what_ran_and_what_it_wrote(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    steps = await run.history()

    assert [(step.path, step.nodes, step.wrote, step.next) for step in steps] == [
        ("0", (), ("name",), ("write",)),
        ("1", ("write",), ("drafts",), ("count",)),
        ("2", ("count",), ("rounds",), ("write",)),
        ("3", ("write",), ("drafts",), ("count",)),
        ("4", ("count",), ("rounds",), ("post",)),
        ("5", ("post",), ("receipt",), ()),
    ]


async def test_a_fork_goes_on_from_its_step_and_leaves_its_parent_alone(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}, metadata={"tenant": "acme"}))

    fork = await ended(await run.fork(at=1, effects="reuse"))

    assert fork.state == run.state
    assert (fork.parent_run_id, fork.forked_at, fork.metadata) == (run.run_id, "1", {"tenant": "acme"})
    assert fork.thread_id != run.thread_id
    assert await run.refresh() == run
    assert [step.path for step in await fork.history()] == ["0", "1", "2", "3", "4", "5"]


async def test_effects_after_the_step_need_a_choice(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    with pytest.raises(InvalidInput, match="effects: after step 1 the run made 1 effect. Choose: reuse"):
        await run.fork(at=1)

    assert len(await runner.runs()) == 1


async def test_a_fork_at_the_end_has_no_effects_to_choose_about(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    fork = await ended(await run.fork(at=5))

    assert (fork.state, world.sent) == (run.state, ["Ada"])


async def test_a_reused_effect_neither_happens_nor_asks(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    fork = await (await run.fork(at=1, effects="reuse")).wait()

    assert (fork.status, fork.state.receipt) == ("done", "letter 1 to Ada")
    assert world.sent == ["Ada"]


async def test_a_redone_effect_asks_and_happens(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    fork = await (await run.fork(at=1, effects="redo")).wait()
    assert (fork.status, world.sent) == ("waiting", ["Ada"])
    fork = await ended(fork)

    assert (fork.state.receipt, world.sent) == ("letter 2 to Ada", ["Ada", "Ada"])


async def test_another_call_than_the_recorded_one_asks_even_where_effects_are_reused(
    runner: Runner, world: World
) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    fork = await (await run.fork(at=0, values={"name": "Bob"}, effects="reuse")).wait()

    assert fork.approvals[0].payload["args"] == {"to": "Bob"}
    assert world.sent == ["Ada"]


async def test_a_recorded_effect_stands_for_one_call_only(runner: Runner, world: World) -> None:
    send = world.tool()

    async def twice(name: str) -> str:
        first = await call_tool(send, {"to": name})
        second = await call_tool(send, {"to": name}) if world.keys else first
        return f"{first.content}; {second.content}"

    graph = Graph(Letter, name="twice")
    graph.add_node("twice", twice, writes="receipt")
    graph.add_edge(START, "twice")
    graph.add_edge("twice", END)
    run = await ended(await runner.start(graph, {"name": "Ada"}))
    world.keys.append("from now on the node calls twice")

    fork = await (await run.fork(at=0, effects="reuse")).wait()

    assert (fork.status, world.sent) == ("waiting", ["Ada"])
    assert (await ended(fork)).state.receipt == "letter 1 to Ada; letter 2 to Ada"


async def test_values_are_as_if_the_step_had_written_them_so_routers_choose_anew(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    early = await ended(await run.fork(at=2, values={"rounds": 5}, effects="reuse"))
    late = await ended(await run.fork(at=4, values={"rounds": 1}, effects="redo"))

    assert (early.state.rounds, early.state.drafts) == (5, ["Dear Ada (0)"])
    assert late.state.drafts == ["Dear Ada (0)", "Dear Ada (1)", "Dear Ada (1)"]


async def test_a_list_is_replaced_and_not_appended_to(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    fork = await ended(await run.fork(at=1, values={"drafts": ["mine"]}, effects="reuse"))

    assert fork.state.drafts == ["mine", "Dear Ada (1)"]


async def test_a_loop_keeps_its_bound_in_a_fork(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    fork = await ended(await run.fork(at=2, values={"rounds": -9}, effects="redo"))

    assert fork.state.rounds == -6  # back three times at most, the first of them as before
    assert fork.state.receipt == ""


async def test_what_is_wrong_with_a_fork_is_said_by_name_and_nothing_is_stored(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))

    wrong: list[tuple[dict[str, Any], str]] = [
        ({"at": 9}, r"at: the run has no step '9'. Its steps: 0, 1, 2, 3, 4, 5\."),
        ({"at": 1, "values": {"nmae": "x"}}, "nmae: the state has no such field. Did you mean 'name'"),
        ({"at": 1, "values": {"rounds": "many"}}, "rounds: Input should be a valid integer"),
    ]
    for asked, named in wrong:
        with pytest.raises(InvalidInput, match=named):
            await run.fork(**asked, effects="reuse")

    assert len(await runner.runs()) == 1


async def test_a_fork_of_a_fork_keeps_the_values_that_the_first_one_was_given(runner: Runner, world: World) -> None:
    run = await ended(await runner.start(letters(world), {"name": "Ada"}))
    fork = await ended(await run.fork(at=2, values={"rounds": 5}, effects="reuse"))

    again = await ended(await fork.fork(at=2, values={"name": "Bob"}, effects="reuse"))

    assert (again.state.rounds, again.state.name, again.state.receipt) == (5, "Bob", "letter 2 to Bob")


async def test_a_waiting_run_can_be_forked_and_the_fork_asks_for_itself(runner: Runner, world: World) -> None:
    run = await (await runner.start(letters(world), {"name": "Ada"})).wait()

    fork = await (await run.fork(at=4)).wait()

    assert fork.approvals[0].approval_id != run.approvals[0].approval_id
    await ended(fork)
    assert (await run.refresh()).status == "waiting"
    await ended(run)
    assert world.sent == ["Ada", "Ada"]


class Addressee(State):
    to: str


class Finished(State):
    letter: str = ""


class Draft(Addressee, Finished):
    greeting: str = ""


def inner_letters() -> Graph[Draft]:
    def greet(to: str) -> str:
        return f"Dear {to}"

    def sign(greeting: str) -> str:
        return f"{greeting}, yours"

    graph = Graph(Draft, name="inner", input=Addressee, output=Finished)
    graph.add_node("greet", greet, writes="greeting")
    graph.add_node("sign", sign, writes="letter")
    graph.add_edge(START, "greet")
    graph.add_edge("greet", "sign")
    graph.add_edge("sign", END)
    return graph


class Mail(State):
    names: list[str]
    first: str = ""
    letter: str = ""
    letters: Annotated[list[str], append] = []


def mail() -> Graph[Mail]:
    def pick(names: list[str]) -> str:
        return names[0]

    graph = Graph(Mail, name="mail")
    graph.add_node("pick", pick, writes="first")
    graph.add_node("one", inner_letters(), reads={"to": "first"}, writes={"letter": "letter"})
    graph.add_map("each", inner_letters(), over="names", writes="letters")
    graph.add_edge(START, "pick")
    graph.add_edge("pick", "one")
    graph.add_edge("one", "each")
    graph.add_edge("each", END)
    return graph


async def test_a_fork_inside_a_graph_in_the_graph_goes_on_there(runner: Runner) -> None:
    run = await ended(await runner.start(mail(), {"names": ["Ada", "Bob"]}))
    paths = [step.path for step in await run.history()]
    assert paths[2:5] == ["1/one/0", "1/one/1", "1/one/2"]

    same = await ended(await run.fork(at="1/one/1"))
    other = await ended(await run.fork(at="1/one/1", values={"greeting": "Hi"}))

    assert same.state == run.state
    assert (other.state.letter, other.state.letters) == ("Hi, yours", ["Dear Ada, yours", "Dear Bob, yours"])
    with pytest.raises(InvalidInput, match="names: the state has no such field"):
        await run.fork(at="1/one/1", values={"names": ["outer"]})


async def test_a_fork_inside_one_branch_of_a_map_leaves_the_others_as_they_were(runner: Runner) -> None:
    run = await ended(await runner.start(mail(), {"names": ["Ada", "Bob", "Cay"]}))
    inside = [step.path for step in await run.history() if step.path.endswith("]/1")]
    assert len(inside) == 3

    fork = await ended(await run.fork(at=inside[1], values={"greeting": "Hi"}))

    changed = [(old, new) for old, new in zip(run.state.letters, fork.state.letters, strict=True) if old != new]
    assert [new for _, new in changed] == ["Hi, yours"]


class Ticket(TypedDict):
    text: str
    seen: Annotated[list[str], add]


async def test_a_plain_langgraph_graph_that_goes_by_commands_is_forked_too(runner: Runner) -> None:
    def sort(state: Ticket) -> Command[Literal["left", "right"]]:
        return Command(goto="left" if "l" in state["text"] else "right", update={"seen": ["sort"]})

    plain: Any = StateGraph(Ticket)
    plain.add_node("sort", sort)

    def left(_: Ticket) -> dict[str, list[str]]:
        return {"seen": ["left"]}

    def right(_: Ticket) -> dict[str, list[str]]:
        return {"seen": ["right"]}

    plain.add_node("left", left)
    plain.add_node("right", right)
    plain.add_edge(START, "sort")
    run = await ended(await runner.start(plain, {"text": "l", "seen": []}))

    kept = await ended(await run.fork(at=1, values={"seen": ["mine"]}))
    turned = await ended(await run.fork(at=0, values={"text": "r"}))

    assert kept.state == {"text": "l", "seen": ["mine", "left"]}  # the node's own choice, as nobody else makes one
    assert turned.state == {"text": "r", "seen": ["sort", "right"]}


async def test_an_idempotent_effect_in_doubt_is_settled_under_the_key_that_the_world_knows(runner: Runner) -> None:
    keys: list[str] = []
    silent, called = [True], asyncio.Event()

    @tool(effect="idempotent", risk="low")
    async def put(value: str, key: IdempotencyKey) -> str:
        """Store it."""
        keys.append(key)
        called.set()
        if silent:
            await asyncio.Event().wait()
        return "stored"

    async def store(name: str) -> str:
        return (await call_tool(put, {"value": name}, trust="trusted")).content

    graph = Graph(Letter, name="stores")
    graph.add_node("store", store, writes="receipt")
    graph.add_edge(START, "store")
    graph.add_edge("store", END)
    run = await runner.start(graph, {"name": "Ada"})
    async with asyncio.timeout(20):
        await called.wait()
    run = await run.cancel("it takes too long")
    silent.clear()

    fork = await ended(await run.fork(at=0, effects="reuse"))

    assert fork.state.receipt == "stored"
    assert len(keys) == 2 and len(set(keys)) == 1


async def test_in_memory_no_steps_are_kept_and_a_fork_says_so(world: World) -> None:
    async with Runner(MEMORY) as runner:
        run = await ended(await runner.start(letters(world), {"name": "Ada"}))

        with pytest.raises(InvalidInput, match="in memory the steps of a run are not kept"):
            await run.fork(at=0)


async def test_a_fork_is_stored_whole_or_not_at_all(tmp_path: Path, world: World) -> None:
    async with Runner(f"sqlite:///{tmp_path}/runs.db") as runner:
        run = await ended(await runner.start(letters(world), {"name": "Ada"}))
        await runner.store.write(_refusing_runs)

        with pytest.raises(Exception, match="no more runs"):
            await run.fork(at=2, values={"rounds": 3}, effects="reuse")

        left = await runner.store.read(_count(run.thread_id))
        assert left == 0


def _refusing_runs(conn: sqlite3.Connection) -> None:
    conn.execute(
        "CREATE TRIGGER full AFTER INSERT ON checkpoint"
        " WHEN new.thread_id IN (SELECT thread_id FROM run WHERE fork > 0)"
        " BEGIN SELECT RAISE(ABORT, 'no more runs'); END"
    )


def _count(thread_id: str) -> Callable[[sqlite3.Connection], int]:
    def count(conn: sqlite3.Connection) -> int:
        rows = conn.execute("SELECT count(*) FROM checkpoint WHERE thread_id != ?", (thread_id,)).fetchone()[0]
        return int(rows) + int(conn.execute("SELECT count(*) FROM run WHERE fork > 0").fetchone()[0])

    return count

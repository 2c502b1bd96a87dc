"""What a prune removes, and what stays whatever happens."""

from __future__ import annotations

import asyncio
import operator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START as LG_START
from langgraph.graph import StateGraph
from langgraph.types import interrupt

from collegium import END, START, Graph, State, keep
from collegium.agents import Ask
from collegium.core.errors import InvalidInput, RunPruned
from collegium.runs import MEMORY, Approve, Respond, Retention, Run, Runner, call_tool
from collegium.runs.store import effects, runs
from collegium.tools import tool

AGED = timedelta(0)
DAY = timedelta(days=1)


class HandClock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.at = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


class Talk(State):
    said: str
    heard: Annotated[list[str], keep] = []
    last: str = ""


async def hear(said: str, heard: list[str]) -> list[str]:
    return [*heard, said]


async def repeat(said: str) -> str:
    if said == "fail":
        raise ValueError("told to fail")
    return said


def talking() -> Graph[Talk]:
    graph = Graph(Talk, name="talk")
    graph.add_node("hear", hear, writes="heard")
    graph.add_node("repeat", repeat, writes="last")
    graph.add_edge(START, "hear")
    graph.add_edge("hear", "repeat")
    graph.add_edge("repeat", END)
    return graph


class Asked(State):
    said: str = ""
    notes: list[str] = []
    last: str = ""


def asking() -> Graph[Asked]:
    graph = Graph(Asked, name="asking")
    graph.add_node("ask", Ask("What?", into="said"))
    graph.add_node("repeat", repeat, writes="last")
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "repeat")
    graph.add_edge("repeat", END)
    return graph


class Log(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    ask: bool


async def write_down(state: Log) -> Log:
    said = interrupt("?") if state.get("ask") else "noted"
    return {"log": [said], "ask": False}


def logging() -> Any:
    graph: Any = StateGraph(Log)
    graph.add_node("write_down", write_down)
    graph.add_edge(LG_START, "write_down")
    return graph


async def done(runner: Runner, graph: Any, values: Any, **given: Any) -> Run[Any]:
    return await (await runner.start(graph, values, **given)).wait(timeout_s=20)


async def rows_in(runner: Runner, table: str, **where: str) -> int:
    tests = " AND ".join(f"{name}=?" for name in where) or "1"
    query = f"SELECT count(*) FROM {table} WHERE {tests}"
    count: int = await runner.store.read(lambda conn: conn.execute(query, tuple(where.values())).fetchone()[0])
    return count


@tool(effect="unsafe", risk="high")
async def pay(amount: int) -> str:
    """Pay.

    Args:
        amount: How much.
    """
    return f"paid {amount}"


async def paying(state: Log) -> Log:
    result = await call_tool(pay, {"amount": 5})
    return {"log": [result.content]}


async def test_a_pruned_run_keeps_its_record_its_approvals_and_its_effects(url: str) -> None:
    graph: Any = StateGraph(Log)
    graph.add_node("paying", paying)
    graph.add_edge(LG_START, "paying")
    async with Runner(url, graphs=[graph]) as runner:
        run = await done(runner, graph, {"log": ["x" * 10_000]}, tags=["big"], metadata={"tenant": "acme"})
        run = await run.answer(run.approvals[0].id, Approve("ada"))
        assert run.state["log"][1] == "paid 5"
        approval_id = (
            await runner.store.read(lambda conn: conn.execute("SELECT approval_id FROM approval").fetchone())
        )[0]

        pruned = await runner.prune(older_than=AGED)

        assert (pruned.runs, pruned.history, pruned.damaged, pruned.dry_run) == (1, 0, (), False)
        for table in ("checkpoint", "blob", "pending_write", "piece", "event"):
            assert await rows_in(runner, table) == 0
        run = await run.refresh()
        assert (run.status, run.state, run.tags, run.metadata) == ("done", None, ("big",), {"tenant": "acme"})
        assert run.pruned_at is not None
        assert [found.run_id for found in await runner.runs(tags=["big"], metadata={"tenant": "acme"})] == [run.run_id]
        assert [event async for event in run.events()] == []
        approval = await runner.approval(approval_id)
        assert (approval.state, approval.by) == ("decided", "ada")
        row = await runner.store.read(lambda conn: runs.get(conn, run.run_id))
        (effect,) = await runner.store.read(lambda conn: effects.of_run(conn, run.run_id))
        assert (effect.state, effect.args) == ("done", {"amount": 5})
        assert row.input == b""
        await runner.store.read(lambda conn: runs.verify(conn, row))
        assert (await runner.prune(older_than=AGED)).runs == 0


async def test_what_is_not_finished_is_never_touched(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        waiting = await done(runner, graph, {}, thread_id="t")
        pending = await runner.start(graph, {}, thread_id="t", on_busy="enqueue")

        assert (await runner.prune(older_than=AGED, keep=0, history="drop")).runs == 0

        waiting = await waiting.refresh()
        answered = await waiting.answer(waiting.approvals[0].id, Respond("this", by="ada"))
        assert answered.state == Asked(said="this", last="this")
        later = await pending.wait(timeout_s=20)
        assert later.status == "waiting"


async def test_failed_runs_go_by_age_alone_and_can_be_resumed_until_then(url: str) -> None:
    graph, clock = talking(), HandClock()
    async with Runner(url, graphs=[graph], clock=clock) as runner:
        failed = await done(runner, graph, {"said": "fail"})
        await done(runner, graph, {"said": "a"})

        assert (await runner.prune(keep=0, history="drop")).runs == 1
        failed = await (await failed.resume()).wait(timeout_s=20)
        assert failed.status == "failed"
        assert failed.state.heard == ["fail"]

        clock.at += DAY
        assert (await runner.prune(older_than=DAY / 2)).runs == 1
        for work in (failed.resume(), runner.history(failed.run_id), runner.fork(failed.run_id, at=1)):
            with pytest.raises(RunPruned, match="cannot go on: its state was pruned on 2030-01-02"):
                await work


async def test_runs_go_by_age_or_by_number(url: str) -> None:
    graph, clock = talking(), HandClock()
    async with Runner(url, graphs=[graph], clock=clock) as runner:
        old = [await done(runner, graph, {"said": str(n)}) for n in range(3)]
        clock.at += DAY
        new = [await done(runner, graph, {"said": str(n)}) for n in range(3)]

        assert (await runner.prune(older_than=2 * DAY, keep=6)).runs == 0
        assert (await runner.prune(keep=5)).runs == 1
        assert (await runner.prune(older_than=DAY / 2, keep=5)).runs == 2

        assert [(await run.refresh()).pruned_at is not None for run in [*old, *new]] == [True] * 3 + [False] * 3
        assert (await new[0].refresh()).state.said == "0"


async def test_a_thread_goes_on_from_what_it_kept_as_long_as_a_run_of_it_stays(url: str) -> None:
    graph = talking()
    async with Runner(url, graphs=[graph]) as runner:
        await done(runner, graph, {"said": "a"}, thread_id="t")
        await done(runner, graph, {"said": "b"}, thread_id="t")
        await done(runner, graph, {"said": "fail"}, thread_id="t")
        await done(runner, graph, {"said": "elsewhere"})

        assert (await runner.prune(keep=0)).runs == 2  # the failed run stays, and with it what the thread has come to

        run = await done(runner, graph, {"said": "c"}, thread_id="t")
        assert run.state.heard == ["a", "b", "c"]


@pytest.mark.parametrize("history", ["keep", "drop"])
async def test_a_langgraph_thread_goes_on_from_its_last_checkpoint(url: str, history: Any) -> None:
    graph = logging()
    async with Runner(url, graphs=[graph]) as runner:
        long = "x" * 9_000
        await done(runner, graph, {"log": [long]}, thread_id="t")
        await done(runner, graph, {"log": ["b"]}, thread_id="t")
        waiting = await done(runner, graph, {"log": ["c"], "ask": True}, thread_id="t")

        pruned = await runner.prune(older_than=AGED, history=history)
        assert pruned.runs == 1  # the second is the last that was done
        waiting = await waiting.refresh()
        run = await waiting.answer(waiting.approvals[0].id, Respond("said", by="ada"))
        assert run.state["log"] == [long, "noted", "b", "noted", "c", "said"]

        assert (await runner.prune(older_than=AGED)).runs == 2
        assert (await done(runner, graph, {"log": ["new"]}, thread_id="t")).state["log"] == ["new", "noted"]


async def test_without_history_the_state_stays_and_the_steps_are_gone(url: str) -> None:
    graph = talking()
    async with Runner(url, graphs=[graph]) as runner:
        found = [await done(runner, graph, {"said": "ab"[n] * 9_000}, thread_id="t") for n in range(2)]

        pruned = await runner.prune(history="drop")

        assert (pruned.runs, pruned.history) == (0, 2)
        assert await rows_in(runner, "checkpoint") == 2
        for n, run in enumerate(found):
            assert (await run.refresh()).state.last == "ab"[n] * 9_000
            assert len([event async for event in run.events()]) > 4
            assert len(await runner.history(run.run_id)) == 1
        assert (await runner.prune(history="drop")).history == 0
        third = await done(runner, graph, {"said": "c"}, thread_id="t")
        assert [text[0] for text in third.state.heard] == ["a", "b", "c"]


async def test_where_a_fork_went_on_from_stays_in_the_history(url: str) -> None:
    inner = talking()
    outer = Graph(Talk, name="outer")
    outer.add_node("inner", inner)
    outer.add_node("again", repeat, writes="last")
    outer.add_edge(START, "inner")
    outer.add_edge("inner", "again")
    outer.add_edge("again", END)
    async with Runner(url, graphs=[outer]) as runner:
        run = await done(runner, outer, {"said": "a"})
        steps = await runner.history(run.run_id)
        inside = next(step.path for step in steps if step.namespace and step.next == ("repeat",))
        fork = await (await runner.fork(run.run_id, at=inside, values={"said": "b"})).wait(timeout_s=20)
        assert fork.state.last == "b"

        pruned = await runner.prune(history="drop")

        assert pruned.history == 2
        assert len(await runner.history(run.run_id)) < len(steps)
        left = next(
            step.path for step in await runner.history(run.run_id) if step.namespace and step.next == ("repeat",)
        )
        again = await (await runner.fork(run.run_id, at=left, values={"said": "c"})).wait(timeout_s=20)
        assert again.state.last == "c"
        assert (await fork.refresh()).state.last == "b"


async def test_a_fork_outlives_the_run_that_it_came_from(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        run = await done(runner, graph, {})
        run = await run.answer(run.approvals[0].id, Respond("a", by="ada"))
        asked = next(step.path for step in await runner.history(run.run_id) if step.next == ("ask",))
        fork = await (await runner.fork(run.run_id, at=asked)).wait(timeout_s=20)
        assert fork.status == "waiting"

        assert (await runner.prune(older_than=AGED)).runs == 1

        fork = await fork.answer(fork.approvals[0].id, Respond("b", by="ada"))
        assert fork.state.last == "b"


async def test_a_dry_run_says_what_would_go_and_removes_nothing(url: str) -> None:
    graph = talking()
    async with Runner(url, graphs=[graph]) as runner:
        for n in range(4):
            await done(runner, graph, {"said": str(n)})
        before = await rows_in(runner, "checkpoint")

        told = await runner.prune(keep=2, history="drop", dry_run=True)

        assert told.dry_run
        assert await rows_in(runner, "checkpoint") == before
        went = await runner.prune(keep=2, history="drop")
        assert (told.runs, told.history, told.checkpoints) == (went.runs, went.history, went.checkpoints)
        assert (went.runs, went.history) == (2, 2)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "older_than: nothing says what to prune"),
        ({"older_than": -DAY}, "older_than: .* is below 0"),
        ({"keep": -1}, "keep: -1 is below 0"),
        ({"history": "none"}, "history: 'none' is not one of keep, drop"),
    ],
)
async def test_a_prune_that_makes_no_sense_is_refused(url: str, given: dict[str, Any], named: str) -> None:
    async with Runner(url) as runner:
        with pytest.raises(InvalidInput, match=named):
            await runner.prune(**given)
    with pytest.raises(InvalidInput, match=named):
        Runner(url, retention=Retention(**given))


async def test_a_damaged_record_keeps_its_thread_from_being_pruned_and_no_other(url: str) -> None:
    graph = talking()
    async with Runner(url, graphs=[graph]) as runner:
        found = [await done(runner, graph, {"said": str(n)}) for n in range(3)]
        damaged = found[1].run_id
        await runner.store.write(
            lambda conn: conn.execute("UPDATE checkpoint SET body=zeroblob(9) WHERE run_id=?", (damaged,))
        )

        pruned = await runner.prune(older_than=AGED)

        assert pruned.runs == 2
        assert [damage for damage in pruned.damaged if found[1].thread_id in damage]
        assert len(pruned.damaged) == 1


async def test_runs_in_memory_are_pruned_too() -> None:
    graph = talking()
    async with Runner(MEMORY, graphs=[graph]) as runner:
        run = await done(runner, graph, {"said": "a"}, thread_id="t")

        assert (await runner.prune(older_than=AGED)).runs == 1

        assert (await run.refresh()).state is None
        assert [event async for event in run.events()] == []


def size(url: str) -> int:
    return Path(url.removeprefix("sqlite:///")).stat().st_size


async def test_half_the_runs_are_almost_half_the_file(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        empty = size(url)
        for n in range(0, 80, 20):
            begun = [await runner.start(graph, {"notes": [f"{n + k:04}" * 1_000]}) for k in range(20)]
            for run in begun:
                run = await run.wait(timeout_s=60)
                await run.answer(run.approvals[0].id, Respond("yes", by="ada"))
    before = size(url)
    async with Runner(url, serve=False) as runner:
        pruned = await runner.prune(keep=40)

        assert pruned.runs == 40
        assert size(url) - empty <= 0.55 * (before - empty)
        assert pruned.freed_bytes >= 0.4 * before
        assert pruned.free_bytes < 0.1 * before
        checked = await runner.store.read(lambda conn: conn.execute("PRAGMA integrity_check").fetchall())
        assert checked == [("ok",)]


async def test_the_file_is_not_written_anew_while_another_worker_uses_it(url: str) -> None:
    graph = talking()
    async with Runner(url, graphs=[graph]) as other:
        for n in range(20):
            await done(other, graph, {"said": str(n) * 5_000})
        async with Runner(url, serve=False) as runner:
            pruned = await runner.prune(older_than=AGED)

    assert pruned.freed_bytes == 0
    assert pruned.free_bytes > 100_000


async def test_runs_go_on_beside_a_prune(url: str) -> None:
    graph = talking()
    async with Runner(url, graphs=[graph]) as worker, Runner(url, serve=False) as pruner:

        async def chat(thread_id: str) -> list[Run[Any]]:
            return [await done(worker, graph, {"said": f"{n}" * 3_000}, thread_id=thread_id) for n in range(8)]

        chats = [asyncio.create_task(chat(f"t{n}")) for n in range(4)]
        while not all(task.done() for task in chats):
            await pruner.prune(keep=1, history="drop")
        for task in chats:
            assert [run.status for run in task.result()] == ["done"] * 8


async def test_a_runner_prunes_by_itself(url: str) -> None:
    graph = talking()
    async with Runner(url, graphs=[graph]) as runner:
        run = await done(runner, graph, {"said": "a"})

    async with Runner(url, graphs=[graph], retention=Retention(keep=0)) as runner:
        async with asyncio.timeout(20):
            while (run := await runner.get(run.run_id)).pruned_at is None:  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.01)
    assert run.state is None

"""`timeout_s`: how long a run may be at work."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from collegium import END, Graph, State
from collegium.core.context import current_run
from collegium.core.errors import Fenced, RunFailed, RunTimeout
from collegium.runs import MEMORY, NotHappened, Respond, Runner, call_tool
from collegium.runs.store import runs
from collegium.runs.store.tables import update_run
from collegium.tools import tool


class Work(TypedDict, total=False):
    first: str
    second: str
    answer: str


class Gate:
    """Nodes that stop at it, and go on once it is open."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.reached = asyncio.Event()

    async def first(self, state: Work) -> Work:
        return {"first": "done"}

    async def second(self, state: Work) -> Work:
        self.reached.set()
        await self.opened.wait()
        return {"second": "done"}


def in_turn(*nodes: Any) -> Any:
    graph: Any = StateGraph(Work)
    graph.add_sequence([(f"n{number}", node) for number, node in enumerate(nodes)])
    graph.add_edge(START, "n0")
    return graph


async def change(runner: Runner, run_id: str, **changes: float) -> None:
    """Store other limits with a run at rest, as a busy machine may take any time for a step."""
    await runner.store.write(lambda conn: update_run(conn, runs.get(conn, run_id), **changes))


@pytest.mark.parametrize("memory", [False, True])
async def test_a_run_that_is_at_work_too_long_fails_and_can_be_resumed_with_its_whole_time(
    url: str, memory: bool
) -> None:
    gate = Gate()
    graph = in_turn(gate.first, gate.second)
    async with Runner(MEMORY if memory else url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {}, timeout_s=0.1)).wait(timeout_s=20)
        while not gate.reached.is_set():  # the machine was busy; each try has its whole time again
            run = await (await run.resume()).wait(timeout_s=20)

        assert run.status == "failed"
        assert run.error is not None
        assert "was at work for its 0.1 s" in run.error
        assert "Resume it to give it as long again" in run.error
        assert isinstance(run.cause, RunTimeout)
        assert run.worked_s >= 0.1
        assert run.timeout_s == 0.1
        assert run.state == {"first": "done"}

        gate.opened.set()
        await change(runner, run.run_id, timeout_s=60.0, worked_s=61.0)
        run = await (await run.resume()).wait(timeout_s=20)

        assert (run.status, run.state) == ("done", {"first": "done", "second": "done"})
        assert run.error is None
        assert run.worked_s < 60


async def test_work_before_a_question_counts_and_the_time_a_person_takes_does_not(url: str) -> None:
    loop = asyncio.get_running_loop()

    async def ask(state: Work) -> Work:
        return {"answer": interrupt("?")}

    graph = in_turn(Gate().first, ask)
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {}, timeout_s=60)).wait()
        before, asked_at = run.worked_s, loop.time()
        await asyncio.sleep(0.2)
        answered_at = loop.time()
        run = await run.answer(run.approvals[0].id, Respond("yes", by="ada"))

        assert run.status == "done"
        assert 0 < before < run.worked_s
        assert run.worked_s - before <= loop.time() - answered_at < loop.time() - asked_at


async def test_a_run_that_has_used_up_its_time_does_no_more_work(url: str) -> None:
    async def ask(state: Work) -> Work:
        return {"answer": interrupt("?")}

    gate = Gate()
    graph = in_turn(ask, gate.second)
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {}, timeout_s=60)).wait()
        await change(runner, run.run_id, worked_s=61.0)

        run = await run.answer(run.approvals[0].id, Respond("yes", by="ada"))

        assert run.status == "failed"
        assert isinstance(run.cause, RunTimeout)
        assert not gate.reached.is_set()


async def test_a_runner_that_closes_is_not_taken_for_a_timeout(url: str) -> None:
    gate = Gate()
    graph = in_turn(gate.second)
    runner = Runner(url, graphs=[graph])
    async with runner:
        run = await runner.start(graph, {}, timeout_s=60)
        await gate.reached.wait()
        await runner.close(drain_s=0)
    gate.opened.set()
    async with Runner(url, graphs=[graph], serve=False) as later:
        assert (await later.get(run.run_id)).status == "queued"


async def test_a_time_limit_of_a_node_is_not_the_one_of_its_run(url: str) -> None:
    async def slow(state: Work) -> Work:
        raise TimeoutError("the server was slow")

    graph = in_turn(slow)
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {}, timeout_s=60)).wait()

        assert run.error is not None
        assert "the server was slow" in run.error
        assert not isinstance(run.cause, RunTimeout)


async def test_a_node_that_turns_its_cancellation_into_an_error_has_still_timed_out(url: str) -> None:
    async def stubborn(state: Work) -> Work:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("interrupted") from None
        return {}

    graph = in_turn(stubborn)
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {}, timeout_s=0.05)).wait(timeout_s=20)

        assert isinstance(run.cause, RunTimeout)


class Paying:
    """A tool that never comes back, the first time."""

    def __init__(self) -> None:
        self.calls = 0

    def graph(self) -> Any:
        @tool(effect="unsafe", risk="low")
        async def pay(amount: int) -> str:
            """Pay.

            Args:
                amount: How much.
            """
            self.calls += 1
            await asyncio.Event().wait()
            return "paid"

        async def act(state: Work) -> Work:
            result = await call_tool(pay, {"amount": 5})
            return {"second": result.status}

        return in_turn(act)


async def test_an_effect_under_way_when_the_time_is_over_is_in_doubt(url: str) -> None:
    paying = Paying()
    graph = paying.graph()
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {}, timeout_s=2)).wait(timeout_s=20)

        assert run.error is not None
        assert "(in doubt, may have happened: pay)" in run.error

        await change(runner, run.run_id, timeout_s=60.0)
        run = await (await run.resume()).wait(timeout_s=20)
        assert [approval.kind for approval in run.approvals] == ["in_doubt"]
        run = await run.answer(run.approvals[0].id, NotHappened("ada"))

        assert run.state == {"second": "rejected"}
        assert paying.calls == 1


async def test_a_thread_that_cannot_be_stopped_does_not_hold_up_the_run_and_writes_nothing_more(url: str) -> None:
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    def blocking(state: Work) -> Work:
        scope = current_run.get()
        started.set()
        release.wait(20)
        if scope is not None:
            scope.emit("said", {"text": "too late"})
        ended.set()
        return {"second": "too late"}

    graph = in_turn(blocking)
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {}, timeout_s=0.1)).wait(timeout_s=20)
        while not started.is_set():  # the machine was busy
            run = await (await run.resume()).wait(timeout_s=20)
        assert isinstance(run.cause, RunTimeout)
        assert not ended.is_set()

        release.set()
        await asyncio.to_thread(ended.wait, 20)
        with pytest.raises(Fenced):
            await runner.store.flush()

        assert [event.kind async for event in run.events()][-1] == "run_failed"
        assert (await run.refresh()).state == {}


class Note(State):
    text: str = ""


async def test_graph_run_takes_a_time_limit(url: str) -> None:
    async def hang(text: str) -> str:
        await asyncio.Event().wait()
        return text

    inner = Graph(Note, name="inner")
    inner.add_node("hang", hang, writes="text")
    inner.add_edge(START, "hang")
    inner.add_edge("hang", END)
    outer = Graph(Note, name="outer")
    outer.add_node("inner", inner)
    outer.add_edge(START, "inner")
    outer.add_edge("inner", END)

    with pytest.raises(RunFailed) as failed:
        await outer.run({"text": "a"}, timeout_s=0.1)

    assert isinstance(failed.value.__cause__, RunTimeout)

"""Runs of plain LangGraph graphs under a Runner: what comes without a rewrite."""

from __future__ import annotations

import asyncio
import operator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel

from collegium.core.errors import (
    AlreadyDecided,
    InvalidDecision,
    InvalidInput,
    InvalidWrite,
    StaleApproval,
    ThreadBusy,
    UnknownApproval,
    UnknownRun,
)
from collegium.runs import MEMORY, Approve, Budget, Edit, Reject, Respond, Runner


class Log(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    answer: Any


def step(name: str) -> Any:
    async def node(state: Log) -> Log:
        return {"log": [name]}

    return node


async def question(state: Log) -> Log:
    return {"answer": interrupt({"go on": "?"})}


def asking() -> Any:
    graph: Any = StateGraph(Log)
    graph.add_node("before", step("before"))
    graph.add_node("ask", question)
    graph.add_node("after", step("after"))
    graph.add_edge(START, "before")
    graph.add_edge("before", "ask")
    graph.add_edge("ask", "after")
    graph.add_edge("after", END)
    return graph


async def test_a_plain_interrupt_becomes_an_approval_and_its_answer_resumes_the_run(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {"log": ["in"]})).wait()
        assert run.status == "waiting"
        (approval,) = run.approvals
        assert approval.kind == "input"
        assert approval.payload == {"prompt": {"go on": "?"}}

        run = await run.answer(approval.id, Respond("yes", by="ada"))

        assert run.status == "done"
        assert run.state == {"log": ["in", "before", "after"], "answer": "yes"}


class HandClock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.at = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


async def test_a_person_may_think_for_longer_than_a_lease_about_a_run_in_memory() -> None:
    graph, clock = asking(), HandClock()
    async with Runner(MEMORY, graphs=[graph], clock=clock) as runner:
        run = await (await runner.start(graph, {})).wait()
        clock.at += timedelta(days=1)

        async with asyncio.timeout(20):
            run = await run.answer(run.approvals[0].id, Respond("yes", by="ada"))

        assert run.status == "done"


async def test_a_second_answer_is_refused_and_names_the_first(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {})).wait()
        approval = run.approvals[0]
        await run.answer(approval.id, Approve(by="ada"))

        with pytest.raises(AlreadyDecided, match="approve by ada") as refused:
            await runner.answer(approval.id, Reject(by="bob"))

        assert (refused.value.by, refused.value.decision) == ("ada", "approve")


async def test_unknown_and_stale_answers_are_refused_and_change_nothing(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {})).wait()
        approval = run.approvals[0]

        with pytest.raises(UnknownApproval):
            await runner.answer("ap-nope", Approve())
        with pytest.raises(StaleApproval):
            await runner.answer(approval.id, Approve(), digest="0" * 64)
        with pytest.raises(InvalidDecision, match="None"):
            await runner.answer(approval.id, Respond(None))

        assert [waiting.id for waiting in await runner.inbox()] == [approval.id]


async def test_a_second_run_on_a_busy_thread_is_refused_or_queued(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        first = await (await runner.start(graph, {}, thread_id="t")).wait()

        with pytest.raises(ThreadBusy, match=first.run_id):
            await runner.start(graph, {}, thread_id="t")
        second = await runner.start(graph, {"log": ["second"]}, thread_id="t", on_busy="enqueue")
        assert second.status == "pending"

        await first.answer(first.approvals[0].id, Approve())
        second = await second.wait()
        assert second.status == "waiting"
        assert "second" in second.state["log"]


async def test_two_runs_started_at_once_on_one_thread_give_one_run_and_one_refusal(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner, Runner(url, graphs=[graph]) as other:
        results = await asyncio.gather(
            runner.start(graph, {}, thread_id="t"), other.start(graph, {}, thread_id="t"), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, ThreadBusy)]
        assert len(refused) == 1


async def test_a_plain_graph_goes_on_with_its_thread_as_in_langgraph(url: str) -> None:
    graph: Any = StateGraph(Log)
    graph.add_node("say", step("said"))
    graph.add_edge(START, "say")
    async with Runner(url, graphs=[graph]) as runner:
        for turn in range(3):
            await (await runner.start(graph, {"log": [f"turn {turn}"]}, thread_id="t")).wait()
        run = await runner.get((await runner.runs())[0].run_id)
        assert run.state["log"] == ["turn 0", "said", "turn 1", "said", "turn 2", "said"]


async def test_a_run_of_another_runner_is_seen_answered_and_followed(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph], serve=False) as first:
        run = await (await first.start(graph, {})).wait()
    async with Runner(url, graphs=[asking()]) as second:
        (approval,) = await second.inbox()
        assert approval.run_id == run.run_id
        done = await second.answer(approval.id, Approve(by="bob"))
        assert done.status == "done"
        kinds = [event.kind async for event in second.events(run.run_id)]
        assert kinds[0] == "run_started"
        assert kinds[-1] == "run_done"
        assert kinds.count("approval_decided") == 1


async def test_events_are_numbered_without_gaps_and_can_be_read_from_a_point(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {})).wait()
        await run.answer(run.approvals[0].id, Approve())
        numbers = [event.seq async for event in run.events()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert [event.seq async for event in run.events(after=5)] == numbers[5:]


async def test_a_failing_node_fails_the_run_and_resume_tries_again_from_there(url: str) -> None:
    attempts: list[str] = []

    async def fragile(state: Log) -> Log:
        attempts.append("tried")
        if len(attempts) == 1:
            raise ValueError("the disk is on fire")
        return {"log": ["survived"]}

    graph: Any = StateGraph(Log)
    graph.add_node("before", step("before"))
    graph.add_node("fragile", fragile)
    graph.add_edge(START, "before")
    graph.add_edge("before", "fragile")
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {})).wait()
        assert (run.status, run.error) == ("failed", "ValueError: the disk is on fire (in node 'fragile')")
        assert isinstance(run.cause, ValueError)

        await runner.resume(run.run_id)
        run = await runner.wait(run.run_id)

        assert (run.status, run.error) == ("done", None)
        assert run.state["log"] == ["before", "survived"]


async def test_cancelling_withdraws_what_waits_and_frees_the_thread(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {}, thread_id="t")).wait()
        cancelled = await run.cancel("not needed")
        assert (cancelled.status, cancelled.error) == ("cancelled", "not needed")
        assert await runner.inbox() == []
        with pytest.raises(AlreadyDecided):
            await runner.answer(run.approvals[0].id, Approve())
        assert (await runner.start(graph, {}, thread_id="t")).status == "running"


async def test_cancelling_stops_a_node_at_work(url: str) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def long(state: Log) -> Log:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return {}

    graph: Any = StateGraph(Log)
    graph.add_node("long", long)
    graph.add_edge(START, "long")
    async with Runner(url, graphs=[graph]) as runner:
        run = await runner.start(graph, {})
        await started.wait()
        cancelled = await run.cancel()
        assert cancelled.status == "cancelled"
        assert stopped.is_set()


async def test_closing_drains_and_the_next_runner_finishes_by_itself(url: str) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(state: Log) -> Log:
        entered.set()
        await leave.wait()
        return {"log": ["slow"]}

    def graph() -> Any:
        made: Any = StateGraph(Log)
        made.add_node("slow", slow)
        made.add_node("after", step("after"))
        made.add_edge(START, "slow")
        made.add_edge("slow", "after")
        return made

    first = Runner(url, graphs=[graph()])
    await first.open()
    run = await first.start("Log", {})
    await entered.wait()
    leave.set()
    await first.close()
    async with Runner(url, graphs=[graph()]) as second:
        done = await second.wait(run.run_id, timeout_s=30)
        assert done.status == "done"
        assert done.state["log"] == ["slow", "after"]


async def test_an_endless_loop_ends_at_the_step_limit_with_advice(url: str) -> None:
    graph: Any = StateGraph(Log)
    graph.add_node("a", step("a"))
    graph.add_edge(START, "a")
    graph.add_conditional_edges("a", lambda state: "a", ["a"])  # pyright: ignore[reportUnknownLambdaType]
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {}, budget=Budget(steps=12))).wait()
        assert run.status == "failed"
        assert run.error is not None
        assert "12 steps" in run.error
        assert "Budget(steps=" in run.error


class Strict(BaseModel):
    n: int = 0


async def test_a_wrong_last_write_of_a_plain_pydantic_graph_fails_the_run(url: str) -> None:
    async def wrong(state: Strict) -> dict[str, Any]:
        return {"n": "many"}

    graph: Any = StateGraph(Strict)
    graph.add_node("wrong", wrong)
    graph.add_edge(START, "wrong")
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {})).wait()
        assert run.status == "failed"
        assert isinstance(run.cause, InvalidWrite)
        assert run.cause.field == "n"


async def test_wrong_input_is_refused_before_anything_is_stored(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        with pytest.raises(InvalidInput, match="lgo"):
            await runner.start(graph, {"lgo": []})
        assert await runner.runs() == []
        with pytest.raises(UnknownRun):
            await runner.get("run-nope")


async def test_a_static_breakpoint_waits_for_a_person(url: str) -> None:
    compiled = asking().compile(interrupt_before=["after"])
    async with Runner(url, graphs=[compiled]) as runner:
        run = await (await runner.start(compiled, {})).wait()
        run = await run.answer(run.approvals[0].id, Approve())
        assert run.status == "waiting"
        assert run.approvals[0].payload == {"prompt": {"breakpoint": ["after"]}}
        run = await run.answer(run.approvals[0].id, Approve())
        assert run.status == "done"
        assert run.state["log"] == ["before", "after"]


async def test_parallel_questions_wait_together_and_each_gets_its_own_answer(url: str) -> None:
    class Pair(TypedDict, total=False):
        a: str
        b: str

    def ask(name: str) -> Any:
        async def node(state: Pair) -> Any:
            return {name: interrupt(f"{name}?")}

        return node

    graph: Any = StateGraph(Pair)
    for name in ("a", "b"):
        graph.add_node(name, ask(name))
        graph.add_edge(START, name)
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {})).wait()
        by_prompt = {approval.payload["prompt"]: approval.id for approval in run.approvals}
        run = await run.answer(by_prompt["b?"], Respond("B"))
        assert run.status == "waiting"
        assert [approval.id for approval in run.approvals] == [by_prompt["a?"]]
        run = await run.answer(by_prompt["a?"], Respond("A"))
        assert run.state == {"a": "A", "b": "B"}


async def test_questions_in_sequence_in_one_node_are_not_mixed_up(url: str) -> None:
    class Two(TypedDict, total=False):
        first: str
        second: str

    async def both(state: Two) -> Two:
        return {"first": interrupt("refund?"), "second": interrupt("delete?")}

    graph: Any = StateGraph(Two)
    graph.add_node("both", both)
    graph.add_edge(START, "both")
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {})).wait()
        refund = run.approvals[0]
        run = await run.answer(refund.id, Respond("yes"))
        with pytest.raises(AlreadyDecided):
            await runner.answer(refund.id, Respond("yes"))
        (delete,) = run.approvals
        assert delete.payload == {"prompt": "delete?"}
        run = await run.answer(delete.id, Respond("no"))
        assert run.state == {"first": "yes", "second": "no"}


async def test_an_edit_of_a_plain_question_gives_the_edited_value(url: str) -> None:
    graph = asking()
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {})).wait()
        run = await run.answer(run.approvals[0].id, Edit({"amount": 3}))
        assert run.state["answer"] == {"amount": 3}


class Unnamed(BaseModel):
    """A class that no schema of the graph below names."""

    x: int = 1


class Inner(TypedDict, total=False):
    found: Any
    answer: Any


@pytest.mark.parametrize("store", ["file", "memory"])
async def test_a_value_that_cannot_be_kept_fails_the_run_also_behind_a_question(url: str, store: str) -> None:
    async def find(state: Inner) -> Inner:
        return {"found": Unnamed()}

    async def ask(state: Inner) -> Inner:
        return {"answer": interrupt("?")}

    inner: Any = StateGraph(Inner)
    inner.add_sequence([("find", find), ("ask", ask)])
    inner.add_edge(START, "find")
    app = inner.compile()

    async def call(state: Log) -> Log:
        return {"answer": (await app.ainvoke({}))["answer"]}

    graph: Any = StateGraph(Log)
    graph.add_node("call", call)
    graph.add_edge(START, "call")
    async with Runner(url if store == "file" else "sqlite://:memory:", graphs=[graph]) as runner:
        run = await (await runner.start(graph, {})).wait()
        assert (run.status, run.approvals) == ("failed", ())
        assert "Unnamed: a value of it cannot be kept" in str(run.error)

"""Every tool call goes one way: schema, policy, approval, journal, tool, result."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from collegium.core.errors import InvalidDecision, NoJournal
from collegium.guardrails import Policy
from collegium.runs import Approve, Edit, Happened, Reject, Respond, Run, Runner, call_tool
from collegium.tools import ToolContext, ToolResult, tool
from collegium.tools.base import IdempotencyKey, Tool


class Said(TypedDict, total=False):
    said: list[dict[str, Any]]


def calling(*calls: Callable[[], Any]) -> Any:
    async def act(state: Said) -> Said:
        results: list[ToolResult] = [await call() for call in calls]
        return {"said": [result.model_dump(mode="json") for result in results]}

    graph: Any = StateGraph(Said)
    graph.add_node("act", act)
    graph.add_edge(START, "act")
    return graph


class World:
    """What the tools of these tests change."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.keys: list[str] = []

    def send(self, **options: Any) -> Tool:
        options = {"effect": "unsafe", "risk": "high", **options}

        @tool(**options)
        async def send(to: str) -> str:
            """Send the letter.

            Args:
                to: Who gets it.
            """
            self.sent.append(to)
            return f"sent to {to}"

        return send


async def first_rest(runner: Runner, graph: Any) -> Run[Any]:
    return await (await runner.start(graph, {})).wait(timeout_s=30)


def only(run: Run[Any]) -> dict[str, Any]:
    said: list[dict[str, Any]] = run.state["said"]
    assert len(said) == 1
    return said[0]


async def test_a_high_risk_call_waits_and_shows_the_whole_call(url: str) -> None:
    world = World()
    graph = calling(lambda: call_tool(world.send(), {"to": "bob"}))
    async with Runner(url, graphs=[graph]) as runner:
        run = await first_rest(runner, graph)
        (approval,) = run.approvals
        assert world.sent == []
        assert approval.kind == "tool_call"
        assert approval.allowed == ("approve", "edit", "reject", "respond")
        assert approval.payload["tool"] == "send"
        assert approval.payload["args"] == {"to": "bob"}
        run = await run.answer(approval.id, Approve("ada"))
        assert world.sent == ["bob"]
        assert only(run)["status"] == "ok"


@pytest.mark.parametrize(
    ("decision", "sent", "status", "content"),
    [
        (Edit({"to": "eve"}, "ada"), ["eve"], "ok", "sent to eve"),
        (Reject("too early", "ada"), [], "rejected", "Rejected by ada: too early"),
        (Respond("call him instead", "ada"), [], "responded", "call him instead"),
    ],
)
async def test_each_decision_has_its_meaning(
    url: str, decision: Any, sent: list[str], status: str, content: str
) -> None:
    world = World()
    graph = calling(lambda: call_tool(world.send(), {"to": "bob"}))
    async with Runner(url, graphs=[graph]) as runner:
        run = await first_rest(runner, graph)
        run = await run.answer(run.approvals[0].id, decision)
        assert world.sent == sent
        assert (only(run)["status"], only(run)["content"]) == (status, content)


async def test_an_edit_that_does_not_fit_is_refused_and_the_approval_stays_open(url: str) -> None:
    world = World()
    graph = calling(lambda: call_tool(world.send(), {"to": "bob"}))
    async with Runner(url, graphs=[graph]) as runner:
        run = await first_rest(runner, graph)
        for args in ({"to": 3}, {"to": "eve", "tool": "delete_all"}, {}, "eve"):
            with pytest.raises(InvalidDecision):
                await run.answer(run.approvals[0].id, Edit(args, "ada"))
        assert [one.id for one in await runner.inbox()] == [run.approvals[0].id]
        assert world.sent == []


async def test_an_approval_that_lapsed_counts_as_rejected(url: str) -> None:
    from langgraph.types import Command

    from collegium.runs import ask, question

    async def node(state: Said) -> Any:
        (decision,) = ask([question("k", "input", {"prompt": "?"}, ["approve"], expires_s=0.0)])
        return Command(update={"said": [{"word": decision.word, "by": decision.by}]})

    graph: Any = StateGraph(Said)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    async with Runner(url, graphs=[graph], poll_s=0.01) as runner:
        run = await runner.start(graph, {})
        async with asyncio.timeout(30):
            while run.status != "done":
                run = await run.wait()
                await asyncio.sleep(0)
        assert only(run) == {"word": "reject", "by": "expiry"}


async def test_the_policy_decides_before_anybody_is_asked(url: str) -> None:
    world = World()
    graph = calling(lambda: call_tool(world.send(), {"to": "bob"}))
    async with Runner(url, graphs=[graph], policy=Policy({"send": "deny"})) as runner:
        run = await first_rest(runner, graph)
        assert only(run)["status"] == "rejected"
    async with Runner(url, graphs=[graph], policy=Policy({"se*": "allow"})) as runner:
        run = await first_rest(runner, graph)
        assert only(run)["status"] == "ok"
    assert world.sent == ["bob"]


async def test_bad_arguments_are_a_result_and_the_tool_does_not_run(url: str) -> None:
    world = World()
    send = world.send(risk="low")
    graph = calling(
        lambda: call_tool(send, {"to": 3}),
        lambda: call_tool(send, {"whom": "bob"}),
        lambda: call_tool(send, "{not json"),
        lambda: call_tool(send, "[]"),
    )
    async with Runner(url, graphs=[graph]) as runner:
        run = await first_rest(runner, graph)
        assert {said["status"] for said in run.state["said"]} == {"error"}
        assert world.sent == []


async def test_what_a_tool_raises_is_a_result(url: str) -> None:
    @tool(effect="read", risk="low")
    def broken() -> str:
        """Break."""
        raise KeyError("no such thing")

    graph = calling(lambda: call_tool(broken, {}))
    async with Runner(url, graphs=[graph]) as runner:
        said = only(await first_rest(runner, graph))
        assert (said["status"], said["content"]) == ("error", "KeyError: 'no such thing'")


async def test_a_read_tool_that_takes_too_long_is_an_error_result(url: str) -> None:
    @tool(effect="read", risk="low", timeout_s=0.01)
    async def slow() -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return ""

    graph = calling(lambda: call_tool(slow, {}))
    async with Runner(url, graphs=[graph]) as runner:
        assert "no answer within 0.01 s" in only(await first_rest(runner, graph))["content"]


async def test_an_unsafe_tool_that_takes_too_long_is_in_doubt(url: str) -> None:
    @tool(effect="unsafe", risk="low", timeout_s=0.01)
    async def slow() -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return ""

    graph = calling(lambda: call_tool(slow, {}))
    async with Runner(url, graphs=[graph]) as runner:
        run = await first_rest(runner, graph)
        (approval,) = run.approvals
        assert (approval.kind, approval.allowed) == ("in_doubt", ("happened", "not_happened", "retry"))
        run = await run.answer(approval.id, Happened("receipt 7", "ada"))
        assert (only(run)["status"], only(run)["content"]) == ("ok", "receipt 7")


async def test_effects_of_a_node_are_not_repeated_when_it_runs_again(url: str) -> None:
    world = World()
    graph = calling(
        lambda: call_tool(world.send(risk="low"), {"to": "first"}),
        lambda: call_tool(world.send(), {"to": "second"}),
        lambda: call_tool(world.send(), {"to": "third"}),
    )
    async with Runner(url, graphs=[graph]) as runner:
        run = await first_rest(runner, graph)
        run = await run.answer(run.approvals[0].id, Approve())
        assert [one.payload["args"] for one in run.approvals] == [{"to": "third"}]
        run = await run.answer(run.approvals[0].id, Approve())
        assert run.status == "done"
        assert world.sent == ["first", "second", "third"]


async def test_the_same_call_twice_in_a_node_is_two_effects(url: str) -> None:
    world = World()
    send = world.send(risk="low")
    graph = calling(lambda: call_tool(send, {"to": "bob"}), lambda: call_tool(send, {"to": "bob"}))
    async with Runner(url, graphs=[graph]) as runner:
        await first_rest(runner, graph)
        assert world.sent == ["bob", "bob"]


async def test_another_call_under_a_used_key_is_an_error(url: str) -> None:
    world = World()
    send = world.send(risk="low")
    graph = calling(
        lambda: call_tool(send, {"to": "bob"}, key="k"),
        lambda: call_tool(send, {"to": "eve"}, key="k"),
    )
    async with Runner(url, graphs=[graph]) as runner:
        run = await first_rest(runner, graph)
        assert run.status == "failed"
        assert "journal" in (run.error or "")
        assert world.sent == ["bob"]


async def test_a_tool_gets_its_context_and_an_idempotency_key(url: str) -> None:
    seen: list[Any] = []

    @tool(effect="idempotent", risk="low")
    async def remember(text: str, key: IdempotencyKey, context: ToolContext[dict[str, str]]) -> str:
        """Remember a text.

        Args:
            text: The text.
        """
        seen.append((context.deps, context.run_id, key == context.idempotency_key, bool(key)))
        return "noted"

    async def make() -> dict[str, str]:
        return {"user": "ada"}

    graph = calling(lambda: call_tool(remember, {"text": "x"}))
    async with Runner(url, graphs=[graph], context=make) as runner:
        run = await first_rest(runner, graph)
        assert only(run)["status"] == "ok"
        assert seen == [({"user": "ada"}, run.run_id, True, True)]


async def test_a_tool_with_effects_is_refused_outside_a_run() -> None:
    world = World()
    with pytest.raises(NoJournal, match="Runner"):
        await call_tool(world.send(risk="low"), {"to": "bob"})
    assert world.sent == []


def test_nothing_but_call_tool_executes_a_tool() -> None:
    root = Path(__file__).parents[2]
    rooms = ["cli", "testing", "agents", "graphs", "runs", "guardrails", "tools", "knowledge", "models", "core"]
    found = [
        path.relative_to(root).as_posix()
        for room in rooms
        for path in (root / room).rglob("*.py")
        if re.search(r"tool\w*(\[.*\])?\.execute\(", path.read_text(encoding="utf-8"))
    ]
    assert found == ["runs/calls.py"]

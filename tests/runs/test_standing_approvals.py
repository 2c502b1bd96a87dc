"""Leave for more than one call: given explicitly, seen, taken back, and never wider than what was said."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import pytest

from collegium import END, START, Graph, State, append
from collegium.agents import Review, ToolExecutor
from collegium.core.errors import InvalidDecision, InvalidInput, UnknownApproval, UnknownRun
from collegium.core.messages import ToolCall
from collegium.core.trust import Trust
from collegium.runs import Approve, Reject, Runner, call_tool, decision_from_json, decision_to_json
from collegium.testing import FunctionModel, ModelCall
from collegium.tools import Tool, ToolResult, tool


class Letters(State):
    letters: list[tuple[str, str]]
    results: Annotated[list[ToolResult], append] = []


class Desk(State):
    goal: str
    results: Annotated[list[ToolResult], append] = []


def post() -> tuple[Tool, list[tuple[str, str]]]:
    """A tool of high risk, and what it sent."""
    sent: list[tuple[str, str]] = []

    @tool(effect="unsafe", risk="high", destinations=["to"])
    def send(to: str, text: str) -> str:
        """Send a letter."""
        sent.append((to, text))
        return "sent"

    return send, sent


def one_by_one(send: Tool, trust: tuple[Trust, ...] = ("untrusted",) * 9) -> Graph[Letters]:
    """Sends the letters of its input, one call after the other, in one node."""

    async def write(letters: list[tuple[str, str]]) -> list[ToolResult]:
        calls = zip(letters, trust, strict=False)
        return [await call_tool(send, {"to": to, "text": text}, trust=how) for (to, text), how in calls]

    graph = Graph(Letters, name="letters")
    graph.add_node("write", write, writes="results")
    graph.add_edge(START, "write")
    graph.add_edge("write", END)
    return graph


ADA = "ada@example.org"


async def test_calls_like_the_approved_one_are_made_and_others_ask() -> None:
    send, sent = post()
    letters = [(ADA, "one"), (ADA, "two"), (ADA, "3"), ("eve@evil.example", "two"), (ADA, "tea")]
    run = await one_by_one(send).run({"letters": letters})

    run = await run.answer(run.approvals[0].id, Approve(by="bob", standing={"text": "*o*"}))
    assert sent == [(ADA, "one"), (ADA, "two")]
    assert run.approvals[0].payload["args"] == {"to": ADA, "text": "3"}

    run = await run.answer(run.approvals[0].id, Approve(by="bob"))
    assert run.approvals[0].payload["args"]["to"] == "eve@evil.example"

    run = await run.answer(run.approvals[0].id, Reject(by="bob"))
    assert run.approvals[0].payload["args"] == {"to": ADA, "text": "tea"}
    assert sent == [(ADA, "one"), (ADA, "two"), (ADA, "3")]


async def test_leave_without_patterns_is_for_the_same_call_again() -> None:
    send, sent = post()
    run = await one_by_one(send).run({"letters": [(ADA, "one"), (ADA, "one"), (ADA, "two")]})
    run = await run.answer(run.approvals[0].id, Approve(by="bob", standing={}))

    assert (run.status, sent) == ("waiting", [(ADA, "one")] * 2)


async def test_what_was_shown_as_trusted_gives_no_leave_for_what_is_not() -> None:
    send, sent = post()
    letters = [(ADA, "one"), (ADA, "two"), (ADA, "three")]
    run = await one_by_one(send, ("trusted", "trusted", "untrusted")).run({"letters": letters})
    run = await run.answer(run.approvals[0].id, Approve(by="bob", standing={"text": "*"}))

    assert sent == letters[:2]
    assert run.approvals[0].payload["trust"] == "untrusted"


async def test_it_is_listed_and_revoked_in_any_process_and_ends_with_its_run(tmp_path: Path) -> None:
    send, sent = post()
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    given = {"letters": [(ADA, "one"), (ADA, "2"), (ADA, "three")]}
    async with Runner(url, graphs=[one_by_one(send)], serve=False) as runner:
        run = await (await runner.start("letters", given)).wait(timeout_s=30)
        run = await run.answer(run.approvals[0].id, Approve(by="bob", standing={"text": "*e"}))
        (standing,) = await runner.standing(run.run_id)
        other = await (await runner.start("letters", given)).wait(timeout_s=30)

    assert (standing.tool, standing.by, standing.active) == ("send", "bob", True)
    assert (standing.patterns, standing.args) == ({"text": "*e"}, {"to": ADA, "text": "one"})
    assert other.approvals[0].payload["args"]["text"] == "one"

    async with Runner(url, graphs=[one_by_one(send)], serve=False) as runner:
        revoked = await runner.revoke(standing.approval_id, by="ada")
        again = await runner.revoke(standing.approval_id, by="eve")
        run = await runner.answer(run.approvals[0].id, Approve(by="bob"))
        with pytest.raises(UnknownApproval):
            await runner.revoke(other.approvals[0].id, by="ada")
        with pytest.raises(UnknownRun):
            await runner.standing("run-none")
        listed = await runner.standing(run.run_id)

    assert (revoked.active, revoked.revoked_by) == (False, "ada")
    assert again == revoked == listed[0]
    assert sent == [(ADA, "one"), (ADA, "2")]
    assert run.approvals[0].payload["args"]["text"] == "three"


async def test_an_executor_asks_nobody_about_calls_that_were_given_leave_for() -> None:
    send, sent = post()

    def writes(call: ModelCall) -> Any:
        turn = sum(message.role == "assistant" for message in call.messages)
        texts = [["one"], ["two"], ["other"], ["three"], []][turn]
        return [ToolCall(f"c{text}", "send", json.dumps({"to": ADA, "text": text})) for text in texts] or "done"

    graph = Graph(Desk, name="agent")
    graph.add_node("agent", ToolExecutor(FunctionModel(writes), [send]), writes="results")
    graph.add_edge(START, "agent")
    graph.add_edge("agent", END)
    run = await graph.run({"goal": "Write to Ada."})
    run = await run.answer(run.approvals[0].id, Approve(by="bob"))
    run = await run.answer(run.approvals[0].id, Approve(by="bob", standing={"text": "*o*"}))

    assert [text for _, text in sent] == ["one", "two", "other"]
    assert run.approvals[0].payload["args"]["text"] == "three"


@pytest.mark.parametrize(
    ("standing", "problem"),
    [
        ({"to": "*"}, "says where something goes"),
        ({"to": ADA}, "says where something goes"),
        ({"txt": "*"}, "no argument 'txt'"),
        ({"text": "two*"}, "does not fit 'text' as it was shown"),
    ],
)
async def test_leave_that_is_too_wide_or_means_nothing_is_refused(standing: dict[str, str], problem: str) -> None:
    send, sent = post()
    run = await one_by_one(send).run({"letters": [(ADA, "one")]})

    with pytest.raises(InvalidDecision, match=problem):
        await run.answer(run.approvals[0].id, Approve(by="bob", standing=standing))
    assert sent == []


async def test_only_calls_of_tools_can_be_approved_for_good() -> None:
    graph = Graph(Desk)
    graph.add_node("review", Review("goal"))
    for before, after in pairwise([START, "review", END]):
        graph.add_edge(before, after)
    run = await graph.run({"goal": "x"})

    with pytest.raises(InvalidDecision, match="only a call of a tool can"):
        await run.answer(run.approvals[0].id, Approve(by="bob", standing={}))


def test_the_decision_keeps_its_patterns_as_json() -> None:
    decision = Approve("bob", {"text": "*"})

    assert decision_from_json(decision_to_json(decision)) == decision
    assert decision_to_json(Approve("bob")) == {"decision": "approve", "by": "bob"}
    for wrong in ("*", ["text"], {"text": 1}):
        with pytest.raises(InvalidInput, match="standing"):
            decision_from_json({"decision": "approve", "standing": wrong})

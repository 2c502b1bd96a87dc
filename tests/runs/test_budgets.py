"""Budgets: no call starts that could pass a limit; then the run waits, and goes on where it stood."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.graph import StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from collegium.core.errors import InvalidDecision, InvalidInput
from collegium.core.messages import Usage, user
from collegium.graphs import END, START, Graph, State, append
from collegium.models.base import Completion
from collegium.runs import MEMORY, Budget, Extend, Reject, Respond, Runner, call_tool
from collegium.testing import FunctionModel
from collegium.tools import tool

ANSWER = 100
"""Tokens that each answer of the model below uses, half of what is set aside for it."""


class Topics(State):
    topics: list[str]
    found: Annotated[list[str], append] = []


class Desk:
    """A model that counts who asks, and holds each answer until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.asked: list[str] = []
        self.at_once = 0
        self._now = 0
        self.go = asyncio.Event()
        self.two = asyncio.Event()
        if not held:
            self.go.set()

    async def answer(self, call: Any) -> Completion[None]:
        self.asked.append(call.messages[-1].content)
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        if len(self.asked) == 2:
            self.two.set()
        await self.go.wait()
        self._now -= 1
        return Completion(
            text=f"about {call.messages[-1].content}",
            output=None,
            usage=Usage(input_tokens=ANSWER // 2, output_tokens=ANSWER // 2, model_calls=1),
            model="desk",
            finish_reason="stop",
        )


def researching(desk: Desk) -> Graph[Topics]:
    model = FunctionModel(desk.answer)

    async def look_up(topic: str) -> str:
        from collegium.models.base import Params

        said = await model.complete([user(topic)], params=Params(max_tokens=150))
        return said.text

    graph = Graph(Topics, name="researching")
    graph.add_map("look_up", look_up, over="topics", writes="found")
    graph.add_edge(START, "look_up")
    graph.add_edge("look_up", END)
    return graph


@pytest.fixture(params=["file", "memory"])
async def runner(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Runner]:
    url = MEMORY if request.param == "memory" else f"sqlite:///{tmp_path}/runs.db"
    async with Runner(url) as opened:
        yield opened


TOPICS = [f"t{number}" for number in range(8)]


async def test_eight_branches_share_one_budget_and_no_call_starts_that_could_pass_it(runner: Runner) -> None:
    desk = Desk()
    run = await runner.start(researching(desk), {"topics": TOPICS}, budget=Budget(tokens=500))
    run = await run.wait()

    assert run.status == "waiting"
    used = run.usage.input_tokens + run.usage.output_tokens
    assert used <= 500
    assert used + 150 > 500  # one more could have passed it
    (approval,) = run.approvals
    assert (approval.kind, approval.payload) == ("budget", {"measure": "tokens", "limit": 500})
    assert approval.allowed == ("extend", "reject")


async def test_after_an_extension_nothing_that_was_finished_is_repeated(runner: Runner) -> None:
    desk = Desk()
    run = await runner.start(researching(desk), {"topics": TOPICS}, budget=Budget(tokens=500))
    run = await run.wait()
    before = list(desk.asked)

    run = await run.answer(run.approvals[0].approval_id, Extend(600, by="ada"))

    assert run.status == "done"
    assert run.state.found == [f"about {topic}" for topic in TOPICS]
    assert sorted(desk.asked) == TOPICS and desk.asked[: len(before)] == before
    assert run.usage.model_calls == 8


async def test_calls_that_only_might_pass_the_limit_wait_for_those_under_way(runner: Runner) -> None:
    desk = Desk(held=True)
    run = await runner.start(researching(desk), {"topics": TOPICS[:3]}, budget=Budget(tokens=500))
    async with asyncio.timeout(20):
        await desk.two.wait()
    desk.go.set()

    run = await run.wait()

    assert (run.status, desk.at_once) == ("done", 2)  # three might use 3 x 200; they used 3 x 100


async def test_an_extension_that_is_too_small_is_asked_about_again(runner: Runner) -> None:
    desk = Desk()
    run = await (await runner.start(researching(desk), {"topics": TOPICS}, budget=Budget(model_calls=3))).wait()
    first = run.approvals[0]

    run = await run.answer(first.approval_id, Extend(2, by="ada"))

    assert run.status == "waiting" and run.usage.model_calls == 5
    assert run.approvals[0].payload == {"measure": "model_calls", "limit": 5}
    run = await run.answer(run.approvals[0].approval_id, Extend(3, by="ada"))
    assert (run.status, sorted(desk.asked)) == ("done", TOPICS)


async def test_a_refused_extension_fails_the_run_and_keeps_what_was_found(runner: Runner) -> None:
    desk = Desk()
    run = await (await runner.start(researching(desk), {"topics": TOPICS}, budget=Budget(model_calls=3))).wait()

    run = await run.answer(run.approvals[0].approval_id, Reject("enough", by="ada"))

    assert run.status == "failed"
    assert run.error == "The budget of 3 model calls is spent (3 used), and ada refused more."


async def test_a_budget_is_extended_by_an_amount_above_nothing(runner: Runner) -> None:
    run = await runner.start(researching(Desk()), {"topics": TOPICS}, budget=Budget(model_calls=0))
    run = await run.wait()

    with pytest.raises(InvalidDecision, match="extends nothing"):
        await run.answer(run.approvals[0].approval_id, Extend(0, by="ada"))


def test_a_negative_limit_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="budget.tokens: -1 is negative"):
        Budget(tokens=-1)


async def test_time_at_work_is_looked_at_before_each_call(runner: Runner) -> None:
    desk = Desk()
    run = await (await runner.start(researching(desk), {"topics": TOPICS}, budget=Budget(seconds=0))).wait()

    assert (run.status, desk.asked) == ("waiting", [])
    assert run.approvals[0].payload["measure"] == "seconds"
    run = await run.answer(run.approvals[0].approval_id, Extend(3600, by="ada"))
    assert run.status == "done"


async def test_the_answer_of_a_call_that_names_no_limit_is_cut_to_what_is_left(runner: Runner) -> None:
    limits: list[int | None] = []

    def answer(call: Any) -> str:
        limits.append(call.params.max_tokens)
        return "short"

    model = FunctionModel(answer)

    async def ask(topics: list[str]) -> list[str]:
        return [(await model.complete([user("why")])).text]

    graph = Graph(Topics, name="asking")
    graph.add_node("ask", ask, writes="found")
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    run = await (await runner.start(graph, {"topics": []}, budget=Budget(tokens=300))).wait()

    assert run.status == "done"
    assert limits[0] is not None and 200 < limits[0] < 300


async def test_tool_calls_are_counted_over_every_lease(runner: Runner) -> None:
    seen: list[str] = []

    @tool(effect="read", risk="low")
    def look(name: str) -> str:
        """Look."""
        seen.append(name)
        return name

    async def first(topics: list[str]) -> list[str]:
        return [(await call_tool(look, {"name": topics[0]})).content]

    async def second(topics: list[str]) -> list[str]:
        return [
            (await call_tool(look, {"name": topics[1]})).content,
            (await call_tool(look, {"name": topics[2]})).content,
        ]

    graph = Graph(Topics, name="looking")
    graph.add_node("first", first, writes="found")
    graph.add_node("second", second, writes="found")
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    graph.add_edge("second", END)
    run = await (await runner.start(graph, {"topics": ["a", "b", "c"]}, budget=Budget(tool_calls=2))).wait()
    assert (run.status, seen) == ("waiting", ["a", "b"])

    run = await run.answer(run.approvals[0].approval_id, Extend(1, by="ada"))

    # The node runs again from its start, so `b` is looked at once more: that is a call, too.
    assert run.status == "waiting"
    run = await run.answer(run.approvals[0].approval_id, Extend(5, by="ada"))
    assert (run.status, run.state.found) == ("done", ["a", "b", "c"])


class Talk(TypedDict, total=False):
    said: str
    name: str


async def test_a_budget_takes_no_place_among_the_questions_of_a_plain_graph(runner: Runner) -> None:
    desk = Desk()
    model = FunctionModel(desk.answer)

    async def talk(state: Talk) -> Talk:
        said = await model.complete([user("hello")])
        return {"said": said.text, "name": interrupt("Who are you?")}

    plain: Any = StateGraph(Talk)
    plain.add_node("talk", talk)
    plain.add_edge(START, "talk")
    run = await (await runner.start(plain, {}, budget=Budget(model_calls=0))).wait()

    run = await run.answer(run.approvals[0].approval_id, Extend(2, by="ada"))
    assert run.approvals[0].payload["prompt"] == "Who are you?"
    run = await run.answer(run.approvals[0].approval_id, Respond("Bob", by="ada"))

    assert run.state == {"said": "about hello", "name": "Bob"}


async def test_dollars_need_a_price_and_are_held_to(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    graph = researching(desk)

    unpriced = await (await runner.start(graph, {"topics": TOPICS}, budget=Budget(usd=1.0))).wait()
    assert unpriced.status == "failed" and "No price is known for 'function'" in (unpriced.error or "")
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"function": {"input_usd": 100, "output_usd": 1000}}))
    monkeypatch.setenv("COLLEGIUM_PRICES", str(prices))
    run = await (await runner.start(graph, {"topics": TOPICS}, budget=Budget(usd=0.4))).wait()

    assert run.status == "waiting"
    assert run.usage.usd == pytest.approx(run.usage.model_calls * (50 * 100 + 50 * 1000) / 1e6)
    assert 0 < run.usage.usd <= 0.4


async def test_what_a_killed_worker_used_still_counts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    desk = Desk()
    graph = researching(desk)
    async with Runner(url, graphs=[graph]) as first:
        run = await (await first.start(graph, {"topics": TOPICS}, budget=Budget(model_calls=3))).wait()
        await first.store.write(_forget_usage)

    async with Runner(url, graphs=[graph]) as second:
        run = await second.answer(run.approvals[0].approval_id, Extend(1, by="ada"))

    assert (run.status, run.usage.model_calls, len(desk.asked)) == ("waiting", 4, 4)


def _forget_usage(conn: Any) -> None:
    """What a run row holds whose worker was killed before the run came to rest."""
    from collegium.runs.store.tables import change_run, run_record

    (run_id,) = conn.execute("SELECT run_id FROM run").fetchone()
    change_run(conn, run_record(conn, run_id), usage={})

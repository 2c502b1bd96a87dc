import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from collegium import END, START, Approve, Graph, Reject, Runner, State
from collegium.agents.plan_runner import PlanRunner
from collegium.agents.retriever import Retriever
from collegium.agents.tool_executor import ToolExecutor
from collegium.agents.values import Answer, Plan, Step, StepResult
from collegium.core.errors import GraphSetupError
from collegium.core.messages import ToolCall
from collegium.knowledge.passages import Passage
from collegium.models.base import Capabilities
from collegium.testing import ScriptedApprover, ScriptedModel, approve_all
from collegium.tools import tool


class Work(State):
    plan: Plan
    results: list[StepResult] = []


def step(step_id: str, *needs: str, agent: str | None = None, tool: str | None = None) -> Step:
    return Step(id=step_id, goal=f"goal of {step_id}", agent=agent, tool=tool, depends_on=list(needs))


def plan(*steps: Step) -> Plan:
    return Plan(goal="the whole", steps=list(steps))


def graph_of(runner: PlanRunner) -> Graph[Work]:
    graph = Graph(Work)
    graph.add_node("work", runner)
    graph.add_edge(START, "work")
    graph.add_edge("work", END)
    return graph


async def echo(goal: str, results: list[StepResult]) -> str:
    return f"{goal} after {[result.step_id for result in results]}"


def found(text: str) -> Passage:
    return Passage(passage_id=text, source="s.md", start=0, end=len(text), text=text)


class Shelf:
    async def search(self, query: str, k: int = 10) -> list[Passage]:
        return [found(query)]


async def test_ready_steps_run_side_by_side_and_dependencies_are_kept() -> None:
    meet = asyncio.Barrier(2)

    async def meeting(goal: str) -> str:
        async with asyncio.timeout(5):
            await meet.wait()
        return f"met at {goal}"

    runner = PlanRunner(agents={"meet": meeting, "echo": echo})
    given = plan(step("c", "a", "b", agent="echo"), step("a", agent="meet"), step("b", agent="meet"))

    run = await graph_of(runner).run({"plan": given})

    assert [(r.step_id, r.status) for r in run.state.results] == [("c", "ok"), ("a", "ok"), ("b", "ok")]
    assert run.state.results[0].text == "goal of c after ['a', 'b']"


async def test_a_failing_step_is_a_result_its_dependents_are_skipped_and_the_rest_goes_on() -> None:
    async def broken(goal: str) -> str:
        raise ValueError("no luck")

    runner = PlanRunner(agents={"broken": broken, "echo": echo})
    given = plan(
        step("a", agent="broken"), step("b", "a", agent="echo"), step("c", "b", agent="echo"), step("d", agent="echo")
    )

    run = await graph_of(runner).run({"plan": given})

    assert [result.status for result in run.state.results] == ["error", "skipped", "skipped", "ok"]
    assert run.state.results[0].text == "ValueError: no luck"
    assert "b did not end well" in run.state.results[2].text


async def test_passages_and_the_plans_goal_reach_the_agents_that_ask_for_them() -> None:
    async def write(goal: str, passages: list[Passage], question: str) -> Answer:
        text = f"{question}: {passages[0].text}"
        return Answer(text=text, confidence="likely", model="m")

    runner = PlanRunner(agents={"find": Retriever(Shelf()), "write": write})

    run = await graph_of(runner).run({"plan": plan(step("a", agent="find"), step("b", "a", agent="write"))})

    assert run.state.results[0].passages == [found("goal of a")]
    assert run.state.results[1].text == "the whole: goal of a"


async def test_a_tool_gets_its_arguments_from_the_model_which_knows_earlier_results() -> None:
    @tool(effect="read", risk="low")
    def count(word: str) -> int:
        """Count the letters."""
        return len(word)

    model = ScriptedModel([ToolCall("x", "count", '{"word": "four"}')])
    runner = PlanRunner(model, agents={"echo": echo}, tools=[count])

    run = await graph_of(runner).run({"plan": plan(step("a", agent="echo"), step("b", "a", tool="count"))})

    assert run.state.results[1].status == "ok"
    assert run.state.results[1].data == [4]
    assert "goal of a after []" in model.calls[0].prompt


def sending(sent: list[str]) -> Any:
    @tool(effect="unsafe", risk="high")
    def send(to: str) -> str:
        """Mail it."""
        sent.append(to)
        return f"sent to {to}"

    return send


def sends(*names: str) -> ScriptedModel:
    return ScriptedModel([ToolCall("x", "send", json.dumps({"to": name})) for name in names])


async def test_steps_that_act_each_ask_and_a_rejection_is_the_result_of_its_step() -> None:
    sent: list[str] = []
    runner = PlanRunner(sends("Ada", "Ada"), tools=[sending(sent)])
    given = plan(step("a", tool="send"), step("b", tool="send"))

    run = await graph_of(runner).run({"plan": given}, approver=ScriptedApprover([Approve(), Reject("enough")]))

    assert sorted(result.status for result in run.state.results) == ["error", "ok"]
    assert sent == ["Ada"]


async def test_a_plan_left_waiting_goes_on_in_another_runner_and_acts_once(tmp_path: Path) -> None:
    sent: list[str] = []
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    given = plan(step("a", agent="echo"), step("b", "a", tool="send"), step("c", "b", agent="echo"))

    async with Runner(
        url, graphs=[graph_of(PlanRunner(sends("Ada"), agents={"echo": echo}, tools=[sending(sent)]))]
    ) as runner:
        run = await (await runner.start("work", {"plan": given})).wait()
        assert run.status == "waiting"
    async with Runner(
        url, graphs=[graph_of(PlanRunner(sends(), agents={"echo": echo}, tools=[sending(sent)]))]
    ) as runner:
        run = await runner.answer((await runner.inbox())[0].id, Approve(by="bob"))
        run = await run.wait()

    assert [result.status for result in run.state.results] == ["ok", "ok", "ok"]
    assert sent == ["Ada"]


async def test_an_executor_among_the_agents_keeps_its_own_turns() -> None:
    sent: list[str] = []
    calls = [ToolCall("x", "send", '{"to": "Ada"}'), ToolCall("y", "send", '{"to": "Bob"}'), "both"]
    executor = ToolExecutor(ScriptedModel(calls), [sending(sent)])
    runner = PlanRunner(agents={"mail": executor})

    run = await graph_of(runner).run({"plan": plan(step("a", agent="mail"))}, approver=approve_all())

    assert sent == ["Ada", "Bob"]
    assert run.state.results[0].status == "ok"
    assert [one.name for one in runner.tools] == ["send"]


async def test_a_step_that_names_nobody_known_is_an_error_and_one_that_names_nobody_takes_the_only_one() -> None:
    run = await graph_of(PlanRunner(agents={"echo": echo})).run({"plan": plan(step("a", agent="ehco"), step("b"))})

    assert "Did you mean 'echo'?" in run.state.results[0].text
    assert run.state.results[1].status == "ok"


async def test_a_tool_step_that_calls_nothing_is_an_error_which_says_why() -> None:
    tiny = ScriptedModel([], spec="tiny", capabilities=Capabilities(level="tiny"))

    @tool(effect="read", risk="low")
    def between(start: str, end: str) -> str:
        """Find a way."""
        return start + end

    run = await graph_of(PlanRunner(tiny, tools=[between])).run({"plan": plan(step("a", tool="between"))})

    assert run.state.results[0].status == "error"
    assert "too small a model" in run.state.results[0].text


def test_an_agent_with_a_port_that_a_plan_cannot_feed_is_refused() -> None:
    async def wants(goal: str, weather: str) -> str:
        return goal + weather

    with pytest.raises(GraphSetupError, match="'weather'.*passages, results, question"):
        PlanRunner(agents={"wants": wants})


def test_a_runner_needs_somebody_to_run_steps_with() -> None:
    with pytest.raises(GraphSetupError, match="agents or tools"):
        PlanRunner()

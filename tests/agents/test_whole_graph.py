"""The agents together, as in the design's sketch, on a real index and a real store."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import pytest

from collegium import END, START, Approve, Edit, Graph, Runner, State, append
from collegium.agents import (
    Answer,
    Ask,
    CriterionScore,
    Judge,
    Plan,
    Planner,
    PlanRunner,
    Retriever,
    Review,
    Router,
    Rubric,
    Scores,
    ShortAnswer,
    Statement,
    Statements,
    Step,
    StepResult,
    ToolExecutor,
    Verdict,
    Writer,
)
from collegium.core.errors import GraphSetupError
from collegium.core.messages import ToolCall
from collegium.knowledge import HashEmbedder, Index, Passage, verify
from collegium.models import Capabilities
from collegium.testing import ScriptedApprover, ScriptedModel, approve_all
from collegium.tools import Tool, ToolResult, tool

HARBOUR = "# Harbour\n\nThe harbour of Brill was built in 1412 by the monk Aldo Renn. It cost 300 guilders.\n"
TOWER = "# Tower\n\nThe tower of Brill burned down in 1533. Nobody was hurt.\n"
QUESTION = "Who built the harbour of Brill?"


class Briefing(State):
    question: str
    plan: Plan | None = None
    passages: Annotated[list[Passage], append] = []
    answer: Answer | None = None
    verdict: Verdict | None = None
    receipts: Annotated[list[ToolResult], append] = []


def passed(state: Briefing) -> bool:
    return state.verdict is not None and state.verdict.passed


def sending(sent: list[str]) -> Tool:
    @tool(effect="unsafe", risk="high")
    async def send_briefing(body: str) -> str:
        """Mail the briefing to the council."""
        sent.append(body)
        return "sent"

    return send_briefing


def briefing(llm: ScriptedModel, index: Index, sent: list[str]) -> Graph[Briefing]:
    graph = Graph(Briefing, name="briefing")
    graph.add_node("plan", Planner(llm), reads={"goal": "question"}, writes="plan")
    graph.add_node("review", Review("plan"))
    graph.add_map("retrieve", Retriever(index, k=2), over="plan.steps", writes="passages")
    graph.add_node("write", Writer(llm, embedder=None), writes="answer")
    graph.add_node("judge", Judge(llm, Rubric("grounded", "answers the question")), writes="verdict")
    graph.add_node("send", ToolExecutor(llm, tools=[sending(sent)]), reads={"goal": "answer"}, writes="receipts")
    for one, other in pairwise([START, "plan", "review", "retrieve", "write", "judge"]):
        graph.add_edge(one, other)
    graph.add_loop("judge", back_to="write", until=passed, at_most=2, then="send", otherwise=END)
    graph.add_edge("send", END)
    return graph


@pytest.fixture
async def index(tmp_path: Path) -> Index:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "harbour.md").write_text(HARBOUR, "utf-8")
    (docs / "tower.md").write_text(TOWER, "utf-8")
    made = Index("brill", folder=tmp_path / "index", embedder=HashEmbedder())
    await made.ingest([docs])
    return made


def judged(score: float) -> Scores:
    names = ("grounded", "answers the question")
    return Scores(scores=[CriterionScore(criterion=name, reason="so", score=score) for name in names])


def stated(text: str, quote: str) -> Statements:
    return Statements(statements=[Statement(statement=text, quote=quote)])


def holds(answer: Answer, index: Index) -> bool:
    return bool(answer.citations) and all(verify(citation, index) for citation in answer.citations)


async def test_a_capable_model_plans_writes_and_judges_and_a_person_lets_the_mail_out(index: Index) -> None:
    sent: list[str] = []
    llm = ScriptedModel(
        [
            Plan(goal="x", steps=[Step(id="a", goal="Who built the harbour?"), Step(id="b", goal="What did it cost?")]),
            stated("It is not known.", "built in 1412"),
            judged(0.2),
            stated("The monk Aldo Renn built the harbour.", "by the monk Aldo Renn"),
            judged(0.9),
            ToolCall("c", "send_briefing", '{"body": "Aldo Renn"}'),
            "It is sent.",
        ]
    )

    run = await briefing(llm, index, sent).run({"question": QUESTION}, approver=approve_all())

    assert run.status == "done"
    assert run.state.answer is not None
    assert run.state.answer.text == "The monk Aldo Renn built the harbour."
    assert holds(run.state.answer, index)
    assert sent == ["Aldo Renn"]
    assert [call.role for call in llm.calls[:5]] == ["plan", "write", "judge", "write", "judge"]
    assert llm.left == 0


async def test_with_a_tiny_model_the_answer_is_quoted_and_checked_by_program(index: Index) -> None:
    pointing = ShortAnswer(answer="the moon")
    llm = ScriptedModel([pointing], spec="tiny", capabilities=Capabilities(level="tiny"))
    sent: list[str] = []
    decisions = ScriptedApprover([Approve(by="ada"), Edit({"body": "Shorter."}, by="ada")])

    run = await briefing(llm, index, sent).run({"question": QUESTION}, approver=decisions)

    assert [call.role for call in llm.calls] == ["write"]
    assert run.state.plan is not None
    assert [step.goal for step in run.state.plan.steps] == [QUESTION]
    assert run.state.answer is not None
    assert "Aldo Renn" in run.state.answer.text
    assert holds(run.state.answer, index)
    assert run.state.verdict is not None
    assert run.state.verdict.model == "program"
    assert run.state.verdict.passed
    assert sent == ["Shorter."]


async def test_a_run_left_waiting_goes_on_in_another_runner_with_graphs_built_anew(
    index: Index, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    sent: list[str] = []
    plan = Plan(goal="x", steps=[Step(id="a", goal="Who built the harbour?")])
    proposal = ToolCall("c", "send_briefing", '{"body": "Aldo Renn"}')
    before = ScriptedModel([plan, stated("Aldo Renn built it.", "Aldo Renn"), judged(1), proposal])

    async with Runner(url, graphs=[briefing(before, index, sent)]) as runner:
        run = await (await runner.start("briefing", {"question": QUESTION})).wait()
        run = await run.answer(run.approvals[0].id, Approve(by="ada"))
        assert run.approvals[0].payload["args"] == {"body": "Aldo Renn"}
    after = ScriptedModel(["It is sent."])
    async with Runner(url, graphs=[briefing(after, index, sent)]) as runner:
        [waiting] = await runner.inbox()
        run = await runner.answer(waiting.id, Approve(by="bob"))
        run = await run.wait()

    assert run.status == "done"
    assert sent == ["Aldo Renn"]
    assert [message.role for message in after.calls[0].messages] == ["system", "user", "assistant", "tool"]


class Errand(State):
    question: str
    route: str = ""
    amount: int = 0
    plan: Plan | None = None
    results: list[StepResult] = []
    notes: Annotated[list[str], append] = []


def errand(llm: ScriptedModel, index: Index) -> Graph[Errand]:
    graph = Graph(Errand)
    runner = PlanRunner(llm, agents={"find": Retriever(index)}, tools=[sending([])])
    graph.add_node("ask", Ask("How much may it cost?", into="amount"))
    graph.add_node(
        "plan", Planner(llm, agents=runner.agents, tools=runner.tools), reads={"goal": "question"}, writes="plan"
    )
    graph.add_node("review", Review("plan", notes="notes"))
    graph.add_node("run", runner)
    graph.add_conditional_edges(START, Router(llm, {"ask": "Money.", "plan": "Anything else."}, on="question"))
    graph.add_edge("ask", "plan")
    for one, other in pairwise(["plan", "review", "run", END]):
        graph.add_edge(one, other)
    return graph


async def test_a_graph_of_all_agents_has_no_errors(index: Index) -> None:
    llm = ScriptedModel([])

    findings = [*briefing(llm, index, []).check(), *errand(llm, index).check()]

    assert [finding for finding in findings if finding.severity == "error"] == []


async def test_a_plan_runs_its_retrieval_and_its_mail_behind_a_person(index: Index) -> None:
    steps = [
        Step(id="a", goal="Who built the harbour?", agent="find"),
        Step(id="b", goal="Tell the council", tool="send_briefing", depends_on=["a"]),
    ]
    llm = ScriptedModel(
        ['{"route": "plan"}', Plan(goal="x", steps=steps), ToolCall("c", "send_briefing", '{"body": "Renn"}')]
    )

    run = await errand(llm, index).run({"question": "Find out and tell"}, approver=approve_all())

    assert [(result.step_id, result.status) for result in run.state.results] == [("a", "ok"), ("b", "ok")]
    assert "Aldo Renn" in llm.calls[2].prompt


async def test_a_retriever_becomes_a_tool_whose_results_are_untrusted(index: Index) -> None:
    library = Retriever(index, k=1).as_tool(name="library", description="Search the chronicle.")
    llm = ScriptedModel([ToolCall("c", "library", '{"query": "harbour"}'), "Aldo Renn"])

    text = await ToolExecutor(llm, [library], gives="text")("Who built it?")

    assert text == "Aldo Renn"
    assert library.effect == "read"
    assert "Aldo Renn" in llm.calls[1].messages[-1].content
    assert llm.calls[1].messages[-1].origins == {"tool"}


def test_a_retriever_hands_on_at_least_one_passage(tmp_path: Path) -> None:
    with pytest.raises(GraphSetupError, match="k is 0"):
        Retriever(Index("x", folder=tmp_path), k=0)

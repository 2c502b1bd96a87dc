"""The shipped examples: without findings, and run to their end with a scripted model."""

import json
from pathlib import Path
from typing import Any

import pytest

from collegium.agents import Scores, Statement, Statements
from collegium.cli.targets import example_names, load_target, parse_target
from collegium.models import Capabilities
from collegium.runs import Approval, Approve, Decision, Edit, Reject, Respond
from collegium.testing import FunctionModel, ScriptedApprover, ScriptedModel, approve_all
from collegium.testing.scripted import ModelCall

TINY = Capabilities(level="tiny", structured="json_schema", tools=False, context_tokens=2048)


def example(name: str) -> Any:
    """The graph of a shipped example."""
    return load_target(parse_target(name))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", example_names())
def test_nothing_is_wrong_with_an_example(name: str) -> None:
    assert example(name).check() == []


# -- support ------------------------------------------------------------------------------------------


def refunds(folder: Path) -> list[dict[str, Any]]:
    file = folder / "refunds.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def handle(ticket: str, approver: Any, model: Any = None) -> Any:
    return await example("support").run(
        {"ticket": ticket}, model=model or ScriptedModel([{"route": "refund"}]), approver=approver
    )


BROKEN = "My lamp from order A-1001 arrived broken. I want my money back."


async def test_support_pays_the_amount_that_the_person_put_in_once(folder: Path) -> None:
    person = ScriptedApprover([Edit({"order_id": "A-1001", "amount": 20.0}, by="ada")])

    run = await handle(BROKEN, person)

    assert refunds(folder) == [{"order_id": "A-1001", "amount": 20.0}]
    assert run.state.reply == "We are sorry. We have paid back 20.00 euros for order A-1001."
    assert person.seen[0].payload["args"] == {"order_id": "A-1001", "amount": 49.9}
    assert person.seen[0].payload["trust"] == "untrusted"


async def test_support_pays_nothing_that_was_rejected_and_says_so(folder: Path) -> None:
    run = await handle(BROKEN, ScriptedApprover([Reject("a picture of the damage is missing", by="ada")]))

    assert refunds(folder) == []
    assert "a picture of the damage is missing" in run.state.reply


async def test_support_answers_about_a_delivery_without_a_person(folder: Path) -> None:
    model = ScriptedModel([{"route": "delivery"}])

    run = await handle("Where is the chair of order A-1002?", ScriptedApprover([]), model)

    assert run.state.reply == "Your office chair (order A-1002) is on its way."


@pytest.mark.parametrize("ticket", ["Do you sell lamps?", "My order Z-9999 is broken, I want my money back."])
async def test_support_hands_over_to_a_person_what_has_no_order(folder: Path, ticket: str) -> None:
    model = ScriptedModel([])

    run = await handle(ticket, ScriptedApprover([Respond("Please send us your invoice.", by="ada")]), model)

    assert run.state.reply == "Please send us your invoice."
    assert model.calls == []


async def test_support_sorts_tickets_with_a_tiny_model_too(folder: Path) -> None:
    model = ScriptedModel([], capabilities=TINY)

    run = await handle(BROKEN, approve_all(), model)

    assert run.status == "done"
    assert refunds(folder) == [{"order_id": "A-1001", "amount": 49.9}]


# -- review -------------------------------------------------------------------------------------------

CODE = """def f(items=[]):
    try:
        return items[0]
    except:
        return None
"""


@pytest.fixture
def code(folder: Path) -> Path:
    """Two files to review, one of which does not parse."""
    (folder / "src").mkdir()
    (folder / "src" / "a.py").write_text(CODE, encoding="utf-8")
    (folder / "src" / "b.py").write_text("def f(:\n", encoding="utf-8")
    return folder / "src"


async def test_review_reads_each_file_by_rule_where_the_model_is_tiny(code: Path) -> None:
    model = ScriptedModel([], capabilities=TINY)
    person = ScriptedApprover([Respond("Fix the first one now.", by="ada")])

    run = await example("review").run({"folder": str(code)}, model=model, approver=person)

    assert [(Path(r.file).name, r.line) for r in run.state.remarks] == [("a.py", 1), ("a.py", 4), ("b.py", 1)]
    assert "a.py:4: A bare except also hides Ctrl-C." in run.state.report
    assert run.state.verdict.abstained
    assert run.state.notes == "Fix the first one now."


async def test_review_sends_a_weak_summary_back_once(code: Path) -> None:
    def score(value: float) -> dict[str, Any]:
        return {"scores": [{"criterion": "useful", "reason": "names no line", "score": value}]}

    verdicts = [score(0.1), score(0.2)]

    def say(call: ModelCall) -> Any:
        if call.role == "inspect":
            return {"remarks": []}
        return verdicts.pop(0) if call.role == "judge" else f"summary {2 - len(verdicts)}"

    model = FunctionModel(say)

    run = await example("review").run({"folder": str(code)}, model=model, approver=approve_all())

    assert [call.role for call in model.calls][2:] == ["summarise", "judge", "summarise", "judge"]
    assert run.state.report == "summary 1"
    assert "names no line" in model.calls[4].prompt


# -- research -----------------------------------------------------------------------------------------

QUOTE = "The reading room opens at nine in the morning."


@pytest.fixture
def handbook(folder: Path, minilm: Path) -> list[str]:
    """A folder of documents; the index needs MiniLM's weights."""
    (folder / "handbook").mkdir()
    (folder / "handbook" / "hours.md").write_text(f"# Hours\n\n{QUOTE} It closes at six.\n", encoding="utf-8")
    (folder / "handbook" / "loans.md").write_text("# Loans\n\nBooks are lent for four weeks.\n", encoding="utf-8")
    return [str(folder / "handbook")]


def plan_of(*goals: str) -> dict[str, Any]:
    steps: list[dict[str, object]] = [
        {"id": f"s{i}", "goal": goal, "agent": "search", "depends_on": []} for i, goal in enumerate(goals, 1)
    ]
    return {"goal": "g", "steps": steps}


def slice_of(source: str, start: int, end: int) -> str:
    return Path(source).read_text(encoding="utf-8")[start:end]


def judged(value: float) -> Scores:
    names = ("grounded", "answers the question")
    return Scores.model_validate({"scores": [{"criterion": n, "reason": "so", "score": value} for n in names]})


@pytest.mark.embedded
async def test_research_plans_searches_writes_judges_and_saves_what_was_approved(
    handbook: list[str], folder: Path
) -> None:
    said = Statements(statements=[Statement(statement="It opens at nine.", quote=QUOTE)])
    model = ScriptedModel([plan_of("opening hours", "lending"), said, judged(0.2), said, judged(0.9)])
    seen: list[Approval] = []

    async def person(approval: Approval) -> Decision:
        seen.append(approval)
        return Approve(by="ada")

    question = {"question": "When does the reading room open?", "documents": handbook}
    run = await example("research").run(question, model=model, approver=person)

    assert [call.role for call in model.calls] == ["plan", "write", "judge", "write", "judge"]
    assert [approval.kind for approval in seen] == ["review", "tool_call"]
    assert {Path(passage.source).name for passage in run.state.passages} == {"hours.md", "loans.md"}
    assert [citation.quote for citation in run.state.answer.citations] == [QUOTE]
    assert QUOTE in (folder / "reports" / "when-does-the-reading-room-open.md").read_text(encoding="utf-8")


@pytest.mark.embedded
async def test_research_quotes_its_source_where_the_model_is_tiny(handbook: list[str], folder: Path) -> None:
    model = ScriptedModel([{"answer": "nine in the morning"}], capabilities=TINY)
    person = ScriptedApprover([Approve(by="ada"), Reject("not needed", by="ada")])

    question = {"question": "When does the reading room open?", "documents": handbook}
    run = await example("research").run(question, model=model, approver=person)

    citation = run.state.answer.citations[0]
    assert "nine in the morning" in run.state.answer.text
    assert slice_of(citation.source, citation.start, citation.end) == citation.quote
    assert run.state.verdict.passed
    assert run.state.report.status == "rejected"
    assert not (folder / "reports").exists()


def test_the_questions_of_research_are_ten_with_accepted_answers() -> None:
    file = Path(__file__).parents[2] / "examples" / "research" / "questions.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    assert len({line["question"] for line in lines}) == 10
    for line in lines:
        assert line["accepted"]
        assert not any(accepted.lower() in line["question"].lower() for accepted in line["accepted"])

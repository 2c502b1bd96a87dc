from typing import Annotated, Any

import pytest
from pydantic import Field

from collegium import END, START, Approve, Edit, Graph, Reject, Respond, Runner, State, append
from collegium.agents.review import Ask, Review
from collegium.agents.values import Answer, Plan, SentenceSupport, Step
from collegium.core.errors import InvalidDecision, UnknownField
from collegium.knowledge import Citation
from collegium.runs import Decision
from collegium.testing import ScriptedApprover

PLAN = Plan(goal="g", steps=[Step(id="a", goal="x")])


class Job(State):
    plan: Plan
    amount: int = Field(default=10, le=100)
    notes: str = ""
    remarks: Annotated[list[str], append] = []
    tags: Annotated[list[str], append] = ["old"]


def graph_of(node: Any) -> Graph[Job]:
    graph = Graph(Job)
    graph.add_node("look", node)
    graph.add_edge(START, "look")
    graph.add_edge("look", END)
    return graph


async def finish(node: Any, *decisions: Decision) -> Any:
    return await graph_of(node).run({"plan": PLAN}, approver=ScriptedApprover(decisions))


async def test_a_review_shows_the_field_as_json_and_waits() -> None:
    run = await graph_of(Review("plan")).run({"plan": PLAN})

    assert run.status == "waiting"
    approval = run.approvals[0]
    assert approval.kind == "review"
    assert approval.payload == {"field": "plan", "value": PLAN.model_dump(mode="json")}
    assert approval.allowed == ("approve", "edit", "reject")
    assert approval.schema is not None
    assert "steps" in approval.schema["properties"]


async def test_an_approved_field_stays_as_it_is() -> None:
    run = await finish(Review("plan"), Approve(by="ada"))

    assert run.status == "done"
    assert run.state.plan == PLAN


async def test_an_edit_replaces_the_field_with_a_value_of_its_type() -> None:
    edited = {"goal": "better", "steps": [{"id": "b", "goal": "y"}]}

    run = await finish(Review("plan"), Edit(edited, by="ada"))

    assert run.state.plan == Plan(goal="better", steps=[Step(id="b", goal="y")])


async def test_an_edit_that_fits_the_schema_but_not_the_type_is_shown_again_with_the_problem() -> None:
    cyclic = {"goal": "g", "steps": [{"id": "a", "goal": "x", "depends_on": ["a"]}]}
    approver = ScriptedApprover([Edit(cyclic), Approve()])

    run = await graph_of(Review("plan")).run({"plan": PLAN}, approver=approver)

    assert "circle" in str(approver.seen[1].payload["problem"])
    assert run.state.plan == PLAN


async def test_an_edit_that_does_not_fit_the_schema_is_refused_and_the_review_still_waits() -> None:
    async with Runner("sqlite://:memory:", graphs=[graph_of(Review("amount"))]) as runner:
        run = await (await runner.start("job", {"plan": PLAN})).wait()

        with pytest.raises(InvalidDecision):
            await run.answer(run.approvals[0].id, Edit("much"))
        run = await run.answer(run.approvals[0].id, Edit(50))

        assert run.state.amount == 50


async def test_a_rejection_ends_the_run_as_cancelled_with_who_and_why() -> None:
    run = await finish(Review("plan"), Reject("too long", by="ada"))

    assert run.status == "cancelled"
    assert "ada rejected 'plan': too long" in (run.error or "")


@pytest.mark.parametrize(("notes", "kept"), [("notes", "shorter"), ("remarks", ["shorter"])])
async def test_a_response_is_kept_as_a_note_and_the_field_stays(notes: str, kept: object) -> None:
    run = await finish(Review("plan", notes=notes), Respond("shorter", by="ada"))

    assert getattr(run.state, notes) == kept
    assert run.state.plan == PLAN


async def test_a_field_that_grows_is_replaced_by_an_edit_and_not_added_to() -> None:
    edited = await finish(Review("tags"), Edit(["new"]))
    approved = await finish(Review("tags"), Approve())

    assert edited.state.tags == ["new"]
    assert approved.state.tags == ["old"]


async def test_a_reviewed_field_may_come_round_again_and_is_asked_anew() -> None:
    def counted(amount: int) -> int:
        return amount + 1

    def enough(amount: int) -> bool:
        return amount > 11

    graph = Graph(Job)
    graph.add_node("count", counted, writes="amount")
    graph.add_node("look", Review("amount"))
    graph.add_edge(START, "count")
    graph.add_edge("count", "look")
    graph.add_loop("look", back_to="count", until=enough, at_most=3, then=END)
    approver = ScriptedApprover([Approve(), Approve()])

    run = await graph.run({"plan": PLAN}, approver=approver)

    assert [approval.payload["value"] for approval in approver.seen] == [11, 12]
    assert run.status == "done"


async def test_a_question_is_answered_with_a_value_of_the_fields_type() -> None:
    run = await finish(Ask("How much?", into="amount"), Respond(42, by="ada"))

    assert run.state.amount == 42


async def test_an_answer_given_as_text_is_read_as_the_type() -> None:
    waiting = await graph_of(Ask("How much?", into="amount")).run({"plan": PLAN})

    assert waiting.approvals[0].kind == "input"
    assert waiting.approvals[0].payload == {"prompt": "How much?", "field": "amount"}
    assert waiting.approvals[0].allowed == ("respond", "reject")


async def test_a_rejected_question_cancels_the_run() -> None:
    run = await finish(Ask("How much?", into="amount"), Reject("none of your business"))

    assert run.status == "cancelled"


@pytest.mark.parametrize("node", [Review("plann"), Review("plan", notes="note"), Ask("?", into="amont")])
def test_a_field_that_the_state_lacks_is_found_when_the_node_is_added(node: Any) -> None:
    with pytest.raises(UnknownField, match="Did you mean"):
        graph_of(node)


QUOTE = "The room closes at six."
CITATION = Citation(passage_id="p1", source="hours.md", start=0, end=len(QUOTE), quote=QUOTE)
ANSWER = Answer(
    text=QUOTE,
    citations=[CITATION],
    confidence="confident",
    model="smollm2",
    highlight="six",
    support=[SentenceSupport(start=0, end=len(QUOTE), support="supported", reason="quoted", citations=[0])],
)


class Reply(State):
    answer: Answer


async def reviewed(**changes: Any) -> Answer:
    graph = Graph(Reply)
    graph.add_node("look", Review("answer"))
    graph.add_edge(START, "look")
    graph.add_edge("look", END)
    given = {**ANSWER.model_dump(mode="json"), **changes}
    run = await graph.run({"answer": ANSWER}, approver=ScriptedApprover([Edit(given, by="ada")]))
    return run.state.answer


async def test_an_edited_answer_is_its_editors_and_its_sentences_are_checked_anew() -> None:
    text = "It closes at six. Tea costs 3 crowns."

    answer = await reviewed(text=text)

    assert (answer.text, answer.model, answer.confidence, answer.highlight) == (text, "ada", "uncertain", None)
    assert answer.citations == [CITATION]
    assert [(text[one.start : one.end], one.support, one.citations) for one in answer.support] == [
        ("It closes at six.", "supported", [0]),
        ("Tea costs 3 crowns.", "unsupported", []),
    ]


async def test_an_edit_that_the_quotes_support_is_as_sure_as_they_were() -> None:
    answer = await reviewed(text="It closes at six.")

    assert (answer.confidence, answer.unsupported) == ("confident", [])


async def test_a_quote_that_a_person_rewords_is_no_citation() -> None:
    answer = await reviewed(citations=[{**CITATION.model_dump(), "quote": "The room never closes."}])

    assert answer.citations == []
    assert [one.support for one in answer.support] == ["unsupported"]


async def test_an_answer_that_its_editor_leaves_as_it_is_stays_the_models() -> None:
    assert await reviewed() == ANSWER

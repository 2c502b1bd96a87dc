from collections.abc import Callable
from typing import Any

import pytest

from collegium import END, START, Graph, State
from collegium.agents import Answer, Criterion, CriterionScore, Judge, Rubric, Scores, ShortAnswer, Verdict, Writer
from collegium.core.errors import BackendUnavailable, OutputRefused
from collegium.knowledge import Citation, Passage
from collegium.models import Capabilities
from collegium.models.base import Level
from collegium.testing import ScriptedModel

TEXT = "The harbour was built in 1412. It cost 300 guilders."
PASSAGES = [Passage(passage_id="p", source="h.md", start=10, end=10 + len(TEXT), text=TEXT)]
CITATION = Citation(passage_id="p", source="h.md", start=10, end=40, quote="The harbour was built in 1412.")
RIGHT = Answer(text="The harbour was built in 1412.", citations=[CITATION], confidence="confident", model="m")
WRONG = Answer(text="The harbour was built in 1999 by Napoleon.", confidence="confident", model="m")


def judge(level: Level, *answers: object, rubric: Rubric | None = None) -> Judge:
    return Judge(ScriptedModel(answers, capabilities=Capabilities(level=level)), rubric)


def scores(**by_name: float) -> Scores:
    return Scores(
        scores=[
            CriterionScore(criterion=name.replace("_", " "), reason="because", score=score)
            for name, score in by_name.items()
        ]
    )


async def test_a_capable_model_scores_each_criterion_and_the_weights_decide() -> None:
    rubric = Rubric("grounded", Criterion(name="tone", weight=3, description="Friendly."), pass_mark=0.8)
    said = scores(grounded=1.0, tone=0.6)

    verdict = await judge("capable", said, rubric=rubric)(RIGHT, "When?", PASSAGES)

    assert verdict.score == pytest.approx(0.7)
    assert not verdict.passed
    assert verdict.feedback == "tone (0.60): because"
    assert verdict.model == "scripted"


async def test_grounding_is_checked_by_program_beside_the_model_and_the_lower_score_counts() -> None:
    said = scores(grounded=1.0, answers_the_question=1.0)

    verdict = await judge("capable", said)(WRONG, "When?", PASSAGES)

    assert verdict.scores[0].score == 0.0
    assert "1999" in verdict.scores[0].reason
    assert verdict.scores[0].reason.startswith("program: ")
    assert not verdict.passed


async def test_a_quote_that_is_not_where_it_claims_to_be_gives_no_grounding() -> None:
    moved = RIGHT.model_copy(update={"citations": [CITATION.model_copy(update={"start": 11, "end": 41})]})

    verdict = await judge("tiny")(moved, "When?", PASSAGES)

    assert verdict.scores[0].score == 0.0
    assert "is not in 'h.md'" in verdict.scores[0].reason


async def test_a_criterion_left_out_is_asked_for_once_more() -> None:
    model = ScriptedModel([scores(grounded=1.0), scores(grounded=1.0, answers_the_question=0.9)])

    verdict = await Judge(model)(RIGHT, "When?", PASSAGES)

    assert verdict.passed
    assert "'answers the question'" in model.calls[1].messages[-1].content


@pytest.mark.parametrize(
    "answers",
    [
        ["not JSON"],
        ['{"scores": [{"criterion": "grounded", "reason": "r", "score": NaN}]}'],
        ['{"scores": [{"criterion": "grounded", "reason": "r", "score": 7}]}'],
        [scores(grounded=1.0), scores(grounded=1.0)],
        [OutputRefused("m", "no")],
    ],
    ids=["text", "nan", "out of range", "incomplete", "refused"],
)
async def test_an_invalid_judgement_is_an_abstention_and_never_a_pass(answers: list[object]) -> None:
    verdict = await judge("capable", *answers)(RIGHT, "When?", PASSAGES)

    assert verdict.abstained
    assert not verdict.passed
    assert verdict.score == 0.0
    assert verdict.feedback.startswith("No verdict: ")


async def test_a_judge_that_says_too_much_has_judged_all_the_same() -> None:
    said = '{"scores": [{"criterion": "short", "reason": "' + "x" * 2000 + '", "score": 1}]}'

    verdict = await judge("capable", said, rubric=Rubric("short"))("Yes.")

    assert verdict.passed
    assert len(verdict.scores[0].reason) == 600


async def test_a_score_exactly_at_the_pass_mark_passes() -> None:
    rubric = Rubric(*(Criterion(name=name, weight=0.1) for name in "abc"), pass_mark=0.7)

    verdict = await judge("capable", scores(a=0.7, b=0.7, c=0.7), rubric=rubric)("Yes.")

    assert verdict.passed


async def test_a_server_that_is_gone_is_not_an_abstention() -> None:
    with pytest.raises(BackendUnavailable):
        await judge("capable", BackendUnavailable("m", "gone"))(RIGHT, "When?", PASSAGES)


async def test_a_tiny_model_is_not_asked_and_the_program_says_so() -> None:
    verdict = await judge("tiny")(RIGHT, "When?", PASSAGES)

    assert verdict.passed
    assert verdict.model == "program"
    assert all(score.reason.startswith("program: ") for score in verdict.scores)


@pytest.mark.parametrize(("confidence", "passed"), [("confident", True), ("likely", True), ("uncertain", False)])
async def test_without_a_model_the_margin_says_whether_the_question_is_answered(confidence: Any, passed: bool) -> None:
    answer = RIGHT.model_copy(update={"confidence": confidence})

    verdict = await judge("tiny", rubric=Rubric("answers the question"))(answer, "When?", PASSAGES)

    assert verdict.passed is passed


async def test_a_tiny_model_abstains_from_what_the_program_cannot_score() -> None:
    verdict = await judge("tiny", rubric=Rubric("grounded", "polite"))(RIGHT, "When?", PASSAGES)

    assert verdict.abstained
    assert "'polite' needs a larger model" in verdict.feedback
    assert [score.criterion for score in verdict.scores] == ["grounded"]


@pytest.mark.parametrize(("met", "passed"), [("yes", True), ("no", False)])
async def test_a_small_model_says_yes_or_no_to_what_the_program_cannot_score(met: str, passed: bool) -> None:
    answer = f'{{"reason": "so it is", "met": "{met}"}}'
    rubric = Rubric("grounded", "polite")

    verdict = await judge("small", answer, rubric=rubric)(RIGHT, "When?", PASSAGES)

    assert verdict.passed is passed
    assert [score.score for score in verdict.scores] == [1.0, float(passed)]


async def test_an_empty_answer_does_not_pass() -> None:
    empty = Answer(text="", confidence="uncertain", model="m")

    verdict = await judge("tiny")(empty, "When?", PASSAGES)

    assert not verdict.passed


async def test_plain_text_can_be_judged_without_a_question_or_passages() -> None:
    rubric = Rubric("short", pass_mark=1)

    verdict = await judge("capable", scores(short=1.0), rubric=rubric)("Yes.")

    assert verdict.passed


class Work(State):
    question: str
    passages: list[Passage] = PASSAGES
    answer: Answer | None = None
    verdict: Verdict | None = None
    tries: int = 0


def passed(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.passed


def looped(model: ScriptedModel, write: Callable[..., Any]) -> Graph[Work]:
    graph = Graph(Work)
    graph.add_node("write", write, writes=("answer", "tries"))
    graph.add_node("judge", Judge(model), writes="verdict")
    graph.add_edge(START, "write")
    graph.add_edge("write", "judge")
    graph.add_loop("judge", back_to="write", until=passed, at_most=2, then=END)
    return graph


def write_badly(tries: int) -> dict[str, Any]:
    return {"answer": WRONG, "tries": tries + 1}


async def test_a_judge_sends_work_back_at_most_twice() -> None:
    weak = scores(grounded=0.1, answers_the_question=0.1)
    model = ScriptedModel([weak, weak, weak, weak])

    run = await looped(model, write_badly).run({"question": "When?"})

    assert run.state.tries == 3
    assert len(model.calls) == 3
    assert run.state.verdict is not None
    assert not run.state.verdict.passed


async def test_work_that_passes_goes_on_at_once() -> None:
    def write(tries: int) -> dict[str, Any]:
        return {"answer": RIGHT, "tries": tries + 1}

    run = await looped(ScriptedModel([scores(grounded=1.0, answers_the_question=1.0)]), write).run(
        {"question": "When?"}
    )

    assert run.state.tries == 1
    assert run.state.verdict is not None
    assert run.state.verdict.passed


async def test_the_writer_and_the_judge_of_a_tiny_model_agree_through_a_graph() -> None:
    tiny = ScriptedModel([ShortAnswer(answer="1412")], capabilities=Capabilities(level="tiny"))
    graph = Graph(Work)
    graph.add_node("write", Writer(tiny, embedder=None), writes="answer")
    graph.add_node("judge", Judge(tiny), writes="verdict")
    graph.add_edge(START, "write")
    graph.add_edge("write", "judge")
    graph.add_loop("judge", back_to="write", until=passed, at_most=2, then=END)

    run = await graph.run({"question": "When was the harbour built?"})

    assert run.state.answer is not None
    assert "1412" in run.state.answer.text
    assert run.state.verdict is not None
    assert run.state.verdict.scores[0].score == 1.0

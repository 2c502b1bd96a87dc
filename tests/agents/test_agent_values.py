import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from collegium.agents.values import Answer, Criterion, CriterionScore, Plan, Rubric, Step, Verdict


def steps(*pairs: tuple[str, list[str]]) -> list[Step]:
    return [Step(id=step_id, goal=f"do {step_id}", depends_on=needs) for step_id, needs in pairs]


def test_a_circle_of_dependencies_is_refused_and_named() -> None:
    with pytest.raises(ValidationError, match="circle: a -> c -> b -> a"):
        Plan(goal="g", steps=steps(("a", ["c"]), ("b", ["a"]), ("c", ["b"])))


def test_a_step_that_depends_on_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="circle: a -> a"):
        Plan(goal="g", steps=steps(("a", ["a"])))


def test_a_dependency_on_a_missing_step_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="'a' depends on 'z'"):
        Plan(goal="g", steps=steps(("a", ["z"])))


def test_two_steps_with_one_id_are_refused() -> None:
    with pytest.raises(ValidationError, match="two steps have the id 'a'"):
        Plan(goal="g", steps=steps(("a", []), ("a", [])))


def test_a_step_names_a_tool_or_an_agent_but_not_both() -> None:
    with pytest.raises(ValidationError, match="give one of them"):
        Step(id="a", goal="g", tool="x", agent="y")


def test_a_step_is_ready_once_all_that_it_needs_is_settled() -> None:
    plan = Plan(goal="g", steps=steps(("a", []), ("b", []), ("c", ["a", "b"])))

    assert [step.id for step in plan.ready([])] == ["a", "b"]
    assert [step.id for step in plan.ready(["a"])] == ["b"]
    assert [step.id for step in plan.ready(["a", "b"])] == ["c"]


@given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=8))
def test_whatever_plan_is_accepted_can_be_worked_off(needs: list[set[int]]) -> None:
    drawn = [
        Step(id=str(i), goal="g", depends_on=[str(n) for n in sorted(of) if n < len(needs)])
        for i, of in enumerate(needs)
    ]
    try:
        plan = Plan(goal="g", steps=drawn)
    except ValidationError:
        return
    settled: set[str] = set()
    while ready := plan.ready(settled):
        settled |= {step.id for step in ready}
    assert settled == {step.id for step in plan.steps}


def test_a_rubric_takes_names_and_criteria_and_weighs_them() -> None:
    rubric = Rubric("grounded", Criterion(name="short", weight=3), pass_mark=0.5)

    score = rubric.score(
        [
            CriterionScore(criterion="short", reason="r", score=1.0),
            CriterionScore(criterion="grounded", reason="r", score=0.0),
        ]
    )

    assert score == 0.75
    assert Rubric.model_validate_json(rubric.model_dump_json()) == rubric


def test_a_rubric_refuses_two_criteria_of_one_name_and_none_at_all() -> None:
    with pytest.raises(ValidationError, match="same name"):
        Rubric("grounded", "grounded")
    with pytest.raises(ValidationError):
        Rubric()


def test_a_verdict_that_abstains_cannot_pass_and_a_score_is_never_nan() -> None:
    with pytest.raises(ValidationError, match="cannot pass"):
        Verdict(passed=True, abstained=True)
    with pytest.raises(ValidationError):
        Verdict(passed=False, score=float("nan"))
    with pytest.raises(ValidationError):
        CriterionScore(criterion="c", reason="r", score=float("nan"))


def test_values_survive_json_and_pickle() -> None:
    plan = Plan(goal="g", steps=steps(("a", []), ("b", ["a"])))
    answer = Answer(text="t", confidence="likely", model="m")

    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert pickle.loads(pickle.dumps(answer)) == answer

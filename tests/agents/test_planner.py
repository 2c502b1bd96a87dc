import pytest

from collegium.agents.planner import Planner
from collegium.agents.values import Plan, Step, Verdict
from collegium.core.errors import GraphSetupError, InvalidOutput
from collegium.models.base import Capabilities, Level
from collegium.testing import ScriptedModel
from collegium.tools import tool


@tool(effect="read", risk="low")
def search(query: str) -> str:
    """Search the handbook."""
    return query


@tool(effect="read", risk="low")
def calculate(expression: str) -> str:
    """Work out an arithmetic expression."""
    return expression


@tool
def send(to: str, body: str) -> str:
    """Mail a note to one person, and write nothing else."""
    return to + body


def can(level: Level) -> Capabilities:
    return Capabilities(level=level)


def plan(*steps: Step, goal: str = "the model's goal") -> Plan:
    return Plan(goal=goal, steps=list(steps))


CYCLIC = (
    '{"goal": "g", "steps": [{"id": "a", "goal": "x", "tool": "search", "depends_on": ["b"]},'
    ' {"id": "b", "goal": "y", "tool": "search", "depends_on": ["a"]}]}'
)
GOOD = Step(id="a", goal="find it", tool="search")


async def test_a_capable_model_repairs_a_cyclic_plan() -> None:
    model = ScriptedModel([CYCLIC, plan(GOOD)])

    made = await Planner(model, tools=[search])("When was it built?")

    assert made == plan(GOOD, goal="When was it built?")
    assert "circle: a -> b -> a" in model.calls[1].messages[-1].content


async def test_a_plan_that_names_an_unknown_tool_is_sent_back_with_the_known_ones() -> None:
    model = ScriptedModel([plan(Step(id="a", goal="g", tool="telepathy")), plan(GOOD)])

    made = await Planner(model, tools=[search, calculate])("goal")

    assert made.steps == [GOOD]
    told = model.calls[1].messages[-1].content
    assert "'telepathy'" in told
    assert "search, calculate" in told


async def test_a_step_without_tool_or_agent_is_sent_back_where_there_are_some() -> None:
    model = ScriptedModel([plan(Step(id="a", goal="g")), plan(GOOD)])

    await Planner(model, tools=[search])("goal")

    assert "names no tool or agent" in model.calls[1].messages[-1].content


async def test_a_name_under_the_wrong_heading_is_put_right_without_a_repair() -> None:
    model = ScriptedModel([plan(Step(id="a", goal="g", tool="writer"), Step(id="b", goal="g", agent="search"))])

    made = await Planner(model, tools=[search], agents=["writer"])("goal")

    assert [(step.tool, step.agent) for step in made.steps] == [(None, "writer"), ("search", None)]


async def test_repairs_are_bounded_and_the_last_problem_is_told() -> None:
    bad = plan(Step(id="a", goal="g", tool="telepathy"))
    model = ScriptedModel([bad, bad, bad, plan(GOOD)])

    with pytest.raises(InvalidOutput, match="after 2 repairs.*telepathy"):
        await Planner(model, tools=[search])("goal")
    assert model.left == 1


async def test_a_plan_with_too_many_steps_is_sent_back() -> None:
    long = plan(*(Step(id=str(i), goal="g", tool="search") for i in range(3)))
    model = ScriptedModel([long, plan(GOOD)])

    made = await Planner(model, tools=[search], max_steps=2)("goal")

    assert len(made.steps) == 1
    assert "3 steps, and 2 are allowed" in model.calls[1].messages[-1].content


async def test_a_failing_verdict_and_its_plan_reach_the_model_and_a_passing_one_does_not() -> None:
    model = ScriptedModel([plan(GOOD), plan(GOOD)])
    planner = Planner(model, tools=[search])

    await planner("goal", Verdict(passed=False, feedback="the year is missing"), plan(GOOD))
    await planner("goal", Verdict(passed=True, feedback="fine"), plan(GOOD))

    assert "the year is missing" in model.calls[0].prompt
    assert "a (search): find it" in model.calls[0].prompt
    assert "fine" not in model.calls[1].prompt


async def test_a_small_model_fills_slots_and_the_goals_come_from_the_user() -> None:
    answer = (
        '{"step1": {"hand": "search", "goal": "invented"},'
        ' "step2": {"hand": "calculate", "goal": "invented", "depends_on": [1]}}'
    )
    model = ScriptedModel([answer], capabilities=can("small"))

    made = await Planner(model, tools=[search, calculate])("Add up the 3 costs")

    assert made.steps == [
        Step(id="s1", goal="Add up the 3 costs", tool="search"),
        Step(id="s2", goal="Add up the 3 costs", tool="calculate", depends_on=["s1"]),
    ]


async def test_the_slots_of_a_small_model_cannot_point_forwards() -> None:
    answer = '{"step1": {"hand": "search", "goal": "find", "depends_on": [2]}}'
    model = ScriptedModel([answer], capabilities=can("small"))

    made = await Planner(model, tools=[search, calculate])("goal")

    assert made.steps[0].depends_on == []


async def test_a_small_model_with_one_tool_is_not_asked() -> None:
    model = ScriptedModel([], capabilities=can("small"))

    made = await Planner(model, tools=[search])("Who founded the club? When?")

    assert [step.goal for step in made.steps] == ["Who founded the club?", "When?"]


async def test_what_a_small_model_plans_twice_is_done_once() -> None:
    answer = (
        '{"step1": {"hand": "search", "goal": "a"}, "step2": {"hand": "search", "goal": "b"},'
        ' "step3": {"hand": "calculate", "goal": "c", "depends_on": [2]}}'
    )
    model = ScriptedModel([answer], capabilities=can("small"))

    made = await Planner(model, tools=[search, calculate])("Add up the 3 costs")

    assert [(step.tool, step.depends_on) for step in made.steps] == [("search", []), ("calculate", ["s1"])]


async def test_a_small_model_does_not_calculate_where_the_goal_has_no_numbers() -> None:
    answer = (
        '{"step1": {"hand": "calculate", "goal": "sum"},'
        ' "step2": {"hand": "search", "goal": "find", "depends_on": [1]}}'
    )
    model = ScriptedModel([answer], capabilities=can("small"))

    made = await Planner(model, tools=[search, calculate])("Who founded the club?")

    assert made.steps == [Step(id="s1", goal="Who founded the club?", tool="search")]


async def test_a_goal_that_asks_for_a_check_gets_one_from_the_program() -> None:
    model = ScriptedModel(['{"step1": {"hand": "search", "goal": "find"}}'], capabilities=can("small"))

    made = await Planner(model, tools=[search], agents={"verify": "Verifies a claim."})("Find it and check it")

    assert [step.tool or step.agent for step in made.steps] == ["search", "verify"]
    assert made.steps[1].depends_on == ["s1"]


async def test_a_small_model_that_fills_nothing_gets_the_fixed_plan() -> None:
    model = ScriptedModel(["not JSON"], capabilities=can("small"))

    made = await Planner(model, tools=[search, calculate])("goal")

    assert [step.tool for step in made.steps] == ["search"]


async def test_a_tiny_model_is_not_asked_and_the_shape_is_fixed() -> None:
    model = ScriptedModel([], capabilities=can("tiny"))
    agents = {"writer": "Writes the answer.", "judge": "Judges the answer."}

    made = await Planner(model, tools=[send, search], agents=agents)("When was it built?")

    assert model.calls == []
    assert [step.tool or step.agent for step in made.steps] == ["search", "writer", "judge"]
    assert [step.depends_on for step in made.steps] == [[], ["s1"], ["s1", "s2"]]
    assert {step.goal for step in made.steps} == {"When was it built?"}


async def test_two_questions_become_two_searches() -> None:
    model = ScriptedModel([], capabilities=can("tiny"))

    made = await Planner(model)("When was it built? Who paid for it?")

    assert [step.goal for step in made.steps] == ["When was it built?", "Who paid for it?"]


async def test_a_rule_never_chooses_a_tool_that_acts() -> None:
    model = ScriptedModel([], capabilities=can("tiny"))

    made = await Planner(model, tools=[send])("Send the note to Ada")

    assert made.steps == [Step(id="s1", goal="Send the note to Ada")]


@pytest.mark.parametrize("steps", [0, 65])
def test_a_senseless_bound_is_refused_at_construction(steps: int) -> None:
    with pytest.raises(GraphSetupError, match="max_steps"):
        Planner(ScriptedModel([]), max_steps=steps)

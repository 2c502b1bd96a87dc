# Lambdas and LangGraph's own methods have types that strict checking cannot know.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false

import asyncio
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import interrupt
from pydantic import BaseModel

from collegium.core.errors import GraphSetupError, MissingInput, PortMismatch, UnknownField
from collegium.graphs import END, START, Command, Graph, State, append


class Task(BaseModel):
    id: str


class Plan(BaseModel):
    tasks: list[Task]


class Job(State):
    goal: str
    plan: Plan | None = None
    names: list[str] = []
    done: Annotated[list[str], append] = []
    tries: int = 0
    rounds: Annotated[list[int], append] = []
    one: str = ""


def make_plan(goal: str) -> Plan:
    return Plan(tasks=[Task(id=letter) for letter in goal])


def mapped(work: Any, **options: Any) -> Graph[Job]:
    graph = Graph(Job)
    graph.add_node("plan", make_plan, writes="plan")
    graph.add_map("work", work, over="plan.tasks", writes="done", **options)
    graph.add_node("after", lambda state: {"tries": len(state.done)})
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "work")
    graph.add_edge("work", "after")
    graph.add_edge("after", END)
    return graph


async def test_a_map_runs_once_an_item_and_keeps_the_items_order() -> None:
    started: list[str] = []
    last = asyncio.Event()

    async def work(task: Task, goal: str) -> str:
        started.append(task.id)
        if task.id == "c":
            last.set()
        await asyncio.wait_for(last.wait(), 5)
        return f"{task.id} of {goal}"

    result = await mapped(work).compile().ainvoke({"goal": "abc"})
    assert sorted(started) == ["a", "b", "c"]
    assert result["done"] == ["a of abc", "b of abc", "c of abc"]
    assert result["tries"] == 3


async def test_a_map_over_nothing_goes_on() -> None:
    def work(task: Task) -> str:
        raise AssertionError("there is no item")

    result = await mapped(work).compile().ainvoke({"goal": ""})
    assert (result["done"], result["tries"]) == ([], 0)


async def test_a_map_over_a_missing_list_says_what_is_missing() -> None:
    def work(task: Task) -> str:
        return task.id

    graph = mapped(work)
    graph.nodes["plan"] = graph.nodes["plan"]
    graph.edges -= {(START, "plan"), ("plan", "work")}
    graph.add_edge(START, "work")
    graph.add_edge("after", "plan")
    graph.edges -= {("after", END)}
    graph.add_edge("plan", END)
    with pytest.raises(MissingInput, match=r"plan\.tasks"):
        await graph.compile().ainvoke({"goal": "abc"})


async def test_each_item_is_a_durable_task_of_its_own() -> None:
    ran: list[str] = []

    def work(task: Task) -> str:
        ran.append(task.id)
        if task.id == "b" and ran.count("b") == 1:
            interrupt("go on?")
        return task.id

    app = mapped(work).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    await app.ainvoke({"goal": "abc"}, config)
    result = await app.ainvoke(Command(resume="yes"), config)
    assert result["done"] == ["a", "b", "c"]
    assert sorted(ran) == ["a", "b", "b", "c"]


async def test_only_the_mapped_node_shows_in_the_stream() -> None:
    def work(task: Task) -> str:
        return task.id

    names = [name async for part in mapped(work).compile().astream({"goal": "ab"}) for name in part]
    assert names == ["plan", "work", "work", "after"]


async def test_a_conditional_edge_and_a_goto_reach_a_map() -> None:
    def work(name: str) -> str:
        return name

    graph = Graph(Job)
    graph.add_node("jump", lambda state: Command(goto="work", update={"names": ["x", "y"]}), destinations=("work",))
    graph.add_map("work", work, over="names", writes="done")
    graph.add_edge(START, "jump")
    graph.add_conditional_edges("work", lambda state: END, [END])
    assert (await graph.compile().ainvoke({"goal": "a"}))["done"] == ["x", "y"]


async def test_a_loop_may_look_at_what_all_items_gave() -> None:
    def work(task: Task) -> str:
        return task.id

    graph = Graph(Job)
    graph.add_node("plan", make_plan, writes="plan")
    graph.add_map("work", work, over="plan.tasks", writes="done")
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "work")
    graph.add_loop("work", back_to="work", until=lambda done: len(done) >= 6, at_most=9)
    assert (await graph.compile().ainvoke({"goal": "ab"}))["done"] == ["a", "b"] * 3


def returns_text(task: Task) -> str:
    return task.id


def takes_text(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("node", "over", "writes", "error"),
    [
        (returns_text, "plan.tasks", "one", GraphSetupError),
        (takes_text, "plan.tasks", "done", PortMismatch),
        (returns_text, "plan.task", "done", GraphSetupError),
        (returns_text, "plans.tasks", "done", UnknownField),
        (returns_text, "goal", "done", GraphSetupError),
        (lambda: "x", "plan.tasks", "done", GraphSetupError),
    ],
)
def test_a_map_that_cannot_work_is_refused(node: Any, over: str, writes: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Graph(Job).add_map("work", node, over=over, writes=writes)


def looping(until: Any, at_most: int, **ends: Any) -> Graph[Job]:
    graph = Graph(Job)
    graph.add_node("work", lambda tries: {"tries": tries + 1, "rounds": tries + 1})
    graph.add_node("good", lambda state: {"one": "good"})
    graph.add_node("bad", lambda state: {"one": "bad"})
    graph.add_edge(START, "work")
    graph.add_loop("work", back_to="work", until=until, at_most=at_most, **{"then": "good", "otherwise": "bad", **ends})
    graph.add_edge("good", END)
    graph.add_edge("bad", END)
    return graph


async def test_a_loop_goes_back_until_its_condition_holds() -> None:
    result = await looping(lambda tries: tries == 2, 5).compile().ainvoke({"goal": "a"})
    assert (result["tries"], result["one"]) == (2, "good")


@pytest.mark.parametrize("at_most", [0, 1, 3])
async def test_a_loop_goes_back_at_most_so_many_times(at_most: int) -> None:
    result = await looping(lambda state: False, at_most).compile().ainvoke({"goal": "a"})
    assert (result["tries"], result["one"]) == (at_most + 1, "bad")


async def test_an_async_condition_is_awaited() -> None:
    async def enough(tries: int) -> bool:
        return tries == 3

    assert (await looping(enough, 5).compile().ainvoke({"goal": "a"}))["tries"] == 3


async def test_the_count_resets_with_every_run_on_a_thread() -> None:
    app = looping(lambda state: False, 2).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    await app.ainvoke({"goal": "a"}, config)
    result = await app.ainvoke({"goal": "a", "tries": 0}, config)
    assert result["tries"] == 3


async def test_an_inner_loop_has_its_full_bound_each_time_it_is_entered() -> None:
    graph = Graph(Job)
    graph.add_node("inner", lambda state: {"rounds": 1})
    graph.add_node("outer", lambda state: {"rounds": 10})
    graph.add_edge(START, "inner")
    graph.add_loop("inner", back_to="inner", until=lambda state: False, at_most=1, then="outer")
    graph.add_loop("outer", back_to="inner", until=lambda state: False, at_most=1)
    assert (await graph.compile().ainvoke({"goal": "a"}))["rounds"] == [1, 1, 10, 1, 1, 10]


async def test_the_counter_is_no_part_of_what_a_user_sees() -> None:
    app = looping(lambda state: False, 1).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    result = await app.ainvoke({"goal": "a"}, config)
    assert set(result) <= set(Job.model_fields)
    assert set(app.get_state(config).values) <= set(Job.model_fields)


def test_a_bound_below_zero_and_a_second_loop_are_refused() -> None:
    with pytest.raises(GraphSetupError, match="at_most"):
        looping(lambda state: True, -1)
    with pytest.raises(GraphSetupError, match="already"):
        looping(lambda state: True, 1).add_loop("work", back_to="work", until=lambda state: True, at_most=1)

# Lambdas and LangGraph's own methods have types that strict checking cannot know.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false

import threading
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy, StreamWriter
from pydantic import BaseModel
from typing_extensions import TypedDict

from collegium.core.context import current_node, unjournaled_effects
from collegium.core.errors import GraphSetupError, MissingInput, PortMismatch, UnknownField
from collegium.graphs import END, START, Command, Graph, State, append


class Plan(BaseModel):
    steps: list[str]


class Trip(State):
    goal: str
    plan: Plan | None = None
    days: int = 1
    log: Annotated[list[str], append] = []
    answer: str | None = None


@dataclass
class Deps:
    user: str


def line(*nodes: Any, state: type[State] = Trip, **options: Any) -> Graph[Any]:
    """A graph of nodes one after the other; each is (name, action, options)."""
    graph: Graph[Any] = Graph(state, **options)
    last: str = START
    for name, action, given in nodes:
        graph.add_node(name, action, **given)
        graph.add_edge(last, name)
        last = name
    graph.add_edge(last, END)
    return graph


async def run(graph: Graph[Any], **given: Any) -> Any:
    return await graph.compile().ainvoke(given or {"goal": "rome"})


async def test_a_port_takes_the_field_of_its_name_and_the_result_goes_to_writes() -> None:
    async def plan(goal: str, days: int) -> Plan:
        return Plan(steps=[goal] * days)

    result = await run(line(("plan", plan, {"writes": "plan"})), goal="rome", days=2)
    assert result["plan"] == Plan(steps=["rome", "rome"])


async def test_reads_binds_ports_to_other_fields() -> None:
    def shout(text: str) -> str:
        return text.upper()

    assert (await run(line(("n", shout, {"reads": {"text": "goal"}, "writes": "answer"}))))["answer"] == "ROME"
    assert (await run(line(("n", shout, {"reads": "goal", "writes": "answer"}))))["answer"] == "ROME"


async def test_several_writes_take_a_mapping_whose_names_may_differ_from_the_fields() -> None:
    def both(goal: str) -> dict[str, Any]:
        return {"text": goal, "n": 3}

    result = await run(line(("n", both, {"writes": {"text": "answer", "n": "days"}})))
    assert (result["answer"], result["days"]) == ("rome", 3)


async def test_one_write_takes_none_as_a_value_and_command_writes_nothing() -> None:
    def clear(goal: str) -> str | None:
        return None

    def nothing(goal: str) -> str | Command[Any]:
        return Command()

    assert (await run(line(("n", clear, {"writes": "answer"})), goal="a", answer="b"))["answer"] is None
    assert (await run(line(("n", nothing, {"writes": "answer"})), goal="a", answer="b"))["answer"] == "b"


async def test_a_plain_langgraph_node_takes_the_whole_state_and_returns_an_update() -> None:
    def plain(state: Trip) -> dict[str, Any]:
        assert isinstance(state, Trip)
        return {"answer": state.goal}

    def unannotated(state):  # type: ignore[no-untyped-def]
        return {"log": state.answer}

    result = await run(line(("a", plain, {}), ("b", unannotated, {})))
    assert (result["answer"], result["log"]) == ("rome", ["rome"])


async def test_a_copy_of_the_state_does_not_add_reduced_items_twice() -> None:
    def copied(state: Trip) -> Trip:
        return state.model_copy(update={"answer": "x", "log": [*state.log, "new"]})

    result = await run(line(("n", copied, {})), goal="a", log=["old"])
    assert (result["log"], result["answer"]) == (["old", "new"], "x")


async def test_the_state_changed_in_place_and_returned_is_written() -> None:
    def changed(state: Trip) -> Trip:
        state.answer = "x"
        state.log.append("new")
        return state

    result = await run(line(("n", changed, {})), goal="a", log=["old"])
    assert (result["log"], result["answer"]) == (["old", "new"], "x")


async def test_changing_an_argument_changes_nothing_else() -> None:
    def careless(log: list[str]) -> None:
        log.append("leak")

    def note(goal: str) -> str:
        return goal

    assert (await run(line(("note", note, {"writes": "log"}), ("n", careless, {})), goal="x"))["log"] == ["x"]


async def test_a_narrower_state_schema_gets_only_its_fields() -> None:
    class Narrow(TypedDict):
        goal: str

    def narrow(state: Narrow) -> dict[str, Any]:
        return {"answer": ",".join(state)}

    assert (await run(line(("n", narrow, {}))))["answer"] == "goal"


async def test_special_parameters_keep_langgraphs_meaning() -> None:
    seen: dict[str, Any] = {}

    async def special(
        goal: str, state: Trip, config: RunnableConfig, runtime: Runtime[Deps], writer: StreamWriter
    ) -> None:
        seen.update(user=runtime.context.user, thread=config.get("configurable", {})["thread_id"], days=state.days)
        writer("hello")

    graph = line(("n", special, {}), context=Deps).compile()
    config: Any = {"configurable": {"thread_id": "t"}}
    parts = [p async for p in graph.astream({"goal": "a"}, config, context=Deps("ada"), stream_mode="custom")]
    assert parts == ["hello"]
    assert seen == {"user": "ada", "thread": "t", "days": 1}


async def test_sync_functions_run_in_a_thread_and_async_ones_in_the_loop() -> None:
    threads: dict[str, bool] = {}

    def sync(goal: str) -> None:
        threads["sync"] = threading.current_thread() is threading.main_thread()

    async def in_loop(goal: str) -> None:
        threads["async"] = threading.current_thread() is threading.main_thread()

    await run(line(("a", sync, {}), ("b", in_loop, {})))
    assert threads == {"sync": False, "async": True}


def test_a_graph_of_sync_nodes_can_be_invoked_without_a_loop() -> None:
    def shout(goal: str) -> str:
        return goal.upper()

    assert line(("n", shout, {"writes": "answer"})).compile().invoke({"goal": "a"})["answer"] == "A"


def test_an_async_node_under_invoke_says_what_to_use() -> None:
    async def plan(goal: str) -> None: ...

    with pytest.raises(GraphSetupError, match="ainvoke"):
        line(("n", plan, {})).compile().invoke({"goal": "a"})


async def test_objects_partials_and_runnables_are_nodes() -> None:
    class Shouter:
        reads = {"text": "goal"}
        writes = "answer"

        async def __call__(self, text: str) -> str:
            return text.upper()

    def count_log(state: Trip) -> dict[str, Any]:
        return {"days": len(state.log)}

    def repeat(goal: str, *, times: int) -> list[str]:
        return [goal] * times

    graph = line(
        ("shout", Shouter(), {}),
        ("repeat", partial(repeat, times=2), {"writes": "log"}),
        ("last", RunnableLambda(count_log), {}),
    )
    result = await run(graph)
    assert (result["answer"], result["log"], result["days"]) == ("ROME", ["rome", "rome"], 2)


async def test_an_object_with_bind_learns_the_state_and_its_name() -> None:
    class Echo:
        def bind(self, state: type[State], name: str) -> Any:
            async def echo(goal: str) -> str:
                return f"{state.__name__}/{name}"

            return echo

    assert (await run(line(("n", Echo(), {"writes": "answer"}))))["answer"] == "Trip/n"


async def test_the_decorator_form_adds_the_function_under_its_name() -> None:
    graph = Graph(Trip)

    @graph.node(writes="answer")
    def shout(goal: str) -> str:
        return goal.upper()

    graph.add_edge(START, "shout")
    graph.add_edge("shout", END)
    assert (await run(graph))["answer"] == shout("rome") == "ROME"


async def test_a_parameter_with_a_default_and_no_field_is_left_out() -> None:
    def shout(goal: str, mark: str = "!") -> str:
        return goal + mark

    assert (await run(line(("n", shout, {"writes": "answer"}))))["answer"] == "rome!"


async def test_none_in_a_field_that_a_port_does_not_take_is_missing_input() -> None:
    def use(plan: Plan) -> str:
        return plan.steps[0]

    def note(goal: str) -> dict[str, Any]:
        return {"plan": None}

    with pytest.raises(MissingInput) as caught:
        await run(line(("note", note, {}), ("use", use, {"writes": "answer"})))
    assert (caught.value.node, caught.value.field) == ("use", "plan")


async def test_an_input_that_was_never_given_is_missing_input_at_its_reader() -> None:
    def use(goal: str) -> None: ...

    with pytest.raises(MissingInput, match="'goal'"):
        await line(("use", use, {})).compile().ainvoke({"days": 1})


def test_a_port_without_a_field_is_refused_when_the_node_is_added() -> None:
    def use(gaol: str) -> str:
        return gaol

    with pytest.raises(UnknownField, match="'goal'"):
        Graph(Trip).add_node("use", use, writes="answer")
    with pytest.raises(UnknownField, match="'answer'"):
        Graph(Trip).add_node("use", use, reads="goal", writes="anwser")


def returns_int(goal: str) -> int:
    return 1


def takes_int(goal: int) -> None: ...


def takes_plans(plan: list[Plan]) -> None: ...


def returns_maybe(goal: str) -> int | None:
    return None


def returns_text(goal: str) -> str:
    return goal


@pytest.mark.parametrize(
    ("function", "writes"),
    [
        (returns_int, "answer"),
        (returns_int, "log"),
        (takes_int, None),
        (takes_plans, None),
        (returns_maybe, "days"),
    ],
)
def test_types_are_compared_when_the_node_is_added(function: Any, writes: str | None) -> None:
    with pytest.raises(PortMismatch) as caught:
        Graph(Trip).add_node("n", function, writes=writes)
    assert caught.value.node == "n"


def test_a_result_that_goes_nowhere_is_refused() -> None:
    with pytest.raises(GraphSetupError, match="writes"):
        Graph(Trip).add_node("n", returns_text)


def test_a_timeout_needs_an_async_node() -> None:
    with pytest.raises(GraphSetupError, match="async"):
        Graph(Trip).add_node("n", returns_text, writes="answer", timeout=1.0)


def test_two_nodes_cannot_have_one_name() -> None:
    graph = Graph(Trip)
    graph.add_node("n", returns_text, writes="answer")
    with pytest.raises(GraphSetupError, match="already"):
        graph.add_node("n", returns_text, writes="answer")


async def test_langgraphs_retry_policy_is_passed_on() -> None:
    tries: list[int] = []

    async def flaky(goal: str) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("again")
        return goal

    policy = RetryPolicy(max_attempts=3, initial_interval=0.0, jitter=False)
    assert (await run(line(("n", flaky, {"writes": "answer", "retry_policy": policy}))))["answer"] == "rome"


async def test_an_error_handler_gets_the_state_and_is_guarded() -> None:
    async def broken(goal: str) -> str:
        raise ValueError("no")

    def rescue(state: Trip) -> dict[str, Any]:
        return {"answer": f"rescued {state.goal}"}

    result = await run(line(("n", broken, {"writes": "answer", "error_handler": rescue})))
    assert result["answer"] == "rescued rome"


async def test_the_node_at_work_is_known_to_lower_rooms() -> None:
    seen: list[str | None] = []

    def look(goal: str) -> None:
        seen.append(current_node.get())

    await run(line(("first", look, {}), ("second", look, {})))
    assert seen == ["first", "second"]


async def test_effects_without_a_journal_are_allowed_only_where_compile_says_so() -> None:
    seen: list[bool] = []

    async def look(goal: str) -> None:
        seen.append(unjournaled_effects.get())

    graph = line(("n", look, {}))
    await graph.compile(unjournaled_effects=True).ainvoke({"goal": "a"})
    await graph.compile().ainvoke({"goal": "a"})
    assert seen == [True, False]


async def test_a_router_reads_fields_by_name() -> None:
    def which(days: int) -> Literal["short", "long"]:
        return "long" if days > 2 else "short"

    graph = Graph(Trip)
    for name in ("begin", "short", "long"):
        graph.add_node(name, lambda state, name=name: {"log": [name]})
    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", which)
    graph.add_edge("short", END)
    graph.add_edge("long", END)
    assert (await run(graph, goal="a", days=5))["log"] == ["begin", "long"]
    assert (await run(graph, goal="a"))["log"] == ["begin", "short"]

# Lambdas and LangGraph's own methods have types that strict checking cannot know.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false

import operator
from typing import Annotated, Any, Literal

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import add_messages
from langgraph.types import Overwrite
from pydantic import BaseModel, Field, field_validator

from collegium.core.errors import InvalidInput, InvalidWrite, UndeclaredTarget
from collegium.graphs import END, START, Command, Graph, Send, State, append


class Line(BaseModel):
    text: str


class Paper(State):
    topic: str
    lines: Annotated[list[Line], append, Field(max_length=3)] = []
    score: Annotated[int, operator.add, Field(le=10)] = 0
    title: Annotated[str, Field(min_length=2)] = "untitled"
    count: int = 0
    best: Line | None = None
    messages: Annotated[list[AnyMessage], add_messages] = []

    @field_validator("title")
    @classmethod
    def no_shouting(cls, title: str) -> str:
        if title.isupper():
            raise ValueError("do not shout")
        return title.strip()


def one(function: Any, **options: Any) -> Graph[Paper]:
    graph = Graph(Paper)
    graph.add_node("n", function, **options)
    graph.add_edge(START, "n")
    graph.add_edge("n", END)
    return graph


def returning(value: Any) -> Any:
    def n(state: Paper) -> Any:
        return value

    return n


async def run(value: Any, **options: Any) -> Any:
    return await one(returning(value), **options).compile().ainvoke({"topic": "a"})


@pytest.mark.parametrize(
    ("update", "field"),
    [
        ({"titel": "x"}, "titel"),
        ({"count": "three"}, "count"),
        ({"title": "LOUD"}, "title"),
        ({"title": "x"}, "title"),
        ({"lines": [{"txt": "a"}]}, "lines"),
        ({"lines": [{"text": "a"}] * 4}, "lines"),
        ({"score": 11}, "score"),
        ({"best": {"text": 1}}, "best"),
        ({"messages": [{"rolle": "user"}]}, "messages"),
        (Command(update={"count": "three"}), "count"),
        (Command(update={"titel": "x"}), "titel"),
        (Command(update=[("count", "three")]), "count"),
        ([Command(update={"count": "three"})], "count"),
        ({"lines": Overwrite([{"txt": "a"}])}, "lines"),
        ({"count": Overwrite("three")}, "count"),
        ("text", "…"),
    ],
)
async def test_a_bad_write_is_refused_at_its_writer_with_node_field_and_value(update: Any, field: str) -> None:
    with pytest.raises(InvalidWrite) as caught:
        await run(update)
    assert (caught.value.node, caught.value.field) == ("n", field)
    assert caught.value.value and caught.value.problem


async def test_the_error_suggests_the_field_that_was_meant() -> None:
    with pytest.raises(InvalidWrite, match="Did you mean 'title'"):
        await run({"titel": "x"})


async def test_values_are_stored_validated() -> None:
    result = await run({"best": {"text": "a"}, "title": " mine ", "count": "3", "lines": {"text": "b"}})
    assert result["best"] == Line(text="a")
    assert (result["title"], result["count"], result["lines"]) == ("mine", 3, [Line(text="b")])


async def test_a_model_instance_stays_the_same_object() -> None:
    line = Line(text="a")
    assert (await run({"best": line}))["best"] is line


async def test_the_merged_value_is_checked_as_well_as_the_update() -> None:
    def add(score: int) -> dict[str, Any]:
        return {"score": 6}

    graph = one(add)
    graph.add_node("again", add)
    graph.edges.discard(("n", END))
    graph.add_edge("n", "again")
    graph.add_edge("again", END)
    with pytest.raises(InvalidWrite) as caught:
        await graph.compile().ainvoke({"topic": "a"})
    assert (caught.value.node, caught.value.field) == ("again", "score")


async def test_what_parallel_writes_merge_to_is_checked() -> None:
    def add(topic: str) -> dict[str, Any]:
        return {"score": 6}

    graph = Graph(Paper)
    for name in ("a", "b"):
        graph.add_node(name, add)
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    with pytest.raises(InvalidWrite, match="less than or equal to 10"):
        await graph.compile().ainvoke({"topic": "a"})


async def test_a_reducer_may_take_another_type_of_update() -> None:
    def count_words(total: int, text: str) -> int:
        return total + len(text.split())

    class Counted(State):
        words: Annotated[int, count_words] = 0

    def n(words: int) -> str:
        return "two words"

    graph = Graph(Counted)
    graph.add_node("n", n, writes="words")
    graph.add_edge(START, "n")
    graph.add_edge("n", END)
    assert (await graph.compile().ainvoke({}))["words"] == 2


async def test_a_node_may_write_only_what_it_declares() -> None:
    def n(topic: str) -> dict[str, Any]:
        return {"count": 1, "title": "ok", **dict.fromkeys(["score"], 1)}

    with pytest.raises(InvalidWrite, match="does not declare"):
        await one(n, writes=["count", "title"]).compile().ainvoke({"topic": "a"})


async def test_messages_are_merged_by_langgraphs_reducer_and_kept() -> None:
    def reply(messages: list[AnyMessage]) -> AIMessage:
        return AIMessage(content=f"{len(messages)} so far")

    graph = one(reply, writes="messages")
    app = graph.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    await app.ainvoke({"topic": "a", "messages": [{"role": "user", "content": "hi"}]}, config)
    result = await app.ainvoke({"messages": "again"}, config)
    assert [type(message) for message in result["messages"]] == [HumanMessage, AIMessage, HumanMessage, AIMessage]
    assert graph.kept_fields() == {"messages"}


@pytest.mark.parametrize("goto", ["nowhere", ["n", "nowhere"], [Send("nowhere", {})], Send("nowhere", {})])
async def test_a_command_cannot_go_where_nothing_is(goto: Any) -> None:
    graph = Graph(Paper)
    graph.add_node("n", returning(Command(goto=goto)), destinations=("n", END))
    graph.add_edge(START, "n")
    with pytest.raises(UndeclaredTarget) as caught:
        await graph.compile().ainvoke({"topic": "a"})
    assert (caught.value.node, caught.value.target) == ("n", "nowhere")


async def test_a_node_goes_only_where_it_declared() -> None:
    def n(state: Paper) -> Command[Literal["a"]]:
        target: Any = "".join(["b"])
        return Command(goto=target)

    graph = Graph(Paper)
    graph.add_node("n", n)
    for name in ("a", "b"):
        graph.add_node(name, returning(None))
        graph.add_edge(name, END)
    graph.add_edge(START, "n")
    graph.add_edge("a", "b")
    with pytest.raises(UndeclaredTarget, match="'b'"):
        await graph.compile().ainvoke({"topic": "a"})


@pytest.mark.parametrize("path_map", [None, {"yes": END}, ["n", END]])
async def test_a_router_cannot_choose_what_is_not_there(path_map: Any) -> None:
    names = iter(["no", "such"])

    def choose(state: Paper) -> str:
        return "-".join(names)

    graph = Graph(Paper)
    graph.add_node("n", returning(None))
    graph.add_edge(START, "n")
    graph.add_conditional_edges("n", choose, path_map)
    with pytest.raises(UndeclaredTarget) as caught:
        await graph.compile().ainvoke({"topic": "a"})
    assert (caught.value.node, caught.value.target) == ("n", "no-such")


async def test_sends_of_a_router_reach_their_node_with_their_own_state() -> None:
    def split(state: Paper) -> list[Send]:
        return [Send("work", {"topic": topic}) for topic in "ab"]

    def work(topic: str) -> Line:
        return Line(text=topic)

    graph = Graph(Paper)
    graph.add_node("n", returning(None))
    graph.add_node("work", work, writes="lines")
    graph.add_edge(START, "n")
    graph.add_conditional_edges("n", split)
    graph.add_edge("work", END)
    assert (await graph.compile().ainvoke({"topic": "x"}))["lines"] == [Line(text="a"), Line(text="b")]


async def test_bad_input_of_a_compiled_graph_is_refused_and_bars_the_thread_from_nothing() -> None:
    app = one(returning({"count": 1})).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(InvalidInput, match="topic"):
        await app.ainvoke({"topic": 3}, config)
    with pytest.raises(InvalidInput, match="'topic'"):
        await app.ainvoke({"topik": "a"}, config)
    assert (await app.ainvoke({"topic": "a"}, config))["count"] == 1

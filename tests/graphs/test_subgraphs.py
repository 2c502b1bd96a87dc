# Lambdas and LangGraph's own methods have types that strict checking cannot know.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false

import operator
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from collegium.core.errors import PortMismatch, UnknownField
from collegium.graphs import END, START, Command, Graph, State, append


class Inner(State):
    text: str
    words: list[str] = []
    log: Annotated[list[str], append] = []


class Outer(State):
    question: str
    parts: list[str] = []
    log: Annotated[list[str], append] = []
    seen: list[str] = []


class Plain(TypedDict):
    question: str
    log: Annotated[list[str], operator.add]


def split(text: str) -> list[str]:
    return text.split()


def inner_graph() -> Graph[Inner]:
    graph = Graph(Inner)
    graph.add_node("split", split, writes="words")
    graph.add_node("note", lambda state: {"log": "inner"})
    graph.add_edge(START, "split")
    graph.add_edge("split", "note")
    graph.add_edge("note", END)
    return graph


def around(action: Any, **options: Any) -> Graph[Outer]:
    graph = Graph(Outer)
    graph.add_node("first", lambda state: {"log": "outer"})
    graph.add_node("inner", action, **options)
    graph.add_edge(START, "first")
    graph.add_edge("first", "inner")
    graph.add_edge("inner", END)
    return graph


async def test_a_graph_is_a_node_whose_input_and_output_are_ports() -> None:
    graph = around(inner_graph(), reads={"text": "question"}, writes={"words": "parts"})
    result = await graph.compile().ainvoke({"question": "a b"})
    assert (result["parts"], result["log"]) == (["a", "b"], ["outer"])


async def test_a_reduced_field_that_goes_in_and_comes_out_is_not_added_twice() -> None:
    graph = around(inner_graph(), reads={"text": "question"})
    result = await graph.compile().ainvoke({"question": "a b"})
    assert result["log"] == ["outer", "inner"]


async def test_plain_langgraph_graphs_are_nodes_compiled_or_not() -> None:
    builder: Any = StateGraph(Plain)
    builder.add_node("n", lambda state: {"log": [state["question"]]})
    builder.add_edge(START, "n")
    for action in (builder, builder.compile()):
        result = await around(action).compile().ainvoke({"question": "why"})
        assert result["log"] == ["outer", "why"]


async def test_an_object_that_builds_a_graph_is_that_graph() -> None:
    class Splitter:
        reads = {"text": "question"}
        writes = {"words": "parts"}

        def build_graph(self) -> Graph[Inner]:
            return inner_graph()

    assert (await around(Splitter()).compile().ainvoke({"question": "a b"}))["parts"] == ["a", "b"]


async def test_an_interrupt_inside_resumes_where_it_stood() -> None:
    ran: list[str] = []

    def before(text: str) -> list[str]:
        ran.append("before")
        return [text]

    def asking(words: list[str]) -> str:
        return str(interrupt("which?"))

    def first(question: str) -> None:
        ran.append("first")

    inner = Graph(Inner)
    inner.add_node("before", before, writes="words")
    inner.add_node("ask", asking, writes="log")
    inner.add_edge(START, "before")
    inner.add_edge("before", "ask")
    inner.add_edge("ask", END)
    graph = Graph(Outer)
    graph.add_node("first", first)
    graph.add_node("inner", inner, reads={"text": "question"})
    graph.add_edge(START, "first")
    graph.add_edge("first", "inner")
    graph.add_edge("inner", END)
    app = graph.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    await app.ainvoke({"question": "a"}, config)
    assert [found.value for found in app.get_state(config).interrupts] == ["which?"]
    inner_state: Any = app.get_state(config, subgraphs=True).tasks[0].state
    assert inner_state.values["words"] == ["a"]
    result = await app.ainvoke(Command(resume="this"), config)
    assert result["log"] == ["this"]
    assert ran == ["first", "before"]


async def test_a_graph_is_mapped_over_items() -> None:
    graph = Graph(Outer)
    graph.add_node("first", lambda state: {"parts": ["a b", "c"]})
    graph.add_map("each", inner_graph(), over="parts", item="text", writes={"log": "log"}, reads={})
    graph.add_edge(START, "first")
    graph.add_edge("first", "each")
    graph.add_edge("each", END)
    assert (await graph.compile().ainvoke({"question": "q"}))["log"] == ["inner", "inner"]


def test_an_inner_input_without_a_field_and_a_wrong_type_are_refused() -> None:
    with pytest.raises(UnknownField, match="'text'"):
        around(inner_graph())
    with pytest.raises(PortMismatch):
        around(inner_graph(), reads={"text": "parts"})
    with pytest.raises(PortMismatch):
        around(inner_graph(), reads={"text": "question"}, writes={"words": "question"})


def test_a_graph_inside_is_known_to_langgraph() -> None:
    app = around(inner_graph(), reads={"text": "question"}).compile()
    assert [name for name, _ in app.get_subgraphs()] == ["inner"]

# Lambdas and LangGraph's own methods have types that strict checking cannot know.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false

"""What plain LangGraph lets pass, and what becomes of it here: an error that names the culprit, or the right thing."""

from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from collegium.core.errors import CheckFailed, InvalidWrite, MissingInput, UndeclaredTarget
from collegium.graphs import END, START, Command, Graph, State, append


class Talk(State):
    topic: str
    draft: str | None = None
    score: int = 0
    said: Annotated[list[str], append] = []


def chain(*nodes: tuple[str, Any, Any]) -> Graph[Talk]:
    graph = Graph(Talk)
    last: str = START
    for name, action, writes in nodes:
        graph.add_node(name, action, writes=writes)
        graph.add_edge(last, name)
        last = name
    graph.add_edge(last, END)
    return graph


def wrong(topic: str) -> Any:
    return {"score": topic * 2}


def use(score: int) -> None: ...


def draft(topic: str) -> str:
    return topic


async def test_a_wrong_type_is_refused_at_its_writer_and_not_at_the_next_reader() -> None:
    with pytest.raises(InvalidWrite) as caught:
        await chain(("writer", wrong, None), ("reader", use, None)).compile().ainvoke({"topic": "a"})
    assert caught.value.node == "writer"


async def test_a_wrong_type_from_the_last_node_is_refused_too() -> None:
    with pytest.raises(InvalidWrite):
        await chain(("last", wrong, None)).compile().ainvoke({"topic": "a"})


async def test_a_key_that_the_state_does_not_have_is_refused_and_not_dropped() -> None:
    def misspelt(topic: str) -> Any:
        return {f"drf{topic}t": "x"}

    with pytest.raises(InvalidWrite, match="Did you mean 'draft'"):
        await chain(("n", misspelt, None)).compile().ainvoke({"topic": "a"})


def test_a_node_without_an_edge_to_it_does_not_compile() -> None:
    graph = chain(("n", draft, "draft"))
    graph.add_node("lonely", draft, writes="draft")
    graph.add_edge("lonely", END)
    with pytest.raises(CheckFailed, match="unreachable_node"):
        graph.compile()


def test_a_read_of_what_nobody_writes_does_not_compile() -> None:
    def needs(draft: str) -> None: ...

    with pytest.raises(CheckFailed, match="read_never_written"):
        chain(("n", needs, None)).compile()


def test_parallel_writes_without_a_reducer_do_not_compile() -> None:
    graph = Graph(Talk)
    for name in ("a", "b"):
        graph.add_node(name, draft, writes="draft")
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    with pytest.raises(CheckFailed, match="parallel_write"):
        graph.compile()


async def test_an_unknown_choice_of_a_router_is_an_error_and_not_a_quiet_end() -> None:
    def choose(score: int) -> str:
        return f"n{score}"

    graph = chain(("n", draft, "draft"))
    graph.edges.clear()
    graph.add_edge(START, "n")
    graph.add_conditional_edges("n", choose)
    with pytest.raises(UndeclaredTarget, match="'n0'"):
        await graph.compile().ainvoke({"topic": "a"})


async def test_an_unknown_goto_is_an_error_and_not_a_quiet_end() -> None:
    def jump(topic: str) -> Any:
        return Command(goto=topic)

    graph = Graph(Talk)
    graph.add_node("n", jump, destinations=(END,))
    graph.add_edge(START, "n")
    with pytest.raises(UndeclaredTarget, match="'typo'"):
        await graph.compile().ainvoke({"topic": "typo"})


def test_an_endless_loop_does_not_compile() -> None:
    graph = chain(("a", draft, "draft"), ("b", draft, "draft"))
    graph.edges.discard(("b", END))
    graph.add_edge("b", "a")
    with pytest.raises(CheckFailed, match="endless_loop"):
        graph.compile()


async def test_none_where_a_value_is_needed_is_an_error_that_names_node_and_field() -> None:
    def needs(draft: str) -> None: ...

    def nothing(topic: str) -> str | None:
        return None

    with pytest.raises(MissingInput) as caught:
        await chain(("writer", nothing, "draft"), ("reader", needs, None)).compile().ainvoke({"topic": "a"})
    assert (caught.value.node, caught.value.field) == ("reader", "draft")


async def test_a_refused_write_leaves_the_thread_usable() -> None:
    def sometimes(topic: str) -> Any:
        return {"score": topic}

    app = chain(("n", sometimes, None)).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(InvalidWrite):
        await app.ainvoke({"topic": "many"}, config)
    assert (await app.ainvoke({"topic": "3"}, config))["score"] == 3

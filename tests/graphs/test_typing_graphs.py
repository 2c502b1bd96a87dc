"""What a type checker sees; the functions are never called."""

from typing import assert_type

from collegium.graphs import Finding, Graph, State, check
from collegium.runs import Run


class Typed(State):
    question: str
    answer: str | None = None


async def a_run_knows_its_state(graph: Graph[Typed]) -> None:
    run = await graph.run(Typed(question="why"))
    assert_type(run, Run[Typed])
    assert_type(run.state, Typed)
    assert_type(graph.run_sync({"question": "why"}), Run[Typed])


def a_view_is_the_state(graph: Graph[Typed]) -> None:
    assert_type(graph.view({}), Typed)
    assert_type(graph.check(), list[Finding])
    assert_type(check(graph), list[Finding])
    assert_type(Graph(Typed), Graph[Typed])


def test_a_decorated_function_keeps_its_type() -> None:
    graph = Graph(Typed)

    @graph.node(writes="answer")
    def shout(question: str) -> str:
        return question.upper()

    assert_type(shout("a"), str)

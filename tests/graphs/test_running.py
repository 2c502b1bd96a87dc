from typing import Annotated, Any

import pytest

from collegium.core.errors import InvalidInput, RunFailed
from collegium.graphs import END, START, Graph, State, append
from collegium.runs import Approval, Approve, Decision, ask, question


class Talk(State):
    topic: str
    draft: str | None = None
    said: Annotated[list[str], append] = []


def write(topic: str) -> str:
    return f"about {topic}"


def approve(draft: str) -> list[str]:
    decision = ask([question("draft", "review", {"field": "draft", "value": draft}, ["approve", "reject"])])[0]
    return [f"{decision.word} by {decision.by}"]


def talk(*names: str, **nodes: Any) -> Graph[Talk]:
    graph = Graph(Talk)
    graph.add_node("write", write, writes="draft")
    graph.add_edge(START, "write")
    last = "write"
    for name, action in nodes.items():
        graph.add_node(name, action, writes="said")
        graph.add_edge(last, name)
        last = name
    graph.add_edge(last, END)
    return graph


async def test_run_gives_the_typed_state() -> None:
    run = await talk().run(Talk(topic="cats"))
    assert run.status == "done"
    assert isinstance(run.state, Talk)
    assert run.state.draft == "about cats"


def test_run_sync_is_for_scripts() -> None:
    assert talk().run_sync({"topic": "cats"}).state.draft == "about cats"


async def test_an_approver_answers_each_question() -> None:
    asked: list[str] = []

    async def approver(approval: Approval) -> Decision:
        asked.append(approval.kind)
        return Approve(by="ada")

    run = await talk(review=approve).run({"topic": "cats"}, approver=approver)
    assert (run.status, run.state.said, asked) == ("done", ["approve by ada"], ["review"])


async def test_a_failed_run_is_raised_and_carried() -> None:
    def broken(draft: str) -> list[str]:
        raise ValueError("no ink")

    with pytest.raises(RunFailed, match="no ink") as caught:
        await talk(broken=broken).run({"topic": "cats"})
    assert getattr(caught.value.run, "status", None) == "failed"


async def test_a_bad_write_fails_the_run_with_node_and_field() -> None:
    def wrong(draft: str) -> Any:
        return [draft, 3]

    with pytest.raises(RunFailed, match="'wrong' wrote said"):
        await talk(wrong=wrong).run({"topic": "cats"})


async def test_bad_input_is_refused_before_the_run() -> None:
    with pytest.raises(InvalidInput, match="topic"):
        await talk().run({})

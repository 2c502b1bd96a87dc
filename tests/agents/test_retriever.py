"""The retriever: questions that refer back, noise that is held back, and asking again differently."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph.message import add_messages

from collegium import END, START, Graph, State, append, keep
from collegium.agents import Plan, Retriever, Step, Verdict
from collegium.core.errors import GraphSetupError
from collegium.core.messages import assistant, user
from collegium.knowledge import Index, Passage
from collegium.models import Capabilities
from collegium.testing import ScriptedModel

TALK = [user("When was the harbour of Brill built?"), assistant("In 1412, by the monk Aldo Renn.")]
FAILED = Verdict(passed=False, feedback="Nothing says what it cost.", model="m")


def passage(name: str, *, score: float = 1.0, relevance: float | None = None) -> Passage:
    return Passage(passage_id=name, source="s", start=0, end=len(name), text=name, score=score, relevance=relevance)


class Shelf:
    """Gives the passages that stand under a query, and keeps what was asked."""

    def __init__(self, found: Mapping[str, list[Passage]] | None = None, default: list[Passage] | None = None) -> None:
        self.found, self.default = found or {}, default or []
        self.asked: list[str] = []

    async def search(self, query: str, k: int = 10) -> list[Passage]:
        self.asked.append(query)
        return self.found.get(query, self.default)[:k]


async def test_a_question_that_refers_back_is_looked_up_with_what_it_refers_to() -> None:
    shelf = Shelf()

    await Retriever(shelf)("What did it cost?", TALK)

    assert shelf.asked == ["When was the harbour of Brill built?\nWhat did it cost?"]


@pytest.mark.parametrize("query", ["How tall is the tower of Brill?", "Who built the harbour of Brill?"])
async def test_a_question_that_stands_alone_is_looked_up_as_it_is(query: str) -> None:
    shelf = Shelf()

    await Retriever(shelf, rewriter=ScriptedModel([]))(query, TALK)

    assert shelf.asked == [query]


async def test_a_model_words_a_question_that_refers_back() -> None:
    shelf, llm = Shelf(), ScriptedModel([{"question": "What did the harbour of Brill cost?"}])

    await Retriever(shelf, rewriter=llm)("What did it cost?", TALK)

    assert shelf.asked == ["What did the harbour of Brill cost?"]
    assert "assistant: In 1412, by the monk Aldo Renn." in llm.calls[0].prompt
    assert llm.calls[0].messages[-1].origins == {"retrieval", "user"}


@pytest.mark.parametrize("said", ["no json", {"question": "Buy cheap lamps now"}])
async def test_a_rewriting_of_no_use_gives_way_to_the_rule(said: object) -> None:
    shelf = Shelf()

    await Retriever(shelf, rewriter=ScriptedModel([said] * 4))("What did it cost?", TALK)

    assert shelf.asked == ["When was the harbour of Brill built?\nWhat did it cost?"]


async def test_a_tiny_model_is_not_asked_to_rewrite() -> None:
    shelf, llm = Shelf(), ScriptedModel([], capabilities=Capabilities(level="tiny"))

    await Retriever(shelf, rewriter=llm)("What did it cost?", TALK, [], FAILED)

    assert shelf.asked == ["When was the harbour of Brill built?\nWhat did it cost?"]


async def test_the_lead_is_the_last_question_that_stands_alone() -> None:
    talk = [*TALK, {"role": "user", "content": "Who was he?"}, {"role": "assistant", "content": "A monk."}]
    shelf = Shelf()

    await Retriever(shelf)("Where did he live?", [*talk, "Where did he live?"])

    assert shelf.asked == ["When was the harbour of Brill built?\nWhere did he live?"]


async def test_a_conversation_of_langchain_messages_reaches_the_retriever_by_its_name() -> None:
    class Chat(State):
        question: str
        messages: Annotated[list[AnyMessage], add_messages, keep] = []
        passages: list[Passage] = []

    shelf = Shelf()
    graph = Graph(Chat, name="chat")
    graph.add_node("retrieve", Retriever(shelf), reads={"query": "question", "messages": "messages"}, writes="passages")
    graph.add_edge(START, "retrieve")
    graph.add_edge("retrieve", END)
    said = [HumanMessage("When was the harbour built?"), AIMessage("In 1412."), HumanMessage("What did it cost?")]

    await graph.run({"question": "What did it cost?", "messages": said})

    assert shelf.asked == ["When was the harbour built?\nWhat did it cost?"]


async def test_nothing_is_handed_on_when_nothing_is_relevant() -> None:
    noise = [passage("a", relevance=0.02), passage("b", relevance=0.1)]

    assert await Retriever(Shelf(default=noise))("q") == []
    assert await Retriever(Shelf(default=noise), min_relevance=0)("q") == noise
    assert await Retriever(Shelf(default=[*noise, passage("c", relevance=0.9)]))("q") != []
    assert await Retriever(Shelf(default=[passage("d")]))("q") == [passage("d")], "nobody knows how relevant it is"


async def test_an_index_says_how_relevant_its_passages_are(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name, text in {"harbour": "The harbour of Brill was built in 1412.", "tower": "The tower burned down."}.items():
        (tmp_path / "docs" / f"{name}.md").write_text(text, "utf-8")
    index = Index("docs", folder=tmp_path / "index", keyword_only=True)
    await index.ingest(tmp_path / "docs")
    retriever = Retriever(index)

    (first, *_) = await retriever("When was the harbour of Brill built?")

    assert first.relevance is not None and first.relevance > 0.9
    assert await retriever("Which tower of Manhattan hosts broadcasts of television networks?") == []


async def test_behind_a_failed_verdict_only_what_is_new_comes_back() -> None:
    a, b, c = passage("a", score=1.0), passage("b", score=0.9), passage("c", score=0.8)
    retriever = Retriever(Shelf(default=[a, b, c]), k=1)

    assert await retriever("q", None, [], None) == [a]
    assert await retriever("q", None, [a], FAILED) == [b]
    assert await retriever("q", None, [a], Verdict(passed=True, model="m")) == [a]


async def test_a_model_asks_again_in_other_words_for_what_is_missing() -> None:
    a, price = passage("a"), passage("300 guilders", score=0.7)
    shelf = Shelf({"What did the harbour cost?": [a], "price of the harbour": [price]})
    llm = ScriptedModel([{"queries": ["price of the harbour"]}])

    found = await Retriever(shelf, rewriter=llm)("What did the harbour cost?", None, [a], FAILED)

    assert found == [price]
    assert shelf.asked == ["What did the harbour cost?", "price of the harbour"]
    assert "Nothing says what it cost." in llm.calls[0].prompt


async def test_a_loop_from_the_judge_brings_new_passages_each_time() -> None:
    class Research(State):
        question: str
        passages: Annotated[list[Passage], append] = []
        verdict: Verdict | None = None

    def judge(passages: list[Passage]) -> Verdict:
        return Verdict(passed=len(passages) == 2, feedback="More.", model="m")

    def passed(state: Research) -> bool:
        return state.verdict is not None and state.verdict.passed

    shelf = Shelf(default=[passage("a"), passage("b", score=0.5)])
    graph = Graph(Research, name="research")
    graph.add_node("retrieve", Retriever(shelf, k=1), reads={"query": "question"}, writes="passages")
    graph.add_node("judge", judge, writes="verdict")
    graph.add_edge(START, "retrieve")
    graph.add_edge("retrieve", "judge")
    graph.add_loop("judge", back_to="retrieve", until=passed, at_most=2, then=END)

    run = await graph.run({"question": "q"})

    assert [one.text for one in run.state.passages] == ["a", "b"]


async def test_the_steps_of_a_plan_are_looked_up_side_by_side_without_their_commands() -> None:
    class Together(Shelf):
        """Answers when all three searches have begun; one after the other would never end."""

        barrier = asyncio.Barrier(3)

        async def search(self, query: str, k: int = 10) -> list[Passage]:
            await self.barrier.wait()
            return await super().search(query, k)

    class Planned(State):
        plan: Plan
        passages: Annotated[list[Passage], append] = []

    shelf = Together(default=[passage("a")])
    goals = ["Find out who built the harbour", "Search for the price of the harbour", "Look up"]
    graph = Graph(Planned, name="planned")
    graph.add_map("retrieve", Retriever(shelf), over="plan.steps", writes="passages")
    graph.add_edge(START, "retrieve")
    graph.add_edge("retrieve", END)
    plan = Plan(goal="g", steps=[Step(id=f"s{i}", goal=goal) for i, goal in enumerate(goals)])

    async with asyncio.timeout(30):
        run = await graph.run({"plan": plan})

    assert sorted(shelf.asked) == ["Look up", "the price of the harbour", "who built the harbour"]
    assert len(run.state.passages) == 3


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_limit_outside_of_0_to_1_is_refused(value: float) -> None:
    with pytest.raises(GraphSetupError, match="min_relevance"):
        Retriever(Shelf(), min_relevance=value)

"""A conversation of many turns on one thread, over an index, through a store that is closed and opened again."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import pytest

from collegium import END, START, Graph, State, append, keep
from collegium.agents import Answer, Retriever, ShortAnswer, Writer
from collegium.knowledge import HashEmbedder, Index, Passage, verify
from collegium.models import Capabilities
from collegium.runs import Runner
from collegium.testing import FunctionModel, ModelCall

TOWNS = ["Brill", "Lisbon", "Lune", "Mara", "Oban", "Rye", "Tarn", "Visby"]


class Asked(State):
    question: str


class Talk(Asked):
    turns: Annotated[list[tuple[str, str]], append, keep] = []
    """What was asked and answered on this thread, the oldest first."""
    passages: list[Passage] = []
    answer: Answer | None = None


def talking(index: Index) -> Graph[Talk]:
    def pointing(_: ModelCall) -> ShortAnswer:
        return ShortAnswer(answer="the harbour")

    def note(question: str, answer: Answer) -> list[tuple[str, str]]:
        return [(question, answer.text)]

    graph = Graph(Talk, name="talk", input=Asked)
    graph.add_node("retrieve", Retriever(index, k=2), reads={"query": "question"}, writes="passages")
    writer = Writer(FunctionModel(pointing, capabilities=Capabilities(level="tiny")), embedder=HashEmbedder())
    graph.add_node("write", writer, writes="answer")
    graph.add_node("note", note, writes="turns")
    for before, after in pairwise([START, "retrieve", "write", "note", END]):
        graph.add_edge(before, after)
    return graph


@pytest.fixture
async def index(tmp_path: Path) -> Index:
    for number, town in enumerate(TOWNS):
        (tmp_path / f"{number}.md").write_text(f"The harbour of {town} was built in {1400 + number}.")
    made = Index("towns", folder=tmp_path / "index", embedder=HashEmbedder())
    await made.ingest([tmp_path / f"{number}.md" for number in range(len(TOWNS))])
    return made


async def test_each_turn_goes_on_from_all_before_it_and_cites_its_own_source(index: Index, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'talk.db'}"
    turns: list[tuple[str, str]] = []
    for sitting in range(3):
        async with Runner(store, graphs=[talking(index)]) as runner:
            for turn, town in enumerate(TOWNS):
                asked = {"question": f"When was the harbour of {town} built?"}
                run = await (await runner.start("talk", asked, thread_id="ada")).wait()
                answer = run.state.answer
                assert f"{town} was built in {1400 + turn}" in answer.text
                assert all(verify(citation, index) for citation in answer.citations)
                turns = run.state.turns
                assert len(turns) == sitting * len(TOWNS) + turn + 1

            other = await (await runner.start("talk", {"question": "Lune?"}, thread_id=f"bob-{sitting}")).wait()
            assert len(other.state.turns) == 1, "another thread has turns of its own"

    assert [question.split()[-2] for question, _ in turns] == TOWNS * 3

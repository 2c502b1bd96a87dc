"""An index measured: keyword, vector and fused search side by side, and the paired difference."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from collegium.evals.collections import Collection, Document, Question, Span
from collegium.evals.retrieval import Measured, evaluate, indexed, measured
from collegium.evals.spans import covered, packed
from collegium.knowledge import HashEmbedder, Passage, Ranking

COLLECTION = Collection(
    [
        Document("a", "A red lamp marks the port side.", "Lamps"),
        Document("b", "A berth costs forty crowns a night."),
        Document("c", "The harbour opens at six.", "Hours"),
    ],
    [
        Question("1", "Where is the red lamp?", frozenset({"a"})),
        Question("2", "What does a berth cost?", frozenset({"b", "c"})),
    ],
)


def words(texts: Iterable[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def passage(start: int, text: str) -> Passage:
    return Passage(passage_id=str(start), source="s", start=start, end=start + len(text), text=text)


async def test_each_part_is_measured_and_compared(tmp_path: Path) -> None:
    index = await indexed(COLLECTION, tmp_path, HashEmbedder())

    report = await evaluate(COLLECTION, index, Ranking(), words)

    assert list(report.parts) == ["keyword", "vector", "fused"]
    assert report.parts["fused"].values["mrr"] == [1.0, 1.0]
    assert report.better in ("keyword", "vector")
    assert list(report.difference) == ["ndcg@10", "recall@10", "mrr"]


async def test_documents_that_left_the_collection_leave_the_index(tmp_path: Path) -> None:
    await indexed(COLLECTION, tmp_path, HashEmbedder())
    smaller = Collection(COLLECTION.documents[:2], COLLECTION.questions[:1])

    assert (await indexed(smaller, tmp_path, HashEmbedder())).count == 2


def test_the_difference_is_paired_by_query() -> None:
    mine, theirs = Measured({"mrr": [1.0, 0.5, 0.2]}), Measured({"mrr": [0.9, 0.4, 0.1]})

    found = mine.minus(theirs)["mrr"]

    assert (found.low, found.value, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_a_query_without_a_ranking_found_nothing() -> None:
    assert measured({}, {"1": {"a"}}).values["ndcg@10"] == [0.0]


def test_passages_are_packed_until_one_does_not_fit() -> None:
    passages = [passage(at, "word " * size) for at, size in ((0, 60), (300, 30), (450, 20), (550, 5))]

    assert [p.start for p in packed(passages, words, 100)] == [0, 300]


def test_a_span_is_found_from_95_of_100_characters_even_over_two_passages() -> None:
    pieces = [passage(0, "x" * 60), passage(60, "y" * 40)]

    assert covered(Span("d", 20, 100), pieces)
    assert covered(Span("d", 20, 104), pieces)
    assert not covered(Span("d", 20, 105), pieces)

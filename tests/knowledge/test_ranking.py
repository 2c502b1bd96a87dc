"""Ways to rank: each part alone, fused by score or by rank, with filters, variety and several queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collegium.core.errors import InvalidInput
from collegium.knowledge import HashEmbedder, Index, Passage, Ranking, Where
from collegium.knowledge.chunking import MAX_PASSAGE
from collegium.knowledge.feedback import OWN_WEIGHT, expanded
from collegium.knowledge.fusing import best_rows, fused
from collegium.knowledge.keywords import Keywords
from collegium.knowledge.queries import pieces, read_queries
from collegium.knowledge.relevance import RELEVANT, relevance

TEXTS = {
    "manual/lamps.md": "# Lamps\n\nA red lamp marks the port side of the quay.\n",
    "manual/more.md": "# Lamps\n\nA red lamp marks the port side of the pier.\n",
    "notes/berths.md": "# Berths\n\nA berth costs forty crowns a night.\n",
    "notes/hours.md": "# Opening hours\n\nThe harbour opens at six; the lamp is put out.\n",
}


@pytest.fixture
async def index(tmp_path: Path) -> Index:
    for name, text in TEXTS.items():
        file = tmp_path / "docs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    made = Index("docs", folder=tmp_path / "index", embedder=HashEmbedder())
    await made.ingest(tmp_path / "docs")
    return made


def names(passages: Sequence[Passage]) -> list[str]:
    return [Path(passage.source).name for passage in passages]


async def test_a_search_explains_which_part_each_ranking_played(index: Index) -> None:
    found = await index.explain("How much is a berth?", k=4)

    best = found[0]
    assert Path(best.passage.source).name == "berths.md"
    assert best.keyword is not None and best.vector is not None
    assert (best.keyword.rank, best.vector.rank) == (1, 1)
    assert best.keyword.score > 0
    assert (best.named, found[-1].named) == (True, False)
    assert found[-1].keyword is None, "it shares no word with the query"
    assert [one.passage for one in found] == await index.search("How much is a berth?", k=4)


async def test_each_part_can_rank_alone(index: Index) -> None:
    words = await index.explain("red lamp", ranking=Ranking(keyword_weight=1.0))
    vectors = await index.explain("red lamp", ranking=Ranking(keyword_weight=0.0))

    assert len(words) == 3, "the others share no word"
    assert all(one.keyword and one.vector is None for one in words)
    assert len(vectors) == 4
    assert all(one.vector and one.keyword is None for one in vectors)


async def test_ranks_can_be_fused_in_place_of_scores(index: Index) -> None:
    found = await index.search("forty crowns for a berth", ranking=Ranking(fusion="rrf"))

    assert names(found)[0] == "berths.md"
    assert found[0].score == pytest.approx(1.0), "first in both"
    assert all(0 <= one.score <= 1 for one in found)


async def test_only_sources_and_headings_that_are_wanted_come_back(index: Index) -> None:
    assert set(names(await index.search("red lamp", where=Where(source="manual/*.md")))) == {"lamps.md", "more.md"}
    assert names(await index.search("red lamp", where=Where(source="berths.md"))) == ["berths.md"]
    assert names(await index.search("red lamp", where=Where(heading="opening"))) == ["hours.md"]
    assert await index.search("red lamp", where=Where(source="manual/*", heading="opening")) == []


async def test_diversity_puts_another_text_before_a_twin(index: Index) -> None:
    plainly = await index.search("red lamp at the port", k=2)
    varied = await index.search("red lamp at the port", k=2, ranking=Ranking(diversity=0.7))

    assert set(names(plainly)) == {"lamps.md", "more.md"}
    assert names(varied)[0] == names(plainly)[0]
    assert names(varied)[1] not in {"lamps.md", "more.md"}


async def test_several_queries_find_what_each_of_them_wants(index: Index) -> None:
    found = await index.search(["forty crowns a night", "port side of the quay"], k=2)

    assert set(names(found)) == {"berths.md", "lamps.md"}
    assert all(0 <= one.score <= 1 for one in found)


async def test_a_query_of_no_text_and_odd_settings_are_refused(index: Index) -> None:
    with pytest.raises(InvalidInput, match="query"):
        await index.search([])
    with pytest.raises(InvalidInput, match="keyword_weight"):
        Ranking(keyword_weight=1.5)
    with pytest.raises(InvalidInput, match="rrf_k"):
        Ranking(rrf_k=0)
    with pytest.raises(InvalidInput, match="feedback"):
        Ranking(feedback=-1)


def test_feedback_keeps_the_querys_own_words_first_and_adds_what_marks_the_passages() -> None:
    rarity = {"wing": 2.0, "flutter": 3.0, "the": 0.01}

    weights = expanded(["wing"], [["flutter", "the", "the"], ["flutter", "wing"]], [1.0, 0.5], rarity)

    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["wing"] > OWN_WEIGHT
    assert weights["flutter"] > 0
    assert expanded(["wing"], [], [], rarity) == {"wing": 1.0}


SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5, 1.0, 2.0]), min_size=1, max_size=40)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCORES, st.integers(1, 50))
def test_the_best_rows_are_those_of_a_stable_sort(scores: list[float], k: int) -> None:
    import numpy

    expected = sorted(range(len(scores)), key=lambda row: -scores[row])[:k]

    assert best_rows(numpy.array(scores), k) == expected


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCORES, st.sampled_from([Ranking(), Ranking(fusion="rrf")]))
def test_fused_scores_stay_between_0_and_1(words: list[float], ranking: Ranking) -> None:
    import numpy

    cosines = numpy.array(sorted(words, key=lambda score: -score)) / 2 - 0.5
    found = fused(numpy.array(words), cosines, ranking)

    assert found.min() >= 0
    assert found.max() <= 1 + 1e-6


async def test_relevance_tells_what_the_scores_of_a_search_cannot(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        file = tmp_path / "docs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    words = Index("words", folder=tmp_path / "words", keyword_only=True)
    hashed = Index("hashed", folder=tmp_path / "hashed", embedder=HashEmbedder())
    for one in (words, hashed):
        await one.ingest(tmp_path / "docs")

    (asked, *_) = await words.search("What does a berth cost a night?")
    (foreign, *_) = await words.search("Which night does the theatre company perform Hamlet?")
    (unknown, *_) = await hashed.search("What does a berth cost a night?")
    (long, *_) = await words.search("A berth costs forty crowns. " * 40)

    assert asked.score == foreign.score == pytest.approx(1.0)
    assert asked.relevance is not None and asked.relevance > 0.9
    assert foreign.relevance is not None and foreign.relevance < RELEVANT
    assert unknown.relevance is None, "nothing was calibrated for these vectors"
    assert long.relevance is None, "nor for a text as long as this"


def test_relevance_rises_with_shared_words_and_with_likeness() -> None:
    assert relevance(0.9, None) > relevance(0.5, None) > relevance(0.1, None)
    assert relevance(0.5, 0.6) > relevance(0.5, 0.2) > relevance(0.1, 0.2)


def test_the_share_of_words_counts_rare_ones_more() -> None:
    keywords = Keywords.build(["the red lamp", "the red quay", "the red pier"])

    shares = keywords.shares(["red", "lamp", "unknown"]).tolist()

    assert shares[0] > 0.5 > shares[1] == shares[2] > 0
    assert keywords.shares([]).tolist() == [0, 0, 0]


def test_a_long_text_is_embedded_in_pieces_of_whole_sentences() -> None:
    text = "The harbour opens at six. " * 80

    assert pieces("Short.") == ["Short."]
    assert all(len(piece) <= 850 for piece in pieces(text))
    assert " ".join(pieces(text)) == text.strip()


def test_what_a_long_request_wants_at_its_end_bears_on_its_vector() -> None:
    class Window(HashEmbedder):
        """Reads so many characters and no more."""

        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return super().embed([text[:MAX_PASSAGE] for text in texts])

    (query,) = read_queries(["Ships wait outside. " * 60 + "What does a berth cost?"], Window())
    (end,) = Window().embed(["What does a berth cost?"])
    (short,) = read_queries(["What does a berth cost?"], Window())

    assert query.vector is not None and sum(a * b for a, b in zip(query.vector, end, strict=True)) > 0.01
    assert sum(value * value for value in query.vector) == pytest.approx(1.0)
    assert list(short.vector or ()) == end

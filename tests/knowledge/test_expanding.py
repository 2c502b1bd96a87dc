"""A passage grows by its neighbours or to its section, and stays word for word its source."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.core.errors import KnowledgeError
from collegium.knowledge import Index, Passage
from collegium.knowledge.chunking import passages_of
from collegium.knowledge.expanding import By, expanded
from collegium.knowledge.loading import Document

SECTION = (
    "The {0} of the harbour is looked after by the keeper, day and night, in calm and storm alike. " * 8
)  # a passage and a bit
TEXT = "".join(f"# {part}\n\n" + "".join(SECTION.format(f"{part} {n}") + "\n\n" for n in range(3)) for part in "ABC")
DOCUMENT = Document("harbour.md", TEXT, "harbour")
THERE = passages_of(DOCUMENT)


def grown(*rows: int, by: By = "neighbours", neighbours: int = 1, max_chars: int = 4000) -> list[Passage]:
    found = [THERE[row].model_copy(update={"score": 0.5 + row / 100}) for row in rows]
    return expanded(found, THERE, TEXT, by=by, neighbours=neighbours, max_chars=max_chars)


def test_neighbours_are_taken_on_both_sides() -> None:
    (wide,) = grown(4)
    assert (wide.start, wide.end) == (THERE[3].start, THERE[5].end)
    assert (wide.heading, wide.score) == (THERE[3].heading, 0.54)


def test_a_section_is_all_under_the_same_heading() -> None:
    rows = [row for row, passage in enumerate(THERE) if passage.heading == THERE[4].heading]
    (wide,) = grown(4, by="section")
    assert len(rows) >= 3
    assert (wide.start, wide.end) == (THERE[rows[0]].start, THERE[rows[-1]].end)


def test_a_passage_with_a_heading_of_its_own_grows_to_the_one_above() -> None:
    parts = "".join(f"## Part {n}\n\n{SECTION.format(n)[:500]}\n\n" for n in range(3))
    text = f"# Top\n\n{SECTION[:400]}\n\n{parts}"
    there = passages_of(Document("a.md", text, "a"))
    (wide,) = expanded(there[2:3], there, text, by="section", neighbours=0, max_chars=9999)
    assert (wide.start, wide.end) == (there[0].start, there[-1].end)


def test_growth_stops_at_the_size_that_is_allowed() -> None:
    (wide,) = grown(4, by="section", max_chars=2 * 850)
    assert THERE[4].end - THERE[4].start < wide.end - wide.start <= 2 * 850


def test_passages_that_meet_become_one_with_the_better_score() -> None:
    (wide,) = grown(3, 4)
    assert (wide.start, wide.end, wide.score) == (THERE[2].start, THERE[5].end, 0.54)


@settings(deadline=None)
@given(st.sets(st.integers(0, len(THERE) - 1), min_size=1), st.integers(0, 3), st.booleans(), st.integers(0, 6000))
def test_what_is_expanded_is_its_source_and_covers_what_was_found(
    rows: set[int], neighbours: int, section: bool, max_chars: int
) -> None:
    wide = grown(*rows, by="section" if section else "neighbours", neighbours=neighbours, max_chars=max_chars)
    assert all(passage.text == TEXT[passage.start : passage.end] for passage in wide)
    assert all(one.end <= other.start for one, other in zip(wide, wide[1:], strict=False))
    for row in rows:
        assert any(p.start <= THERE[row].start and THERE[row].end <= p.end for p in wide)


async def test_an_index_expands_what_it_found(tmp_path: Path) -> None:
    (tmp_path / "harbour.md").write_text(TEXT)
    (tmp_path / "other.md").write_text("The keeper of the tower sleeps.")
    index = Index("i", folder=tmp_path / "i", keyword_only=True)
    await index.ingest(tmp_path)
    found = await index.search("keeper tower", k=2)

    wide = await index.expand(found, neighbours=2)

    assert [p.source for p in wide] == [p.source for p in found]
    assert len(wide[1].text) > len(found[1].text)
    assert all(index.source_text(p.source)[p.start : p.end] == p.text for p in wide)
    (tmp_path / "other.md").unlink()
    await index.ingest(tmp_path)
    with pytest.raises(KnowledgeError, match="does not hold"):
        await index.expand(found)

"""Passages that say the same are recognised, and a search hands on the best of them once."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.knowledge import HashEmbedder, Index, Ranking
from collegium.knowledge.repeats import best_of_each, firsts, sketch

WORDS = "harbour lamp pier buoy fog berth crew tide crane rope keeper bell anchor sail chart storm".split()
TEXT = " ".join(Random(1).choices(WORDS, k=100))


def repeat(one: str, other: str) -> bool:
    return bool(firsts([sketch(one), sketch(other)])[1] == 0)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (TEXT.upper().replace(" ", "\n", 5) + "!", True),
        (TEXT.replace("bell", "gong", 1), True),
        (f"{TEXT} It costs 40 crowns.", False),
        (" ".join(Random(2).choices(WORDS, k=100)), False),
        (TEXT[: len(TEXT) // 2], False),
    ],
)
def test_small_changes_are_a_repeat_and_others_are_not(other: str, same: bool) -> None:
    assert repeat(TEXT, other) is same


@pytest.mark.parametrize(("one", "other"), [("costs 40", "costs 45"), ("is open", "is not open"), ("does", "doesn't")])
def test_a_number_or_a_negation_makes_another_statement(one: str, other: str) -> None:
    assert not repeat(f"{TEXT} It {one}.", f"{TEXT} It {other}.")


def test_short_texts_repeat_only_their_very_words() -> None:
    assert repeat("A red lamp.", "a red LAMP")
    assert not repeat("A red lamp marks the port side of it.", "A red lamp marks the port side of us.")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["", "a", "b", TEXT, f"{TEXT} 1", "a b c"]), max_size=12))
def test_equal_texts_share_the_first_row_of_theirs(texts: list[str]) -> None:
    assert firsts(map(sketch, texts)).tolist() == [texts.index(text) for text in texts]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=12))
def test_the_best_of_each_is_kept_and_of_equal_ones_the_first(rows: list[tuple[str, int]]) -> None:
    import numpy

    names = [name for name, _ in rows]
    first = numpy.array([names.index(name) for name in names], dtype="int32")
    kept = best_of_each(first, numpy.array([score for _, score in rows], dtype="float32"))
    wanted = {max(range(len(rows)), key=lambda n: (rows[n][0] == name, rows[n][1], -n)) for name in names}
    assert set(numpy.flatnonzero(kept).tolist()) == wanted


async def test_a_search_hands_on_a_text_once(tmp_path: Path) -> None:
    for name in ("one", "copy", "again"):
        (tmp_path / f"{name}.md").write_text(f"# Harbour\n\n{TEXT.capitalize()}.\n")
    (tmp_path / "other.md").write_text("# Fees\n\nA berth in the harbour costs 40 crowns a night.\n")
    index = Index("i", folder=tmp_path / "i", embedder=HashEmbedder())

    report = await index.ingest(tmp_path)

    assert (report.passages, report.repeats) == (4, 2)
    assert sorted(p.heading for p in await index.search("harbour lamp", k=4)) == ["again > Harbour", "other > Fees"]
    assert len(await index.search("harbour lamp", k=4, ranking=Ranking(repeats=True))) == 4
    assert (await index.search("the harbour of the copy", k=1))[0].title == "copy"
    (tmp_path / "again.md").unlink()
    assert (await index.ingest(tmp_path)).repeats == 1
    assert (await index.ingest(tmp_path)).repeats == 1

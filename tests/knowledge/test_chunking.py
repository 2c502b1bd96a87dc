"""Passages: exact spans, whole units, headings."""

from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.knowledge.chunking import MAX_RECORD, passages_of, search_text
from collegium.knowledge.loading import Document

WORDS = st.sampled_from(["Harbour", "light", "A b. C", "x" * 300, "# H\n", "## I\n\n", "\n\n", ". ", "Name: v\n", "\n"])


@settings(deadline=None)
@given(st.lists(WORDS | st.text(max_size=12), max_size=60).map(" ".join), st.booleans())
def test_each_passage_is_a_slice_of_the_text(text: str, code: bool) -> None:
    passages = passages_of(Document("source", text, "title", code))
    at = 0
    for passage in passages:
        assert text[passage.start : passage.end] == passage.text
        assert at <= passage.start < passage.end
        assert len(passage.text) <= MAX_RECORD
        at = passage.end
    assert len({passage.passage_id for passage in passages}) == len(passages)


def test_a_passage_knows_its_title_and_headings() -> None:
    long = "The light burns all night and is seen from far away. " * 8
    text = f"# Lamps\n\n{long}\n\n## Red\n\n{long}\n\n### Port\n\n{long}\n\n## Green\n\n{long}"
    headings = [p.heading for p in passages_of(Document("s", text, "Harbour"))]
    assert headings == [
        "Harbour > Lamps",
        "Harbour > Lamps > Red",
        "Harbour > Lamps > Red > Port",
        "Harbour > Lamps > Green",
    ]


def test_short_sections_share_a_passage_and_sentences_stay_whole() -> None:
    short = passages_of(Document("s", "# A\n\nOne.\n\n# B\n\nTwo.", ""))
    assert [p.text for p in short] == ["# A\n\nOne.\n\n# B\n\nTwo."]
    sentence = "It stands on the rock and has done so for many years. "
    for passage in passages_of(Document("s", sentence * 60, "")):
        assert passage.text.startswith("It stands") and passage.text.endswith("years.")
        assert len(passage.text) <= 850


def test_badges_are_neither_passages_nor_searched() -> None:
    text = "[![Build](https://example.org/b.svg)](https://example.org)\n\nThe [lamp](https://x.org) is red.\n\n![x](y)"
    (passage,) = passages_of(Document("s", text, "Harbour"))
    assert passage.text == "The [lamp](https://x.org) is red."
    assert search_text(passage.heading, passage.text) == "Harbour\nThe lamp is red."


def test_ids_are_equal_for_an_unchanged_source_and_differ_by_source() -> None:
    first = passages_of(Document("a", "One lamp.", ""))
    assert first == passages_of(Document("a", "One lamp.", ""))
    assert first[0].passage_id != passages_of(Document("b", "One lamp.", ""))[0].passage_id

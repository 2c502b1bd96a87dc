"""Where an answer stands in a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.knowledge import Citation, Passage, locate, verify

TEXT = "The castle was rebuilt from 1321 to 1323, on the 4th of July, by Dr. Ramírez for 1,200 crowns."
PASSAGE = Passage(passage_id="p", source="s", start=7, end=7 + len(TEXT), text=TEXT)


@pytest.mark.parametrize(
    ("answer", "quote"),
    [
        ("the castle", "castle"),
        ("1321-1323", "1321 to 1323"),
        ("1321 to 1323.", "1321 to 1323"),
        ("4 July", "4th of July"),
        ("jul 4", None),
        ("dr ramirez", "Dr. Ramírez"),
        ("1200 crowns", "1,200 crowns"),
        ("132", None),
        ("castl", None),
        ("", None),
        ("the", None),
        ("?!", None),
    ],
)
def test_answers_are_found_as_a_reader_would(answer: str, quote: str | None) -> None:
    found = locate(answer, [PASSAGE])
    assert (found.quote if found else None) == quote
    if found:
        assert verify(found, " " * 7 + TEXT)


def test_the_likeliest_span_is_searched_first() -> None:
    other = PASSAGE.model_copy(update={"passage_id": "q", "source": "t"})
    found = locate("castle", [other, PASSAGE])
    assert found is not None and found.source == "t"


def test_a_citation_that_is_altered_does_not_hold() -> None:
    good = Citation(passage_id="p", source="s", start=4, end=10, quote="castle")
    assert verify(good, TEXT)
    assert not verify(good.model_copy(update={"quote": "Castle"}), TEXT)
    assert not verify(good.model_copy(update={"start": 5}), TEXT)
    assert not verify(good.model_copy(update={"start": 4, "end": 4, "quote": ""}), TEXT)


@given(st.text(), st.integers(0, 50), st.integers(0, 50))
def test_what_is_found_is_a_slice_and_any_words_of_the_text_are_found(text: str, at: int, length: int) -> None:
    passage = Passage(passage_id="p", source="s", start=0, end=len(text), text=text)
    found = locate(text[at : at + length], [passage])
    if found:
        assert verify(found, text)
    whole = locate(text, [passage])
    if any(c.isascii() and c.isalpha() and c not in "aA" for c in text) and not {"the", "an"} & set(
        text.lower().split()
    ):
        assert whole is not None

"""Words as retrieval compares them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.knowledge.words import plain, searchable, terms


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("[![Build](https://x.org/b.svg)](https://x.org)", ""),
        ("The [lamp](https://x.org/a_(b)) is **red** and `on`.", "The lamp is red and on ."),
        ("See `docs <https://x.org>`_ and :class:`Lamp`.", "See docs and Lamp."),
        ("<p align='x'>a &amp; b</p> <https://x.org>", "a & b https://x.org"),
        ("1 < 2 and 3 > 2, snake_case stays", "1 < 2 and 3 > 2, snake_case stays"),
    ],
)
def test_markup_goes_and_words_stay(marked: str, words: str) -> None:
    assert plain(marked) == words


def test_spelling_case_accents_and_endings_do_not_matter() -> None:
    assert terms("licence") == terms("License")
    assert terms("colours organised") == terms("Color organizing")
    assert terms("Ramírez") == terms("ramirez")
    assert terms("the 1970's") == terms("1970s")
    assert terms("the of and") == []
    assert terms("Python 3.11, snake_case") == ["python", "3.11", "snake", "case"]


def test_a_metadata_field_is_found_by_what_its_name_means() -> None:
    assert (
        searchable("Requires-Python: >=3.10") == "Requires-Python: >=3.10 (supported, required, minimum Python version)"
    )
    assert searchable("Note: nothing") == "Note: nothing"


@given(st.text())
def test_any_text_has_words_or_none(text: str) -> None:
    assert all(terms(text))
    plain(text)

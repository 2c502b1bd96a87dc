"""Reading a text: sentences, fields, headings, code, noise, and exact spans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.knowledge.structure import MAX_UNIT, read_units, sentence_spans

METADATA = """Metadata-Version: 2.4
Name: lumen
Summary: Light for ships. And for harbours.
License-File: LICENSE
Author-email: Ada Tarr <ada@example.org>,
        Bo Lind <bo@example.org>
Requires-Python: >=3.10

[![Build](https://example.org/badge.svg)](https://example.org/build)
<p align="center">
  <img src="logo.png">
</p>

# Lumen

Lumen lights the way. It was written by Dr. Tarr in 1931, e.g. for the U.S. Navy.

## Install

```sh
pip install lumen
```

* **Fast**: Great speed. No wait.
* Small

| lamp | watts |
| --- | --- |
| red | 40 |
"""

RST = """
=====
Title
=====

Some words.

Part
----

.. image:: x.png
   :target: https://example.org

See the `docs <https://example.org>`_.
"""


def shown(text: str) -> list[tuple[str, str]]:
    return [(unit.kind, text[unit.start : unit.end]) for unit in read_units(text)]


def test_package_metadata_gives_fields_sentences_and_code() -> None:
    assert [unit for unit in shown(METADATA) if unit[0] != "noise"] == [
        ("field", "Name: lumen"),
        ("field", "Summary: Light for ships. And for harbours."),
        ("field", "Author-email: Ada Tarr <ada@example.org>,\n        Bo Lind <bo@example.org>"),
        ("field", "Requires-Python: >=3.10"),
        ("heading", "# Lumen"),
        ("sentence", "Lumen lights the way."),
        ("sentence", "It was written by Dr. Tarr in 1931, e.g. for the U.S. Navy."),
        ("heading", "## Install"),
        ("code", "pip install lumen"),
        ("sentence", "**Fast**: Great speed. No wait."),
        ("sentence", "Small"),
        ("columns", "| lamp | watts |"),
        ("row", "| red | 40 |"),
    ]


def test_restructured_text_headings_rank_by_first_use_and_directives_are_noise() -> None:
    units = [unit for unit in read_units(RST) if unit.kind != "noise"]
    assert [(unit.kind, unit.level, unit.title) for unit in units] == [
        ("heading", 1, "Title"),
        ("sentence", 0, ""),
        ("heading", 2, "Part"),
        ("sentence", 0, ""),
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        ("Version 3.11 is out. It is fast.", ["Version 3.11 is out.", "It is fast."]),
        ("J. R. Smith met Mr. Jones. They spoke.", ["J. R. Smith met Mr. Jones.", "They spoke."]),
        ("It cost 5 p. a piece in St. Ives.", ["It cost 5 p. a piece in St. Ives."]),
        ("一。二。", ["一。", "二。"]),
        ("  ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


MARKED = st.lists(
    st.sampled_from(
        ["# ", "```", "\n", "\n\n", "* ", "| a | b |", "---", "Name: x", "Key: y. Z", ".. a::", "<!--", "-->"]
        + ["Mr. ", "One. ", "two", "A\r\n", "\t", "[a](b)", "![c](d)", "é", "。", "\x85", " "]
    )
    | st.text(max_size=8),
    max_size=40,
).map("".join)


@given(MARKED)
def test_units_never_overlap_and_hold_every_letter(text: str) -> None:
    units = read_units(text)
    at = 0
    for unit in units:
        assert at <= unit.start < unit.end <= len(text)
        assert unit.end - unit.start <= MAX_UNIT
        at = unit.end
    held = "".join(text[unit.start : unit.end] for unit in units)
    marker_digits = sum(c.isdigit() for c in text)
    assert sum(c.isalpha() for c in held) == sum(c.isalpha() for c in text)
    assert sum(c.isdigit() for c in held) <= marker_digits


def test_a_long_sentence_is_cut_at_spaces() -> None:
    text = "word " * 400
    units = read_units(text)
    assert len(units) > 1
    assert all(text[unit.start : unit.end].split() == ["word"] * ((unit.end - unit.start + 1) // 5) for unit in units)

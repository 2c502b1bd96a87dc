"""Clauses by the form of a sentence alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.knowledge.clauses import clause_spans


@pytest.mark.parametrize(
    ("sentence", "clauses"),
    [
        ("The bridge opened in 1931.", ["The bridge opened in 1931."]),
        (
            "Helen Tarr designed the bridge, which spans the river Lune and carries two tracks.",
            ["Helen Tarr designed the bridge, ", "which spans the river Lune ", "and carries two tracks."],
        ),
        ("In 1951, the Mara Bridge opened.", ["In 1951, the Mara Bridge opened."]),
        ("It cost 1,200 crowns (12:30 is noon).", ["It cost 1,200 crowns (12:30 is noon)."]),
    ],
)
def test_a_sentence_is_cut_at_its_joints_and_short_pieces_stay_together(sentence: str, clauses: list[str]) -> None:
    assert [sentence[slice(*span)] for span in clause_spans(sentence)] == clauses


@given(st.text(alphabet="ab1 ,;()-–andwhich.\n", max_size=80))
def test_clauses_together_are_the_sentence(sentence: str) -> None:
    assert "".join(sentence[slice(*span)] for span in clause_spans(sentence)) == sentence

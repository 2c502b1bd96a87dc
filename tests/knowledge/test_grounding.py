"""Grounding by words: numbers and names first."""

import pytest

from collegium.knowledge import check_grounding

EVIDENCE = [
    "The Mara Bridge opened in 1931. Helen Tarr designed it for 1,200 crowns.",
    "It has twelve arches and spans the Lune.",
]


@pytest.mark.parametrize(
    ("claim", "support"),
    [
        ("The Mara Bridge opened in 1931.", "supported"),
        ("The bridge, opened in 1931, was designed by Helen Tarr.", "supported"),
        ("The bridge has 12 arches.", "supported"),
        ("It was designed for 1200 crowns.", "supported"),
        ("The Mara Bridge opened in 1951.", "unsupported"),
        ("The bridge was designed by Ada Lind.", "unsupported"),
        ("The bridge was designed by Helen Tarr of Oslo.", "partly"),
        ("Ferries stopped running long ago because people preferred walking.", "unsupported"),
    ],
)
def test_a_claim_is_judged_by_its_numbers_names_and_words(claim: str, support: str) -> None:
    (judged,) = check_grounding(claim, EVIDENCE).sentences
    assert judged.support == support, judged.reason


def test_the_reason_names_what_is_missing() -> None:
    (judged,) = check_grounding("Helen Tarr opened it in 1951.", EVIDENCE).sentences
    assert judged.missing == ("1951",)
    assert judged.reason == "not in the evidence: 1951"


def test_a_text_is_scored_sentence_by_sentence() -> None:
    found = check_grounding("The Mara Bridge opened in 1931. It fell in 1977.", EVIDENCE)
    assert [s.support for s in found.sentences] == ["supported", "unsupported"]
    assert (found.score, found.grounded) == (0.5, False)


def test_a_quote_is_grounded_and_an_empty_text_is_not() -> None:
    assert check_grounding(EVIDENCE[1], EVIDENCE).grounded
    assert not check_grounding("", EVIDENCE).grounded
    assert check_grounding("", EVIDENCE).score == 0.0


def test_a_sentence_is_judged_clause_by_clause() -> None:
    (judged,) = check_grounding(
        "Helen Tarr designed the Mara Bridge, and it opened to traffic in 1951.", EVIDENCE
    ).sentences
    assert judged.support == "partly"
    assert [(c.support, c.missing) for c in judged.clauses] == [("supported", ()), ("unsupported", ("1951",))]
    assert judged.worth == 0.0, "a number that the evidence lacks is worth nothing, however right the rest"


def test_each_sentence_says_where_it_stands() -> None:
    text = "# Bridges\n\nThe Mara Bridge opened in 1931. It fell in 1977."
    found = check_grounding(text, EVIDENCE)
    assert [text[s.start : s.end] for s in found.sentences] == [s.sentence for s in found.sentences]


def test_what_lies_scattered_over_the_evidence_is_less_likely_supported() -> None:
    claim = "The bridge was designed for crowns and spans the Lune in twelve arches."
    near = ["The bridge was designed for crowns. It spans the Lune in twelve arches."]
    far = ["The bridge was designed for crowns.", "Ferries stopped.", "It spans the Lune in twelve arches."]
    assert check_grounding(claim, near).probability > check_grounding(claim, far).probability


def test_a_claim_of_a_thousand_missing_numbers_has_a_probability_all_the_same() -> None:
    claim = " ".join(str(number) for number in range(1000, 2000))
    assert 0.0 <= check_grounding(f"The codes are {claim}", EVIDENCE).probability < 1e-9

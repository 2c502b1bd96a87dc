"""The figures of a detector are those that one counts by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from collegium.core.errors import InvalidInput
from collegium.evals.guards import flagged, located
from collegium.guardrails import Finding


def shout(text: str) -> Iterator[Finding]:
    """A detector of words in capitals."""
    yield from (Finding(*match.span(), "email") for match in re.finditer(r"[A-Z]{3,}", text))


def test_recall_and_false_alarms_are_told_apart_by_the_rows_own_words() -> None:
    rows: list[dict[str, Any]] = [
        {"user": "BAD", "type": "direct"},
        {"user": "sly", "type": "indirect"},
        {"text": "good"},
        {"text": "GOOD"},
        {"question": "EVIL", "injected": True},
        {"text": "fine", "injected": False},
    ]
    figures = flagged(shout, rows)
    assert {kind: rate.value for kind, rate in figures.attacks.items()} == {
        "all": 2 / 3,
        "direct": 1.0,
        "indirect": 0.0,
    }
    assert figures.clean is not None
    assert figures.clean.value == pytest.approx(1 / 3)
    assert figures.characters == 3 + 3 + 4 + 4 + 4 + 4


def test_a_place_counts_as_found_only_where_nothing_of_it_stays_readable() -> None:
    text = "AAA bbb CCCc DDD"
    spans = [
        {"type": "EMAIL_ADDRESS", "start": 0, "end": 3},
        {"type": "EMAIL_ADDRESS", "start": 8, "end": 12},
        {"type": "PERSON", "start": 4, "end": 7},
    ]
    figures = located(shout, [{"text": text, "spans": spans}], ["email"])
    assert figures.recall["email"].value == 0.5
    assert figures.precision["email"].value == pytest.approx(2 / 3)
    assert figures.ignored == {"person": 1}


def test_a_row_without_text_is_named() -> None:
    with pytest.raises(InvalidInput, match="no text in 'body'"):
        flagged(shout, [{"text": "x"}], "body")
    with pytest.raises(InvalidInput, match="each span needs"):
        located(shout, [{"text": "x", "spans": [{"start": 1}]}], ["email"])

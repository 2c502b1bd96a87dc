"""Figures of the grounding check, on claims whose labels follow from a rule."""

import json
import random
from pathlib import Path

import pytest

from collegium.core.errors import InvalidInput
from collegium.evals import auroc, measure_grounding, read_claims
from collegium.evals.grounding import Claim, auroc_interval, cross_validated, fit
from collegium.knowledge.grounding import Signals


def claims(count: int = 60) -> list[Claim]:
    """Every third claim names a year that its evidence does not."""
    return [
        Claim(
            f"The mill of Brill burned down in {1500 + i + (i % 3 == 0)}.",
            f"In {1500 + i} the mill of Brill burned down. It was rebuilt by the town.",
            i % 3 != 0,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], [False, False, True, True], 1.0),
        ([0.4, 0.3, 0.2, 0.1], [False, False, True, True], 0.0),
        ([0.5, 0.5, 0.5, 0.5], [False, True, False, True], 0.5),
        ([0.1, 0.4, 0.35, 0.8], [False, False, True, True], 0.75),
        ([0.1, 0.2], [True, True], 0.5),
    ],
)
def test_auroc_is_the_chance_of_the_right_order(scores: list[float], labels: list[bool], expected: float) -> None:
    assert auroc(scores, labels) == expected


def test_auroc_equals_the_count_over_all_pairs() -> None:
    draw = random.Random(3)
    scores = [round(draw.random(), 1) for _ in range(80)]
    labels = [draw.random() < 0.4 for _ in scores]
    yes = [s for s, label in zip(scores, labels, strict=True) if label]
    no = [s for s, label in zip(scores, labels, strict=True) if not label]
    pairs = sum((a > b) + (a == b) / 2 for a in yes for b in no) / (len(yes) * len(no))
    assert auroc(scores, labels) == pytest.approx(pairs)
    interval = auroc_interval(scores, labels, rounds=200)
    assert interval.low < interval.value < interval.high


def test_claims_that_differ_in_a_number_are_told_apart() -> None:
    figures = measure_grounding(claims())
    assert (figures.claims, figures.grounded) == (60, 40)
    assert figures.shipped.value == figures.folds.value == 1.0
    assert figures.levels == {"supported": (40, 40), "partly": (0, 0), "unsupported": (20, 0)}
    assert figures.fitted.signals.numbers_missing < 0


def test_a_signal_without_meaning_gives_chance_in_folds() -> None:
    draw = random.Random(5)
    rows = [Signals(draw.random(), draw.random(), draw.random()) for _ in range(400)]
    labels = [draw.random() < 0.5 for _ in rows]
    assert 0.4 < auroc(cross_validated(rows, labels), labels) < 0.6


def test_a_fit_finds_the_direction_of_each_signal() -> None:
    rows = [Signals(float(i % 2), 0.0, i / 40) for i in range(40)]
    weights = fit(rows, [i % 2 == 0 for i in range(40)])
    assert weights.signals.numbers_missing < -1
    assert weights.signals.names_missing == 0.0


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"claim": "a", "evidence": "b", "grounded": "yes"}, "must be true or false"),
        ({"claim": "a", "evidence": "b", "grounded": True}, "grounded claims and others"),
    ],
)
def test_labels_that_cannot_be_used_are_named(tmp_path: Path, row: dict[str, object], problem: str) -> None:
    file = tmp_path / "claims.jsonl"
    file.write_text(json.dumps(row) + "\n", "utf-8")
    with pytest.raises(InvalidInput, match=problem):
        read_claims(file)


def test_evidence_may_be_several_texts(tmp_path: Path) -> None:
    file = tmp_path / "claims.jsonl"
    rows = [{"claim": "a", "evidence": ["b", "c"], "grounded": g} for g in (True, False)]
    file.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    assert [one.evidence for one in read_claims(file)] == ["b\n\nc", "b\n\nc"]
    with pytest.raises(InvalidInput, match="ten folds"):
        measure_grounding(read_claims(file))

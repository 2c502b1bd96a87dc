"""How well the grounding check tells claims that people found supported from others."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..core.errors import InvalidInput
from ..knowledge.grounding import Signals, Weights, check_grounding, signals
from .intervals import ROUNDS, SEED, Interval
from .rows import read_rows

RIDGE = 5.0
"""Penalty on the squared weights of the standardised signals; 1 to 20 give the same ranking within 0.002."""
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, what it should rest on, and whether people found it supported."""

    claim: str
    evidence: str
    grounded: bool


@dataclass(frozen=True, slots=True)
class GroundingFigures:
    """What `measure_grounding` finds."""

    claims: int
    grounded: int
    shipped: Interval
    """AUROC of the check as it is shipped."""
    folds: Interval
    """AUROC of the same signals, fitted on nine tenths and tried on the tenth, ten times."""
    overlap: Interval
    """AUROC of the share of words in the evidence, for comparison."""
    levels: dict[str, tuple[int, int]]
    """For each level of support: how many claims, and how many of them people found supported."""
    fitted: Weights
    """The model fitted on all claims."""


def read_claims(path: Path) -> list[Claim]:
    """Claims from JSON lines with `claim`, `evidence` (a text, or a list of them) and `grounded`.

    Raises:
        InvalidInput: The file cannot be read, a field is missing, or all claims have one label.
    """
    claims = [_claim(path, row) for row in read_rows(path, ("claim", "evidence", "grounded"))]
    if len({one.grounded for one in claims}) < 2:
        raise InvalidInput(str(path), "it needs grounded claims and others.")
    return claims


def measure_grounding(claims: Sequence[Claim], *, seed: int = SEED) -> GroundingFigures:
    """AUROC of the shipped check, of a model fitted anew in ten folds, and of word overlap.

    Args:
        claims: At least ten, grounded ones and others.
        seed: Of the folds and of the bootstrap over claims.

    Raises:
        InvalidInput: There are too few claims.
    """
    if len(claims) < FOLDS:
        raise InvalidInput("claims", f"there are {len(claims)}; ten folds need at least {FOLDS}.")
    labels = [one.grounded for one in claims]
    rows = [signals(one.claim, [one.evidence]) for one in claims]
    found = [check_grounding(one.claim, [one.evidence]) for one in claims]
    overlap = [min((s.share for s in one.sentences), default=0.0) for one in found]
    levels = [min((s.support for s in one.sentences), key=_ORDER.index, default="unsupported") for one in found]
    counts, right = Counter(levels), Counter(level for level, label in zip(levels, labels, strict=True) if label)
    return GroundingFigures(
        claims=len(claims),
        grounded=sum(labels),
        shipped=auroc_interval([one.probability for one in found], labels, seed=seed),
        folds=auroc_interval(cross_validated(rows, labels, seed=seed), labels, seed=seed),
        overlap=auroc_interval(overlap, labels, seed=seed),
        levels={level: (counts[level], right[level]) for level in reversed(_ORDER)},
        fitted=fit(rows, labels),
    )


_ORDER = ("unsupported", "partly", "supported")


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Chance that a positive case scores above a negative one; ties count one half.

    The Mann-Whitney statistic over the ranks (Hanley and McNeil 1982). 0.5 when one of the two is missing.
    """
    positives = sum(labels)
    negatives = len(labels) - positives
    if not positives or not negatives:
        return 0.5
    above = 0.0
    seen = 0
    for _, group in _tied(scores, labels):
        hits = sum(group)
        misses = len(group) - hits
        above += hits * (seen + misses / 2)
        seen += misses
    return above / (positives * negatives)


def auroc_interval(
    scores: Sequence[float], labels: Sequence[bool], *, rounds: int = ROUNDS, seed: int = SEED
) -> Interval:
    """`auroc` with the percentile bootstrap over the cases."""
    draw = random.Random(seed)
    found: list[float] = []
    for _ in range(rounds):
        drawn = draw.choices(range(len(scores)), k=len(scores))
        found.append(auroc([scores[i] for i in drawn], [labels[i] for i in drawn]))
    found.sort()
    return Interval(auroc(scores, labels), found[int(0.025 * rounds)], found[min(rounds - 1, int(0.975 * rounds))])


def cross_validated(
    rows: Sequence[Signals], labels: Sequence[bool], *, folds: int = FOLDS, seed: int = SEED
) -> list[float]:
    """The probability of each claim by a model that was fitted without its fold."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    scores = [0.0] * len(rows)
    for fold in range(folds):
        held = order[fold::folds]
        kept = [i for at, i in enumerate(order) if at % folds != fold]
        weights = fit([rows[i] for i in kept], [labels[i] for i in kept])
        for i in held:
            scores[i] = weights.probability(rows[i])
    return scores


def fit(rows: Sequence[Signals], labels: Sequence[bool], *, ridge: float = RIDGE) -> Weights:
    """Logistic regression with a ridge on standardised signals, by Newton's method; deterministic."""
    numpy: Any = import_module("numpy")
    given = numpy.array(rows, dtype=float)
    mean, spread = given.mean(0), given.std(0) + 1e-9
    design = numpy.c_[numpy.ones(len(given)), (given - mean) / spread]
    target = numpy.array(labels, dtype=float)
    penalty = numpy.diag([0.0, *[ridge] * given.shape[1]])
    weights = numpy.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + numpy.exp(-design @ weights))
        slope = design.T @ (chance - target) + penalty @ weights
        bend = (design.T * (chance * (1 - chance))) @ design + penalty
        step = numpy.linalg.solve(bend + 1e-9 * numpy.eye(len(weights)), slope)
        weights -= step
        if abs(step).max() < 1e-9:
            break
    own = weights[1:] / spread
    return Weights(float(weights[0] - own @ mean), Signals(*map(float, own)))


def _tied(scores: Sequence[float], labels: Sequence[bool]) -> list[tuple[float, list[bool]]]:
    """The labels of each score, lowest score first."""
    groups: dict[float, list[bool]] = {}
    for score, label in zip(scores, labels, strict=True):
        groups.setdefault(score, []).append(label)
    return sorted(groups.items(), key=_first)


def _first(group: tuple[float, list[bool]]) -> float:
    return group[0]


def _claim(path: Path, row: dict[str, Any]) -> Claim:
    evidence, grounded = row["evidence"], row["grounded"]
    if isinstance(evidence, list):
        evidence = "\n\n".join(map(str, evidence))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if not isinstance(grounded, bool):
        raise InvalidInput(str(path), f"`grounded` is {grounded!r}; it must be true or false.")
    return Claim(str(row["claim"]), str(evidence), grounded)

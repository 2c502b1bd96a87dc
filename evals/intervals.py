"""How sure a figure is: 95 % intervals for means, differences and rates."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean

ROUNDS = 2000
SEED = 7


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and the bounds between which it lies with a confidence of 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def rounded(self, digits: int = 4) -> dict[str, float]:
        """As JSON: `value`, `low` and `high`."""
        return {
            "value": round(self.value, digits),
            "low": round(self.low, digits),
            "high": round(self.high, digits),
        }


def mean_interval(
    values: Sequence[float], *, rounds: int = ROUNDS, seed: int = SEED, confidence: float = 0.95
) -> Interval:
    """The mean of `values`, with the percentile bootstrap over them.

    For the paired difference of two systems, hand in the difference for each question: what makes a question
    hard for both then cancels out. Source: Efron and Tibshirani 1993, chapter 13.

    Args:
        values: One number a question.
        rounds: How often the questions are drawn anew, with replacement.
        seed: Of the draws; the same values give the same interval.
        confidence: Share of the drawn means that lie inside.

    Returns:
        Mean and bounds; all 0.0 when `values` is empty.
    """
    if not values:
        return Interval(0.0, 0.0, 0.0)
    draw = random.Random(seed)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(rounds))
    tail = (1 - confidence) / 2
    return Interval(fmean(values), means[int(tail * rounds)], means[min(rounds - 1, int((1 - tail) * rounds))])


def wilson_interval(hits: int, total: int, *, confidence: float = 0.95) -> Interval:
    """The rate `hits / total` with Wilson's score interval, which holds near 0 and 1 and for few cases.

    Source: Wilson 1927; recommended by Brown, Cai and DasGupta 2001.

    Returns:
        Rate and bounds; 0.0 between 0.0 and 1.0 when `total` is 0, as nothing is known.
    """
    if not total:
        return Interval(0.0, 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = hits / total
    middle = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    # at the ends the formula gives the end itself, but for the last bit
    return Interval(rate, 0.0 if not hits else middle - half, 1.0 if hits == total else middle + half)

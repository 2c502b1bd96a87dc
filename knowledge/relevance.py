"""Whether what a search found has to do with what was asked: the scores of a search only order passages."""

from __future__ import annotations

from math import exp

SLOPE, MIDDLE = 14.6, 0.80
"""Of the logistic curve over cosine + share of words. Fitted on 911 questions about three collections, each asked of
its own collection and of the other two, all pairs with equal weight; cosines are MiniLM's."""
WORDS_SLOPE, WORDS_MIDDLE = 15.8, 0.43
"""The same over the share of words alone."""
RELEVANT = 0.3
"""From here a passage counts as relevant; `docs/knowledge.md` says what that keeps and refuses."""


def relevance(words: float, cosine: float | None) -> float:
    """The probability that a passage is about what was asked, in [0, 1]; it need not hold the answer.

    Args:
        words: The share of the query's words that the passage has, by rarity.
        cosine: With the query, by MiniLM; None where there are no vectors.
    """
    known = WORDS_SLOPE * (words - WORDS_MIDDLE) if cosine is None else SLOPE * (words + cosine - MIDDLE)
    return 1 / (1 + exp(-known))

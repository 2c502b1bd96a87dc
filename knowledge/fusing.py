"""The arithmetic of a search, over arrays with one row a passage: scaling, fusing, the best rows, variety."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .ranking import Part, Ranking


def fused(words: Any, cosines: Any, ranking: Ranking) -> Any:
    """One score from 0 to 1 a row.

    Args:
        words: BM25 scores.
        cosines: Cosines with the query; None without vectors.
        ranking: How to fuse them.
    """
    if cosines is None:
        return scaled(words)
    if ranking.fusion == "rrf":
        return _by_ranks(words, cosines, ranking.rrf_k)
    return ranking.keyword_weight * scaled(words) + (1 - ranking.keyword_weight) * scaled(cosines)


def scaled(scores: Any) -> Any:
    """Linear into 0..1, over all rows; zeros where all are equal."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else scores * 0


def best_rows(scores: Any, k: int) -> list[int]:
    """The rows of the `k` highest scores, best first; of equal ones, the first row first."""
    numpy: Any = import_module("numpy")
    if k < len(scores):
        least = numpy.partition(scores, len(scores) - k)[len(scores) - k]
        rows = numpy.flatnonzero(scores >= least)  # sorting all of 100,000 rows costs more than all else
    else:
        rows = numpy.arange(len(scores))
    order = numpy.argsort(-scores[rows], kind="stable")[:k]
    found: list[int] = rows[order].tolist()
    return found


def varied(rows: list[int], scores: Any, vectors: Any, k: int, diversity: float) -> list[int]:
    """`k` of the rows, by maximal marginal relevance (Carbonell and Goldstein 1998)."""
    numpy: Any = import_module("numpy")
    likeness = vectors[rows] @ vectors[rows].T
    relevance = (1 - diversity) * scores[rows]
    nearest = numpy.zeros(len(rows), dtype="float32")
    taken: list[int] = []
    while len(taken) < min(k, len(rows)):
        worth = relevance - diversity * nearest
        worth[taken] = -numpy.inf
        best = int(worth.argmax())
        taken.append(best)
        nearest = numpy.maximum(nearest, likeness[best])
    return [rows[at] for at in taken]


def part(scores: Any, row: int) -> Part:
    """The rank and score of a row in one ranking."""
    return Part(rank=1 + int((scores > scores[row]).sum()), score=float(scores[row]))


def _by_ranks(words: Any, cosines: Any, constant: int) -> Any:
    """1 for the row that is first in both; a row without a shared word gets nothing from the keywords."""
    shared = (words > 0) / (constant + _ranks(words))
    return (constant + 1) / 2 * (shared + 1 / (constant + _ranks(cosines)))


def _ranks(scores: Any) -> Any:
    numpy: Any = import_module("numpy")
    ranks = numpy.empty(len(scores), dtype="float32")
    ranks[numpy.argsort(-scores, kind="stable")] = numpy.arange(1, len(scores) + 1)
    return ranks

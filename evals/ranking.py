"""What a ranked list is worth, against the documents that were judged relevant."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import log2


def ndcg(ranked: Sequence[str], gains: Mapping[str, float], k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first `k`.

    DCG = sum over ranks i = 1..k of gain(i) / log2(i + 1), divided by the DCG of the best order possible.
    Source: Järvelin and Kekäläinen 2002, with the logarithm from rank 1 as Burges et al. 2005 have it and the gain
    as it is given (not 2^gain - 1).

    Args:
        ranked: Document ids, best first, without repeats.
        gains: What each relevant document is worth; others are worth 0.
        k: How far down one looks.

    Returns:
        A number in [0, 1]; 0.0 when nothing is relevant.
    """
    ideal = _dcg(sorted(gains.values(), reverse=True)[:k])
    return _dcg([gains.get(document, 0.0) for document in ranked[:k]]) / ideal if ideal else 0.0


def recall(ranked: Sequence[str], relevant: Collection[str], k: int = 10) -> float:
    """Share of the relevant documents that stand among the first `k`; 0.0 when nothing is relevant.

    With more than `k` relevant documents it cannot reach 1.
    """
    return len(set(ranked[:k]) & set(relevant)) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """1 over the rank of the first relevant document; 0.0 when there is none. Its mean is the MRR.

    Source: Voorhees 1999 (TREC-8 question answering).
    """
    return next((1 / rank for rank, document in enumerate(ranked, start=1) if document in relevant), 0.0)


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))

"""A second opinion on the first passages of a search, by a model that reads question and passage together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from ..core.errors import KnowledgeError
from .ranking import Found, Part

RERANKED = 20
"""Passages that a model reads for a search, or as many as are asked for."""


class Reranker(Protocol):
    """Says how well texts answer a question; `collegium.models.reranker` makes one from a server's model."""

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score a text, in order, from 0 to 1."""
        ...


async def reranked(reranker: Reranker, query: str, found: Sequence[Found]) -> list[Found]:
    """What was found in the order of the reranker's scores, which take the place of the fused ones.

    Raises:
        KnowledgeError: It does not give one score from 0 to 1 for each passage.
    """
    scores = await reranker.scores(query, [f"{one.passage.heading}\n{one.passage.text}".strip() for one in found])
    if len(scores) != len(found) or not all(0 <= score <= 1 for score in scores):
        problem = f"it must give a score from 0 to 1 for each of {len(found)} passages."
        raise KnowledgeError(f"reranker {type(reranker).__name__}", problem)
    order = sorted(zip(found, scores, strict=True), key=lambda pair: -pair[1])
    return [
        replace(one, passage=one.passage.model_copy(update={"score": score}), reranked=Part(rank, score))
        for rank, (one, score) in enumerate(order, start=1)
    ]

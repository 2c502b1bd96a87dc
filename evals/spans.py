"""Spans as the measure of retrieval: is what answers a question among what a model would be given?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..knowledge.passages import Passage
from .collections import Span

TOKENS = 2000
"""How much a model is given."""
SHARE = 0.95
"""The share of its characters from which a span counts as found."""

Counter = Callable[[Sequence[str]], list[int]]
"""How many tokens each text has."""


def packed(passages: Sequence[Passage], count_tokens: Counter, tokens: int = TOKENS) -> list[Passage]:
    """The passages, best first, that fit into so many tokens; ends at the first that does not."""
    used = 0
    taken: list[Passage] = []
    for at in range(0, len(passages), 16):
        batch = passages[at : at + 16]
        for passage, count in zip(batch, count_tokens([passage.text for passage in batch]), strict=True):
            used += count
            if used > tokens:
                return taken
            taken.append(passage)
    return taken


def covered(span: Span, passages: Sequence[Passage]) -> bool:
    """Whether at least 95 in 100 of a span's characters lie in the passages of its document."""
    inside = {at for p in passages for at in range(max(span.start, p.start), min(span.end, p.end))}
    return len(inside) >= SHARE * (span.end - span.start)

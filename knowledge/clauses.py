"""The clauses of a sentence: the least that can be true or false by itself."""

from __future__ import annotations

import re

from .words import terms

_LEAST = 3
"""Words that carry meaning; a shorter piece goes with its neighbour."""
_JOINT = re.compile(
    r"[,;:()–—]\s+|\s*[;:()–—]\s*(?=\D)"
    r"|\s+(?=(?:and|but|who|which|while|where|whereas|when|because|although|though|after|before|since|until|with|that"
    r"|as|so|than)\s)",
    re.IGNORECASE,
)


def clause_spans(sentence: str) -> list[tuple[int, int]]:
    """Spans of the clauses, in order; together they hold every word. A sentence without a joint is one.

    Cut at commas, brackets and words such as "and", "which", "because", by form alone.
    """
    cuts = [0, *(match.end() for match in _JOINT.finditer(sentence)), len(sentence)]
    spans: list[tuple[int, int]] = []
    for start, end in zip(cuts, cuts[1:], strict=False):
        if spans and (_short(sentence[start:end]) or _short(sentence[slice(*spans[-1])])):
            spans[-1] = (spans[-1][0], end)
        elif start < end:
            spans.append((start, end))
    return spans


def _short(piece: str) -> bool:
    return len(terms(piece)) < _LEAST

"""More of the source around a passage: its neighbours, or the whole section that it stands in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .chunking import passage_id
from .passages import Passage

By = Literal["neighbours", "section"]

MAX_CHARS = 4000
"""Of an expanded passage, some 800 tokens: several of them fit into a small model's window."""


def expanded(
    found: Sequence[Passage], there: Sequence[Passage], text: str, *, by: By, neighbours: int, max_chars: int
) -> list[Passage]:
    """The passages found in one source, each with what is around it; those that meet become one.

    Args:
        found: Passages of one source.
        there: All passages of that source, in order.
        text: The source's text.
        by: Up to so many neighbours on each side, or the passages under the same heading (of a passage that has
            its heading for itself: those under the heading above).
        neighbours: Passages to take on each side, for `neighbours`.
        max_chars: The passage grows while it has at most so many characters.

    Returns:
        In order of the source, with the best score of what each was made of, and its first heading.
    """
    starts = [passage.start for passage in there]
    grown: list[tuple[int, int, float]] = []
    for passage in found:
        if passage.start not in starts:
            grown.append((passage.start, passage.end, passage.score))
            continue
        at = starts.index(passage.start)
        low, high = (at - neighbours, at + neighbours) if by == "neighbours" else _section(there, at)
        low, high = _within(there, at, max(0, low), min(len(there) - 1, high), max_chars)
        grown.append((there[low].start, max(there[high].end, passage.end), passage.score))
    return [_made(there, text, *span) for span in _joined(sorted(grown))]


def _section(there: Sequence[Passage], at: int) -> tuple[int, int]:
    low, high = _run(there, at, there[at].heading)
    above = there[at].heading.rpartition(" > ")[0]
    return _run(there, at, above) if low == high and above else (low, high)


def _run(there: Sequence[Passage], at: int, heading: str) -> tuple[int, int]:
    """The passages without a gap around one that stand under a heading, or under one below it."""

    def under(row: int) -> bool:
        return there[row].heading == heading or there[row].heading.startswith(f"{heading} > ")

    low = high = at
    while low > 0 and under(low - 1):
        low -= 1
    while high + 1 < len(there) and under(high + 1):
        high += 1
    return low, high


def _within(there: Sequence[Passage], at: int, low: int, high: int, max_chars: int) -> tuple[int, int]:
    """Grow from the passage outwards, after it first, as long as there is room; what follows explains it most often."""
    left = right = at
    growing = True
    while growing:
        growing = False
        if right < high and there[right + 1].end - there[left].start <= max_chars:
            right, growing = right + 1, True
        if left > low and there[right].end - there[left - 1].start <= max_chars:
            left, growing = left - 1, True
    return left, right


def _joined(spans: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    joined: list[tuple[int, int, float]] = []
    for start, end, score in spans:
        # spans that overlap are joined even when that is too long: no character is handed on twice
        if joined and start < joined[-1][1]:
            before = joined.pop()
            joined.append((before[0], max(before[1], end), max(before[2], score)))
        else:
            joined.append((start, end, score))
    return joined


def _made(there: Sequence[Passage], text: str, start: int, end: int, score: float) -> Passage:
    first = next((passage for passage in there if passage.start <= start < passage.end), there[0])
    span = text[start:end]
    return first.model_copy(
        update={
            "passage_id": passage_id(first.source, start, span),
            "start": start,
            "end": end,
            "text": span,
            "score": score,
        }
    )

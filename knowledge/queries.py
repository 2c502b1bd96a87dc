"""From the texts that are looked for to their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

from .chunking import MAX_PASSAGE
from .embedding import Embedder, MiniLM
from .snapshot import Query
from .structure import sentence_spans


def read_queries(texts: Sequence[str], embedder: Embedder | None) -> list[Query]:
    """The texts with their vectors.

    A text longer than a passage gets the mean of its pieces' vectors: an embedder reads no further than its window,
    and what a long request wants may stand at its end. Relevance is calibrated for questions, by words and by MiniLM.

    Args:
        texts: What to look for.
        embedder: Makes the vectors; None for none.
    """
    parts = [pieces(text) for text in texts]
    known = embedder is None or embedder.name == MiniLM.name
    calibrated = [known and len(part) == 1 for part in parts]
    if embedder is None:
        return [Query(text, None, may) for text, may in zip(texts, calibrated, strict=True)]
    vectors = iter(embedder.embed([piece for part in parts for piece in part]))
    means = [_mean([next(vectors) for _ in part]) for part in parts]
    return [Query(text, vector, may) for text, vector, may in zip(texts, means, calibrated, strict=True)]


def pieces(text: str, size: int = MAX_PASSAGE) -> list[str]:
    """The text in pieces of whole sentences, each up to `size` characters where its sentences are not longer."""
    if len(text) <= size:
        return [text]
    found: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        if found and end - found[-1][0] <= size:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return [text[start:end] for start, end in found] or [text]


def _mean(vectors: Sequence[Sequence[float]]) -> Sequence[float]:
    """The mean direction, of length 1."""
    if len(vectors) == 1:
        return vectors[0]
    total = [sum(values) for values in zip(*vectors, strict=True)]
    length = hypot(*total)
    return [value / length for value in total] if length else total

"""What a search reads: all passages of one generation, their vectors as one array, and the keyword index.

An ingestion writes it beside the catalogue under the generation's number, before the catalogue names that
number; so a reader in any process has either the old state or the new one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from .catalog import Entry
from .keywords import Keywords
from .passages import Passage
from .questions import Question
from .words import terms

KEYWORD_WEIGHT = 0.4
"""Best or within the noise of it on three collections (`benchmarks/retrieval.py`)."""
NAMED_BONUS = 0.15
"""For the passages of a document whose title the question names."""
LEAD_BONUS = 0.25
"""For the first passage of such a document: what a thing is stands at its beginning."""


class Snapshot:
    """One generation in memory."""

    def __init__(self, generation: int, passages: Sequence[Passage], keywords: Keywords, vectors: Any) -> None:
        self.generation = generation
        self.passages = passages
        self._keywords = keywords
        self._vectors = vectors

    def search(self, query: str, vector: Sequence[float] | None, k: int) -> list[Passage]:
        """The best `k` passages, each with its fused score, best first.

        Both scores are scaled to 0..1 over all passages of this query, then summed with their weights. A
        passage that shares no word with the query is left out when there are no vectors.
        """
        numpy: Any = import_module("numpy")
        if not self.passages:
            return []
        words = self._keywords.scores(query)
        if vector is None or self._vectors is None:
            fused, wanted = _scaled(words), words > 0
        else:
            cosines = _scaled(self._vectors @ numpy.asarray(vector, dtype="float32"))
            fused, wanted = KEYWORD_WEIGHT * _scaled(words) + (1 - KEYWORD_WEIGHT) * cosines, words >= 0
        fused = self._with_titles(query, fused)
        order: list[int] = numpy.argsort(-fused, kind="stable")[:k].tolist()
        return [self.passages[row].model_copy(update={"score": float(fused[row])}) for row in order if wanted[row]]

    def _with_titles(self, query: str, fused: Any) -> Any:
        """Add the bonus of named documents, then scale back into 0..1."""
        words = Question.read(query).words
        named = [rows for title, rows in self._titles.items() if title <= words]
        if not named:
            return fused
        fused = fused.copy()
        for rows in named:
            fused[rows] += NAMED_BONUS
            fused[[row for row in rows if row in self._leads]] += LEAD_BONUS
        return fused / max(1.0, float(fused.max()))

    @cached_property
    def _titles(self) -> Mapping[frozenset[str], list[int]]:
        titles: dict[frozenset[str], list[int]] = {}
        read: dict[str, frozenset[str]] = {}
        for row, passage in enumerate(self.passages):
            words = read.setdefault(passage.title, frozenset(terms(passage.title)))
            if words:
                titles.setdefault(words, []).append(row)
        return titles

    @cached_property
    def _leads(self) -> frozenset[int]:
        sources = [passage.source for passage in self.passages]
        return frozenset(row for row, source in enumerate(sources) if not row or sources[row - 1] != source)


def save(folder: Path, generation: int, entries: Sequence[Entry], vectors: Mapping[str, Any] | None) -> None:
    """Write the snapshot of a generation; one that a crash left there is replaced."""
    numpy: Any = import_module("numpy")
    place = _place(folder, generation)
    shutil.rmtree(place, ignore_errors=True)
    Keywords.build([entry.search_text for entry in entries]).save(place / "keywords")
    if vectors is not None and entries:
        rows = numpy.array([vectors[entry.passage.passage_id] for entry in entries], dtype="float32")
        numpy.save(place / "vectors.npy", rows)


def load(folder: Path, generation: int, passages: Sequence[Passage]) -> Snapshot:
    """Read the snapshot of a generation.

    Raises:
        FileNotFoundError: It is gone, as a newer generation has replaced it.
    """
    numpy: Any = import_module("numpy")
    place = _place(folder, generation)
    keywords = Keywords.load(place / "keywords", len(passages))
    vectors = None
    with suppress(FileNotFoundError):
        vectors = numpy.load(place / "vectors.npy")
    return Snapshot(generation, passages, keywords, vectors)


def drop_others(folder: Path, generation: int) -> None:
    """Delete the snapshots of other generations."""
    for place in folder.glob("snapshot-*"):
        if place != _place(folder, generation):
            shutil.rmtree(place, ignore_errors=True)


def _place(folder: Path, generation: int) -> Path:
    return folder / f"snapshot-{generation}"


def _scaled(scores: Any) -> Any:
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else scores * 0

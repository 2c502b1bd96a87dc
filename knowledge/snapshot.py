"""What a search reads: all passages of one generation, their vectors as one array, and the keyword index.

An ingestion writes it beside the catalogue under the generation's number, before the catalogue names that
number; so a reader in any process has either the old state or the new one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from .catalog import Entry
from .feedback import expanded
from .fusing import best_rows, fused, part, varied
from .keywords import Keywords
from .passages import Passage
from .questions import Question
from .ranking import Found, Ranking
from .relevance import relevance
from .repeats import best_of_each, firsts
from .rows import Precision, read_rows, write_rows
from .words import plain, terms

_COMPLETE = "complete"
"""An empty file that is written last."""
_REPEATS = "repeats.npy"
NAMED_BONUS = 0.15
"""For the passages of a document whose title the question names."""
LEAD_BONUS = 0.25
"""For the first passage of such a document: what a thing is stands at its beginning."""


@dataclass(frozen=True, slots=True)
class Query:
    """One text to look for."""

    text: str
    vector: Sequence[float] | None
    calibrated: bool = False
    """Whether `relevance` was calibrated for such a text and such vectors."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What one query gives every row."""

    scores: Any
    wanted: Any
    """Which rows may be returned."""
    words: Any
    """BM25; None when keywords have no say."""
    cosines: Any
    """None when vectors have no say."""
    named: list[list[int]]
    """The rows of each document that the query names."""
    shares: Any
    """How much of the query's words each row has; None when relevance is not calibrated for it."""

    def relevance(self, row: int) -> float | None:
        """How probable it is that a passage is about what was asked."""
        if self.shares is None:
            return None
        return relevance(float(self.shares[row]), None if self.cosines is None else float(self.cosines[row]))


class Snapshot:
    """One generation in memory."""

    def __init__(
        self, generation: int, passages: Sequence[Passage], keywords: Keywords, vectors: Any, first: Any = None
    ) -> None:
        self.generation = generation
        self.passages = passages
        self._keywords = keywords
        self._vectors = vectors
        self._first = first  # the row of the passage that each one repeats

    def search(
        self, queries: Sequence[Query], k: int, ranking: Ranking, allowed: Callable[[Passage], bool] | None = None
    ) -> list[Found]:
        """The best `k` passages, best first, each with its score and where that comes from.

        Of several queries, the mean of a passage's scores counts. A passage that shares no word with a query
        is left out when vectors have no say.

        Args:
            queries: At least one; either all or none with a vector.
            k: How many at most.
            ranking: How the parts become one order.
            allowed: Which passages may be returned; all, when it is None.
        """
        if not self.passages:
            return []
        numpy: Any = import_module("numpy")
        looks = [self._look(query, ranking, allowed) for query in queries]
        scores = sum(look.scores for look in looks) / len(looks)
        wanted = numpy.logical_or.reduce([look.wanted for look in looks])
        scores = numpy.where(wanted, scores, -1.0)
        if self._first is not None and not ranking.repeats:
            wanted = wanted & best_of_each(self._first, scores)
            scores = numpy.where(wanted, scores, -1.0)
        rows = best_rows(scores, k if not ranking.diversity else max(50, 5 * k))
        rows = [row for row in rows if wanted[row]]
        if ranking.diversity and self._vectors is not None:
            rows = varied(rows, scores, self._vectors, k, ranking.diversity)
        return [self._found(row, float(scores[row]), looks) for row in rows[:k]]

    def _look(self, query: Query, ranking: Ranking, allowed: Callable[[Passage], bool] | None) -> _Look:
        numpy: Any = import_module("numpy")
        by_words, by_vectors = ranking.parts
        words = self._keywords.scores(query.text)
        cosines = None
        if by_vectors and query.vector is not None and self._vectors is not None:
            cosines = self._vectors @ numpy.asarray(query.vector, dtype="float32")
        scores = fused(words, cosines, ranking)
        wanted = words > 0 if cosines is None else words >= 0
        if allowed is not None:
            wanted = wanted & self._mask(allowed)
        if by_words and cosines is not None and ranking.feedback and words.max() > 0:
            scores = fused(self._second_look(query.text, scores, wanted, ranking), cosines, ranking)
        named = self._named(query.text)
        stems = terms(query.text) if query.calibrated else []
        shares = self._keywords.shares(stems) if stems else None
        return _Look(self._with_titles(scores, named), wanted, words if by_words else None, cosines, named, shares)

    def _second_look(self, query: str, scores: Any, wanted: Any, ranking: Ranking) -> Any:
        """BM25 of the query with the words that mark its best passages."""
        rows = [row for row in best_rows(scores * wanted, ranking.feedback) if wanted[row]]
        passages = [terms(f"{self.passages[row].heading}\n{plain(self.passages[row].text)}") for row in rows]
        rarity = self._keywords.rarity({word for words in passages for word in words})
        return self._keywords.weighted(expanded(terms(query), passages, [float(scores[row]) for row in rows], rarity))

    def _mask(self, allowed: Callable[[Passage], bool]) -> Any:
        numpy: Any = import_module("numpy")
        known: dict[tuple[str, str], bool] = {}  # passages share few sources and headings
        for passage in self.passages:
            place = passage.source, passage.heading
            if place not in known:
                known[place] = allowed(passage)
        return numpy.array([known[passage.source, passage.heading] for passage in self.passages], dtype=bool)

    def _found(self, row: int, score: float, looks: Sequence[_Look]) -> Found:
        """What the query that likes it best says of a passage."""
        look = max(looks, key=lambda look: float(look.scores[row]))
        known = [value for look in looks if (value := look.relevance(row)) is not None]
        return Found(
            passage=self.passages[row].model_copy(update={"score": score, "relevance": max(known, default=None)}),
            keyword=None if look.words is None or not look.words[row] else part(look.words, row),
            vector=None if look.cosines is None else part(look.cosines, row),
            named=any(row in rows for rows in look.named),
        )

    def _named(self, query: str) -> list[list[int]]:
        """The rows of each document that the query names."""
        words = Question.read(query).words
        near = [place for word in words for place in self._titles.get(word, ())]
        return [rows for title, rows in near if title <= words]

    def _with_titles(self, scores: Any, named: Sequence[Sequence[int]]) -> Any:
        """Add the bonus of named documents, then scale back into 0..1."""
        if not named:
            return scores
        scores = scores.copy()
        for rows in named:
            scores[rows] += NAMED_BONUS
            scores[[row for row in rows if row in self._leads]] += LEAD_BONUS
        return scores / max(1.0, float(scores.max()))

    @cached_property
    def _titles(self) -> Mapping[str, list[tuple[frozenset[str], list[int]]]]:
        """The rows of each title, below one of its words: a query meets few of them."""
        titles: dict[frozenset[str], list[int]] = {}
        read: dict[str, frozenset[str]] = {}
        for row, passage in enumerate(self.passages):
            title = passage.title
            words = read[title] if title in read else read.setdefault(title, frozenset(terms(title)))
            if words:
                titles.setdefault(words, []).append(row)
        below: dict[str, list[tuple[frozenset[str], list[int]]]] = {}
        for words, rows in titles.items():
            below.setdefault(min(words), []).append((words, rows))
        return below

    @cached_property
    def _leads(self) -> frozenset[int]:
        sources = [passage.source for passage in self.passages]
        return frozenset(row for row, source in enumerate(sources) if not row or sources[row - 1] != source)


class Writer:
    """Writes the snapshot of a generation; one that a crash left there is replaced."""

    def __init__(self, folder: Path, generation: int) -> None:
        self._place = _place(folder, generation)
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(parents=True)

    def write_keywords(self, entries: Iterable[Entry]) -> None:
        """Write the keyword index of all passages."""
        Keywords.build(entry.search_text for entry in entries).save(self._place / "keywords")

    def write_vectors(self, blocks: Iterable[Sequence[Any]], count: int, precision: Precision) -> None:
        """Write the vectors of all passages, in the same order."""
        write_rows(self._place, blocks, count, precision)

    def write_repeats(self, sketches: Iterable[bytes]) -> int:
        """Write which passages repeat another; how many there are."""
        numpy: Any = import_module("numpy")
        first = firsts(sketches)
        count = int((first != numpy.arange(len(first))).sum())
        if count:
            numpy.save(self._place / _REPEATS, first)
        return count

    def finish(self) -> None:
        """Say that all is written, once it is on the disk."""
        for file in [*self._place.rglob("*"), self._place]:
            _sync(file)
        (self._place / _COMPLETE).touch()
        _sync(self._place)


def is_complete(folder: Path, generation: int) -> bool:
    """Whether all of a generation's snapshot is there."""
    return (_place(folder, generation) / _COMPLETE).is_file()


def load(folder: Path, generation: int, passages: Sequence[Passage]) -> Snapshot:
    """Read the snapshot of a generation.

    Raises:
        FileNotFoundError: It is gone, as a newer generation has replaced it.
    """
    place = _place(folder, generation)
    keywords = Keywords.load(place / "keywords", len(passages))
    repeats: Any = place / _REPEATS
    first = import_module("numpy").load(repeats) if repeats.is_file() else None
    return Snapshot(generation, passages, keywords, read_rows(place), first)


def drop_others(folder: Path, generation: int) -> None:
    """Delete the snapshots of other generations."""
    for place in folder.glob("snapshot-*"):
        if place != _place(folder, generation):
            shutil.rmtree(place, ignore_errors=True)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(folder: Path, generation: int) -> Path:
    return folder / f"snapshot-{generation}"

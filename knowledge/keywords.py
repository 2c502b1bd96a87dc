"""The keyword index: BM25 over stems, by bm25s (numpy only, and the fastest that keeps scores exact)."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from math import log
from pathlib import Path
from typing import Any, cast

from .words import terms

K1 = 1.5
B = 0.75


class _Corpus:
    """Texts as numbers of words, four bytes a word: in the form that bm25s takes from its own tokenizer."""

    def __init__(self) -> None:
        self.ids: list[array[int]] = []
        self.vocab: dict[str, int] = {}

    def add(self, words: Sequence[str]) -> None:
        self.ids.append(array("i", [self.vocab.setdefault(word, len(self.vocab)) for word in words]))


class Keywords:
    """BM25 scores of a query against all passages."""

    def __init__(self, index: Any, count: int) -> None:
        self._index, self._count = index, count  # bm25s has no types

    @classmethod
    def build(cls, texts: Iterable[str]) -> Keywords:
        """Index the texts; row i is text i."""
        corpus = _Corpus()
        for text in texts:
            corpus.add(terms(text))
        if not corpus.vocab:
            return cls(None, len(corpus.ids))
        index = import_module("bm25s").BM25(k1=K1, b=B)
        index.index(corpus, show_progress=False)
        return cls(index, len(corpus.ids))

    def scores(self, query: str) -> Any:
        """One score a row, 0 where no word is shared: an array of float32."""
        return self.weighted(Counter(terms(query)))

    def weighted(self, words: Mapping[str, float]) -> Any:
        """As `scores`, for stems that count with a weight each."""
        found = import_module("numpy").zeros(self._count, dtype="float32")
        if self._index is None:
            return found
        # bm25s scores at indexing, one sparse column a word; its own `get_scores` knows no weights of words
        columns = self._index.scores
        for word, weight in words.items():
            if word in self._index.vocab_dict:
                begin, end = self._span(word)
                found[columns["indices"][begin:end]] += weight * columns["data"][begin:end]
        return found

    def rarity(self, words: Iterable[str]) -> dict[str, float]:
        """The inverse document frequency of each stem that is indexed, as BM25 has it."""
        known = {word: self._span(word) for word in words if self._index and word in self._index.vocab_dict}
        held = {word: end - begin for word, (begin, end) in known.items()}
        return {word: self._idf(count) for word, count in held.items()}

    def shares(self, words: Iterable[str]) -> Any:
        """How much of the stems each row has, from 0 to 1, by their rarity: an array of float32.

        A stem that is not indexed counts as one that a single row has.
        """
        found = import_module("numpy").zeros(self._count, dtype="float32")
        total = 0.0
        rarity = self.rarity(wanted := set(words))
        for word in wanted:
            worth = rarity.get(word, self._idf(1))
            total += worth
            if word in rarity:
                begin, end = self._span(word)
                found[self._index.scores["indices"][begin:end]] += worth
        return found / total if total else found

    def save(self, folder: Path) -> None:
        """Write the index into a new folder."""
        folder.mkdir(parents=True)
        if self._index is not None:
            self._index.save(str(folder), show_progress=False)

    @classmethod
    def load(cls, folder: Path, count: int) -> Keywords:
        """Read what `save` wrote, for so many rows."""
        saved = any(folder.iterdir())
        index = import_module("bm25s").BM25.load(str(folder), show_progress=False) if saved else None
        return cls(cast("Any", index), count)

    def _idf(self, count: int) -> float:
        return log(1 + (self._count - count + 0.5) / (count + 0.5))

    def _span(self, word: str) -> tuple[int, int]:
        row = self._index.vocab_dict[word]
        ends = self._index.scores["indptr"]
        return int(ends[row]), int(ends[row + 1])

"""The keyword index: BM25 over stems, by bm25s (numpy only, and the fastest that keeps scores exact)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from .words import terms

K1 = 1.5
B = 0.75


class Keywords:
    """BM25 scores of a query against all passages."""

    def __init__(self, index: Any, count: int) -> None:
        self._index, self._count = index, count  # bm25s has no types

    @classmethod
    def build(cls, texts: Sequence[str]) -> Keywords:
        """Index the texts; row i is text i."""
        words = [terms(text) for text in texts]
        if not any(words):
            return cls(None, len(texts))
        index = import_module("bm25s").BM25(k1=K1, b=B)
        index.index(words, show_progress=False)
        return cls(index, len(texts))

    def scores(self, query: str) -> Any:
        """One score a row, 0 where no word is shared: an array of float32."""
        words = [word for word in terms(query) if self._index and word in self._index.vocab_dict]
        if not self._index or not words:
            return import_module("numpy").zeros(self._count, dtype="float32")
        return self._index.get_scores(words)

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

"""`Index`: documents in, passages out."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..core import settings
from ..core.context import current_run
from ..core.errors import InvalidInput, KnowledgeError
from ..core.tape import Codec, in_replay, tape_in_use, through
from ..core.trust import met
from . import snapshot
from .catalog import FILE, reading
from .embedding import Embedder, has_weights, minilm
from .expanding import MAX_CHARS, By, expanded
from .ingestion import IngestReport, Place, ingest
from .passages import PASSAGES, Passage
from .queries import read_queries
from .ranking import Found, Ranking, Where
from .reranking import RERANKED, Reranker, reranked
from .rows import Precision
from .snapshot import Snapshot
from .vectors import check_dimension

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much is done, and how much there is; in the caller's event loop."""


class Index:
    """A searchable collection of documents, kept in a folder.

    Building one does no I/O. Many readers may use the folder at once, in any number of processes; a second
    writer is refused at once. Search is exact over all passages and holds their vectors in memory: 1.5 kB
    a passage with MiniLM.

    Args:
        name: Letters, digits, `.`, `_` and `-`.
        folder: Where it is kept; by default `indexes/NAME` in the project's `.collegium` folder.
        embedder: Makes the vectors; by default MiniLM, whose weights `collegium models pull minilm` gets.
        keyword_only: Whether to do without vectors; finds only passages that share words with the query.
        ranking: How searches rank that do not say it themselves.
        precision: How vectors are kept for searching: as floats, or quantised to 8 bits, a quarter of the memory.
        reranker: Orders the first 20 passages of each search anew.
        chroma: Address of a Chroma server that keeps the vectors, as `http://localhost:8000`; by default the folder
            keeps them. Only an ingestion talks to it.

    Raises:
        KnowledgeError: The name cannot be one of an index.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: str | os.PathLike[str] | None = None,
        embedder: Embedder | None = None,
        keyword_only: bool = False,
        ranking: Ranking | None = None,
        precision: Precision = "float32",
        reranker: Reranker | None = None,
        chroma: str | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise KnowledgeError(f"index {name!r}", "a name is 1 to 64 letters, digits, `.`, `_` and `-`.")
        self.name = name
        self.keyword_only = keyword_only
        self.ranking = ranking or Ranking()
        self.precision: Precision = precision
        self.reranker = reranker
        self.chroma = chroma
        self._folder = None if folder is None else Path(folder)
        self._embedder = embedder
        self._snapshot: Snapshot | None = None
        self._loading = threading.Lock()

    def __repr__(self) -> str:
        return f"Index({self.name!r})"

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self._folder or settings.project_home() / "indexes" / self.name

    @property
    def exists(self) -> bool:
        """Whether something was ever ingested."""
        return (self.folder / FILE).is_file()

    @property
    def embedder(self) -> Embedder | None:
        """What makes its vectors; None for keywords only."""
        return None if self.keyword_only else self._embedder or minilm()

    @property
    def made_with(self) -> str | None:
        """The name of the embedder that made its vectors, empty for keywords only; None before the first ingestion."""
        if not self.exists:
            return None
        with reading(self.folder, self.name) as catalog:
            return catalog.meta("embedder")

    @property
    def count(self) -> int:
        """How many passages it holds; 0 before the first ingestion."""
        if not self.exists:
            return 0
        with reading(self.folder, self.name) as catalog:
            return catalog.count()

    def sources(self) -> list[str]:
        """The documents that it holds, sorted."""
        if not self.exists:
            return []
        with reading(self.folder, self.name) as catalog:
            return sorted(catalog.digests())

    def source_text(self, source: str) -> str:
        """The text that the spans of a source's passages count in; for HTML, the text of the page.

        Raises:
            KnowledgeError: The index does not hold this source.
        """
        with reading(self.folder, self.name) as catalog:
            text = catalog.text(source)
        if text is None:
            raise KnowledgeError(f"index {self.name!r}", f"it does not hold {source!r}.")
        return text

    async def ingest(
        self, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, progress: Progress | None = None
    ) -> IngestReport:
        """Take in files, and folders with all that is below them.

        What has not changed since is not touched; a changed file replaces its passages; a file that has
        vanished from one of the folders is removed. All of it becomes visible at once, at the end. Stopped
        half-way, the index is as before, and the next ingestion uses the vectors that were made.

        Args:
            paths: Files (of any name) and folders (hidden and unknown files are passed over).
            progress: Told about each file and batch; a run of ours is told too.

        Returns:
            What was done, and which files were skipped for which reason.

        Raises:
            KnowledgeError: A path does not exist, the embedder's weights are missing, somebody else is
                writing, or the folder cannot be used.
        """
        given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        if in_replay() is None and self.embedder is minilm() and not has_weights():
            raise KnowledgeError(
                "minilm",
                "its weights are not on this machine; get them with `collegium models pull minilm`, or use "
                "Index(..., keyword_only=True).",
            )
        if tape := tape_in_use():
            return await through(tape, "ingest", None, lambda: self._ingest(given, progress), _REPORT)
        return await self._ingest(given, progress)

    async def _ingest(self, given: Sequence[str | os.PathLike[str]], progress: Progress | None) -> IngestReport:
        stop = threading.Event()
        tell = _teller(asyncio.get_running_loop(), progress, stop)
        try:
            place = Place(self.folder, self.name, self.embedder, self.precision, self.chroma)
            return await asyncio.to_thread(ingest, place, [Path(path) for path in given], tell)
        except asyncio.CancelledError:
            stop.set()
            raise

    async def search(
        self, query: str | Sequence[str], k: int = 10, *, where: Where | None = None, ranking: Ranking | None = None
    ) -> list[Passage]:
        """The `k` passages that fit best, best first, with scores between 0 and 1.

        Keywords (BM25) and vectors (cosine) are each scaled over all passages and summed, 0.4 to 0.6; the
        passages of a document whose title the query names get a bonus.

        Args:
            query: What to look for; of several texts, as the steps of a plan, the mean of the scores counts.
            k: How many at most.
            where: Which passages may be returned.
            ranking: How to rank, in place of the index's own way.

        Raises:
            KnowledgeError: There is no such index, or it was made with another embedder.
            InvalidInput: `k` is below 1, or there is no query.
        """
        _texts(query, k)
        met("retrieval")
        if (tape := tape_in_use()) is None:
            return await self._passages(query, k, where, ranking)
        asked: dict[str, Any] = {"query": query if isinstance(query, str) else list(query), "k": k}
        more = {"where": where, "ranking": ranking}
        asked |= {name: asdict(value) for name, value in more.items() if value is not None}
        return await through(
            tape, "search", asked, lambda: self._passages(query, k, where, ranking), PASSAGES, cleaned=True
        )

    async def explain(
        self, query: str | Sequence[str], k: int = 10, *, where: Where | None = None, ranking: Ranking | None = None
    ) -> list[Found]:
        """As `search`, with the rank and score that keywords and vectors gave each passage; never recorded."""
        met("retrieval")
        texts = _texts(query, k)
        most = max(k, RERANKED) if self.reranker else k
        found = await asyncio.to_thread(self._search, texts, most, where, ranking or self.ranking)
        if self.reranker is None or not found:
            return found
        return (await reranked(self.reranker, "\n".join(texts), found))[:k]

    async def expand(
        self, found: Sequence[Passage], *, by: By = "neighbours", neighbours: int = 1, max_chars: int = MAX_CHARS
    ) -> list[Passage]:
        """Passages with more of their source around them, for a reader that needs the context.

        Each is still word for word its source, from `start` to `end`. Passages that meet become one.

        Args:
            found: What a search found.
            by: `neighbours`: the passages before and after. `section`: all under the same heading, or, for a
                passage that has its heading for itself, under the heading above.
            neighbours: How many on each side.
            max_chars: A passage does not grow beyond so many characters.

        Returns:
            Best first.

        Raises:
            KnowledgeError: The index does not hold a source, as it was ingested anew since.
        """
        return await asyncio.to_thread(self._expanded, found, by, neighbours, max_chars)

    def _expanded(self, found: Sequence[Passage], by: By, neighbours: int, max_chars: int) -> list[Passage]:
        made: list[Passage] = []
        with reading(self.folder, self.name) as catalog:
            for source in dict.fromkeys(passage.source for passage in found):
                if (text := catalog.text(source)) is None:
                    raise KnowledgeError(f"index {self.name!r}", f"it does not hold {source!r}.")
                mine = [passage for passage in found if passage.source == source]
                there = [entry.passage for entry in catalog.entries_of(source)]
                made += expanded(mine, there, text, by=by, neighbours=neighbours, max_chars=max_chars)
        return sorted(made, key=lambda passage: -passage.score)

    async def close(self) -> None:
        """Let go of what a search holds in memory; the index can be used again."""
        self._snapshot = None

    async def _passages(
        self, query: str | Sequence[str], k: int, where: Where | None, ranking: Ranking | None
    ) -> list[Passage]:
        return [found.passage for found in await self.explain(query, k, where=where, ranking=ranking)]

    def _search(self, texts: Sequence[str], k: int, where: Where | None, ranking: Ranking) -> list[Found]:
        current = self._current()
        queries = read_queries(texts, self.embedder if ranking.parts[1] else None)
        return current.search(queries, k, ranking, where.allows if where else None)

    def _current(self) -> Snapshot:
        """The newest generation, loaded once and again after an ingestion by anybody."""
        with self._loading:
            for _ in range(3):
                try:
                    self._snapshot = self._load(self._snapshot)
                    return self._snapshot
                except FileNotFoundError:
                    continue  # replaced between reading the catalogue and opening the files
        raise KnowledgeError(f"index {self.name!r}", f"its files in {self.folder} are not complete; ingest again.")

    def _load(self, known: Snapshot | None) -> Snapshot:
        with reading(self.folder, self.name) as catalog:
            if known is not None and known.generation == catalog.generation:
                return known
            if mine := self.embedder:
                used, dimension = catalog.meta("embedder"), int(catalog.meta("dimension", "0"))
                check_dimension(f"index {self.name!r}", used, dimension, mine)
            passages = [entry.passage for entry in catalog.entries()]
            generation = catalog.generation
        return snapshot.load(self.folder, generation, passages)


def _texts(query: str | Sequence[str], k: int) -> list[str]:
    """What is looked for, checked."""
    texts = [query] if isinstance(query, str) else list(query)
    if k < 1:
        raise InvalidInput("k", f"it is {k}; ask for at least one passage.")
    if not texts:
        raise InvalidInput("query", "it is empty; give at least one text.")
    return texts


def _report(told: dict[str, Any]) -> IngestReport:
    skipped, partly = (
        tuple((str(path), str(why)) for path, why in told.get(name, ())) for name in ("skipped", "partly")
    )
    return replace(IngestReport(**told), skipped=skipped, partly=partly)


_REPORT: Codec[IngestReport] = Codec(asdict, _report)


def _teller(
    loop: asyncio.AbstractEventLoop, progress: Progress | None, stop: threading.Event
) -> Callable[[str, int, int], None]:
    """Passes progress from the ingesting thread to the caller's loop, and a cancellation the other way."""
    run = current_run.get()

    def show(text: str, done: int, total: int) -> None:
        if progress:
            progress(text, done, total)
        if run:
            run.emit("progress", {"text": text, "done": done, "total": total})

    def tell(text: str, done: int, total: int) -> None:
        if stop.is_set():
            raise KnowledgeError("ingestion", "it was cancelled.")
        if progress or run:
            loop.call_soon_threadsafe(show, text, done, total)

    return tell

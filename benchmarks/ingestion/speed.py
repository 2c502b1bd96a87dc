"""What an ingestion costs beside its embedder, and how its memory grows; beside Chroma used plainly.

Each ingestion runs in a process of its own. CPU is that of the whole process; the embedder's part is what the
process used while it embedded. Plain Chroma gets pieces of 850 characters from the same embedder, in batches of the
same size, with their texts.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from collegium.knowledge import Embedder, HashEmbedder, Index, default_embedder
from collegium.knowledge.vectors import BATCH


@dataclass(frozen=True)
class Cost:
    """Of one ingestion."""

    passages: int
    cpu_s: float
    embedding_s: float
    """CPU, out of `cpu_s`."""
    start_mb: float
    """Memory of the process when everything is imported and one text is embedded."""
    quarters_mb: list[float]
    """Memory after each quarter of the embedding."""
    peak_mb: float

    @property
    def rest_ms(self) -> float:
        """CPU of a passage beside its embedding."""
        return 1000 * (self.cpu_s - self.embedding_s) / self.passages

    @property
    def rest_share(self) -> float:
        """Share of the CPU that is not the embedder's."""
        return 1 - self.embedding_s / self.cpu_s


class Timed:
    """An embedder, and the CPU that it used."""

    def __init__(self, inner: Embedder) -> None:
        self._inner, self.used_s = inner, 0.0
        self.name, self.dimension = inner.name, inner.dimension

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        before = time.process_time()
        try:
            return self._inner.embed(texts)
        finally:
            self.used_s += time.process_time() - before


def measured(way: str, docs: Path, place: Path, embedder: str) -> Cost:
    """Ingest `docs` in a process of its own.

    Args:
        way: `collegium` or `chroma`.
        docs: The folder of documents.
        place: Where the index goes.
        embedder: `minilm` or `hash`.
    """
    asked = [sys.executable, "-m", "benchmarks.ingestion.speed", way, str(docs), str(place), embedder]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return Cost(**json.loads(told.splitlines()[-1]))


def _main(way: str, docs: str, place: str, embedder: str) -> None:
    chosen = HashEmbedder(384) if embedder == "hash" else default_embedder()
    if chosen is None:
        raise SystemExit("pull MiniLM's weights first: collegium models pull minilm")
    timed = Timed(chosen)
    import_module("chromadb")
    timed.embed(["warm"])
    timed.used_s = 0.0
    start, begun = _now_mb(), time.process_time()
    seen: list[float] = []
    ingest = _collegium if way == "collegium" else _chroma
    passages = ingest(Path(docs), Path(place), timed, seen)
    used = time.process_time() - begun
    quarters = [seen[len(seen) * quarter // 4 - 1] for quarter in (1, 2, 3, 4)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(json.dumps(asdict(Cost(passages, used, timed.used_s, start, quarters, peak))))


def _collegium(docs: Path, place: Path, embedder: Timed, seen: list[float]) -> int:
    def tell(text: str, done: int, total: int) -> None:
        if text == "embedding":
            seen.append(_now_mb())

    index = Index("speed", folder=place, embedder=embedder)
    return asyncio.run(index.ingest(docs, progress=tell)).passages


def _chroma(docs: Path, place: Path, embedder: Timed, seen: list[float]) -> int:
    chromadb: Any = import_module("chromadb")
    settings: Any = import_module("chromadb.config").Settings(anonymized_telemetry=False)
    collection = chromadb.PersistentClient(str(place), settings=settings).create_collection(
        "speed", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    texts = (file.read_text(encoding="utf-8") for file in sorted(docs.iterdir()))
    pieces = [text[at : at + 850] for text in texts for at in range(0, len(text), 850)]
    for at in range(0, len(pieces), BATCH):
        batch = pieces[at : at + BATCH]
        ids = [str(at + n) for n in range(len(batch))]
        collection.add(ids=ids, embeddings=embedder.embed(batch), documents=batch)
        seen.append(_now_mb())
    return len(pieces)


def _now_mb() -> float:
    """Memory in use; the most so far where the system does not tell."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1024**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


if __name__ == "__main__":
    _main(*sys.argv[1:])

"""The vectors of an index, kept by Chroma.

Only an ingestion opens Chroma. Searches read the snapshot that an ingestion leaves (`snapshot.py`), because
opening the same Chroma folder from several processes is slow or unsafe (chroma issues 7040 and 421), and
because loading chromadb costs 0.8 s of CPU where exact cosines of 20,000 passages cost 3 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from ..core.errors import KnowledgeError
from .catalog import Entry
from .embedding import Embedder

BATCH = 128
"""Passages between two reports of progress."""
COLLECTION = "passages"


class Vectors:
    """A Chroma collection: one vector a passage id, and the digest of the text that it stands for."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection  # chromadb's types are partly unknown; this class is their wrapper

    def ensure(
        self, entries: Sequence[Entry], embedder: Embedder, done: Callable[[int], None] = lambda count: None
    ) -> None:
        """Make sure that each entry has its vector; a text that was embedded before is not embedded again.

        Args:
            entries: The passages wanted.
            embedder: Makes the vectors that are missing.
            done: Called after each batch with the number of entries in it; may raise to stop.
        """
        for at in range(0, len(entries), BATCH):
            batch = entries[at : at + BATCH]
            self._ensure(batch, embedder)
            done(len(batch))

    def _ensure(self, batch: Sequence[Entry], embedder: Embedder) -> None:
        wanted = {entry.passage.passage_id: text_digest(entry.search_text) for entry in batch}
        known = self._known(list(dict.fromkeys(wanted.values())))
        fresh = {text_digest(e.search_text): e.search_text for e in batch}
        missing = [digest for digest in fresh if digest not in known]
        made = embedder.embed([fresh[digest] for digest in missing]) if missing else []
        vectors = {**known, **dict(zip(missing, made, strict=True))}
        self._collection.upsert(
            ids=list(wanted),
            embeddings=[vectors[digest] for digest in wanted.values()],
            metadatas=[{"digest": digest} for digest in wanted.values()],
        )

    def _known(self, digests: list[str]) -> Mapping[str, list[float]]:
        found = self._collection.get(where={"digest": {"$in": digests}}, include=["embeddings", "metadatas"])
        pairs = zip(found["metadatas"], found["embeddings"], strict=True)
        return {meta["digest"]: vector.tolist() for meta, vector in pairs}  # not arrays and lists side by side

    def ids(self) -> set[str]:
        """The passages that have a vector."""
        return set(self._collection.get(include=[])["ids"])

    def delete(self, ids: Sequence[str]) -> None:
        """Forget vectors."""
        for at in range(0, len(ids), 1000):
            self._collection.delete(ids=list(ids[at : at + 1000]))

    def rows(self, ids: Sequence[str]) -> dict[str, Any]:
        """Passage id to vector."""
        found: dict[str, Any] = {}
        for at in range(0, len(ids), 1000):
            part = self._collection.get(ids=list(ids[at : at + 1000]), include=["embeddings"])
            found.update(zip(part["ids"], part["embeddings"], strict=True))
        return found


@contextmanager
def open_vectors(folder: Path, embedder: Embedder) -> Generator[Vectors]:
    """The collection for one embedder in a Chroma folder; the folder is let go at the end.

    No embedding function is given to Chroma: its default one would load weights from the network.

    Raises:
        KnowledgeError: Chroma cannot open the folder.
    """
    chromadb: Any = import_module("chromadb")
    settings: Any = import_module("chromadb.config").Settings(anonymized_telemetry=False)
    try:
        client = chromadb.PersistentClient(str(folder), settings=settings)
        collection = client.get_or_create_collection(
            f"{COLLECTION}-{text_digest(embedder.name)[:12]}",
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine"}},
        )
    except Exception as error:  # chromadb raises classes of its own, its Rust part plain ones
        raise KnowledgeError(str(folder), f"Chroma cannot open it ({error}); ingest into a new index.") from error
    try:
        yield Vectors(collection)
    finally:
        client.close()


def text_digest(text: str) -> str:
    """What a vector is remembered by."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

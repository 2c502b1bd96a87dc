"""The vectors of an index, kept by Chroma.

Only an ingestion opens Chroma. Searches read the snapshot that an ingestion leaves (`snapshot.py`), because
opening the same Chroma folder from several processes is slow or unsafe (chroma issues 7040 and 421), and
because loading chromadb costs 0.8 s of CPU where exact cosines of 20,000 passages cost 3 ms.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..core.errors import EmbedderMismatch, KnowledgeError
from .catalog import Entry
from .embedding import Embedder

BATCH = 128
"""Passages between two reports of progress."""
COLLECTION = "passages"
CONNECT_S = 10.0
"""Within which a Chroma server must say that it is there."""
ANSWER_S = 120.0
"""Within which it must answer a request."""


class Vectors:
    """A Chroma collection: one vector a passage id, and the digest of the text that it stands for."""

    def __init__(self, collection: Any, name: str) -> None:
        self._name = name
        self.collection = collection  # chromadb's types are partly unknown; this class is their wrapper

    def ensure(self, batch: Sequence[Entry], embedder: Embedder) -> None:
        """Make sure that each entry has its vector; a text that was embedded before is not embedded again.

        Raises:
            EmbedderMismatch: The embedder gives vectors of another length than it says, or than are kept.
        """
        wanted = {entry.passage.passage_id: text_digest(entry.search_text) for entry in batch}
        known = self._known(list(dict.fromkeys(wanted.values())))
        fresh = {text_digest(e.search_text): e.search_text for e in batch}
        missing = [digest for digest in fresh if digest not in known]
        made = embedder.embed([fresh[digest] for digest in missing]) if missing else []
        check_length(embedder, made, self._name)
        vectors = {**known, **dict(zip(missing, made, strict=True))}
        self.collection.upsert(
            ids=list(wanted),
            embeddings=[vectors[digest] for digest in wanted.values()],
            metadatas=[{"digest": digest} for digest in wanted.values()],
        )

    def _known(self, digests: list[str]) -> Mapping[str, list[float]]:
        found = self.collection.get(where={"digest": {"$in": digests}}, include=["embeddings", "metadatas"])
        pairs = zip(found["metadatas"], found["embeddings"], strict=True)
        return {meta["digest"]: vector.tolist() for meta, vector in pairs}  # not arrays and lists side by side

    def ids(self) -> set[str]:
        """The passages that have a vector."""
        return set(self.collection.get(include=[])["ids"])

    def delete(self, ids: Sequence[str]) -> None:
        """Forget vectors."""
        for at in range(0, len(ids), 1000):
            self.collection.delete(ids=list(ids[at : at + 1000]))

    def keep_only(self, ids: set[str]) -> None:
        """Forget the vectors of all other passages."""
        self.delete(sorted(self.ids() - ids))

    def blocks(self, entries: Iterable[Entry], embedder: Embedder) -> Iterator[list[Any]]:
        """The vectors of passages in order, some at a time.

        Those that Chroma has lost, never had from this embedder, or has for another text (by an ingestion that
        was stopped, and whose files have changed since), are made.
        """
        for batch in in_batches(entries):
            rows = self._rows(batch)
            if lost := [entry for entry in batch if entry.passage.passage_id not in rows]:
                self.ensure(lost, embedder)
                rows = self._rows(batch)
            yield [rows[entry.passage.passage_id] for entry in batch]

    def _rows(self, batch: list[Entry]) -> dict[str, Any]:
        """Passage id to vector, of those that stand for the passage's text."""
        wanted = {entry.passage.passage_id: text_digest(entry.search_text) for entry in batch}
        found = self.collection.get(ids=list(wanted), include=["embeddings", "metadatas"])
        triples = zip(found["ids"], found["metadatas"], found["embeddings"], strict=True)
        return {passage_id: vector for passage_id, meta, vector in triples if meta["digest"] == wanted[passage_id]}


def in_batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The entries in lists of `BATCH`."""
    left = iter(entries)
    while batch := list(islice(left, BATCH)):
        yield batch


def check_dimension(what: str, used: str, dimension: int, embedder: Embedder) -> None:
    """Refuse an embedder that is not the one of an index.

    Raises:
        EmbedderMismatch: It has another name, or its vectors are of another length.
    """
    if used != embedder.name or dimension not in (0, embedder.dimension):
        raise EmbedderMismatch(what, used, dimension, embedder.name, embedder.dimension)


def check_length(embedder: Embedder, vectors: Sequence[Sequence[float]], what: str) -> None:
    """Refuse vectors that are not as long as their embedder says.

    Raises:
        EmbedderMismatch: One is longer or shorter.
    """
    for vector in vectors:
        if len(vector) != embedder.dimension:
            raise EmbedderMismatch(what, embedder.name, embedder.dimension, embedder.name, len(vector))


@contextmanager
def open_vectors(folder: Path, embedder: Embedder) -> Generator[Vectors]:
    """The collection for one embedder in a Chroma folder; the folder is let go at the end.

    Raises:
        KnowledgeError: Chroma cannot open the folder.
    """
    with _opened(f"Chroma cannot open {folder}", "ingest into a new index") as chromadb:
        client = chromadb.PersistentClient(str(folder), settings=_settings())
        collection = _collection(client, COLLECTION, embedder)
    try:
        yield Vectors(collection, folder.parent.name)
    finally:
        client.close()


@contextmanager
def connect_vectors(url: str, name: str, embedder: Embedder) -> Generator[Vectors]:
    """The collection for one embedder on a Chroma server.

    Args:
        url: As `http://localhost:8000`.
        name: What tells the collections of this index from all others on the server.
        embedder: Makes the vectors.

    Raises:
        KnowledgeError: The URL cannot be used, nothing answers there, or the server fails.
    """
    parts = _parts(url)
    with _opened(f"no Chroma server answers at {url}", "start it (chroma run), or leave `chroma` out") as chromadb:
        _check_alive(url)
        port = parts.port or (443 if parts.scheme == "https" else 8000)
        client = chromadb.HttpClient(parts.hostname, port, parts.scheme == "https", settings=_settings())
        # chromadb waits for ever, and does not close its connections, of which the two parts of a client have one each
        sessions = [part._server._session for part in (client, client._admin_client)]
        for session in sessions:
            session.timeout = ANSWER_S
        collection = _collection(client, name, embedder)
    try:
        yield Vectors(collection, name)
    except Exception as error:
        if not type(error).__module__.startswith(("chromadb", "httpx", "httpcore")):
            raise
        raise KnowledgeError(url, f"the Chroma server failed ({type(error).__name__}); ingest again.") from error
    finally:
        client.close()
        for session in sessions:
            session.close()


def _check_alive(url: str) -> None:
    httpx: Any = import_module("httpx")
    httpx.get(f"{url.rstrip('/')}/api/v2/heartbeat", timeout=CONNECT_S).raise_for_status()


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    with suppress(ValueError):
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.path in ("", "/"):
            return parts
    raise KnowledgeError(url, "it is no address of a Chroma server; it reads as http://localhost:8000.")


@contextmanager
def _opened(problem: str, way: str) -> Generator[Any]:
    try:
        yield import_module("chromadb")
    except Exception as error:  # chromadb raises classes of its own, its Rust part plain ones
        raise KnowledgeError("vectors", f"{problem} ({error}); {way}.") from error


def _settings() -> Any:
    return import_module("chromadb.config").Settings(anonymized_telemetry=False)


def _collection(client: Any, name: str, embedder: Embedder) -> Any:
    # without an embedding function: Chroma's default one would load weights from the network
    return client.get_or_create_collection(
        f"{name}-{text_digest(embedder.name)[:12]}",
        embedding_function=None,
        configuration={"hnsw": {"space": "cosine"}},
    )


def text_digest(text: str) -> str:
    """What a vector is remembered by."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

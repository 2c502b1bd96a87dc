"""Searches over many passages with given vectors: time of a query, and what 8 bits cost in memory and recall."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import numpy

from collegium.knowledge import Passage, Ranking
from collegium.knowledge.keywords import Keywords
from collegium.knowledge.rows import quantised
from collegium.knowledge.snapshot import Query, Snapshot

from .corpus import paragraph, some_words

K = 10
QUERIES = 100
VALUES = 384


@dataclass(frozen=True)
class Times:
    """Of the queries of one way to search."""

    way: str
    median_ms: float
    p95_ms: float
    cpu_ms: float
    """Mean CPU of a query, all threads."""
    memory_mb: float
    """Of the vectors."""
    recall: float
    """Share of the ten nearest by exact cosine that are among the ten found by vectors alone."""


def given_vectors(count: int, seed: int = 11) -> Any:
    """Unit vectors in clusters, as embeddings are: 200 passages around each of `count / 200` topics."""
    draw = numpy.random.default_rng(seed)
    topics = draw.normal(0, 1, (max(1, count // 200), VALUES))
    rows = topics[draw.integers(0, len(topics), count)] + draw.normal(0, 1, (count, VALUES))
    return (rows / numpy.linalg.norm(rows, axis=1, keepdims=True)).astype("float32")


def searched(count: int, *, seed: int = 11) -> list[Times]:
    """Search `count` passages by keywords and vectors: floats, and both ways of 8 bits."""
    draw, words = Random(seed), some_words()
    texts = [paragraph(draw, words, 300) for _ in range(count)]
    passages = [
        Passage(passage_id=str(n), source=f"{n // 20}.md", start=0, end=len(text), text=text, heading=f"Part {n // 20}")
        for n, text in enumerate(texts)
    ]
    keywords = Keywords.build(texts)
    rows = given_vectors(count, seed)
    asked = _asked(rows, texts, seed)
    exact = [set(_nearest(rows, query.vector)) for query in asked]
    stored = {"float32": rows, "int8": quantised(rows), "int8-asymmetric": quantised(rows, asymmetric=True)}
    found: list[Times] = []
    for way, vectors in stored.items():
        snapshot = Snapshot(1, passages, keywords, vectors)
        snapshot.search(asked[:1], K, Ranking())  # what is made at the first search only
        wall, cpu = _timed(partial(_search, snapshot), asked)
        recall = [len(wanted & set(_nearest(vectors, q.vector))) / K for q, wanted in zip(asked, exact, strict=True)]
        found.append(_times(f"collegium, {way}", wall, cpu, vectors.nbytes, recall))
    return found


def _search(snapshot: Snapshot, query: Query) -> object:
    return snapshot.search([query], K, Ranking())


def searched_by_chroma(count: int, folder: Path, *, seed: int = 11) -> Times:
    """The same vectors in Chroma, asked for the nearest by vectors alone, with its index as it comes."""
    chromadb: Any = import_module("chromadb")
    settings: Any = import_module("chromadb.config").Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(folder), settings=settings)
    collection = client.create_collection(
        "queries", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    rows = given_vectors(count, seed)
    for at in range(0, count, 2000):
        ids = [str(n) for n in range(at, min(count, at + 2000))]
        collection.add(ids=ids, embeddings=rows[at : at + 2000])
    asked = _asked(rows, [""] * count, seed)
    exact = [set(_nearest(rows, query.vector)) for query in asked]

    def ask(query: Query) -> list[str]:
        return list(collection.query(query_embeddings=[query.vector], n_results=K, include=["distances"])["ids"][0])

    ask(asked[0])
    wall, cpu = _timed(ask, asked)
    recall = [len(wanted & {int(n) for n in ask(q)}) / K for q, wanted in zip(asked, exact, strict=True)]
    return _times("Chroma, vectors only", wall, cpu, rows.nbytes, recall)


def _asked(rows: Any, texts: Sequence[str], seed: int) -> list[Query]:
    """Queries near some passages, in word and in vector."""
    draw = numpy.random.default_rng(seed + 1)
    chosen = draw.choice(len(rows), QUERIES, replace=False)
    near = rows[chosen] + draw.normal(0, 0.5 / VALUES**0.5, (QUERIES, VALUES))
    near /= numpy.linalg.norm(near, axis=1, keepdims=True)
    numbers: list[int] = chosen.tolist()
    return [Query(" ".join(texts[n].split()[:8]), near[at].tolist()) for at, n in enumerate(numbers)]


def _nearest(rows: Any, vector: Sequence[float] | None) -> list[int]:
    scores = rows @ numpy.asarray(vector, dtype="float32")
    best: list[int] = numpy.argpartition(-scores, K)[:K].tolist()
    return best


def _timed(ask: Callable[[Query], object], asked: Sequence[Query]) -> tuple[list[float], float]:
    wall: list[float] = []
    before = time.process_time()
    for query in asked:
        begun = time.perf_counter()
        ask(query)
        wall.append(1000 * (time.perf_counter() - begun))
    return sorted(wall), 1000 * (time.process_time() - before) / len(asked)


def _times(way: str, wall: list[float], cpu: float, size: int, recall: list[float]) -> Times:
    return Times(way, wall[len(wall) // 2], wall[len(wall) * 95 // 100], cpu, size / 1024**2, sum(recall) / len(recall))

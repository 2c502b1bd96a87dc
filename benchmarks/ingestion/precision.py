"""What 8 bits a value cost on a judged collection: nDCG@10 and recall of the ten nearest, by vectors alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from collegium.evals import Interval, mean_interval, ndcg
from collegium.evals.collections import Collection, read_collection
from collegium.knowledge import Embedder
from collegium.knowledge.rows import quantised

K = 10


@dataclass(frozen=True)
class Effect:
    """Of one way to keep vectors."""

    way: str
    kilobytes: float
    """Of all vectors."""
    recall: float
    """Share of the ten nearest by floats that are among the ten nearest."""
    ndcg: float
    difference: Interval
    """Of nDCG@10 to that of the floats, paired by query."""


def effects(folder: Path, embedder: Embedder) -> list[Effect]:
    """Embed a collection's documents and queries, and rank them by floats and by integers."""
    collection = read_collection(folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels.jsonl")
    rows = _embedded(embedder, [f"{document.title}\n{document.text}".strip() for document in collection.documents])
    asked = _embedded(embedder, [question.text for question in collection.questions])
    ways = {"float32": rows, "int8": quantised(rows), "int8-asymmetric": quantised(rows, asymmetric=True)}
    exact = _ranked(rows, asked)
    base = _gains(collection, exact)
    return [_effect(way, stored, _ranked(stored, asked), exact, collection, base) for way, stored in ways.items()]


def _effect(
    way: str, stored: Any, found: list[list[int]], exact: list[list[int]], collection: Collection, base: list[float]
) -> Effect:
    shared = [len(set(mine) & set(true)) / K for mine, true in zip(found, exact, strict=True)]
    gains = _gains(collection, found)
    difference = mean_interval([mine - true for mine, true in zip(gains, base, strict=True)])
    return Effect(way, stored.nbytes / 1024, sum(shared) / len(shared), sum(gains) / len(gains), difference)


def _embedded(embedder: Embedder, texts: Sequence[str]) -> Any:
    vectors = [vector for at in range(0, len(texts), 128) for vector in embedder.embed(texts[at : at + 128])]
    return numpy.array(vectors, dtype="float32")


def _ranked(rows: Any, asked: Any) -> list[list[int]]:
    return [numpy.argsort(-(rows @ vector), kind="stable")[:K].tolist() for vector in asked]


def _gains(collection: Collection, found: list[list[int]]) -> list[float]:
    ids = [document.doc_id for document in collection.documents]
    return [
        ndcg([ids[row] for row in rows], dict.fromkeys(question.relevant, 1.0), K)
        for question, rows in zip(collection.questions, found, strict=True)
    ]

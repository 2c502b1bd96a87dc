"""How well the index finds, and the quoting path answers, on three public collections.

    COLLEGIUM_DATA=folder python benchmarks/retrieval.py [--only xquad-en] [--questions 100] [--out figures.json]

The folder holds `xquad-en`, `cranfield` and `rag-spans` as JSON lines: corpus (id, text) and questions, as the
functions below read them. Documents are written to files, ingested by a real `Index` with MiniLM
(`collegium models pull minilm`), and searched. Intervals are 95 %, by bootstrap over questions, seed 7.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from collegium.knowledge import Index, Passage, best_sentences

Figures = dict[str, float | list[float]]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def with_interval(values: Sequence[float], rounds: int = 1000) -> list[float]:
    """Mean, and the 2.5 and 97.5 percentiles of the means of resampled questions."""
    draw = random.Random(7)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(rounds))
    return [round(x, 3) for x in (fmean(values), means[int(0.025 * rounds)], means[int(0.975 * rounds)])]


async def indexed(name: str, corpus: Sequence[dict[str, Any]], scratch: Path) -> Index:
    folder = scratch / name
    folder.mkdir()
    for row in corpus:
        (folder / f"{row['id'].replace('/', '_')}.md").write_text(row["text"], "utf-8")
    index = Index(name, folder=scratch / f"{name}-index")
    report = await index.ingest(folder, progress=lambda what, done, of: print(f"\r{what} {done}/{of}", end=" "))
    print(f"\r{name}: {report.passages} passages of {report.added} documents")
    return index


def doc_of(passage: Passage) -> str:
    return Path(passage.source).stem


async def xquad(data: Path, scratch: Path, limit: int | None) -> Figures:
    """Does what is quoted hold the answer, at its own place in its own paragraph?"""
    index = await indexed("xquad-en", rows(data / "corpus.jsonl"), scratch)
    first: list[float] = []
    in_four: list[float] = []
    best: list[float] = []
    quoted: list[float] = []
    words: list[int] = []
    bands: dict[str, list[float]] = defaultdict(list)
    for question in rows(data / "questions.jsonl")[:limit]:
        start = question["start"]
        end = start + len(question["answer"])
        passages = await index.search(question["question"], k=4)
        quotes = await best_sentences(question["question"], passages)
        hits = [
            Path(s.source).stem == question["doc_id"] and s.start <= start and end <= s.end for s in quotes.sentences
        ]
        docs = [doc_of(p) for p in passages]
        first.append(float(docs[0] == question["doc_id"]))
        in_four.append(float(question["doc_id"] in docs))
        best.append(float(hits[0]))
        quoted.append(float(any(hits)))
        words.append(len(quotes.text.split()))
        bands[quotes.confidence].append(float(hits[0]))
    return {
        "questions": len(best),
        "hit@1": with_interval(first),
        "hit@4": with_interval(in_four),
        "best sentence right": with_interval(best),
        "quoted sentences hold the answer": with_interval(quoted),
        "words quoted": round(fmean(words), 1),
        **{f"best sentence right when {band}": with_interval(hits) for band, hits in bands.items()},
    }


async def cranfield(data: Path, scratch: Path, limit: int | None) -> Figures:
    """Normalised discounted cumulative gain at 10, a judged document gaining 1 (Järvelin and Kekäläinen 2002)."""
    corpus = [
        {"id": row["id"], "text": f"# {row['title']}\n\n{row['text']}\n"}
        for row in rows(data / "corpus.jsonl")
        if row["text"].strip()
    ]
    index = await indexed("cranfield", corpus, scratch)
    wanted: dict[str, set[str]] = defaultdict(set)
    for row in rows(data / "qrels.jsonl"):
        wanted[row["query_id"]].add(row["doc_id"])
    gains: list[float] = []
    for query in rows(data / "queries.jsonl")[:limit]:
        found = list(dict.fromkeys(doc_of(p) for p in await index.search(query["text"], k=60)))[:10]
        gain = sum(1 / math.log2(i + 2) for i, doc in enumerate(found) if doc in wanted[query["id"]])
        ideal = sum(1 / math.log2(i + 2) for i in range(min(10, len(wanted[query["id"]]))))
        gains.append(gain / ideal if ideal else 0.0)
    return {"queries": len(gains), "nDCG@10": with_interval(gains)}


async def rag_spans(data: Path, scratch: Path, limit: int | None) -> Figures:
    """Are the marked spans (95 of 100 of their characters) in the first five, and ten, passages?"""
    index = await indexed("rag-spans", rows(data / "corpus.jsonl"), scratch)
    figures: dict[str, list[float]] = defaultdict(list)
    for question in rows(data / "questions.jsonl")[:limit]:
        passages = await index.search(question["question"], k=10)
        for k in (5, 10):
            got = [p for p in passages[:k] if doc_of(p) == question["doc_id"].replace("/", "_")]
            covered = [_covered(span, got) >= 0.95 for span in question["spans"]]
            figures[f"all spans in top {k}"].append(float(all(covered)))
            figures[f"any span in top {k}"].append(float(any(covered)))
    return {
        "questions": len(figures["all spans in top 5"]),
        **{name: with_interval(values) for name, values in figures.items()},
    }


def _covered(span: Sequence[int], passages: Sequence[Passage]) -> float:
    start, end = span
    inside = {at for p in passages for at in range(max(start, p.start), min(end, p.end))}
    return len(inside) / (end - start)


COLLECTIONS = {"xquad-en": xquad, "cranfield": cranfield, "rag-spans": rag_spans}


async def measure(data: Path, only: str | None, limit: int | None) -> dict[str, Figures]:
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, run in COLLECTIONS.items():
            if only in (None, name):
                figures[name] = await run(data / name, Path(scratch), limit)
                print(json.dumps({name: figures[name]}, indent=2))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure retrieval and quoting.")
    parser.add_argument("--data", type=Path, default=os.environ.get("COLLEGIUM_DATA"))
    parser.add_argument("--only", choices=list(COLLECTIONS))
    parser.add_argument("--questions", type=int, help="at most so many of each collection")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    given = parser.parse_args()
    if given.data is None:
        parser.error("say where the collections are: --data FOLDER, or COLLEGIUM_DATA")
    figures = asyncio.run(measure(given.data, given.only, given.questions))
    if given.out:
        given.out.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

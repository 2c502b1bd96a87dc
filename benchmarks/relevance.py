"""What the calibrated relevance keeps of questions about an index, and refuses of questions about something else.

    python -m benchmarks.relevance --data FOLDER [--keyword-only] [--keep FOLDER]

FOLDER holds `xquad-en`, `rag-spans` and `cranfield` as JSON lines, see `collegium eval retrieval`. Each collection is
asked its own questions and those of the other two. "Kept": questions for which a `Retriever` hands passages on;
"refused": questions of other collections for which it hands on none. The middle and the slope of the logistic curve in
`knowledge/relevance.py` are the maximum likelihood fit over all pairs, own and foreign with equal weight.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from collegium.agents import Retriever
from collegium.evals import wilson_interval
from collegium.evals.collections import Collection, read_collection, read_spans
from collegium.evals.retrieval import indexed
from collegium.knowledge import Embedder, Index
from collegium.knowledge.embedding import minilm


def collections(data: Path) -> dict[str, Collection]:
    spans = {name: data / name for name in ("xquad-en", "rag-spans")}
    found = {name: read_spans(folder / "corpus.jsonl", folder / "questions.jsonl") for name, folder in spans.items()}
    cranfield = data / "cranfield"
    judged = [cranfield / f"{name}.jsonl" for name in ("corpus", "queries", "qrels")]
    return {**found, "cranfield": read_collection(*judged)}


async def answered(index: Index, questions: Sequence[str]) -> int:
    """For how many questions a retriever hands passages on."""
    retriever = Retriever(index, k=10)
    return sum([bool(await retriever(question)) for question in questions])


async def measure(data: Path, embedder: Embedder | None, place: Path) -> None:
    known = collections(data)
    for name, collection in known.items():
        index = await indexed(collection, place / name, embedder)
        own = [question.text for question in collection.questions]
        foreign = [q.text for other, asked in known.items() if other != name for q in asked.questions]
        kept, passed = await answered(index, own), await answered(index, foreign)
        refused = wilson_interval(len(foreign) - passed, len(foreign))
        print(f"{name:10} kept {wilson_interval(kept, len(own))} of {len(own)}, refused {refused} of {len(foreign)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the calibrated relevance.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--keyword-only", action="store_true", help="do without vectors")
    parser.add_argument("--keep", type=Path, help="keep the indexes there, and use them again")
    given = parser.parse_args()
    embedder = None if given.keyword_only else minilm()
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(measure(given.data, embedder, given.keep or Path(scratch)))


if __name__ == "__main__":
    main()

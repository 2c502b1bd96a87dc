"""Short answers of a small model with the sentence cited, beside naive retrieval with the same model.

    python -m benchmarks.short_answers --data FOLDER --model embedded:FILE.gguf [--questions 200] [--log FILE.jsonl]
    python -m benchmarks.short_answers --data FOLDER --log FILE.jsonl --report

FOLDER, or `xquad-en` in it, holds `corpus.jsonl` and `questions.jsonl`. Ours: the four best passages of an `Index`,
then a `Writer`. Naive: the four paragraphs nearest by MiniLM, and one prompt that asks for the shortest phrase. The
model, its temperature (0) and the questions are the same; the questions are drawn with seed 7.

Exact match is that of SQuAD (case, articles and punctuation aside). An answer cites the right sentence when the quote
holds the accepted answer at its place in the source; of several sentences quoted each counts its part. Naive retrieval
cites nothing. It is given the benefit of the sentence in which its answer stands first among what it retrieved.
Differences are paired, their 95 % intervals by bootstrap over the questions. Each finished answer is a row of the log,
so that a run that was stopped goes on, and one side can be measured anew without the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import string
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from collegium.agents import Writer
from collegium.core.messages import user
from collegium.knowledge import Citation, Index, Passage, default_embedder, locate
from collegium.knowledge.structure import sentence_spans
from collegium.models import Model, Params, close_shared, shared_model

SHORTEST = (
    "Answer the question from the context. Give the shortest phrase that answers it, and nothing else.\n\n"
    "Context:\n{context}\n\nQuestion: {question}\nAnswer:"
)
NAIVE = Params(max_tokens=60, temperature=0.0)
MEASURES = ("exact", "f1", "gold in answer", "right sentence", "seconds")
Row = dict[str, Any]


def rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def collection(folder: Path) -> Path:
    """The folder of the question set: `xquad-en` among others, or one like it by itself."""
    return folder / "xquad-en" if (folder / "xquad-en").is_dir() else folder


def plain(text: str) -> list[str]:
    """The words as SQuAD compares them."""
    bare = "".join(" " if c in string.punctuation + "–—‘’“”" else c for c in text.lower())
    return re.sub(r"\b(?:a|an|the)\b", " ", bare).split()


def f1(said: str, gold: str) -> float:
    ours, theirs = plain(said), plain(gold)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def holds(row: Row, doc: str, start: int, end: int) -> float:
    """Whether a span of a document covers the accepted answer at its place."""
    inside = start <= row["start"] and row["start"] + len(row["answer"]) <= end
    return float(doc == row["doc_id"] and inside)


def scores(row: Row, said: str, cited: float, seconds: float) -> dict[str, float]:
    gold = " ".join(plain(row["answer"]))
    return {
        "exact": float(plain(said) == plain(row["answer"])),
        "f1": f1(said, row["answer"]),
        "gold in answer": float(f" {gold} " in f" {' '.join(plain(said))} "),
        "right sentence": cited,
        "seconds": seconds,
    }


class Naive:
    """Four paragraphs by cosine, one prompt."""

    def __init__(self, llm: Model, corpus: Sequence[Row]) -> None:
        embedder = default_embedder()
        if embedder is None:
            raise SystemExit("MiniLM is needed: collegium models pull minilm")
        self.llm, self.corpus, self.embedder = llm, corpus, embedder
        self.vectors = embedder.embed([row["text"] for row in corpus])

    async def __call__(self, row: Row) -> tuple[str, float]:
        (asked,) = self.embedder.embed([row["question"]])
        near = sorted(
            range(len(self.corpus)),
            key=lambda i: -sum(a * b for a, b in zip(asked, self.vectors[i], strict=True)),
        )[:4]
        context = "\n\n".join(self.corpus[i]["text"] for i in near)
        said = await self.llm.complete([user(SHORTEST.format(context=context, question=row["question"]))], params=NAIVE)
        return said.text.strip(), self._cited(row, said.text, near)

    def _cited(self, row: Row, said: str, near: Sequence[int]) -> float:
        found = [self.corpus[i] for i in near]
        spans = [
            Passage(passage_id=one["id"], source=one["id"], start=0, end=len(one["text"]), text=one["text"])
            for one in found
        ]
        place = locate(said, spans)
        if place is None:
            return 0.0
        text = next(one["text"] for one in found if one["id"] == place.source)
        around = [span for span in sentence_spans(text) if span[0] < place.end and place.start < span[1]]
        return holds(row, place.source, around[0][0], around[-1][1])


class Ours:
    """Four passages of an index, then a writer."""

    def __init__(self, llm: Model, index: Index) -> None:
        self.index, self.writer = index, Writer(llm)

    async def __call__(self, row: Row) -> tuple[str, float]:
        answer = await self.writer(row["question"], await self.index.search(row["question"], k=4))

        def right(citation: Citation) -> float:
            return holds(row, Path(citation.source).stem, citation.start, citation.end)

        return answer.text, fmean(map(right, answer.citations)) if answer.citations else 0.0


def interval(values: Sequence[float], rounds: int = 2000) -> str:
    draw = random.Random(7)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(rounds))
    return f"{fmean(values):+.3f} [{means[int(0.025 * rounds)]:+.3f}, {means[int(0.975 * rounds)]:+.3f}]"


def report(drawn: Sequence[Row], done: Done) -> None:
    """Figures of the questions that both sides have answered."""
    pairs = [
        (done[row["id"], "ours"], done[row["id"], "naive"])
        for row in drawn
        if (row["id"], "ours") in done and (row["id"], "naive") in done
    ]
    print(f"{len(pairs)} questions, mean [95 % interval]; the difference is paired")
    for name in MEASURES if pairs else ():
        mine, rival = [one[name] for one, _ in pairs], [other[name] for _, other in pairs]
        both = [a - b for a, b in zip(mine, rival, strict=True)]
        print(f"{name:15} ours {interval(mine)}   naive {interval(rival)}   difference {interval(both)}")


Done = dict[tuple[str, str], Row]
"""What is finished, by question and side."""


def material(data: Path, count: int, log: Path) -> tuple[list[Row], Done]:
    """The questions drawn, and what is finished."""
    drawn = rows(data / "questions.jsonl")
    random.Random(7).shuffle(drawn)
    return drawn[:count], {(row["id"], row["side"]): row for row in rows(log)} if log.exists() else {}


def written(corpus: Sequence[Row], folder: Path) -> Path:
    folder.mkdir()
    for row in corpus:
        (folder / f"{row['id']}.md").write_text(row["text"], "utf-8")
    return folder


async def measure(given: argparse.Namespace, data: Path, log: Path) -> None:
    """Ask both sides what the log does not hold yet."""
    corpus = rows(data / "corpus.jsonl")
    drawn, done = material(data, given.questions, log)
    llm = shared_model(given.model)
    with tempfile.TemporaryDirectory() as scratch:
        index = Index("xquad-en", folder=Path(scratch, "index"))
        await index.ingest(written(corpus, Path(scratch, "texts")))
        sides: dict[str, Ours | Naive] = {"ours": Ours(llm, index), "naive": Naive(llm, corpus)}
        print(f"{given.model} is {(await llm.capabilities()).level}", flush=True)
        for row in drawn:
            for side in sides:
                if (row["id"], side) not in done:
                    keep(log, row, side, await asked(sides[side], row))
    await close_shared()


async def asked(side: Ours | Naive, row: Row) -> Row:
    begun = time.perf_counter()
    said, cited = await side(row)
    return {"said": said, **scores(row, said, cited, time.perf_counter() - begun)}


def keep(log: Path, row: Row, side: str, found: Row) -> None:
    entry = {"id": row["id"], "side": side, "question": row["question"], "gold": row["answer"], **found}
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Short answers beside naive retrieval.")
    parser.add_argument("--data", type=Path, default=os.environ.get("COLLEGIUM_DATA"))
    parser.add_argument("--model", help="embedded:FILE.gguf, or any other spec")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--log", type=Path, help="where finished questions are kept; default: nowhere")
    parser.add_argument("--report", action="store_true", help="only report what the log holds")
    given = parser.parse_args()
    if given.data is None:
        parser.error("say where the collection is: --data FOLDER, or COLLEGIUM_DATA")
    if not given.report and given.model is None:
        parser.error("say which model answers: --model SPEC")
    with tempfile.TemporaryDirectory() as scratch:
        data, log = collection(Path(given.data)), given.log or Path(scratch, "log.jsonl")
        if not given.report:
            asyncio.run(measure(given, data, log))
        report(*material(data, given.questions, log))


if __name__ == "__main__":
    main()

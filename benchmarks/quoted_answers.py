"""Answers quoted by a `Writer`: do they hold the accepted answer, in how many words, and how true is their confidence?

    python -m benchmarks.quoted_answers --data FOLDER [--model embedded] [--questions N]

FOLDER, or `xquad-en` in it, holds `corpus.jsonl` and `questions.jsonl`. For each question the four best passages of an
`Index` go to a `Writer`, as in a graph. The model may be any that is rated tiny, `embedded` among them, for which the
writer quotes; without `--model` a scripted one takes its place, which changes nothing but the highlighted words.

An answer is right when its text holds the accepted answer, as whole words (case, articles and punctuation aside), or
more strictly, when a citation covers it at its place in its own paragraph. Intervals are Wilson's, of 95 %.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.short_answers import Row, collection, holds, plain, rows, written

from collegium.agents import Answer, ShortAnswer, Writer
from collegium.evals import wilson_interval
from collegium.knowledge import Index, MiniLM, best_sentences, verify
from collegium.models import Capabilities, Model, close_shared, shared_model
from collegium.testing import FunctionModel, ModelCall

WORDS = ("confident", "likely", "uncertain")


@dataclass(frozen=True)
class Outcome:
    right: bool
    """The text holds the accepted answer."""
    cited: bool
    """A citation covers it at its place."""
    words: int
    confidence: str
    by_margin: str
    """What the margin between the best two sentences says."""
    quotes_hold: bool


class Once:
    """MiniLM, which embeds each text once: the writer's sentences are looked at again for their margin."""

    def __init__(self) -> None:
        self._inner = MiniLM()
        self.name, self.dimension = self._inner.name, self._inner.dimension
        self._known: dict[str, list[float]] = {}

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if fresh := [text for text in dict.fromkeys(texts) if text not in self._known]:
            self._known |= zip(fresh, self._inner.embed(fresh), strict=True)
        return [self._known[text] for text in texts]


async def outcome(row: Row, index: Index, writer: Writer, embedder: Once) -> Outcome:
    passages = await index.search(row["question"], k=4)
    answer: Answer = await writer(row["question"], passages)
    gold = f" {' '.join(plain(row['answer']))} "
    return Outcome(
        right=gold in f" {' '.join(plain(answer.text))} ",
        cited=any(holds(row, Path(one.source).stem, one.start, one.end) for one in answer.citations),
        words=len(answer.text.split()),
        confidence=str(answer.confidence),
        by_margin=(await best_sentences(row["question"], passages, embedder=embedder)).confidence,
        quotes_hold=all(verify(one, index) for one in answer.citations),
    )


def report(found: Sequence[Outcome]) -> None:
    print(f"{len(found)} questions, share [95 % interval]")
    print(f"answer holds the accepted one   {share([one.right for one in found])}")
    print(f"cited at its place              {share([one.cited for one in found])}")
    print(f"words on average                {fmean(one.words for one in found):.1f}")
    print(f"quotes that stand in the source {share([one.quotes_hold for one in found])}")
    said: dict[str, list[bool]] = defaultdict(list)
    for one in found:
        said[one.confidence].append(one.right)
    for word in WORDS:
        if said[word]:
            print(f"right when {word:20} {share(said[word])} of {len(said[word])}")
    below = Counter(one.confidence for one in found if one.by_margin == "uncertain")
    print(f"below the margin: {below.total()}, said to be uncertain: {below['uncertain']}")


def share(hits: Sequence[bool]) -> str:
    return str(wilson_interval(sum(hits), len(hits)))


def pointless(_: ModelCall) -> ShortAnswer:
    return ShortAnswer(answer="-")


async def measure(data: Path, spec: str | None, limit: int | None) -> list[Outcome]:
    llm: Model = shared_model(spec) if spec else FunctionModel(pointless, capabilities=Capabilities(level="tiny"))
    questions = rows(data / "questions.jsonl")[:limit]
    found: list[Outcome] = []
    with tempfile.TemporaryDirectory() as scratch:
        index = Index("quoted", folder=Path(scratch, "index"))
        await index.ingest(written(rows(data / "corpus.jsonl"), Path(scratch, "texts")))
        embedder = Once()
        writer = Writer(llm, embedder=embedder)
        print(f"{llm.spec} is {(await llm.capabilities()).level}", flush=True)
        for number, row in enumerate(questions, 1):
            found.append(await outcome(row, index, writer, embedder))
            print(f"\r{number}/{len(questions)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    await close_shared()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers quoted by a writer.")
    parser.add_argument("--data", type=Path, default=os.environ.get("COLLEGIUM_DATA"))
    parser.add_argument("--model", help="`embedded`, or any other spec; default: a scripted model")
    parser.add_argument("--questions", type=int, help="only the first so many")
    given = parser.parse_args()
    if given.data is None:
        parser.error("say where the collection is: --data FOLDER, or COLLEGIUM_DATA")
    report(asyncio.run(measure(collection(Path(given.data)), given.model, given.questions)))


if __name__ == "__main__":
    main()

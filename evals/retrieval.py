"""Retrieval measured: a collection indexed as a user would, searched by each part and by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from ..knowledge import Embedder, Index, Passage, Ranking
from ..knowledge.index import Progress
from .collections import Collection, Question
from .intervals import Interval, mean_interval, wilson_interval
from .ranking import ndcg, recall, reciprocal_rank
from .spans import TOKENS, Counter, covered, packed

K = 10
DEPTH = 200
"""Passages asked for a query, so that those of ten documents are among them."""
PARTS = ("keyword", "vector", "fused")


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one ranking: a value for each query, in the order of the judged queries."""

    values: Mapping[str, list[float]]
    """By name: `ndcg@10`, `recall@10` and `mrr`; or `all_spans@2000` and `any_span@2000`, each 0 or 1."""

    @property
    def intervals(self) -> dict[str, Interval]:
        """The mean of each figure with its 95 % interval: bootstrap, and for spans, which are rates, Wilson's."""
        return {
            name: wilson_interval(int(sum(values)), len(values)) if "span" in name else mean_interval(values)
            for name, values in self.values.items()
        }

    @property
    def main(self) -> float:
        """The mean of the first figure, by which rankings are compared."""
        values = next(iter(self.values.values()))
        return sum(values) / len(values)

    def minus(self, other: Measured) -> dict[str, Interval]:
        """The mean of the paired differences to another ranking of the same queries, by bootstrap."""
        pairs = {name: zip(values, other.values[name], strict=True) for name, values in self.values.items()}
        return {name: mean_interval([mine - theirs for mine, theirs in pair]) for name, pair in pairs.items()}


@dataclass(frozen=True, slots=True)
class Report:
    """What each part of a search is worth on a collection."""

    documents: int
    passages: int
    queries: int
    parts: Mapping[str, Measured]
    """`keyword`, and where there are vectors `vector` and `fused`."""

    @property
    def better(self) -> str:
        """The better of the two parts."""
        return max((name for name in self.parts if name != "fused"), key=lambda name: self.parts[name].main)

    @property
    def difference(self) -> dict[str, Interval]:
        """Fused search less the better part, paired by query; empty without vectors."""
        return self.parts["fused"].minus(self.parts[self.better]) if "fused" in self.parts else {}


def measured(ranked: Mapping[str, Sequence[str]], relevant: Mapping[str, Set[str]]) -> Measured:
    """Measure ranked documents; each relevant document gains 1, whatever its grade.

    Grades are not used as gains because scales differ: in Cranfield 1 is the best grade, in TREC the highest is.

    Args:
        ranked: For each query, document ids without repeats, best first. A query that is missing found nothing.
        relevant: For each query, the documents wanted.
    """
    values: dict[str, list[float]] = {f"ndcg@{K}": [], f"recall@{K}": [], "mrr": []}
    for query, wanted in relevant.items():
        found = ranked.get(query, ())
        values[f"ndcg@{K}"].append(ndcg(found, dict.fromkeys(wanted, 1.0), K))
        values[f"recall@{K}"].append(recall(found, wanted, K))
        values["mrr"].append(reciprocal_rank(found, wanted))
    return Measured(values)


async def indexed(
    collection: Collection, folder: Path, embedder: Embedder | None, progress: Progress | None = None
) -> Index:
    """The documents as files in `folder`, ingested; a folder that was used before only takes in what has changed.

    A title becomes the heading of its file; the names of the files say nothing.
    """
    place = folder / "documents"
    place.mkdir(parents=True, exist_ok=True)
    spans = any(question.spans for question in collection.questions)
    for number, document in enumerate(collection.documents):
        head = f"# {document.title}\n\n" if document.title and not spans else ""
        file = place / f"{number:06}.md"
        text = f"{head}{document.text}"
        if not file.is_file() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8", newline="\n")
    for file in sorted(place.glob("*.md"))[len(collection.documents) :]:
        file.unlink()
    index = Index("evaluation", folder=folder / "index", embedder=embedder, keyword_only=embedder is None)
    await index.ingest(place, progress=progress)
    return index


async def evaluate(
    collection: Collection, index: Index, ranking: Ranking, count_tokens: Counter, progress: Progress | None = None
) -> Report:
    """Search an index of `indexed` for each question: by keywords, by vectors, and by `ranking`."""
    ways = {"keyword": Ranking(keyword_weight=1.0)}
    if index.embedder is not None:
        ways |= {"vector": Ranking(keyword_weight=0.0), "fused": ranking}
    parts: dict[str, Measured] = {}
    for number, (name, way) in enumerate(ways.items()):
        found: dict[str, list[Passage]] = {}
        for done, question in enumerate(collection.questions, start=1):
            found[question.query_id] = await index.search(question.text, DEPTH, ranking=way)
            if progress:
                total = len(collection.questions)
                progress("searching", number * total + done, len(ways) * total)
        parts[name] = _measured(collection, found, count_tokens)
    return Report(len(collection.documents), index.count, len(collection.questions), parts)


def _measured(collection: Collection, found: Mapping[str, list[Passage]], count_tokens: Counter) -> Measured:
    named = [document.doc_id for document in collection.documents]
    if not any(question.spans for question in collection.questions):
        ranked = {query: _documents(passages, named) for query, passages in found.items()}
        return measured(ranked, {question.query_id: question.relevant for question in collection.questions})
    shares = [_covered(question, found[question.query_id], named, count_tokens) for question in collection.questions]
    return Measured(
        {
            f"all_spans@{TOKENS}": [float(all(hits)) for hits in shares],
            f"any_span@{TOKENS}": [float(any(hits)) for hits in shares],
        }
    )


def _documents(passages: Sequence[Passage], named: Sequence[str]) -> list[str]:
    """Documents in the order of their best passages."""
    return list(dict.fromkeys(_document(passage, named) for passage in passages))


def _covered(
    question: Question, passages: Sequence[Passage], named: Sequence[str], count_tokens: Counter
) -> list[bool]:
    taken = packed(passages, count_tokens)
    return [covered(span, [p for p in taken if _document(p, named) == span.doc_id]) for span in question.spans]


def _document(passage: Passage, named: Sequence[str]) -> str:
    return named[int(Path(passage.source).stem)]

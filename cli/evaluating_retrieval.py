"""`eval retrieval` and `eval ranking`: how good a search is, against judged documents or spans."""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InvalidInput
from .failures import DONE
from .terminal import make_console
from .text import plural, print_json

if TYPE_CHECKING:
    from ..evals import Interval
    from ..evals.collections import Collection
    from ..evals.retrieval import Report
    from ..knowledge import Embedder


@dataclass(frozen=True, slots=True)
class Files:
    """Where a collection lies."""

    corpus: Path
    queries: Path | None
    qrels: Path | None
    questions: Path | None


@dataclass(frozen=True, slots=True)
class Way:
    """How the index is made and searched."""

    fusion: str
    keyword_weight: float
    feedback: int
    keyword_only: bool
    keep: Path | None


def retrieval(files: Files, way: Way, *, as_json: bool) -> int:
    """Index a collection, search it by each part and by both, and print what each is worth."""
    collection = _collection(files)
    if way.keep:
        report = asyncio.run(_report(collection, way.keep, way))
    else:
        with tempfile.TemporaryDirectory(prefix="collegium-eval-") as folder:
            report = asyncio.run(_report(collection, Path(folder), way))
    if as_json:
        print_json(_report_json(report, way))
    else:
        _print(report, way)
    return DONE


def ranking(file: Path, qrels: Path, *, as_json: bool) -> int:
    """Measure a file of ranked documents."""
    from ..evals.collections import relevant_documents
    from ..evals.retrieval import measured

    relevant = relevant_documents(qrels)
    figures = measured(_ranked(file), relevant)
    if as_json:
        print_json({"queries": len(relevant), **_intervals_json(figures.intervals)})
        return DONE
    console = make_console()
    for name, interval in figures.intervals.items():
        console.print(f"{name:<10} {interval}")
    console.print(f"{plural(len(relevant), 'judged question')}.", style="dim")
    return DONE


def _collection(files: Files) -> Collection:
    from ..evals.collections import read_collection, read_spans

    if files.questions is not None and files.queries is None and files.qrels is None:
        return read_spans(files.corpus, files.questions)
    if files.queries is None or files.questions is not None:
        raise InvalidInput("--queries", "give either --queries (with --qrels), or --questions with spans.")
    return read_collection(files.corpus, files.queries, files.qrels)


async def _report(collection: Collection, folder: Path, way: Way) -> Report:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from ..evals.retrieval import evaluate, indexed
    from ..knowledge import Ranking
    from ..knowledge.embedding import minilm

    fusion: Any = way.fusion
    how = Ranking(fusion=fusion, keyword_weight=way.keyword_weight, feedback=way.feedback)
    embedder: Embedder | None = None if way.keyword_only else minilm()
    console = make_console(error=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=None)

        def tell(text: str, done: int, total: int) -> None:
            bar.update(task, description=text, completed=done, total=total)

        index = await indexed(collection, folder, embedder, tell)
        return await evaluate(collection, index, how, _token_counter(), tell)


def _token_counter() -> Callable[[Sequence[str]], list[int]]:
    from ..knowledge.embedding import has_weights, minilm
    from ..models.counting import estimate_tokens

    if has_weights():
        return minilm().count_tokens
    return lambda texts: [estimate_tokens(text) for text in texts]


def _report_json(report: Report, way: Way) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "documents": report.documents,
        "passages": report.passages,
        "queries": report.queries,
        "ranking": {name: value for name, value in asdict(way).items() if name != "keep"},
        **{name: _intervals_json(part.intervals) for name, part in report.parts.items()},
        "difference": {"to": report.better, **_intervals_json(report.difference)},
    }


def _intervals_json(intervals: Mapping[str, Interval]) -> dict[str, Any]:
    return {name: interval.rounded() for name, interval in intervals.items()}


def _print(report: Report, way: Way) -> None:
    console = make_console()
    names = list(next(iter(report.parts.values())).values)
    console.print("".join([f"{'':<18}", *(f"{name:<24}" for name in names)]).rstrip(), style="bold")
    rows = {name: part.intervals for name, part in report.parts.items()}
    if report.difference:
        rows[f"fused - {report.better}"] = report.difference
    for label, intervals in rows.items():
        cells = "".join(f"{str(intervals[name]):<24}" for name in names)
        console.print(f"{label:<18}{cells}".rstrip(), highlight=False)
    counts = f"{plural(report.documents, 'document')}, {plural(report.passages, 'passage')}"
    console.print(f"{counts}, {plural(report.queries, 'judged question')}. Intervals: 95 %.", style="dim")


def _ranked(file: Path) -> Mapping[str, list[str]]:
    """The documents of each query, best first: by falling score, or by rising rank."""
    from ..evals import read_rows

    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read_rows(file, ("query_id", "doc_id"), numbers=("score", "rank")):
        if "score" not in row and "rank" not in row:
            raise InvalidInput(str(file), "each row needs a `score` or a `rank`.")
        score = float(row["score"]) if "score" in row else -float(row["rank"])
        found[str(row["query_id"])][str(row["doc_id"])] = score
    return {query: sorted(scores, key=lambda document: -scores[document]) for query, scores in found.items()}

"""`ingest` and `search`: an index from the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InvalidInput
from .failures import DONE
from .live import progress_note
from .shapes import found_json, passage_json
from .terminal import make_console
from .text import clean, one_line, ordinal, plural, print_json
from .views import where

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from ..knowledge import Found, Index, IngestReport


@dataclass(frozen=True, slots=True)
class Vectors:
    """Where an index gets its vectors; of one that exists, both may be left out."""

    keyword_only: bool
    embedder: str | None
    """The spec of a model on a server."""


def ingest(paths: Sequence[Path], into: str, vectors: Vectors, *, as_json: bool) -> int:
    """Read files and folders into an index, with a bar that shows how far it is."""
    for path in paths:
        if not path.exists():
            raise InvalidInput("PATH", f"there is no {path}.")
    console = make_console(error=as_json)
    report = asyncio.run(_ingest(paths, into, vectors, console))
    if as_json:
        print_json(_report_json(report))
        return DONE
    counts = f"{report.added} added, {report.unchanged} unchanged, {report.removed} removed"
    console.print(f"{one_line(into)}: {counts}, {plural(report.passages, 'passage')}.")
    if report.repeats:
        console.print(f"  {plural(report.repeats, 'passage')} that say the same as another", style="dim")
    for file, reason in report.skipped:
        console.print(f"  skipped {one_line(str(file))}: {one_line(reason)}", style="yellow")
    for file, problem in report.partly:
        console.print(f"  partly read {one_line(str(file))}: {one_line(problem)}", style="yellow")
    return DONE


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many passages, and of which documents."""

    limit: int
    source: str | None
    heading: str | None
    rerank: str | None
    """The spec of a model that orders the first passages anew."""


def search(name: str, query: str, wanted: Wanted, vectors: Vectors, *, as_json: bool) -> int:
    """Print the passages that fit a query best, each with the part that either ranking played."""
    from ..knowledge.relevance import RELEVANT

    found = asyncio.run(_search(name, query, wanted, vectors))
    if as_json:
        print_json([found_json(one) for one in found])
        return DONE
    console = make_console()
    for one in found:
        place = where(passage_json(one.passage))
        console.print(f"{one.passage.score:.2f}  {place}", style="bold", highlight=False)
        console.print(f"      {why(one)}", style="dim", highlight=False)
        for line in clean(one.passage.text).split("\n"):
            console.print(f"  {line}")
        console.print()
    console.print(f"{plural(len(found), 'passage')}.", style="dim")
    known = [one.passage.relevance for one in found if one.passage.relevance is not None]
    if known and max(known) < RELEVANT:
        console.print("None of them seems to be about this.", style="yellow")
    return DONE


def why(found: Found) -> str:
    """The part that each ranking played: `keywords 1st (8.31), vectors 3rd (0.52), title named, relevance 0.98`."""
    parts = {"model": found.reranked, "keywords": found.keyword, "vectors": found.vector}
    told = [f"{name} {ordinal(part.rank)} ({part.score:.2f})" for name, part in parts.items() if part]
    told += ["title named"] if found.named else []
    told += [] if found.passage.relevance is None else [f"relevance {found.passage.relevance:.2f}"]
    return ", ".join(told)


async def _ingest(paths: Sequence[Path], into: str, vectors: Vectors, console: Console) -> IngestReport:
    index = _index(into, vectors)
    try:
        with progress_bar(console) as bar:
            return await index.ingest(paths, progress=teller(bar))
    finally:
        await index.close()


def progress_bar(console: Console, get_time: Callable[[], float] | None = None) -> Bar:
    """What is done, out of how much, how fast, and how long the rest will take."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        get_time=get_time,
    )


def teller(bar: Bar) -> Callable[[str, int, int], None]:
    """Shows the progress of an ingestion in a bar."""
    task = bar.add_task("reading", total=None, rate="")

    def tell(text: str, done: int, total: int) -> None:
        note = progress_note(text, None, None)
        if bar.tasks[0].description != note:
            bar.reset(task, description=note, rate="")  # files and passages take a time of their own
        bar.update(task, completed=done, total=total)
        if speed := bar.tasks[0].speed:
            bar.update(task, rate=f"{speed:.1f}/s")

    return tell


async def _search(name: str, query: str, wanted: Wanted, vectors: Vectors) -> list[Found]:
    from ..knowledge import Where
    from ..models import reranker

    index = _index(name, vectors)
    index.reranker = reranker(wanted.rerank) if wanted.rerank else None
    try:
        return await index.explain(query, wanted.limit, where=Where(wanted.source, wanted.heading))
    finally:
        await index.close()


def _index(name: str, vectors: Vectors) -> Index:
    """The index, with vectors as they are asked for, else as it was made."""
    from ..knowledge import Index, MiniLM
    from ..models import embedder

    if vectors.embedder:
        return Index(name, embedder=embedder(vectors.embedder))
    used = None if vectors.keyword_only else Index(name).made_with
    if used in (None, "", MiniLM.name):
        return Index(name, keyword_only=vectors.keyword_only or used == "")
    return Index(name, embedder=embedder(str(used)))


def _report_json(report: IngestReport) -> dict[str, Any]:
    return {
        "added": report.added,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "passages": report.passages,
        "repeats": report.repeats,
        "skipped": [{"path": str(path), "reason": reason} for path, reason in report.skipped],
        "partly": [{"path": str(path), "problem": problem} for path, problem in report.partly],
    }

"""`ingest` and `search`: an index from the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InvalidInput
from .failures import DONE
from .live import progress_note
from .shapes import passage_json
from .terminal import make_console
from .text import clean, one_line, plural, print_json
from .views import where

if TYPE_CHECKING:
    from rich.console import Console

    from ..knowledge import IngestReport, Passage


def ingest(paths: Sequence[Path], into: str, *, as_json: bool) -> int:
    """Read files and folders into an index, with a bar that shows how far it is."""
    for path in paths:
        if not path.exists():
            raise InvalidInput("PATH", f"there is no {path}.")
    console = make_console(error=as_json)
    report = asyncio.run(_ingest(paths, into, console))
    if as_json:
        print_json(_report_json(report))
        return DONE
    counts = f"{report.added} added, {report.unchanged} unchanged, {report.removed} removed"
    console.print(f"{one_line(into)}: {counts}, {plural(report.passages, 'passage')}.", markup=False)
    for file, reason in report.skipped:
        console.print(f"  skipped {one_line(str(file))}: {one_line(reason)}", style="yellow", markup=False)
    for file, problem in report.partly:
        console.print(f"  partly read {one_line(str(file))}: {one_line(problem)}", style="yellow", markup=False)
    return DONE


def search(name: str, query: str, limit: int, *, as_json: bool) -> int:
    """Print the passages that fit a query best."""
    passages = asyncio.run(_search(name, query, limit))
    if as_json:
        print_json([passage_json(passage) for passage in passages])
        return DONE
    console = make_console()
    for passage in passages:
        shown = passage_json(passage)
        console.print(f"{passage.score:.2f}  {where(shown)}", style="bold", markup=False)
        for line in clean(passage.text).split("\n"):
            console.print(f"  {line}", markup=False)
        console.print()
    console.print(f"{plural(len(passages), 'passage')}.", style="dim")
    return DONE


async def _ingest(paths: Sequence[Path], into: str, console: Console) -> IngestReport:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from ..knowledge import Index

    index = Index(into)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("reading", total=None)

            def tell(text: str, done: int, total: int) -> None:
                bar.update(task, description=progress_note(text, None, None), completed=done, total=total)

            return await index.ingest(paths, progress=tell)
    finally:
        await index.close()


async def _search(name: str, query: str, limit: int) -> list[Passage]:
    from ..knowledge import Index

    index = Index(name)
    try:
        return await index.search(query, k=limit)
    finally:
        await index.close()


def _report_json(report: IngestReport) -> dict[str, Any]:
    return {
        "added": report.added,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "passages": report.passages,
        "skipped": [{"path": str(path), "reason": reason} for path, reason in report.skipped],
        "partly": [{"path": str(path), "problem": problem} for path, problem in report.partly],
    }

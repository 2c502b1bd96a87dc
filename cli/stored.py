"""`runs`, `show` and `cancel`: the runs that a store holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

from ..core.errors import CollegiumError, InvalidInput, UnknownRun
from .failures import DONE, FAILED, complain
from .inputs import metadata_of
from .opening import graph_of_run, open_runner, store_url, tell_damage
from .running import show_run
from .shapes import run_json
from .terminal import make_console
from .text import clock, one_line, outline, plural, print_json
from .views import labels_line

if TYPE_CHECKING:
    from ..runs import Run, RunStatus

_PLAIN = 5
"""Columns of the table where no run has labels."""

_STYLES = {"done": "green", "failed": "red", "waiting": "yellow", "running": "cyan", "cancelled": "dim"}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs to list, as it was typed."""

    status: str | None
    thread: str | None
    graph: str | None
    tags: Sequence[str]
    metadata: Sequence[str]
    before: str | None
    limit: int

    def arguments(self) -> dict[str, Any]:
        """What `Runner.runs` takes.

        Raises:
            InvalidInput: The status is unknown, or a value of the metadata is not KEY=VALUE.
        """
        return {
            "status": _status(self.status),
            "thread_id": self.thread,
            "graph": self.graph,
            "tags": self.tags,
            "metadata": metadata_of(self.metadata),
            "before": self.before,
            "limit": self.limit,
        }


def runs(filters: Filters, *, db: str | None, as_json: bool) -> int:
    """List runs, the newest first."""
    found = asyncio.run(_runs(store_url(db), filters.arguments()))
    if as_json:
        print_json([_row(run) for run in found])
        return DONE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("run", "graph", "thread", "status", "started"):
        table.add_column(name, no_wrap=True)
    if any(run.tags or run.metadata for run in found):
        table.add_column("labels")
    for run in found:
        styled = Text(run.status, style=_STYLES.get(run.status, "none"))
        labels = [Text(labels_line(run))] if len(table.columns) > _PLAIN else []
        table.add_row(
            one_line(run.run_id), one_line(run.graph), one_line(run.thread_id), styled, clock(run.created_at), *labels
        )
    console = make_console()
    console.print(table if found else f"{plural(0, 'run')}.")
    return DONE


def show(run_id: str, *, db: str | None, as_json: bool) -> int:
    """Show one run whole."""
    run = asyncio.run(_run(store_url(db), run_id))
    if as_json:
        print_json(run_json(run))
        return DONE
    console = make_console()
    show_run(console, run)
    for approval in run.approvals:
        console.print(f"\nwaits: {approval.approval_id}  {approval.kind}", style="yellow")
        for line in outline(approval.payload, 1):
            console.print(line)
    if run.error:
        console.print(one_line(run.error), style="red")
    return DONE


def cancel(run_id: str, reason: str, *, db: str | None, as_json: bool) -> int:
    """End one run."""
    run = asyncio.run(_cancelled(store_url(db), run_id, reason))
    if as_json:
        print_json(run_json(run))
    else:
        make_console().print(f"{run.run_id} {run.status}")
    return DONE if run.status == "cancelled" else FAILED


def _row(run: Run[Any]) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "graph": run.graph,
        "status": run.status,
        "error": run.error,
        "tags": list(run.tags),
        "metadata": run.metadata,
        "created_at": run.created_at.isoformat() if run.created_at else None,
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "pruned_at": run.pruned_at.isoformat() if run.pruned_at else None,
    }


def _status(given: str | None) -> RunStatus | None:
    from ..runs.run import RunStatus as words

    known = get_args(words)
    if given is not None and given not in known:
        raise InvalidInput("--status", f"{given!r} is not one of {', '.join(known)}.")
    return cast("RunStatus | None", given)


async def _runs(url: str | None, wanted: dict[str, Any]) -> Sequence[Run[Any]]:
    if url is None:
        return ()
    async with open_runner(url) as runner:
        found = await runner.runs(**wanted)
        tell_damage(runner, found)
        return found


async def _run(url: str | None, run_id: str) -> Run[Any]:
    if url is None:
        raise UnknownRun(run_id)
    try:
        graphs = [await graph_of_run(url, run_id)]
    except UnknownRun:
        raise
    except CollegiumError as error:
        graphs = []
        complain(f"{error} What the run found cannot be read without its graph.", FAILED)
    async with open_runner(url, graphs) as runner:
        return await runner.get(run_id)


async def _cancelled(url: str | None, run_id: str, reason: str) -> Run[Any]:
    if url is None:
        raise UnknownRun(run_id)
    async with open_runner(url) as runner:
        return await runner.cancel(run_id, reason)

"""`resume` without a run: what was left unfinished, and `--all` of it, one run after the other."""

from __future__ import annotations

import asyncio
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import CollegiumError
from .failures import DONE, FAILED, WAITING, complain
from .opening import open_runner, store_url
from .running import RunOptions, resume
from .terminal import make_console
from .text import clock, one_line, plural, print_json

if TYPE_CHECKING:
    from ..runs import Run

_MOST = 1000
"""More than are resumed at once by hand; the next call takes up what is left."""


def list_unfinished(options: RunOptions) -> int:
    """Show the runs that nobody works on and that wait for nobody."""
    found = asyncio.run(_unfinished(options.db))
    if options.as_json:
        print_json([{"run_id": run.run_id, "graph": run.graph, "status": run.status} for run in found])
        return DONE
    console = make_console()
    for run in found:
        console.print(f"{run.run_id}  {one_line(run.graph)}  {clock(run.created_at)}")
    if not found:
        console.print("Nothing was left unfinished.")
        return DONE
    complain(f"{plural(len(found), 'run')} can go on: collegium resume RUN, or collegium resume --all", DONE)
    return DONE


def resume_all(options: RunOptions) -> int:
    """Go on with each of them, the oldest first; Ctrl-C stops at the one at work.

    Returns:
        1 when one of them failed or could not go on, else 3 when one waits for a person, else 0.
    """
    ends = {DONE}
    for run in asyncio.run(_unfinished(options.db)):
        try:
            with chdir(Path.cwd()):  # a run is loaded in the folder that it was started in
                ends.add(resume(run.run_id, options))
        except CollegiumError as error:
            ends.add(complain(f"{run.run_id}: {one_line(str(error))}", FAILED))
            continue
        if run.run_id in {left.run_id for left in asyncio.run(_unfinished(options.db))}:
            break
    return next(end for end in (FAILED, WAITING, DONE) if end in ends)


async def _unfinished(db: str | None) -> list[Run[Any]]:
    """Oldest first. Opening the store queues what dead processes had in hand."""
    if (url := store_url(db)) is None:
        return []
    async with open_runner(url) as runner:
        return [*await runner.runs(status="queued", limit=_MOST)][::-1]

"""`history` and the values of `fork`: the steps that a run has taken, and what is to be different after one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import UnknownRun
from .failures import DONE
from .inputs import gather_input, read_value, setting_of, state_fields
from .opening import graph_of_run, open_runner, store_url
from .terminal import make_console
from .text import clock, one_line, plural, print_json

if TYPE_CHECKING:
    from ..runs import Step


def history(run_id: str, *, db: str | None, as_json: bool) -> int:
    """List the steps of a run, the oldest first."""
    steps = asyncio.run(_steps(store_url(db), run_id))
    if as_json:
        print_json([_row(step) for step in steps])
        return DONE
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("step", "ran", "wrote", "next", "at"):
        table.add_column(name, no_wrap=name in ("step", "at"))
    for step in steps:
        cells = (step.path, _names(step.nodes) or "-", _names(step.wrote) or "-", _names(step.next) or "-")
        table.add_row(*map(one_line, cells), clock(step.at))
    console = make_console()
    console.print(table if steps else f"{plural(0, 'step')}.")
    return DONE


def changes(graph: Any, at: str, settings: Sequence[str]) -> dict[str, Any]:
    """The values of `--set`: of the graph's own fields, or of those of the graph inside it that `at` leads to.

    Raises:
        InvalidInput: A field is unknown, or a value does not fit.
    """
    if "/" not in at:
        return gather_input(state_fields(graph), None, settings, None)
    pairs = [setting_of(setting) for setting in settings]
    return {name: read_value(text) for name, text in pairs}


def _names(names: Sequence[str]) -> str:
    counted = {name: names.count(name) for name in names}
    return ", ".join(name if times == 1 else f"{name} x{times}" for name, times in counted.items())


def _row(step: Step) -> dict[str, Any]:
    return {
        "step": step.path,
        "nodes": list(step.nodes),
        "wrote": list(step.wrote),
        "next": list(step.next),
        "at": step.at.isoformat(),
        "checkpoint_id": step.checkpoint_id,
        "namespace": step.namespace,
    }


async def _steps(url: str | None, run_id: str) -> list[Step]:
    if url is None:
        raise UnknownRun(run_id)
    async with open_runner(url, [await graph_of_run(url, run_id)]) as runner:
        return await runner.history(run_id)

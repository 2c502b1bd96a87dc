"""`standing` and `revoke`: the leave that a person gave for more than one call of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import UnknownApproval, UnknownRun
from .failures import DONE
from .opening import open_runner, person, store_url
from .terminal import make_console
from .text import outline, plural, print_json

if TYPE_CHECKING:
    from ..runs import StandingApproval


def standing(run_id: str, *, db: str | None, as_json: bool) -> int:
    """Show what stands in a run, and what was taken back."""
    url = store_url(db)
    if url is None:
        raise UnknownRun(run_id)
    found = asyncio.run(_standing(url, run_id))
    if as_json:
        print_json([standing_json(one) for one in found])
        return DONE
    console = make_console()
    for one in found:
        _show(one)
    console.print(f"{plural(len([one for one in found if one.active]), 'standing approval')}.", style="dim")
    return DONE


def revoke(approval_id: str, by: str | None, *, db: str | None, as_json: bool) -> int:
    """Take one back."""
    url = store_url(db)
    if url is None:
        raise UnknownApproval(approval_id)
    one = asyncio.run(_revoke(url, approval_id, person(by)))
    if as_json:
        print_json(standing_json(one))
    else:
        _show(one)
    return DONE


def standing_json(one: StandingApproval) -> dict[str, Any]:
    """A standing approval: its id, tool, the arguments shown, which of them may differ, who gave and revoked it."""
    return {
        "id": one.approval_id,
        "run_id": one.run_id,
        "tool": one.tool,
        "args": dict(one.args),
        "patterns": dict(one.patterns),
        "by": one.by,
        "at": one.at.isoformat() if one.at else None,
        "revoked_by": one.revoked_by,
        "revoked_at": one.revoked_at,
    }


def _show(one: StandingApproval) -> None:
    console = make_console()
    end = "" if one.active else f"  revoked by {one.revoked_by} at {one.revoked_at}"
    console.print(f"{one.approval_id}  {one.tool}  given by {one.by}{end}", style="bold" if one.active else "dim")
    shown = {name: f"like {one.patterns[name]}" if name in one.patterns else value for name, value in one.args.items()}
    for line in outline(shown, 1):
        console.print(line)


async def _standing(url: str, run_id: str) -> Sequence[StandingApproval]:
    async with open_runner(url) as runner:
        return await runner.standing(run_id)


async def _revoke(url: str, approval_id: str, by: str) -> StandingApproval:
    async with open_runner(url) as runner:
        return await runner.revoke(approval_id, by=by)

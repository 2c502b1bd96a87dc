"""`prune`: what finished runs need no longer is removed from the store."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from ..core.errors import InvalidInput
from .failures import DONE, FAILED, complain
from .opening import open_runner, store_url
from .terminal import make_console
from .text import one_line, plural, print_json

if TYPE_CHECKING:
    from ..runs import Pruned

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def prune(
    older_than: str | None, keep: int | None, *, history: bool, dry_run: bool, db: str | None, as_json: bool
) -> int:
    """Remove what may go and say how much that was; status 1 when something is damaged and was left."""
    age = None if older_than is None else age_of(older_than)
    if age is None and keep is None and not history:
        raise InvalidInput("--older-than", "nothing says what to prune. Give --older-than, --keep or --history.")
    url = store_url(db)
    if url is None:
        raise InvalidInput("--db", "there is no store here, so nothing to prune. Name one.")
    pruned = asyncio.run(_pruned(url, age, keep, history=history, dry_run=dry_run))
    if as_json:
        print_json(asdict(pruned))
    else:
        make_console().print(told(pruned), highlight=False, soft_wrap=True)
    for damage in pruned.damaged:
        complain(f"Left as it is: {one_line(damage)}", FAILED)
    return FAILED if pruned.damaged else DONE


def age_of(text: str) -> timedelta:
    """The time that `30d`, `12h` or `2w` stands for.

    Raises:
        InvalidInput: It is something else.
    """
    found = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    if found is None:
        raise InvalidInput("--older-than", f"{text!r} is no age. Write a number and s, m, h, d or w: 30d.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def told(pruned: Pruned) -> str:
    """What went, in a line or two."""
    verb = "Would remove" if pruned.dry_run else "Removed"
    gone = f"{verb} the state and events of {plural(pruned.runs, 'run')}"
    if pruned.history:
        gone += f" and the history of {plural(pruned.history, 'run')}"
    gone += f": {plural(pruned.checkpoints, 'checkpoint')}."
    if pruned.freed_bytes:
        return f"{gone} The file is {_megabytes(pruned.freed_bytes)} shorter."
    if pruned.free_bytes and not pruned.dry_run:
        return f"{gone} {_megabytes(pruned.free_bytes)} of the file are free for new runs."
    return gone


async def _pruned(url: str, age: timedelta | None, keep: int | None, *, history: bool, dry_run: bool) -> Pruned:
    async with open_runner(url) as runner:
        steps: Literal["keep", "drop"] = "drop" if history else "keep"
        return await runner.prune(older_than=age, keep=keep, history=steps, dry_run=dry_run)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"

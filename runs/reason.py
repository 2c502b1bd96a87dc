"""Why a run failed, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from langgraph.errors import GraphRecursionError
from pydantic import ValidationError

from ..core.errors import CollegiumError
from .budget import Budget

_POINTERS = ("For troubleshooting, visit:", "For further information visit")
"""Lines that libraries add below what happened."""

_TASK = re.compile(r"(Before|During) task with name '([^']+)'")
"""How LangGraph notes on an exception where it came from; the innermost node comes first."""

_WHEN = {"Before": "before", "During": "in"}


def reason_of(error: BaseException, budget: Budget) -> str:
    """What happened, with which value, and what to do where that is known."""
    if isinstance(error, GraphRecursionError):
        return (
            f"the graph was still going after {budget.steps} steps. Bound its loop with add_loop(at_most=…), "
            "or allow more with Budget(steps=…)."
        )
    if isinstance(error, CollegiumError):
        return str(error)
    said = ": ".join([type(error).__name__, " ".join(_lines(error))]).removesuffix(": ")
    places = [found for note in getattr(error, "__notes__", ()) if (found := _TASK.match(note))]
    return f"{said} ({_WHEN[places[0][1]]} node {places[0][2]!r})" if places else said


def _lines(error: BaseException) -> Iterator[str]:
    if isinstance(error, ValidationError):
        for part in error.errors(include_url=False, include_context=False):
            yield f"{'.'.join(map(str, part['loc'])) or error.title}={part['input']!r:.80}: {part['msg']}."
        return
    for line in str(error).splitlines():
        if line.strip() and not line.strip().startswith(_POINTERS):
            yield line.strip()

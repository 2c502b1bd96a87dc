"""`eval tools`: whether the check of arguments passes what is right and refuses what breaks the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..evals.arguments import ArgumentFigures, measure_arguments, read_cases
from ..evals.intervals import wilson_interval
from .failures import DONE
from .terminal import make_console
from .text import one_line, plural, print_json

_SHOWN = 5


def tools(data: Path, *, as_json: bool) -> int:
    """Measure the check on a file of cases."""
    cases = read_cases(data)
    figures = measure_arguments(cases)
    if as_json:
        print_json({"calls": len(cases), **{found.form: _json(found) for found in figures}})
        return DONE
    console = make_console()
    for found in figures:
        for line in _lines(found):
            console.print(one_line(line))
        for wrong in found.wrong[:_SHOWN]:
            console.print(one_line(f"  wrong: {json.dumps(wrong, default=str):.300}"))
    odd, left = figures[0].contradicting, figures[0].left_out
    console.print(
        f"{plural(len(cases), 'accepted call')}, each alternative of an argument once. Not counted: {odd} that the "
        f"data's own schema refuses, {left} of names that no function's parameter can have.",
        style="dim",
    )
    return DONE


def _lines(found: ArgumentFigures) -> list[str]:
    broken, refused = found.broken.total(), found.refused.total()
    kinds = ", ".join(f"{kind} {found.refused[kind]:,}/{count:,}" for kind, count in sorted(found.broken.items()))
    return [
        f"{found.form}: accepted calls that pass {wilson_interval(found.passed, found.accepted)} "
        f"{found.passed:,} of {found.accepted:,}",
        f"{found.form}: broken calls refused {wilson_interval(refused, broken)} {kinds}",
    ]


def _json(found: ArgumentFigures) -> dict[str, Any]:
    broken, refused = found.broken.total(), found.refused.total()
    return {
        "accepted": found.accepted,
        "passed": wilson_interval(found.passed, found.accepted).rounded(),
        "broken": broken,
        "refused": wilson_interval(refused, broken).rounded(),
        "left_out": found.left_out,
        "contradicting": found.contradicting,
        "wrong": found.wrong,
    }

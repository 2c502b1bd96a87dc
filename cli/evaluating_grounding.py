"""`eval grounding`: how well the check tells claims that their evidence supports."""

from __future__ import annotations

from pathlib import Path

from ..evals.grounding import GroundingFigures, measure_grounding, read_claims
from ..evals.intervals import Interval
from .failures import DONE
from .terminal import make_console
from .text import plural, print_json


def grounding(data: Path, *, as_json: bool) -> int:
    """Measure the check on a file of claims with labels."""
    figures = measure_grounding(read_claims(data))
    rows = _rows(figures)
    if as_json:
        levels = {level: {"claims": count, "grounded": right} for level, (count, right) in figures.levels.items()}
        measured = {name.replace(" ", "_").replace("-", "_"): interval.rounded() for name, interval, _ in rows}
        print_json({"claims": figures.claims, "grounded": figures.grounded, **measured, "levels": levels})
        return DONE
    console = make_console()
    for name, interval, note in rows:
        console.print(f"{name:<16} {interval}  {note}")
    for level, (count, right) in figures.levels.items():
        console.print(f"{level:<16} {plural(count, 'claim')}, {right} of them grounded")
    console.print(f"{plural(figures.claims, 'claim')}, {figures.grounded} grounded; no model was asked.", style="dim")
    return DONE


def _rows(figures: GroundingFigures) -> list[tuple[str, Interval, str]]:
    return [
        ("auroc", figures.shipped, "the check as it is shipped"),
        ("auroc ten-fold", figures.folds, "its signals, fitted without the tenth that is scored"),
        ("auroc overlap", figures.overlap, "share of words in the evidence, for comparison"),
    ]

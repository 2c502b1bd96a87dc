"""`eval ranking`: how good a ranked list is, against judged documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import InvalidInput
from ..evals import read_rows
from ..evals.retrieval import Measured, measured, relevant_documents
from .failures import DONE
from .terminal import make_console
from .text import plural, print_json


def ranking(file: Path, qrels: Path, *, as_json: bool) -> int:
    """Measure a file of ranked documents."""
    relevant = relevant_documents(qrels)
    figures = measured(_ranked(file), relevant)
    if as_json:
        print_json({"queries": len(relevant), **measured_json(figures)})
        return DONE
    console = make_console()
    for name, interval in figures.intervals.items():
        console.print(f"{name:<10} {interval}", markup=False)
    console.print(f"{plural(len(relevant), 'judged question')}.", style="dim")
    return DONE


def measured_json(figures: Measured) -> dict[str, Any]:
    """The figures as JSON, each with its bounds."""
    return {name: interval.rounded() for name, interval in figures.intervals.items()}


def _ranked(file: Path) -> Mapping[str, list[str]]:
    """The documents of each query, best first: by falling score, or by rising rank."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read_rows(file, ("query_id", "doc_id")):
        if "score" not in row and "rank" not in row:
            raise InvalidInput(str(file), "each row needs a `score` or a `rank`.")
        found[str(row["query_id"])][str(row["doc_id"])] = float(row["score"]) if "score" in row else -float(row["rank"])
    return {query: sorted(scores, key=lambda document: -scores[document]) for query, scores in found.items()}

"""`collegium eval tools`: both figures for both forms of a tool."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARAMETERS = {"type": "dict", "properties": {"count": {"type": "integer", "enum": [1, 2]}}, "required": ["count"]}


def test_figures_are_printed_and_given_as_json(collegium: Callable[..., Any], project: Path) -> None:
    row = {"id": "one", "tools": [{"name": "buy", "parameters": PARAMETERS}], "accepted": [{"buy": {"count": [1]}}]}
    (project / "cases.jsonl").write_text(json.dumps(row))

    shown = collegium("eval", "tools", "--data", "cases.jsonl")
    assert "function: accepted calls that pass 1.000" in shown.out
    assert "schema: broken calls refused 1.000" in shown.out

    figures = collegium("eval", "tools", "--data", "cases.jsonl", "--json").json
    assert figures["calls"] == 1
    assert [figures[form]["broken"] for form in ("function", "schema")] == [7, 7]
    assert [figures[form]["wrong"] for form in ("function", "schema")] == [[], []]

"""Arguments of the command line."""
# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# odd values have no types

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from . import graphs
from .corpus import texts
from .judging import Door, Outcome, command, judged_command

# X stands for an odd text. Verbs that fetch, listen or write where they are told are left out.
VERBS = [
    ["run", "flow.py", "X"],
    ["run", "flow.py", "X", "--set", "X"],
    ["run", "flow.py", "plain", "--set", "count=X", "--json"],
    ["run", "flow.py", "plain", "--thread", "X", "--on-busy", "X"],
    ["run", "flow.py", "plain", "--thread", "X", "--tag", "X", "--meta", "X", "--json"],
    ["run", "flow.py", "plain", "--budget", "X", "--timeout", "X"],
    ["run", "flow.py", "plain", "--model", "X"],
    ["run", "X", "plain"],
    ["run", "flow.py:X", "plain"],
    ["run", "flow.py", "--input", "X"],
    ["run", "flow.py", "plain", "--replay", "X"],
    ["check", "X"],
    ["check", "flow.py", "--against", "X"],
    ["graph", "X", "--mermaid"],
    ["runs", "--status", "X"],
    ["runs", "--thread", "X", "--graph", "X", "--tag", "X"],
    ["runs", "--meta", "X", "--before", "X", "--json"],
    ["runs", "--limit", "X"],
    ["show", "X"],
    ["show", "X", "--json"],
    ["history", "X"],
    ["fork", "X", "--at", "X", "--set", "X", "--effects", "X"],
    ["cancel", "X", "--reason", "X"],
    ["resume", "X"],
    ["prune", "--older-than", "X", "--dry-run"],
    ["prune", "--keep", "X", "--dry-run"],
    ["doctor", "--db", "X"],
    ["inbox", "--db", "X"],
    ["answer", "X", "X", "X"],
    ["answer", "X", "edit", "X", "--set", "X", "--by", "X"],
    ["approve", "X", "--digest", "X", "--by", "X"],
    ["reject", "X", "X"],
    ["search", "X", "X"],
    ["search", "X", "X", "--limit", "X"],
    ["models", "fit", "X", "--params", "X"],
    ["models", "fit", "X", "--bits", "X", "--context", "X", "--gpu-gb", "X", "--json"],
    ["mcp", "list", "X"],
    ["mcp", "X"],
    ["X"],
    ["X", "X"],
    ["--X"],
]


def door(folder: Path) -> Door:
    """Commands in a project with a store."""
    home = os.getcwd()
    deep = folder / "a" / "b" / "c"  # so that `../../..` stays inside of the folder
    deep.mkdir(parents=True)
    (deep / ".collegium").mkdir()
    (deep / "flow.py").write_text(Path(graphs.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    os.chdir(deep)
    assert command(["run", "flow.py", "plain"]).status == 0

    def attempt(example: tuple[list[str], bool]) -> Outcome:
        # an option that stands for itself is named by its own name, an argument by what was written
        return judged_command(example[0], terminal=example[1])

    return Door("arguments", examples(), attempt, lambda: os.chdir(home))


def examples() -> st.SearchStrategy[tuple[list[str], bool]]:
    """A verb with its gaps filled; no system hands NUL or an unpaired surrogate of its own to a program."""

    def filled(draw: Any) -> list[str]:
        template = draw(st.sampled_from(VERBS))
        gap = texts(surrogates=False, nul=False)
        return [word.replace("X", draw(gap)) if "X" in word else word for word in template]

    return st.tuples(st.composite(filled)(), st.booleans())

"""The table of the tools that come with Collegium says what they declare."""

import re
from pathlib import Path
from typing import Any, cast

from collegium import tools
from collegium.knowledge import Index
from collegium.tools import (
    FunctionTool,
    archives,
    calculator,
    command,
    http,
    knowledge_search,
    memory,
    python,
    workspace,
)

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text("utf-8")


def declared(*made: FunctionTool[..., Any]) -> str:
    named = len(made) > 1
    return "; ".join(f"`{one.name}` {one.effect}, {one.risk}" if named else f"{one.effect}, {one.risk}" for one in made)


def test_each_tool_has_a_row_with_its_effect_and_risk() -> None:
    web = http("example.org", send=True)
    look, change = command({"ls": []}), command({"ls": []}, folder="notes", writable=True)
    weak = python(at_least="limits")
    expected = {
        "calculator": declared(calculator),
        "workspace": declared(*workspace("notes")),
        "archives": declared(*archives("notes")),
        "command": f'{declared(look)}; with `writable=True` or `at_least="limits"` {declared(change)}',
        "http": declared(*web).replace("; ", "; with `send=True` also "),
        "python": f'{declared(python())}; with `at_least="limits"` {declared(weak)}',
        "memory": declared(*memory(Index("rye"))),
        "knowledge_search": declared(knowledge_search(cast("Any", Index("rye")))),
    }
    rows = re.findall(r"^\| `(\w+)[^|]*` \| ([^|]+) \|", PAGE.partition("## Tools that come with Collegium")[2], re.M)

    assert {name: said for name, said in rows if name in expected} == expected
    assert set(expected) == set(vars(tools)["_BUILTIN"])

"""Arguments of tools: what a model may write, for tools made from functions and for those of MCP servers."""
# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# odd values have no types

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from collegium.core.errors import InvalidArguments
from collegium.runs import call_tool
from collegium.tools import Tool, calculator
from collegium.tools.mcp import McpTool
from collegium.tools.mcp.config import read_servers
from collegium.tools.mcp.connection import Connection
from collegium.tools.mcp.limits import McpLimits
from collegium.tools.mcp.pins import Listed

from .corpus import json_texts, objects, texts, whole
from .graphs import find, pay
from .judging import Door, Outcome

ARGUMENTS = ("title", "count", "part", "kind")
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 50, "pattern": "^(a+)+$"},
        "count": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
        "part": {"$ref": "#/$defs/part"},
        "kind": {"enum": ["a", "b"]},
    },
    "required": ["title"],
    "$defs": {"part": {"type": "object", "properties": {"part": {"$ref": "#/$defs/part"}}}},
}


def door(folder: Path) -> Door:
    """Calls outside of a run, so of tools that read; the others are validated only."""
    (server,) = read_servers({"mcpServers": {"far": {"command": "never started"}}})
    foreign = McpTool(Connection(server, {}, McpLimits()), Listed("find", "Find.", SCHEMA), 1000)
    tools: dict[str, Tool] = {"find": find, "pay": pay, "far": foreign, "calculator": calculator}

    def attempt(example: tuple[str, Any]) -> Outcome:
        chosen, given = tools[example[0]], whole(example[1])
        if chosen.effect == "read":
            result = asyncio.run(call_tool(chosen, given))
            assert result.status in ("ok", "error")
            assert result.status == "ok" or result.content.strip()
            return "accepted" if result.status == "ok" else "refused"
        try:
            chosen.validate(given if isinstance(given, dict) else {"title": given})
        except InvalidArguments as error:
            assert chosen.name in str(error)
            assert error.problem.strip()
            return "refused"
        return "accepted"

    fitting = st.fixed_dictionaries(
        {"title": texts()}, optional={"kind": st.sampled_from("ab"), "count": st.integers()}
    )
    expression = st.builds(
        lambda text: {"expression": text}, st.one_of(texts(), st.text("0123456789+-*/().^ e", max_size=30))
    )
    payment = objects("to", "amount", "words")
    given = st.one_of(objects(*ARGUMENTS), json_texts(), fitting, expression, payment)
    return Door("calls", st.tuples(st.sampled_from(sorted(tools)), given), attempt)

"""Files that a user or another program wrote: MCP servers, their approvals, input, recordings, rankings."""
# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# odd values have no types

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from . import graphs
from .corpus import content_bytes, contents, json_texts, texts, values, whole
from .graphs import FIELDS
from .judging import Door, Outcome, command, judged_command

FILE = "odd.file"
COMMANDS: dict[str, list[str]] = {
    "servers": ["mcp", "list", FILE],
    "approvals": ["mcp", "list", "mcp.json"],
    "input": ["run", "flow.py", "--input", FILE],
    "recording": ["run", "flow.py", "plain", "--replay", FILE],
    "ranking": ["eval", "ranking", FILE, "--qrels", "grades.jsonl"],
    "grades": ["eval", "ranking", "ranking.jsonl", "--qrels", FILE],
    "graph": ["check", "odd.py"],
}
SERVER = {"command": "npx", "args": ["-y"], "env": {"A": "b"}, "cwd": "/", "collegium": {"risk": "low", "tools": {}}}
RANKED = {"query_id": "q", "doc_id": "d", "score": 1.0}
GRADED = {"query_id": "q", "doc_id": "d", "grade": 1}


def door(folder: Path) -> Door:
    """A project whose files are as they should be, but for one."""
    home = os.getcwd()
    os.chdir(folder)
    Path(".collegium").mkdir()
    Path("flow.py").write_text(Path(graphs.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    Path("mcp.json").write_text(json.dumps({"mcpServers": {"files": SERVER}}), encoding="utf-8")
    Path("ranking.jsonl").write_text(json.dumps(RANKED) + "\n", encoding="utf-8")
    Path("grades.jsonl").write_text(json.dumps(GRADED) + "\n", encoding="utf-8")
    command(["run", "flow.py", "plain", "--record", "right.json"])
    right = Path("right.json").read_text(encoding="utf-8")
    places = {"approvals": Path(".collegium/mcp-pins.json"), "graph": Path("odd.py")}

    def attempt(example: tuple[str, Any, bool]) -> Outcome:
        kind, content, terminal = example
        file = places.get(kind, Path(FILE))
        file.write_bytes(_bytes(content, right))
        try:
            return judged_command(COMMANDS[kind], terminal=terminal)
        finally:
            file.unlink()

    return Door("configuration", examples(), attempt, lambda: os.chdir(home))


def examples() -> st.SearchStrategy[Any]:
    """A kind of file, and what is in it: nearly right, JSON, or anything."""
    kinds = [
        st.tuples(st.just(kind), st.one_of(right, json_texts(), contents()), st.booleans())
        for kind, right in nearly_right().items()
    ]
    return st.one_of(*kinds)


def nearly_right() -> dict[str, st.SearchStrategy[Any]]:
    """Files with one or two values that are not as they should be."""
    value = st.one_of(values(), texts())
    server = st.dictionaries(st.sampled_from([*SERVER, "url", "headers", "type", "disabled", "timeout"]), value)
    settings = st.dictionaries(st.sampled_from(["risk", "effect", "only", "tools", "timeout_s", "plain_http"]), value)
    entry = st.builds(lambda odd, said: {**SERVER, **odd, "collegium": said}, server, settings)
    servers = st.one_of(entry, server, value)
    pinned = st.dictionaries(st.sampled_from(["digest", "shown", "tools"]), value)
    line = st.dictionaries(st.sampled_from(["query_id", "doc_id", "score", "rank", "grade"]), value)
    lines = st.lists(line, max_size=3).map(lambda rows: "\n".join(_json(row) for row in rows))
    return {
        "servers": st.dictionaries(texts(), servers, max_size=2).map(lambda made: _json({"mcpServers": made})),
        "approvals": pinned.map(lambda made: _json({"version": 1, "servers": {"files": made}})),
        "input": st.dictionaries(st.sampled_from(FIELDS), value, max_size=3).map(_json),
        "recording": st.tuples(st.integers(0, 10_000), texts()),
        "ranking": lines,
        "grades": lines,
        "graph": texts(),
    }


def _bytes(content: Any, right: str) -> bytes:
    if isinstance(content, tuple):
        place, odd = content
        cut = place % len(right)
        return f"{right[:cut]}{odd}{right[cut + 1 :]}".encode("utf-8", "surrogatepass")
    return content_bytes(whole(content))


def _json(value: Any) -> str:
    return json.dumps(value, default=str)

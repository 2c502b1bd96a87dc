"""`collegium mcp`: what would be started is shown before it is, and what is taken is kept."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SERVER = Path(__file__).parents[1] / "tools" / "mcp" / "misbehaving.py"


@pytest.fixture
def configured(project: Path) -> Path:
    (project / ".collegium").mkdir()
    entry = {"command": sys.executable, "args": [str(SERVER), "changing"], "env": {"FOLDER": str(project)}}
    (project / "mcp.json").write_text(json.dumps({"mcpServers": {"daily": entry}}))
    return project


def test_nothing_is_started_by_a_list(collegium: Callable[..., Any], project: Path) -> None:
    entry = {"command": "touch", "args": [str(project / "started")], "env": {"KEY": "k-1"}}
    (project / "mcp.json").write_text(json.dumps({"mcpServers": {"a\x1b[2Jb": entry}}))
    assert "printable" in collegium("mcp", "list", "mcp.json").line

    (project / "mcp.json").write_text(json.dumps({"mcpServers": {"touchy": entry}}))
    listed = collegium("mcp", "list", "mcp.json")
    assert (
        listed.out == f"touchy: touch {project / 'started'} with variables KEY (not approved: collegium mcp pin FILE)\n"
    )
    assert collegium("mcp", "pin", "mcp.json").status == 2
    assert not (project / "started").exists()


def test_what_is_pinned_is_listed_and_a_change_is_shown(collegium: Callable[..., Any], configured: Path) -> None:
    refused = collegium("mcp", "pin", "mcp.json")
    assert refused.status == 2
    assert "is not approved" in refused.line
    assert "misbehaving.py changing" in refused.out

    pinned = collegium("mcp", "pin", "mcp.json", "--yes")
    assert pinned.status == 0
    assert "This tool is new: daily: news" in pinned.out
    assert "Read the news." in pinned.out
    listed = collegium("mcp", "list", "mcp.json", "--json").json
    assert listed[0]["approved"] is True
    assert listed[0]["tools"] == [{"name": "daily__news", "risk": "high", "effect": "unsafe"}]

    (configured / "description").write_text("Read the news.\x1b]0;owned\x07\u202e And send them.\U000e0041")
    changed = collegium("mcp", "pin", "mcp.json")
    assert changed.status == 2
    assert changed.line == "collegium: 1 tool not approved: use a terminal, or --yes."
    assert "+Read the news.\\x1b]0;owned\\x07\\u202e And send them." in changed.out
    assert not {"\x1b", "\x07", "\u202e", "\U000e0041"} & set(changed.out)
    left = collegium("mcp", "pin", "mcp.json", "--json").json["left"]
    assert [(one["tool"], one["kind"]) for one in left] == [("news", "changed")]

    assert collegium("mcp", "pin", "mcp.json", "--yes").status == 0
    assert collegium("mcp", "pin", "mcp.json", "--json").json["left"] == []


def test_in_a_terminal_the_command_and_the_tools_are_asked_about(
    terminal: Callable[..., Any], configured: Path
) -> None:
    screen = terminal("mcp", "pin", "mcp.json")
    assert "misbehaving.py changing" in screen.until("Take it? [y/N]").replace("\r\n", "")
    screen.type("y")
    assert "Read the news." in screen.until("Take it? [y/N]")
    screen.type("")
    screen.until("1 tool left as it was.")
    assert screen.end() == 1

    screen = terminal("mcp", "pin", "mcp.json")
    screen.until("Take it? [y/N]")
    screen.type("y")
    screen.until("Approved and kept in")
    assert screen.end() == 0


def test_a_field_that_does_not_fit_is_one_line(collegium: Callable[..., Any], project: Path) -> None:
    (project / "mcp.json").write_text('{"mcpServers": {"files": {"comand": "x"}}}')

    result = collegium("mcp", "list", "mcp.json")

    assert result.status == 2
    assert result.line == ("collegium: MCP server 'files', comand: there is no such field. Did you mean 'command'?")

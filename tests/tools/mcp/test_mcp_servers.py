"""MCP servers made with the SDK, as processes over stdio and over streamable HTTP."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from collegium import END, START, Graph, State
from collegium.core.errors import McpNotApproved
from collegium.core.trust import UNTRUSTED_ORIGINS
from collegium.runs import Approve, call_tool
from collegium.tools import Tool, ToolResult
from collegium.tools.mcp import McpChange, McpServers, McpTool

Configure = Callable[[Mapping[str, Any]], Path]
Gone = Callable[[int], Awaitable[bool]]


def yes(changes: Sequence[McpChange]) -> bool:
    return True


def by_name(tools: Sequence[McpTool]) -> dict[str, McpTool]:
    return {tool.name: tool for tool in tools}


async def test_tools_of_a_server_are_used_like_any_other(
    configure: Configure, shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with McpServers.from_file(configure({"shop": shop}), approve=yes) as servers:
        tools = by_name(servers.tools())
        add = tools["shop__add"]
        assert isinstance(add, Tool)
        assert (add.description, add.parameters["required"]) == ("Add two numbers.", ["a", "b"])

        # values as JSON types, errors as results, arguments checked before anything is sent
        assert (await call_tool(add, {"a": 1, "b": 2})).data == 3
        refused = await call_tool(add, {"a": "one", "b": 2})
        assert (refused.status, "'a'" in refused.content) == ("error", True)
        failed = await call_tool(tools["shop__fail"], {})
        assert (failed.status, "the shop is closed" in failed.content) == ("error", True)
        seen = await call_tool(tools["shop__picture"], {})
        assert seen.content == "a door\n[image: image/png, 8 characters of base64]"

        # what it returns is untrusted, whatever it says
        planted = await call_tool(tools["shop__look_up"], {"topic": "rye"})
        assert planted.origin == "mcp"
        assert planted.origin in UNTRUSTED_ORIGINS
        assert "ignore your orders" in planted.content

        # no secret of ours is in its environment, what the configuration names is
        variables = (await call_tool(tools["shop__variables"], {})).data
        assert isinstance(variables, list)
        assert "NOTES" in variables
        assert {"OPENAI_API_KEY"} & set(map(str, variables)) == set()
        assert set(variables) <= {"HOME", "LC_CTYPE", "LOGNAME", "NOTES", "PATH", "SHELL", "TERM", "USER"}

        # a result that is too long is cut and says so
        long = await call_tool(tools["shop__long_text"], {"size": 200_000})
        assert len(long.content) < 101_000
        assert long.content.endswith("[cut: the first 100,000 of 200,002 characters]")


async def test_a_call_waits_for_a_person_until_the_user_says_otherwise(
    configure: Configure, shop: dict[str, Any], tmp_path: Path
) -> None:
    del shop["collegium"]
    shop["collegium"] = {"tools": {"add": {"risk": "low", "effect": "read"}}}
    servers = McpServers.from_file(configure({"shop": shop}), approve=yes)
    async with servers:
        tools = by_name(servers.tools())
        assert (tools["shop__add"].risk, tools["shop__add"].effect) == ("low", "read")
        # the server's own hint (`readOnlyHint` on `add`) would have said the same of it, and is not read
        assert {(tool.risk, tool.effect) for name, tool in tools.items() if name != "shop__add"} == {("high", "unsafe")}
        graph = writing(tools["shop__note"])

        run = await graph.run({"text": "rye"})
        assert run.status == "waiting"
        assert run.approvals[0].payload["args"] == {"text": "rye"}
        assert not (tmp_path / "notes").exists()

        run = await run.answer(run.approvals[0].id, Approve(by="ada"))
        assert run.state.receipt is not None
        assert (run.state.receipt.content, run.state.receipt.origin) == ("written", "mcp")
        assert (tmp_path / "notes").read_text() == "rye\n"


class Note(State):
    text: str
    receipt: ToolResult | None = None


def writing(tool: McpTool) -> Graph[Note]:
    async def write(text: str) -> ToolResult:
        return await call_tool(tool, {"text": text})

    graph = Graph(Note, name="writing")
    graph.add_node("write", write, writes="receipt")
    graph.add_edge(START, "write")
    graph.add_edge("write", END)
    return graph


async def test_a_hanging_call_ends_the_server_with_its_children_and_is_in_doubt(
    configure: Configure, shop: dict[str, Any], tmp_path: Path, gone: Gone
) -> None:
    # time enough for the call to begin on a slow machine; the server would hang for ten minutes
    shop["collegium"] = {"timeout_s": 3, "risk": "low", "effect": "unsafe", "connect_timeout_s": 60}
    async with McpServers.from_file(configure({"shop": shop}), approve=yes) as servers:
        hang = by_name(servers.tools())["shop__hang"]

        async def act(text: str) -> ToolResult:
            return await call_tool(hang, {})

        graph = Graph(Note, name="hanging")
        graph.add_node("act", act, writes="receipt")
        graph.add_edge(START, "act")
        graph.add_edge("act", END)
        run = await graph.run({"text": ""})

        assert [approval.kind for approval in run.approvals] == ["in_doubt"]
        for pid in (tmp_path / "notes").read_text().split():
            assert await gone(int(pid))


async def test_a_server_over_http_is_used_like_a_local_one_and_same_names_stay_apart(
    configure: Configure, http_url: str, misbehaving: Callable[..., dict[str, Any]]
) -> None:
    harmless = {"risk": "low", "effect": "read"}
    path = configure(
        {
            "far": {"type": "http", "url": http_url, "headers": {"X-Key": "${KEY}"}, "collegium": harmless},
            "near": {"url": http_url, "collegium": {"only": ["add", "long_text"], **harmless}},
            "local": misbehaving("normal"),
        }
    )
    async with McpServers.from_file(path, approve=yes, environ={"KEY": "k-1"}) as servers:
        tools = by_name(servers.tools())
        assert {"far__add", "near__add", "local__act"} <= set(tools)
        assert [tool.name for tool in servers.tools("near")] == ["near__add", "near__long_text"]

        assert (await call_tool(tools["far__add"], {"a": 1, "b": 2})).data == 3
        assert (await call_tool(tools["near__add"], {"a": 2, "b": 2})).data == 4
        assert (await call_tool(tools["local__act"], {})).content == "normal acted"
        flooded = await call_tool(tools["near__long_text"], {"size": 20_000_000})
        assert flooded.status == "error"
        assert "message of more than 8,388,608 bytes" in flooded.content
        assert (await call_tool(tools["near__add"], {"a": 2, "b": 3})).data == 5
    pinned = json.loads((path.parent / ".collegium" / "mcp-pins.json").read_text())
    assert pinned["servers"]["far"]["shown"] == f"{http_url} with headers X-Key"
    assert "k-1" not in json.dumps(pinned)


async def test_nothing_is_started_before_its_command_was_shown_and_approved(
    configure: Configure, shop: dict[str, Any], tmp_path: Path
) -> None:
    started = tmp_path / "started"
    path = configure({"evil": {"command": "touch", "args": [str(started)], "env": {"TOKEN": "t-1"}}})
    asked: list[McpChange] = []

    def no(changes: Sequence[McpChange]) -> bool:
        asked.extend(changes)
        return False

    with pytest.raises(McpNotApproved, match=f"touch {started} with variables TOKEN"):
        async with McpServers.from_file(path, approve=no):
            raise AssertionError("it was entered")
    with pytest.raises(McpNotApproved):
        McpServers.from_file(path).tools()

    assert [(change.kind, change.after) for change in asked] == [("start", f"touch {started} with variables TOKEN")]
    assert not started.exists()

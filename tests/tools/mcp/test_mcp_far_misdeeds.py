"""What a server spoken to over HTTP may try, and what becomes of it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from collegium.runs import call_tool
from collegium.tools.mcp import McpChange, McpLimits, McpServers, McpTool

Configure = Callable[[Mapping[str, Any]], Path]
Entry = Callable[..., dict[str, Any]]


def yes(changes: Sequence[McpChange]) -> bool:
    return True


def by_name(tools: Sequence[McpTool]) -> dict[str, McpTool]:
    return {tool.name: tool for tool in tools}


async def comes(path: Path) -> bool:
    """Whether a file is there within some seconds."""
    for _ in range(1_000):
        if await asyncio.to_thread(path.exists):
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("mode", "problem"),
    [
        ("flood_messages", "more than 2,000 messages in a short time"),
        ("flood_requests", "more than 2,000 messages in a short time"),
        ("flood_split", "more than 2,000 messages in a short time"),
        ("flood_line", "a message of more than 8,388,608 bytes"),
    ],
)
async def test_a_stream_that_floods_is_cut_off_and_the_next_call_connects_anew(
    configure: Configure, far: Entry, tmp_path: Path, mode: str, problem: str
) -> None:
    async with McpServers.from_file(configure({"far": far(mode)}), approve=yes) as servers:
        act = by_name(servers.tools())["far__act"]

        first = await call_tool(act, {})
        second = await call_tool(act, {})

        assert await comes(tmp_path / "hung_up")
    assert (first.status, second.status) == ("error", "error")
    assert problem in first.content
    assert problem in second.content


async def test_a_call_without_an_answer_is_left_and_the_server_hears_of_it(configure: Configure, far: Entry) -> None:
    async with McpServers.from_file(configure({"far": far("deaf", timeout_s=0.5)}), approve=yes) as servers:
        act = by_name(servers.tools())["far__act"]

        results = [await call_tool(act, {}) for _ in range(2)]

    told = "TimeoutError: far: no answer about 'act' within 0.5 s; the server was ended."
    assert [(result.status, result.content) for result in results] == [("error", told)] * 2


async def test_a_description_that_changes_while_connected_is_noticed_before_the_next_call(
    configure: Configure, far: Entry
) -> None:
    async with McpServers.from_file(configure({"far": far("telling")}), approve=yes) as servers:
        news = by_name(servers.tools())["far__news"]

        first = await call_tool(news, {})
        second = await call_tool(news, {})

    assert first.content == "telling acted"
    assert "its description changed after it was approved" in second.content


async def test_a_server_that_tells_nobody_is_asked_for_its_tools_again_after_a_while(
    configure: Configure, far: Entry, tmp_path: Path
) -> None:
    limits = McpLimits(relist_after_s=0)
    async with McpServers.from_file(configure({"far": far("changing")}), approve=yes, limits=limits) as servers:
        news = by_name(servers.tools())["far__news"]
        assert (await call_tool(news, {})).status == "ok"
        (tmp_path / "description").write_text("Read other news.")

        assert "its description changed after it was approved" in (await call_tool(news, {})).content


async def test_a_call_is_not_carried_to_another_origin(configure: Configure, far: Entry) -> None:
    async with listening() as (address, heard):
        path = configure({"far": far("redirecting", elsewhere=f"{address}/mcp", timeout_s=5)})
        async with McpServers.from_file(path, approve=yes) as servers:
            result = await call_tool(by_name(servers.tools())["far__act"], {})

    assert result.status == "error"
    assert heard == []


@asynccontextmanager
async def listening() -> AsyncGenerator[tuple[str, list[bytes]]]:
    """An address, and what came there."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        yield f"http://{host}:{port}", heard

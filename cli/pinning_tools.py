"""`mcp list` and `mcp pin`: what a configuration would start, and what of it the user takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .failures import DONE, FAILED, WRONG_USAGE, complain
from .terminal import Terminal, is_interactive, make_console
from .text import clean, one_line, plural, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ..tools.mcp import McpChange, McpServers

_TITLES = {
    "start": "This would be started or spoken to",
    "new": "This tool is new",
    "changed": "This tool has changed since it was approved",
    "gone": "This tool is no longer offered",
    "unusable": "This tool cannot be used",
}


def list_servers(file: Path, *, as_json: bool) -> int:
    """Show what is configured and what of it is approved; nothing is started."""
    from ..tools.mcp import McpServers

    servers = McpServers.from_file(file)
    shown = [_server_json(servers, server.name) for server in servers.servers]
    if as_json:
        print_json(shown)
        return DONE
    console = make_console()
    for one in shown:
        state = "approved" if one["approved"] else "not approved: collegium mcp pin FILE"
        console.print(one_line(f"{one['server']}: {one['start']} ({state})"), style="bold")
        for tool in one["tools"]:
            console.print(one_line(f"  {tool['name']}  risk {tool['risk']}, effect {tool['effect']}"))
    if not shown:
        console.print("No server is configured.", style="dim")
    return DONE


def pin(file: Path, *, yes: bool, as_json: bool) -> int:
    """Start each server once its command is approved, show its tools, and keep what is approved."""
    from ..tools.mcp import McpServers

    console = make_console(error=as_json)
    clerk = _Clerk(console, yes=yes, asks=is_interactive() and not as_json)
    servers = McpServers.from_file(file, approve=clerk.approve)
    asyncio.run(_connected(servers))
    if as_json:
        kept = [_server_json(servers, server.name) for server in servers.servers]
        print_json({"servers": kept, "left": [_change_json(change) for change in servers.changes]})
    return clerk.status(servers)


async def _connected(servers: McpServers) -> None:
    async with servers:
        pass


@dataclass
class _Clerk:
    """Shows changes and asks whether to take them."""

    console: Console
    yes: bool
    asks: bool
    taken: int = 0

    async def approve(self, changes: Sequence[McpChange]) -> bool:
        for change in changes:
            self._show(change)
        wanted = [change for change in changes if change.can_be_approved]
        if self.yes or not wanted:
            agreed = True
        elif self.asks:
            agreed = await self._ask(wanted)
        else:
            agreed = False
        self.taken += len(wanted) if agreed else 0
        return agreed

    def status(self, servers: McpServers) -> int:
        left = [change for change in servers.changes if change.can_be_approved]
        for change in servers.changes:
            if change.kind == "unusable":
                self._show(change)
        if left and not self.asks:
            return complain(f"{plural(len(left), 'tool')} not approved: use a terminal, or --yes.", WRONG_USAGE)
        if left:
            self.console.print(f"{plural(len(left), 'tool')} left as it was.", style="dim")
            return FAILED
        self.console.print(one_line(f"Approved and kept in {servers.pins.path}"))
        return DONE

    def _show(self, change: McpChange) -> None:
        name = f"{change.server}: {change.tool}" if change.tool else change.server
        self.console.print(one_line(f"{_TITLES[change.kind]}: {name}"), style="bold")
        for line in change.lines():
            self.console.print(f"  {clean(line)}")

    async def _ask(self, wanted: Sequence[McpChange]) -> bool:
        terminal = Terminal(self.console)
        what = "it" if len(wanted) == 1 else f"these {len(wanted)}"
        with terminal.catching_interrupts():
            try:
                return (await terminal.line(f"Take {what}? [y/N] ")).strip().lower() in ("y", "yes")
            except EOFError:
                return False


def _server_json(servers: McpServers, name: str) -> dict[str, Any]:
    server = next(one for one in servers.servers if one.name == name)
    approved = servers.pins.start_change(server) is None
    tools = servers.tools(name) if approved else []
    return {
        "server": name,
        "start": server.shown,
        "approved": approved,
        "tools": [{"name": tool.name, "risk": tool.risk, "effect": tool.effect} for tool in tools],
    }


def _change_json(change: McpChange) -> dict[str, Any]:
    return {"server": change.server, "tool": change.tool, "kind": change.kind, "now": change.after}

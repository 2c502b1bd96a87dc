"""The servers of one configuration: connected, their tools compared with what was approved, and ended again."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from ...core.errors import InvalidTool, McpNotApproved, UnknownTarget
from .config import Server, read_config
from .connection import Connection
from .limits import McpLimits
from .pins import Listed, McpChange, Pins, pins_path
from .tool import McpTool, as_mcp_tools

Approve = Callable[[Sequence[McpChange]], bool | Awaitable[bool]]
"""Asks a person about changes of one server: its start, shown before anything is started, or its tools."""


class McpServers:
    """MCP servers, and their tools as tools of an agent.

    `async with McpServers.from_file("mcp.json") as servers:` connects to all of them and ends them after the block.
    Without a block nothing is started until a tool is called; the servers then end with the event loop. Either way
    only what the user approved is started, and only tools that are as they were approved are called.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        pins: Pins,
        *,
        approve: Approve | None = None,
        environ: Mapping[str, str] | None = None,
        limits: McpLimits | None = None,
    ) -> None:
        self.servers = tuple(servers)
        self.pins = pins
        self.changes: tuple[McpChange, ...] = ()
        """What differs from what was approved, as the last connecting found it."""
        self._approve, self._limits = approve, limits or McpLimits()
        values = os.environ if environ is None else environ
        self._connections = {server.name: Connection(server, values, self._limits) for server in servers}

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        pins: str | os.PathLike[str] | None = None,
        approve: Approve | None = None,
        environ: Mapping[str, str] | None = None,
        limits: McpLimits | None = None,
    ) -> McpServers:
        """The servers of a file that has `mcpServers`. Nothing is started by this.

        Args:
            path: The file, JSON, as other clients use it.
            pins: Where approvals are kept; default: `mcp-pins.json` in the `.collegium` folder at or above the file.
            approve: Is asked about what is not approved; what it says yes to is kept. Without it, unapproved starts
                raise and unapproved tools are not offered.
            environ: Where `${NAME}` is looked up; default: the process's environment.
            limits: On what servers may send.

        Raises:
            InvalidMcpConfig: A field of the file, or the file of approvals, does not fit.
        """
        kept = Path(pins) if pins is not None else pins_path(Path(path))
        return cls(read_config(path), Pins(kept), approve=approve, environ=environ, limits=limits)

    async def __aenter__(self) -> McpServers:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connect to every server and compare its tools with what was approved.

        Raises:
            McpNotApproved: A server's command or address is not approved; nothing was started.
            McpServerError: A server cannot be started or reached.
            MissingExtra: The SDK is not installed.
        """
        for server in self.servers:
            server_change = self.pins.start_change(server)
            if server_change and await self._asked([server_change]):
                self.pins.approve_start(server)
        self._check_starts(self.servers)
        names = [server.name for server in self.servers]
        # gathered, not raced: a failure must not leave another server half started
        found = await asyncio.gather(*(self._connections[name].listed() for name in names), return_exceptions=True)
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome
        listed = {name: tools for name, tools in zip(names, found, strict=True) if not isinstance(tools, BaseException)}
        self.changes = tuple([left for server in self.servers for left in await self._review(server, listed)])
        self.pins.save()

    async def close(self) -> None:
        """End all connections, and the processes of local servers."""
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))

    def tools(self, *servers: str) -> list[McpTool]:
        """The approved tools, of all servers or of those named.

        They are made from what was approved, so this reads no network and starts nothing. A tool that its server
        has changed since is in the list, in its approved words; a call of it is refused and says what changed.

        Raises:
            UnknownTarget: No server has this name.
            McpNotApproved: A server was never approved.
            InvalidTool: Two tools have one name.
        """
        chosen = [self._named(name) for name in servers] or list(self.servers)
        self._check_starts(chosen)
        return as_mcp_tools([self._tool(server, tool) for server in chosen for tool in self._approved(server)])

    def _approved(self, server: Server) -> list[Listed]:
        return [tool for tool in self.pins.tools(server) if server.takes(tool.name)]

    def _tool(self, server: Server, approved: Listed) -> McpTool:
        return McpTool(self._connections[server.name], approved, self._limits.result_chars)

    def _named(self, name: str) -> Server:
        for server in self.servers:
            if server.name == name:
                return server
        raise UnknownTarget(name, [server.name for server in self.servers], "MCP servers")

    def _check_starts(self, servers: Sequence[Server]) -> None:
        changes = [change for server in servers if (change := self.pins.start_change(server))]
        if changes:
            raise McpNotApproved(changes[0].server, changes[0].before, changes[0].after)

    async def _asked(self, changes: Sequence[McpChange]) -> bool:
        if self._approve is None or not changes:
            return False
        said = self._approve(changes)
        return await said if inspect.isawaitable(said) else said

    async def _review(self, server: Server, listed: Mapping[str, Mapping[str, Listed]]) -> list[McpChange]:
        """What stays unapproved of a server after the user was asked."""
        usable: dict[str, Listed] = {}
        refused: list[McpChange] = []
        for name, tool in listed[server.name].items():
            try:
                self._tool(server, tool)
                usable[name] = tool
            except InvalidTool as error:
                refused.append(McpChange(server.name, name, "unusable", "", error.problem))
        changes = self.pins.changes(server, usable)
        if await self._asked(changes):
            self.pins.approve_tools(server, usable)
            changes = []
        return changes + refused

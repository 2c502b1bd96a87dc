"""One server, connected: a task of its own enters and leaves the SDK's client, so callers may be any task."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ...core.errors import McpServerError, MissingExtra
from .config import Server
from .limits import McpLimits, Meter
from .pins import Listed
from .stdio import Child, stdio_transport

if TYPE_CHECKING:
    from mcp.client.session import ClientSession
    from mcp.types import CallToolResult, ListToolsResult

T = TypeVar("T")

_LEAVE_S = 10.0


class NotOffered(Exception):
    """The server, as it is now, does not list the tool."""


class Connection:
    """The way to one server, made when it is needed and made again after it broke."""

    def __init__(self, server: Server, environ: Mapping[str, str], limits: McpLimits) -> None:
        self.server, self._environ, self._limits = server, environ, limits
        self._live: _Live | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Whether the server answers, as far as is known."""
        return self._live is not None and self._live.why == ""

    async def listed(self, *, fresh: bool = False) -> Mapping[str, Listed]:
        """The tools that the server lists, by name.

        Args:
            fresh: Ask again even if it was asked a moment ago.

        Raises:
            McpServerError: It cannot be started or reached, or listed more than it may.
            MissingExtra: The SDK is not installed.
        """
        self._join_loop()
        async with self._lock:
            live = await self._alive()
            if fresh or live.stale:
                await self._within(live, live.list_tools(), self.server.settings.connect_timeout_s, "its tools")
            return live.tools

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Call a tool of the server; `listed` comes first.

        Raises:
            TimeoutError: No answer in time; the server was ended, as what it does is not known.
            ConnectionError: The connection broke before the answer.
            McpServerError: The server refused the call.
        """
        live = self._live
        if live is None or live.why:
            raise NotOffered(tool)
        return await self._within(live, live.call(tool, arguments), self.server.settings.timeout_s, repr(tool))

    async def close(self) -> None:
        """End the connection, and the process of a local server."""
        live, self._live = self._live, None
        if live is not None:
            await live.leave("it was closed")

    def _join_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self.connected and self._loop is not None and not self._loop.is_closed():
            raise McpServerError(self.server.name, "it was connected in another event loop; use it there.")
        self._loop, self._lock, self._live = loop, asyncio.Lock(), None

    async def _alive(self) -> _Live:
        if self._live is None or self._live.why:
            await self.close()
            live = _Live(self.server.expanded(self._environ), self._limits)
            try:
                await live.enter()
            except BaseException:
                await live.leave("it could not be connected")
                raise
            self._live = live
        return self._live

    async def _within(self, live: _Live, work: Awaitable[T], limit_s: float, what: str) -> T:
        try:
            async with asyncio.timeout(limit_s):
                return await work
        except TimeoutError:
            # The SDK has told the server to stop; whether it did is unknown, and so is what it would answer next.
            await live.leave(f"no answer within {limit_s:g} s")
            problem = f"{self.server.name}: no answer about {what} within {limit_s:g} s; the server was ended."
            raise TimeoutError(problem) from None


class _Live:
    """One life of a connection."""

    def __init__(self, server: Server, limits: McpLimits) -> None:
        self.server, self._limits = server, limits
        self.why = ""
        """Why it is over; empty while it is not."""
        self.tools: dict[str, Listed] = {}
        self._loop = asyncio.get_running_loop()
        self._listed_at, self._changed = 0.0, False
        self._child = Child()
        self._over = asyncio.Event()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ready.add_done_callback(_seen)
        self._owner: asyncio.Task[None] | None = None
        self._session: ClientSession | None = None

    @property
    def stale(self) -> bool:
        """Whether the list of tools may have changed."""
        return self._changed or self._loop.time() - self._listed_at > self._limits.relist_after_s

    async def enter(self) -> None:
        """Connect, shake hands and list the tools.

        Raises:
            McpServerError: Any of this failed or took too long.
        """
        # An empty context: the connection outlives the run and the node that happened to need it first.
        self._owner = self._loop.create_task(self._own(), context=contextvars.Context())
        limit_s = self.server.settings.connect_timeout_s
        await asyncio.wait((self._ready,), timeout=limit_s)
        if not self._ready.done():
            self._cut(f"it did not answer within {limit_s:g} s")
            raise self._trouble()
        self._ready.result()

    async def leave(self, why: str) -> None:
        """End it, and wait until it has ended; a process that was not asked politely is killed."""
        polite = self.why == "" and self._ready.done() and why == "it was closed"
        self._cut(why, kill=not polite)
        if self._owner is None or self._owner.done():
            return
        if not self._ready.done():
            self._owner.cancel()
        await asyncio.wait((self._owner,), timeout=_LEAVE_S)
        if not self._owner.done():
            self._child.kill()
            self._owner.cancel()
            await asyncio.wait((self._owner,), timeout=_LEAVE_S)

    async def list_tools(self) -> None:
        """Ask for the tools, page by page.

        Raises:
            McpServerError: There are more, or larger ones, than the limits allow.
        """
        assert self._session
        self._changed = False
        found: dict[str, Listed] = {}
        cursor: str | None = None
        for _ in range(self._limits.list_pages):
            page = await self._page(cursor)
            for tool in page.tools:
                if tool.name in found:
                    raise McpServerError(self.server.name, f"it lists two tools of the name {tool.name!r:.100}.")
                found[tool.name] = self._bounded(Listed(tool.name, tool.description or "", tool.input_schema))
            if len(found) > self._limits.tools:
                raise McpServerError(self.server.name, f"it lists more than {self._limits.tools} tools.")
            cursor = page.next_cursor
            if cursor is None:
                self.tools, self._listed_at = found, self._loop.time()
                return
        raise McpServerError(self.server.name, f"its list of tools has more than {self._limits.list_pages} pages.")

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """One call; see `Connection.call`."""
        from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult, InputRequiredResult
        from pydantic import TypeAdapter

        assert self._session
        # Not session.call_tool: that checks the result against a schema of the server's, whose patterns could keep
        # this process busy for ever. The result is untrusted either way.
        shape: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)
        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=dict(arguments)))
        result = await self._translated(self._session.send_request(request, shape))
        if isinstance(result, InputRequiredResult):
            raise McpServerError(self.server.name, "it asks for a person or a model, and it is given neither.")
        return result

    async def _page(self, cursor: str | None) -> ListToolsResult:
        from mcp.types import PaginatedRequestParams

        assert self._session
        return await self._translated(self._session.list_tools(params=PaginatedRequestParams(cursor=cursor)))

    async def _translated(self, asking: Awaitable[T]) -> T:
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED
        from pydantic import ValidationError

        try:
            return await asking
        except MCPError as error:
            if self.why or error.code == CONNECTION_CLOSED:
                self._cut("the connection broke")
                raise ConnectionError(str(self._trouble())) from error
            if "Session terminated" in error.message:  # what the SDK says of a 404; the next call begins a new session
                self._cut("it no longer knows the session")
            raise McpServerError(self.server.name, f"it refused: {error.message:.500}") from error
        except ValidationError as error:
            detail = error.errors(include_url=False, include_input=False)[0]
            raise McpServerError(self.server.name, f"its answer breaks the protocol ({detail['msg']:.200}).") from error

    async def _own(self) -> None:
        """The task that holds the client open; the SDK's scopes must be left where they were entered."""
        try:
            async with self._client() as client:
                self._session = client.session
                try:
                    await self.list_tools()
                except (McpServerError, ConnectionError) as error:
                    self._fail(error)
                else:
                    self._ready.set_result(None)
                    await self._over.wait()
        except Exception as error:  # the SDK's and the network's own, alone or in groups: all mean that it is over
            self._fail(error)
        finally:
            self._cut("it ended")
            self._fail(None)

    def _client(self) -> Any:
        try:
            from mcp import Client
        except ImportError as error:
            raise MissingExtra("An MCP server", "mcp") from error
        for name in ("client", "mcp"):
            # The SDK logs what servers send; without a handler Python would write that to the terminal as it is.
            logger = logging.getLogger(name)
            if not logger.handlers:
                logger.addHandler(logging.NullHandler())
        return Client(self._transport(), message_handler=self._heard, client_info=_whoami(), cache=None)

    @asynccontextmanager
    async def _transport(self) -> AsyncGenerator[tuple[Any, Any]]:
        meter = Meter(self._limits, self._loop.time)
        if self.server.kind == "stdio":
            async with stdio_transport(self.server, self._child, meter, self._cut) as streams:
                yield streams
            return
        from mcp.client.streamable_http import streamable_http_client

        from .http import make_client

        async with (
            make_client(self.server, meter, self._cut) as client,
            streamable_http_client(
                self.server.url, http_client=client, max_sse_event_size=self._limits.message_bytes
            ) as streams,
        ):
            yield streams

    async def _heard(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._changed = True

    def _cut(self, why: str, *, kill: bool = True) -> None:
        if self.why == "":
            self.why = why
            self._over.set()
            if kill:
                self._child.kill()

    def _fail(self, error: BaseException | None) -> None:
        if not self._ready.done():
            known = isinstance(error, (McpServerError, MissingExtra))
            self._ready.set_exception(error if error is not None and known else self._trouble(error))

    def _trouble(self, error: BaseException | None = None) -> McpServerError:
        said = self._child.last_words.decode(errors="replace").strip()
        told = f"; its last words: {said[-500:]}" if said else ""
        error = _alone(error)
        cause = f"{type(error).__name__}: {error!s:.300}" if error is not None else self.why or "it ended"
        if self.why and error is not None and isinstance(error, ConnectionError):
            cause = self.why
        return McpServerError(self.server.name, f"{cause}{told}.")

    def _bounded(self, tool: Listed) -> Listed:
        size = len(tool.name) + len(tool.text)
        if size > self._limits.tool_chars:
            problem = (
                f"tool {tool.name!r:.100} is described in {size:,} characters; at most {self._limits.tool_chars:,}."
            )
            raise McpServerError(self.server.name, problem)
        return tool


def _seen(ready: asyncio.Future[None]) -> None:
    """Look at the outcome, so that asyncio does not complain where nobody waits for it any more."""
    if not ready.cancelled():
        ready.exception()


def _alone(error: BaseException | None) -> BaseException | None:
    """The first error of a group, which is how task groups hand on even a single one."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _whoami() -> Any:
    from importlib.metadata import version

    from mcp.types import Implementation

    return Implementation(name="collegium", version=version("collegium"))

"""A tool of an MCP server, as the rest of the program sees it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from ...core.errors import InvalidArguments, InvalidTool, ToolError
from ...core.messages import ToolSpec
from ...core.trust import Origin
from ..base import Effect, Risk, ToolContext
from .arguments import UnusableSchema, make_check
from .connection import Connection, NotOffered
from .pins import Listed

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ContentBlock

_LETTERS = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64


class McpTool:
    """A tool of a server, with the words that the user approved; satisfies `Tool`.

    Its risk and effect are what the user says in the configuration: `high` and `unsafe` unless said otherwise.
    Hints of the server (`readOnlyHint` and the like) are not read.
    """

    origin: Origin = "mcp"
    probe = None

    def __init__(self, connection: Connection, approved: Listed, result_chars: int) -> None:
        server = connection.server
        self.name = tool_name(server.name, approved.name)
        self.description = approved.description.strip() or f"The tool {approved.name} of {server.name}."
        self.parameters: dict[str, Any] = {"type": "object", "properties": {}, **approved.schema}
        self.risk: Risk
        self.effect: Effect
        self.risk, self.effect = server.settings_of(approved.name)
        # above the connection's own limit, which ends the server and says so
        self.timeout_s = server.settings.timeout_s + server.settings.connect_timeout_s + 5
        self._connection, self._approved, self._result_chars = connection, approved, result_chars
        try:
            self._check = make_check(self.parameters)
        except UnusableSchema as error:
            raise InvalidTool(self.name, f"its schema cannot be used: {error}.") from error

    def __repr__(self) -> str:
        return f"<mcp tool {self.name} effect={self.effect} risk={self.risk}>"

    @property
    def server(self) -> str:
        """The server's name in the configuration."""
        return self._connection.server.name

    def spec(self) -> ToolSpec:
        """The tool as a model sees it: in the words that were approved."""
        return ToolSpec(name=self.name, description=self.description, parameters=self.parameters)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as JSON types, checked against the approved schema; its patterns are left to the server.

        Raises:
            InvalidArguments: One does not fit; the message names it.
        """
        try:
            plain: dict[str, Any] = json.loads(json.dumps(to_jsonable_python(dict(arguments)), allow_nan=False))
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidArguments(self.name, f"the arguments have no JSON form ({error})") from error
        if problem := self._check(plain):
            raise InvalidArguments(self.name, problem)
        return plain

    async def execute(self, arguments: Mapping[str, Any], context: ToolContext[Any]) -> JsonValue:
        """Call the tool at its server; only `runs.call_tool` calls this.

        Raises:
            ToolError: The tool is not the approved one any more, or it answered with an error.
            McpServerError: The server cannot be reached, or refused.
            ConnectionError: The connection broke; whether the call had an effect is not known.
            TimeoutError: No answer in time; the same.
        """
        name = self._approved.name
        listed = (await self._connection.listed()).get(name)
        if listed is None:
            raise ToolError(self.name, f"the server {self.server!r} does not offer it any more.")
        if listed.digest != self._approved.digest:
            raise ToolError(self.name, f"not called: {_what_changed(self._approved, listed)}")
        try:
            result = await self._connection.call(name, arguments)
        except NotOffered as error:
            raise ToolError(self.name, f"not called: the server {self.server!r} ended just before.") from error
        return self._read(result)

    def _read(self, result: CallToolResult) -> JsonValue:
        text = "\n".join(_block(block) for block in result.content)
        if result.is_error:
            raise ToolError(self.name, self._cut(text) or "the server says that it failed.")
        value = result.structured_content
        if value is None:
            return self._cut(text)
        value = value["result"] if list(value) == ["result"] else value  # how servers wrap what is no object
        whole = json.dumps(value, ensure_ascii=False)
        return cast("JsonValue", value) if len(whole) <= self._result_chars else self._cut(whole)

    def _cut(self, text: str) -> str:
        if len(text) <= self._result_chars:
            return text
        return f"{text[: self._result_chars]}\n[cut: the first {self._result_chars:,} of {len(text):,} characters]"


def tool_name(server: str, tool: str) -> str:
    """What a model calls a tool: `server__tool`, in the letters that models' APIs take, at most 64 of them.

    A name that had to be changed for that ends in a digest, so that no two names become one.
    """
    first = _LETTERS.sub("_", server)
    first = re.sub("__+", "_", first).rstrip("_") or "server"
    name = f"{first}__{_LETTERS.sub('_', tool)}"
    if name == f"{server}__{tool}" and len(name) <= _LONGEST:
        return name
    mark = hashlib.sha256(json.dumps([server, tool]).encode()).hexdigest()[:8]
    return f"{name[: _LONGEST - 9]}_{mark}"


def as_mcp_tools(tools: Sequence[McpTool]) -> list[McpTool]:
    """The tools, if each has a name of its own.

    Raises:
        InvalidTool: Two have one name.
    """
    seen: dict[str, McpTool] = {}
    for tool in tools:
        if (other := seen.setdefault(tool.name, tool)) is not tool:
            raise InvalidTool(tool.name, f"servers {other.server!r} and {tool.server!r} both lead to this name.")
    return list(tools)


def _what_changed(approved: Listed, listed: Listed) -> str:
    parts = {"description": approved.description != listed.description, "schema": approved.schema != listed.schema}
    what = " and ".join(name for name, changed in parts.items() if changed)
    return (
        f"its {what} changed after it was approved. "
        "`collegium mcp pin FILE` shows the change and asks whether to take it."
    )


def _block(block: ContentBlock) -> str:
    """A part of a result as text; pictures and sounds are named, not carried."""
    from mcp.types import EmbeddedResource, ResourceLink, TextContent, TextResourceContents

    match block:
        case TextContent():
            return block.text
        case EmbeddedResource(resource=TextResourceContents() as inner):
            return inner.text
        case EmbeddedResource():
            return f"[a resource: {block.resource.uri}]"
        case ResourceLink():
            return f"[a resource: {block.uri}]"
        case _:
            return f"[{block.type}: {block.mime_type}, {len(block.data):,} characters of base64]"

"""What the user has approved of each server: how it is started, and each tool's name, description and schema.

The file is written here and read by people, so it holds the texts and not only their digests. A model reads the
texts that were approved, whatever the server says later.
"""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ...core.errors import InvalidMcpConfig
from ...core.ids import digest
from ...core.settings import project_home
from .config import Server

FILE_NAME = "mcp-pins.json"
_MAX_BYTES = 16_000_000

ChangeKind = Literal["start", "new", "changed", "gone", "unusable"]
"""start: the server's command or address is not approved. new, changed: a tool is not, or not as it is now. gone: an
approved tool is no longer offered. unusable: a tool cannot be taken at all. Only the first three can be approved."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as a server describes it."""

    name: str
    description: str
    schema: dict[str, Any] = field(hash=False)

    @property
    def digest(self) -> str:
        """Of name, description and schema."""
        return digest([self.name, self.description, self.schema])

    @property
    def text(self) -> str:
        """Description and schema, laid out to be read and compared."""
        schema = json.dumps(self.schema, indent=2, sort_keys=True, ensure_ascii=False)
        return f"{self.description}\n{schema}"


@dataclass(frozen=True, slots=True)
class McpChange:
    """Something of a server that the user has not approved as it is."""

    server: str
    tool: str | None
    """Its name at the server; None for the server itself."""
    kind: ChangeKind
    before: str
    """What was approved; empty when nothing was."""
    after: str
    """What is there instead: the exact command or address, or the tool's description and schema."""

    @property
    def can_be_approved(self) -> bool:
        """Whether approving it means anything."""
        return self.kind in ("start", "new", "changed")

    def lines(self) -> Iterator[str]:
        """The change, line by line: the whole text of something new, what differs of something changed."""
        if not self.before or not self.after:
            yield from (self.after or self.before).splitlines()
            return
        before, after = self.before.splitlines(), self.after.splitlines()
        yield from (line for line in difflib.unified_diff(before, after, "approved", "now", n=1, lineterm=""))

    def __str__(self) -> str:
        name = f"{self.server}: {self.tool}" if self.tool else self.server
        return f"{name} ({self.kind})"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _PinnedTool(_Strict):
    digest: str
    description: str
    input_schema: dict[str, Any]


class _PinnedServer(_Strict):
    digest: str
    shown: str
    tools: dict[str, _PinnedTool] = {}


class _File(_Strict):
    version: Literal[1] = 1
    servers: dict[str, _PinnedServer] = {}


class Pins:
    """The approvals of one configuration, in a file beside it."""

    def __init__(self, path: Path) -> None:
        """Read the file; one that is not there is empty.

        Raises:
            InvalidMcpConfig: The file cannot be read, or a text in it is not the one whose digest it gives.
        """
        self.path = path
        self._file = _read(path)

    def start_change(self, server: Server) -> McpChange | None:
        """What of the server's start is not approved."""
        pinned = self._file.servers.get(server.name)
        if pinned and pinned.digest == server.digest:
            return None
        return McpChange(server.name, None, "start", pinned.shown if pinned else "", server.shown)

    def tools(self, server: Server) -> list[Listed]:
        """The tools of a server that are approved, in the order of their approval."""
        pinned = self._file.servers.get(server.name)
        if pinned is None or pinned.digest != server.digest:
            return []
        return [Listed(name, tool.description, tool.input_schema) for name, tool in pinned.tools.items()]

    def changes(self, server: Server, listed: Mapping[str, Listed]) -> list[McpChange]:
        """How what a server lists differs from what is approved, of the tools that the user wants."""
        approved = {tool.name: tool for tool in self.tools(server) if server.takes(tool.name)}
        found: list[McpChange] = []
        for name, tool in listed.items():
            before = approved.get(name)
            if server.takes(name) and (before is None or before.digest != tool.digest):
                kind: ChangeKind = "changed" if before else "new"
                found.append(McpChange(server.name, name, kind, before.text if before else "", tool.text))
        gone = [tool for name, tool in approved.items() if name not in listed]
        return found + [McpChange(server.name, tool.name, "gone", tool.text, "") for tool in gone]

    def approve_start(self, server: Server) -> None:
        """Take the server as it is configured; what was approved of another start is forgotten with it."""
        if self.start_change(server):
            self._file.servers[server.name] = _PinnedServer(digest=server.digest, shown=server.shown)

    def approve_tools(self, server: Server, listed: Mapping[str, Listed]) -> None:
        """Take the tools as they are listed; those that are gone are forgotten."""
        pinned = self._file.servers[server.name]
        pinned.tools = {
            tool.name: _PinnedTool(digest=tool.digest, description=tool.description, input_schema=tool.schema)
            for tool in listed.values()
            if server.takes(tool.name)
        }

    def save(self) -> None:
        """Write the file whole, so that a crash leaves the old one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = self._file.model_dump_json(indent=2) + "\n"
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{FILE_NAME}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise


def pins_path(config: Path) -> Path:
    """Where the approvals of a configuration lie: in the `.collegium` folder at or above it."""
    return project_home(config.parent) / FILE_NAME


def _read(path: Path) -> _File:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return _File()
    except OSError as error:
        raise InvalidMcpConfig("", str(path), f"it cannot be read ({error}).") from error
    if len(text) > _MAX_BYTES:
        raise InvalidMcpConfig("", str(path), f"it is larger than {_MAX_BYTES:,} bytes.")
    try:
        found = _File.model_validate_json(text)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in detail["loc"]) or "version"
        raise InvalidMcpConfig("", f"{path}: {field}", f"{detail['msg']}; remove it and pin anew.") from error
    _check_digests(path, found)
    return found


def _check_digests(path: Path, found: _File) -> None:
    for server, pinned in found.servers.items():
        for name, tool in pinned.tools.items():
            if Listed(name, tool.description, tool.input_schema).digest != tool.digest:
                problem = "its text is not the one that was approved; pin it anew."
                raise InvalidMcpConfig(server, f"{path}: tools.{name}", problem)

"""The `mcpServers` file that other clients read too: which servers there are, and what the user says about them."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...core.errors import InvalidMcpConfig, nearest
from ...core.ids import digest
from ..base import Risk

McpEffect = Literal["read", "idempotent", "unsafe"]
"""What a user may say of a foreign tool. `checkable` would need a probe, which no server offers."""

_MAX_BYTES = 1_000_000
_HTTP = ("http", "streamable-http", "streamableHttp", "streamable_http")
_FOREIGN = frozenset({"alwaysAllow", "autoApprove", "description", "icon", "note", "timeout"})
"""Fields of other clients that are read past. Those that would spare the user a question grant nothing here."""
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NAMED = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ToolSettings(_Strict):
    """What the user says about one tool; None leaves what is said about its server."""

    risk: Risk | None = None
    effect: McpEffect | None = None


class Settings(_Strict):
    """What the user says about a server: the field `collegium` of its entry."""

    risk: Risk = "high"
    effect: McpEffect = "unsafe"
    only: list[str] | None = None
    """Names of the tools that are taken; None for all."""
    tools: dict[str, ToolSettings] = {}
    timeout_s: float = Field(default=60, gt=0, le=3600)
    """Limit of one call; a server that does not answer in time is ended."""
    connect_timeout_s: float = Field(default=30, gt=0, le=600)
    """Limit of starting, shaking hands and listing the tools."""
    plain_http: bool = False
    """Whether `url` may be plain http to another machine."""


class _Entry(_Strict):
    type: str | None = None
    command: str | None = Field(default=None, min_length=1)
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    disabled: bool = False
    collegium: Settings = Settings()


@dataclass(frozen=True, slots=True)
class Server:
    """One configured server, as it is written: variables are put in by `expanded`."""

    name: str
    kind: Literal["stdio", "http"]
    command: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None
    url: str
    headers: Mapping[str, str]
    settings: Settings

    @property
    def shown(self) -> str:
        """Exactly what is started or spoken to, on one line; values of variables and headers stay out of it."""
        if self.kind == "http":
            return f"{self.url}{_with(self.headers, 'headers')}"
        place = f" in {self.cwd}" if self.cwd else ""
        return f"{shlex.join((self.command, *self.args))}{place}{_with(self.env, 'variables')}"

    @property
    def digest(self) -> str:
        """Of all that decides what is started or spoken to."""
        where = [self.kind, self.command, list(self.args), dict(self.env), self.cwd, self.url, dict(self.headers)]
        return digest(where)

    def settings_of(self, tool: str) -> tuple[Risk, McpEffect]:
        """What the user says about a tool of it."""
        own = self.settings.tools.get(tool, ToolSettings())
        return own.risk or self.settings.risk, own.effect or self.settings.effect

    def takes(self, tool: str) -> bool:
        """Whether the user wants this tool."""
        return self.settings.only is None or tool in self.settings.only

    def expanded(self, environ: Mapping[str, str]) -> Server:
        """The server with each `${NAME}` and `${NAME:-default}` put in.

        Raises:
            InvalidMcpConfig: A variable is not set and has no default, or what came out cannot be used.
        """
        fill = _Filler(self.name, environ)
        server = replace(
            self,
            command=fill("command", self.command),
            args=tuple(fill(f"args.{i}", arg) for i, arg in enumerate(self.args)),
            env={key: fill(f"env.{key}", value) for key, value in self.env.items()},
            cwd=fill("cwd", self.cwd) if self.cwd is not None else None,
            url=fill("url", self.url),
            headers={key: fill(f"headers.{key}", value) for key, value in self.headers.items()},
        )
        _check_filled(server)
        return server


def read_config(path: str | os.PathLike[str]) -> list[Server]:
    """The servers of a file that has `mcpServers`; disabled ones are left out.

    Raises:
        InvalidMcpConfig: The file cannot be read, or a field of a server does not fit; it names both.
    """
    file = Path(path)
    try:
        with file.open("rb") as source:
            text = source.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InvalidMcpConfig("", str(path), f"it cannot be read ({error}).") from error
    if len(text) > _MAX_BYTES:
        raise InvalidMcpConfig("", str(path), f"it is larger than {_MAX_BYTES:,} bytes.")
    try:
        whole = json.loads(text, object_pairs_hook=_once)
    except InvalidMcpConfig:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidMcpConfig("", str(path), f"it is not JSON ({error}).") from error
    return read_servers(whole)


def read_servers(whole: object) -> list[Server]:
    """The servers of a mapping that has `mcpServers`.

    Raises:
        InvalidMcpConfig: A field of a server does not fit.
    """
    servers = cast("dict[str, Any]", whole).get("mcpServers") if isinstance(whole, dict) else None
    if not isinstance(servers, dict):
        raise InvalidMcpConfig("", "mcpServers", "there must be an object with this field, of servers by name.")
    made = [_server(name, entry) for name, entry in cast("dict[str, Any]", servers).items()]
    return [server for server in made if server is not None]


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidMcpConfig("", name, "this name stands twice in one object; one of the two would be lost.")
        found[name] = value
    return found


def _server(name: str, given: object) -> Server | None:
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise InvalidMcpConfig(name, "name", "a server's name is 1 to 100 printable characters.")
    if not isinstance(given, dict):
        raise InvalidMcpConfig(name, "mcpServers", "a server is an object with `command` or `url`.")
    own = {key: value for key, value in cast("dict[str, Any]", given).items() if key not in _FOREIGN}
    try:
        entry = _Entry.model_validate(own)
    except ValidationError as error:
        raise _first_problem(name, error) from error
    return None if entry.disabled else _checked(name, entry)


def _first_problem(name: str, error: ValidationError) -> InvalidMcpConfig:
    detail = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        return InvalidMcpConfig(name, field, f"there is no such field. {nearest(field, list(_Entry.model_fields))}")
    return InvalidMcpConfig(name, field, f"{detail['msg']} (got {detail['input']!r:.80}).")


def _checked(name: str, entry: _Entry) -> Server:
    if entry.type == "sse":
        raise InvalidMcpConfig(name, "type", "the old SSE transport is not supported; use the server's http endpoint.")
    if entry.type not in (None, "stdio", *_HTTP):
        raise InvalidMcpConfig(name, "type", f"it is stdio or http, not {entry.type!r}.")
    if (entry.command is None) == (entry.url is None):
        raise InvalidMcpConfig(name, "command", "give either a `command` to start, or a `url` to speak to.")
    kind: Literal["stdio", "http"] = "stdio" if entry.command is not None else "http"
    if entry.type and (entry.type == "stdio") != (kind == "stdio"):
        raise InvalidMcpConfig(
            name, "type", f"{entry.type!r} does not go with `{'command' if entry.command else 'url'}`."
        )
    for field, ours in (("args", "stdio"), ("env", "stdio"), ("cwd", "stdio"), ("headers", "http")):
        if getattr(entry, field) and kind != ours:
            raise InvalidMcpConfig(
                name, field, f"only a server with `{'command' if ours == 'stdio' else 'url'}` has it."
            )
    return Server(
        name, kind, entry.command or "", tuple(entry.args), entry.env, entry.cwd, entry.url or "", entry.headers,
        entry.collegium,
    )  # fmt: skip


class _Filler:
    """Puts variables into texts of one server."""

    def __init__(self, server: str, environ: Mapping[str, str]) -> None:
        self._server, self._environ = server, environ

    def __call__(self, field: str, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            named = _NAMED.fullmatch(match[1])
            if not named:
                problem = f"{match[0]!r} is no variable; write ${{NAME}} or ${{NAME:-default}}."
                raise InvalidMcpConfig(self._server, field, problem)
            default = cast("str | None", named[2])
            if named[1] not in self._environ and default is None:
                problem = f"the variable {named[1]} is not set; set it, or write ${{{named[1]}:-default}}."
                raise InvalidMcpConfig(self._server, field, problem)
            return self._environ.get(named[1], default or "")

        return _VARIABLE.sub(value, text)


def _check_filled(server: Server) -> None:
    parts = {"command": server.command, "cwd": server.cwd or "", **{f"args.{i}": a for i, a in enumerate(server.args)}}
    parts |= {f"env.{key}": key + value for key, value in server.env.items()}
    for field, text in parts.items():
        if "\0" in text or not _encodable(text):
            raise InvalidMcpConfig(server.name, field, "it holds a character that no command can hold.")
    for key in server.env:
        if not key or "=" in key:
            raise InvalidMcpConfig(server.name, f"env.{key}", "this is no name of a variable.")
    for key, value in server.headers.items():
        if _CONTROL.search(key + value) or not (key + value).isascii():
            raise InvalidMcpConfig(server.name, f"headers.{key}", "a header is printable ASCII on one line.")
    if server.kind == "http":
        _check_url(server)


def _check_url(server: Server) -> None:
    try:
        parts = urlsplit(server.url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidMcpConfig(server.name, "url", f"it is no address ({error}).") from error
    if parts.scheme not in ("http", "https") or not host or _CONTROL.search(server.url):
        raise InvalidMcpConfig(server.name, "url", "give an address that begins with https://.")
    if parts.username is not None or parts.password is not None:
        raise InvalidMcpConfig(server.name, "url", "a name or password does not belong into it; use `headers`.")
    if parts.scheme == "http" and not _is_loopback(host) and not server.settings.plain_http:
        problem = 'plain http is for this machine only; use https, or say "collegium": {"plain_http": true}.'
        raise InvalidMcpConfig(server.name, "url", problem)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with(names: Mapping[str, str], what: str) -> str:
    return f" with {what} {', '.join(sorted(names))}" if names else ""

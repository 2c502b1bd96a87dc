"""The allow-list, and URLs that are read in one way only: what is odd is refused rather than repaired."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from yarl import URL

from ...core.errors import InvalidTool, ToolError

MAX_CHARACTERS = 4096
_PORTS = {"http": 80, "https": 443}
_ODD = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class _Allowed:
    scheme: str
    host: str
    """A name, a numeric address, `*.` and a name for all below it, or `*` for every one."""
    port: int

    def covers(self, scheme: str, host: str, port: int) -> bool:
        if (scheme, port) != (self.scheme, self.port):
            return False
        return self.host in (host, "*") or (self.host.startswith("*.") and host.endswith(self.host[1:]))


@dataclass(frozen=True, slots=True)
class AllowList:
    """Scheme, host and port that may be talked to; everything else may not."""

    allowed: tuple[_Allowed, ...]
    names: tuple[str, ...]
    """As they were given."""

    @classmethod
    def of(cls, names: Iterable[str], tool: str) -> AllowList:
        """Read an allow-list.

        Args:
            names: `api.example.org` (HTTPS), `*.example.org` (all below it, not itself), `*` (every host),
                `http://example.org` (HTTP), each also with a port: `example.org:8443`.
            tool: Whose declaration it is.

        Raises:
            InvalidTool: The list is empty, or an entry is none of these.
        """
        given = (names,) if isinstance(names, str) else tuple(names)
        if not given:
            raise InvalidTool(tool, "its list of hosts is empty; name those that it may talk to.")
        return cls(tuple(_entry(name, tool) for name in given), given)

    def demand(self, url: URL, tool: str) -> None:
        """Refuse a URL, as `checked_url` returned it, that the list does not name.

        Raises:
            ToolError: It is refused.
        """
        scheme, host, port = url.scheme, url.raw_host or "", url.port or 0
        if not any(one.covers(scheme, host, port) for one in self.allowed):
            place = f"{scheme}://{host}" + ("" if port == _PORTS[scheme] else f":{port}")
            raise ToolError(tool, f"{place} is not on the list of hosts: {', '.join(self.names)}.")


def checked_url(text: str, tool: str) -> URL:
    """A URL of the schemes http and https, with a host in its plain form.

    Raises:
        ToolError: It is anything else: another scheme, a user name, control characters, a numeric host that is not
            written in the usual way, such as `127.1` or `0x7f000001`.
    """
    if len(text) > MAX_CHARACTERS:
        raise ToolError(tool, f"the URL has {len(text)} characters; at most {MAX_CHARACTERS} are allowed.")
    if is_odd(text):
        raise ToolError(tool, f"{text[:200]!r} holds characters that do not belong into a URL.")
    try:
        url = URL(text)
        host, port = url.raw_host, url.port
    except ValueError as error:
        raise ToolError(tool, f"{text[:200]!r} is not a URL ({error}).") from error
    if url.scheme not in _PORTS or not host or not port:
        raise ToolError(tool, f"{text[:200]!r} is not an absolute http or https URL.")
    if "@" in url.raw_authority:
        raise ToolError(tool, f"{text[:200]!r} holds a user name; leave it out.")
    plain = _plain_host(host)
    if plain is None:
        raise ToolError(tool, f"{host[:200]!r} is not a host name, nor an address in its usual form.")
    return url if plain == host else url.with_host(plain)


def _plain_host(host: str) -> str | None:
    """Lower case, without the dot at the end; None for what is neither a name nor a plain numeric address."""
    name = host.lower().removesuffix(".")
    try:
        return str(ip_address(name)) if "%" not in name else None
    except ValueError:
        pass
    if len(name) > 253 or not _NAME.fullmatch(name):
        return None
    # what ends in a number is read as an address by some, as a name by others
    return None if _NUMBER.fullmatch(name.rpartition(".")[2]) else name


def is_odd(text: str) -> bool:
    """Whether a URL holds blanks, control characters, backslashes or half a surrogate pair, which readers differ on."""
    return bool(_ODD.search(text))


def _entry(name: str, tool: str) -> _Allowed:
    text = name if "://" in name else f"https://{name}"
    scheme, _, place = text.partition("://")
    wild = "*." if place.startswith("*.") else "*" if place.partition(":")[0] == "*" else ""
    rest = place.removeprefix("*.") if wild == "*." else place.replace("*", "any.invalid", 1) if wild else place
    try:
        url = checked_url(f"{scheme}://{rest}", tool)
    except ToolError as error:
        raise InvalidTool(tool, f"hosts: {name!r} is no host: {error.problem}") from error
    if url.raw_path not in ("", "/") or url.raw_query_string or "#" in name or "*" in rest:
        raise InvalidTool(tool, f"hosts: {name!r} holds more than scheme, host and port.")
    host = url.raw_host or ""
    return _Allowed(url.scheme, {"": host, "*": "*", "*.": f"*.{host}"}[wild], url.port or 0)

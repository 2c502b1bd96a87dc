"""One request and its answer: connected to an address that was checked, redirects followed by the same rules.

Nothing is checked first and used later. Names are resolved once for each connection, every address that comes back
must be allowed, and each socket is made for exactly one address, which is judged again at that moment. Proxies of
the environment, cookies and kept-open connections play no part.
"""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ...core.errors import ToolError
from .addresses import Network, may_be_reached
from .hosts import AllowList, checked_url, is_odd

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""From a host name to its numeric addresses."""

REDIRECTS = (301, 302, 303, 307, 308)
MAX_REDIRECTS = 5
_HEADERS = {"User-Agent": "collegium", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one exchange may take, redirects included."""

    body_bytes: int = 1_000_000
    """Bytes of the answer, packed and unpacked."""
    wall_s: float = 30
    """Seconds from the first look-up to the last byte."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    url: str
    """Where it came from, after redirects."""
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    problem: str = ""
    """Why the body is missing, though the request was answered."""


async def exchange(
    tool: str,
    url: str,
    *,
    allow: AllowList,
    private: Sequence[Network] = (),
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    limits: Limits | None = None,
    resolver: Resolver | None = None,
) -> Answer:
    """Send a request and read the answer; only a GET follows redirects.

    What was sent by another method may have had its effect. So there no answer, once it began, is an error: one that
    cannot be read has an empty body and a `problem`.

    Args:
        tool: Whose errors are reported.
        url: Where to.
        allow: Which hosts may be talked to.
        private: Networks that may be reached although they are not public.
        method: The HTTP method.
        headers: Sent to the first host only, not to where it redirects.
        body: What is sent.
        limits: What it may take.
        resolver: Looks names up, instead of the system.

    Raises:
        ToolError: The URL, the address, a redirect or the answer is refused; nothing was sent to what is refused.
        TimeoutError: It took longer than it may.
        ConnectionError: The connection broke after the request may have been sent.
    """
    limits = limits or Limits()
    here = checked_url(url, tool)
    sent = {**_HEADERS, **(headers or {})}
    async with asyncio.timeout(limits.wall_s):
        for _ in range(MAX_REDIRECTS + 1):
            allow.demand(here, tool)
            gate = _Gate(tool, here.raw_host or "", tuple(private), resolver or _by_the_system)
            answer = await _one(gate, method, here, sent, body, limits.body_bytes)
            location = answer.headers.get("location")
            if method != "GET" or answer.status not in REDIRECTS or location is None:
                return answer
            here = _next(tool, here, location)
            sent = dict(_HEADERS)
    raise ToolError(tool, f"{url[:200]!r} redirects more than {MAX_REDIRECTS} times.")


def _next(tool: str, here: URL, location: str) -> URL:
    try:
        joined = "" if is_odd(location) else str(here.join(URL(location)))
    except ValueError:
        joined = ""
    if not joined:
        raise ToolError(tool, f"it redirects to {location[:200]!r}, which is not a URL.")
    there = checked_url(joined, tool)
    if here.scheme == "https" and there.scheme != "https":
        raise ToolError(tool, f"it redirects from https to {str(there)[:200]!r}, which is not encrypted.")
    return there.with_fragment(None)


class _Gate(AbstractResolver):
    """Looks one host up and lets sockets be made for allowed addresses only."""

    def __init__(self, tool: str, host: str, private: tuple[Network, ...], resolver: Resolver) -> None:
        self.tool, self.host, self.private, self.resolver = tool, host, private, resolver
        self.refusal: ToolError | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every address of a name, or none of them when one is not allowed."""
        found = await self.resolver(host)
        if not found:
            raise OSError(f"{host!r} has no address")
        for address in found:
            self._demand(address)
        return [_resolved(host, port, address) for address in found]

    def made(self, where: tuple[Any, ...]) -> socket.socket:
        """The socket for exactly this address, which is the one that will be connected to."""
        family, kind, protocol, _, address = where
        self._demand(str(address[0]))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    def _demand(self, address: str) -> None:
        if not may_be_reached(address, self.private):
            self.refusal = ToolError(self.tool, f"{self.host!r} leads to {address}, which is not a public address.")
            raise OSError(str(self.refusal))

    async def close(self) -> None:
        """Nothing is held."""


def _resolved(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)


async def _by_the_system(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def _one(gate: _Gate, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, most: int) -> Answer:
    connector = aiohttp.TCPConnector(
        resolver=gate, use_dns_cache=False, force_close=True, socket_factory=gate.made, happy_eyeballs_delay=None
    )
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                trust_env=False,
            ) as session,
            _request(session, method, url, headers, body) as response,
        ):
            named = {name.lower(): value for name, value in response.headers.items()}
            try:
                return Answer(str(url), response.status, named, await _body(gate.tool, response, most))
            except ToolError as refusal:
                if method == "GET":
                    raise
                return Answer(str(url), response.status, named, b"", refusal.problem)
    except aiohttp.ClientConnectorError as error:
        if gate.refusal:
            raise gate.refusal from None
        raise ToolError(gate.tool, f"nothing answers at {url.origin()} ({error.strerror or error}).") from error
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error, aiohttp.ClientResponseError) and method == "GET":
            raise ToolError(gate.tool, f"{url.origin()} does not speak HTTP: {error.message[:200]!r}.") from error
        if isinstance(error, TimeoutError):
            raise
        raise ConnectionError(f"the connection to {url.origin()} broke: {type(error).__name__}.") from error


def _request(
    session: aiohttp.ClientSession, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    return session.request(method, url, headers=headers, data=body, allow_redirects=False)


async def _body(tool: str, response: aiohttp.ClientResponse, most: int) -> bytes:
    """The bytes of an answer, unpacked; one that is larger than it may be is refused as soon as that is seen."""
    unpack = _unpacker(tool, response.headers.get("Content-Encoding", "identity").strip().lower())
    body = bytearray()
    packed = 0
    async for piece in response.content.iter_chunked(65_536):
        packed += len(piece)
        body += unpack(piece, most + 1 - len(body))
        if packed > most or len(body) > most:
            raise ToolError(tool, f"the answer is larger than {most} bytes.")
    return bytes(body)


def _unpacker(tool: str, coding: str) -> Callable[[bytes, int], bytes]:
    """What turns pieces of a body into at most so many bytes of it."""
    if coding in ("identity", ""):
        return lambda piece, most: piece
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise ToolError(tool, f"the answer is packed as {coding[:40]!r}, which was not asked for.")
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is

    def unpack(piece: bytes, most: int) -> bytes:
        try:
            return unpacker.decompress(piece, most)
        except zlib.error as error:
            raise ToolError(tool, f"the answer is not {coding} as it says ({error}).") from error

    return unpack

"""The aiohttp transport: shared sessions, one per event loop, bounded bodies, no redirects, no key in any text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, WeakSet

import aiohttp
import orjson

from ...core.errors import BackendError, BackendUnavailable, InvalidInput
from ..profiles import Profile, first_set
from .failures import Rejection, Transient, failure_of
from .limits import LIMITS, Limits

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Body:
    """A whole answer as it came."""

    data: bytes
    events: bool
    """Whether it says that it is a stream of events."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer that has begun."""

    events: bool
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    """Carries requests to one server; failures are `Transient` or a BackendError."""

    @property
    def place(self) -> str:
        """Where the model is: what its measurements are remembered under."""
        ...

    async def post(self, body: Mapping[str, Any]) -> Body:
        """The whole answer to a chat completion."""
        ...

    def open(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[Opened]:
        """The answer as it comes."""
        ...

    async def get(self, path: str) -> bytes:
        """The answer at a path below the base address."""
        ...

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The answer at a path from the root of the server: a POST when there is a body, else a GET."""
        ...

    async def aclose(self) -> None:
        """Close the connections of the present event loop."""
        ...


class PerLoop:
    """Something that belongs to an event loop: made on first use, closed with its last user or its loop.

    An async generator holds it: `asyncio.run` finishes the generators of its loop, so nobody who
    forgets `aclose` leaves a connection open.

    Args:
        make: Makes one, inside the running loop.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._held: WeakKeyDictionary[asyncio.AbstractEventLoop, _Held] = WeakKeyDictionary()

    async def get(self, user: object) -> Any:
        """The one of the running loop."""
        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        if held is None:
            keeper = self._keep(loop)
            held = _Held(await anext(keeper), keeper)
            self._held[loop] = held
        held.users.add(user)
        return held.thing

    async def release(self, user: object) -> None:
        """Close the one of the running loop if nobody else uses it."""
        held = self._held.get(asyncio.get_running_loop())
        if held is not None:
            held.users.discard(user)
            if not held.users:
                await held.keeper.aclose()

    async def _keep(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[Any, None]:
        thing = self._make()
        try:
            yield thing
        finally:
            self._held.pop(loop, None)
            await thing.close()


class _Held:
    def __init__(self, thing: Any, keeper: AsyncGenerator[Any, None]) -> None:
        self.thing, self.keeper = thing, keeper
        self.users: WeakSet[object] = WeakSet()


def _session(trust_env: bool) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=LIMITS.connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # the caller holds one deadline over all attempts
        trust_env=trust_env,
    )


_near = PerLoop(lambda: _session(trust_env=False))
_far = PerLoop(lambda: _session(trust_env=True))
"""One session for servers on this machine, which no proxy may see, and one for all others."""


def encode(body: Mapping[str, Any]) -> bytes:
    """The request as bytes; what orjson refuses (half a surrogate pair, a huge integer) goes out escaped.

    Raises:
        InvalidInput: It holds what is no JSON at all.
    """
    try:
        return orjson.dumps(body)
    except TypeError:
        pass
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("params.extra", f"the request cannot be written as JSON ({error}).") from error


class AiohttpTransport:
    """Requests to a compatible server.

    Args:
        model: How the model is named in errors.
        address: Base address, `/v1` included.
        profile: Whose key is sent, and how.
        key: A key to use in place of the environment's.
        chat: Path from the root where requests go; default: `/chat/completions` below the base address.
        limits: How large an answer may be.
    """

    def __init__(
        self,
        model: str,
        address: str,
        profile: Profile,
        *,
        key: str | None = None,
        chat: str | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self._limits = limits
        self._model, self._address, self._profile, self._key = model, address, profile, key
        self._root = address.removesuffix("/v1")
        self._url = f"{self._root}{chat}" if chat else f"{address}/chat/completions"
        self._sessions = _near if urlsplit(address).hostname in LOOPBACK else _far
        self._headers: dict[str, str] | None = None

    @property
    def place(self) -> str:
        """The base address."""
        return self._address

    async def post(self, body: Mapping[str, Any]) -> Body:
        """The whole answer to a chat completion, at most `limits.body_bytes` long."""
        async with self._send("POST", self._url, encode(body)) as response:
            return Body(await self._read(response), "event-stream" in response.headers.get("content-type", ""))

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncGenerator[Opened, None]:
        """The answer as it comes."""
        async with self._send("POST", self._url, encode(body)) as response:
            events = "event-stream" in response.headers.get("content-type", "")
            yield Opened(events, self._chunks(response))

    async def get(self, path: str) -> bytes:
        """The answer at a path below the base address."""
        async with self._send("GET", self._address + path, None) as response:
            return await self._read(response)

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The answer at a path from the root of the server: a POST when there is a body, else a GET."""
        data = None if body is None else encode(body)
        async with self._send("GET" if data is None else "POST", self._root + path, data) as response:
            return await self._read(response)

    async def aclose(self) -> None:
        """Close the connections of the present event loop, unless another model uses them."""
        await self._sessions.release(self)

    def _made_headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key := self._key or first_set(self._profile.key_env) or self._profile.placeholder_key:
            if not key.isascii() or not key.isprintable():
                raise BackendUnavailable(self._model, "the key holds characters that a header cannot carry.")
            name = self._profile.key_header
            headers[name] = f"Bearer {key}" if name == "Authorization" else key
        return headers

    @asynccontextmanager
    async def _send(self, method: str, url: str, data: bytes | None) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        session: aiohttp.ClientSession = await self._sessions.get(self)
        if self._headers is None:
            self._headers = self._made_headers()
        try:
            async with session.request(
                method, url, data=data, headers=self._headers, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise await self._failure(response)
                yield response
        except (aiohttp.ClientError, OSError, EOFError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise Transient(self._unreachable(error)) from error

    async def _failure(self, response: aiohttp.ClientResponse) -> BackendError | Transient:
        body = await response.content.read(65_536)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return failure_of(self._model, Rejection(response.status, body, headers))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        length = response.content_length
        if length is not None and length <= self._limits.body_bytes:
            return await response.read()
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > self._limits.body_bytes:
                raise BackendUnavailable(
                    self._model, f"the server's answer is larger than {self._limits.body_bytes} bytes."
                )
        return b"".join(parts)

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        async for part in response.content.iter_any():
            yield part

    def _unreachable(self, error: Exception) -> BackendUnavailable:
        place = urlsplit(self._address)
        if isinstance(error, aiohttp.ClientConnectorError):
            why = f"nothing answers at {place.scheme}://{place.netloc}. Is the server running?"
        else:
            why = f"the connection to {place.netloc} broke ({type(error).__name__})."
        return BackendUnavailable(self._model, why)

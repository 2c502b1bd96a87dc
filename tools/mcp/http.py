"""A server elsewhere: the HTTP client that the SDK's streamable HTTP transport speaks through, with limits."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2

from .config import Server
from .limits import FloodedError, Meter

_PROBLEM = "the answer is larger than allowed"
_EVENT_ENDS = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")


def make_client(server: Server, meter: Meter, cut: Callable[[str], None]) -> httpx2.AsyncClient:
    """A client for one server: its headers, nothing from the environment (proxies, `.netrc`), every byte counted.

    Redirects are followed by the SDK, and only within the server's own origin.
    """
    return httpx2.AsyncClient(
        transport=_Counted(meter, cut),
        headers={**server.headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(30, read=server.settings.timeout_s + 300),
        trust_env=False,
    )


class _Counted(httpx2.AsyncBaseTransport):
    def __init__(self, meter: Meter, cut: Callable[[str], None]) -> None:
        self._inner, self._meter, self._cut = httpx2.AsyncHTTPTransport(), meter, cut

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.DecodingError("the answer is compressed, though that was not asked for", request=request)
        streams = response.headers.get("content-type", "").startswith("text/event-stream")
        response.stream = _CountedStream(response.stream, self._meter, self._cut, whole=not streams)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _CountedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: Any, meter: Meter, cut: Callable[[str], None], *, whole: bool) -> None:
        self._inner, self._meter, self._cut, self._whole = inner, meter, cut, whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, line_end = 0, b""
        async for chunk in self._inner:
            size += len(chunk)
            events = 0
            if not self._whole:
                seen = line_end + chunk  # an event's end may come in two parts
                ends = [found.end() for found in _EVENT_ENDS.finditer(seen)]
                rest = seen[ends[-1] :] if ends else seen
                events, size = len(ends), len(rest) if ends else size
                line_end = rest[len(rest.rstrip(b"\r\n")) :]
            try:
                self._meter.took(len(chunk), events)
                self._meter.check_message(size)
            except FloodedError as error:
                self._cut(str(error))
                raise httpx2.ReadError(_PROBLEM) from error
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()

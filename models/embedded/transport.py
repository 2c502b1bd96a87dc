"""Requests to the embedded server, which is started on first use and once more when it crashes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from .._json import as_object
from ..compatible.transport import AiohttpTransport, Body, Opened
from ..profiles import PROFILES
from .process import Address, ServerProcess


class EmbeddedTransport:
    """A transport that brings its own server.

    Args:
        model: How the model is named in errors.
        server: The process; shared with other models of the same file.
    """

    def __init__(self, model: str, server: ServerProcess) -> None:
        self._model, self._server = model, server
        self._inner: tuple[Address, AiohttpTransport] | None = None

    @property
    def place(self) -> str:
        """The file of the weights: the port differs from start to start."""
        return str(self._server.path)

    async def post(self, body: Mapping[str, Any]) -> Body:
        """The whole answer to a chat completion."""
        return await (await self._ready()).post(constrained(body))

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncGenerator[Opened, None]:
        """The answer as it comes."""
        async with (await self._ready()).open(constrained(body)) as opened:
            yield opened

    async def get(self, path: str) -> bytes:
        """The answer at a path."""
        return await (await self._ready()).get(path)

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The answer at a path from the root of the server."""
        return await (await self._ready()).ask(path, body)

    async def aclose(self) -> None:
        """Close the connections of this event loop and end the server; the next use starts it again."""
        if self._inner:
            await self._inner[1].aclose()
        await asyncio.to_thread(self._server.stop)

    async def _ready(self) -> AiohttpTransport:
        if self._inner and self._server.pid is not None:
            return self._inner[1]
        address = await asyncio.to_thread(self._server.address)
        if self._inner is None or self._inner[0] != address:
            self._inner = (address, AiohttpTransport(self._model, address.url, PROFILES["embedded"], key=address.key))
        return self._inner[1]


def constrained(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request with its schema as a grammar of the runtime's own, which leaves no room for white space.

    A small model spends half its tokens on line breaks and indentation otherwise, and loses itself in them.
    """
    form = as_object(body.get("response_format"))
    schema = as_object(form.get("json_schema")).get("schema")
    if form.get("type") != "json_schema" or not isinstance(schema, dict):
        return body
    compact = {**as_object(schema), "x-guidance": {"whitespace_flexible": False, "lenient": True}}
    rest = {name: value for name, value in body.items() if name != "response_format"}
    return {**rest, "grammar": f"%llguidance {{}}\nstart: %json {json.dumps(compact)}"}

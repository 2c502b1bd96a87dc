"""Ollama as a transport: its own API, a window that fits the prompt, and no prompt cut unseen.

Through Ollama's compatible API the window is the server's setting (4,096 tokens by default) and a longer
prompt is cut from the front with status 200. Here each request asks for a window that holds it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson

from ...core.errors import PromptTooLong
from .._json import as_object
from ..asking import trained_window
from ..compatible.limits import LIMITS
from ..compatible.response import Reader
from ..compatible.transport import AiohttpTransport, Body, Opened
from ..profiles import PROFILES
from .wire import Chunks, completion_of, native_request

SMALLEST: Final = 4096
_UNKNOWN_LIMIT: Final = 1 << 20
"""Where the server does not say what the model was made for."""
_ROOM: Final = 2048
"""Tokens kept for an answer whose length the caller leaves open."""
_BYTES_A_TOKEN: Final = 3
"""So few that the estimate is rarely too small: English has 4 to 5, Chinese 3."""
_MOST_BYTES_A_TOKEN: Final = 12
"""A count below this share of the prompt cannot be of the whole of it."""


class OllamaTransport:
    """Requests to Ollama's `/api/chat`, as chat completions in and out.

    Args:
        model: How the model is named in errors.
        address: Base address, `/v1` included.
        name: The model's name at the server.
    """

    def __init__(self, model: str, address: str, name: str) -> None:
        self._model, self._name = model, name
        self._reader = Reader(model)
        self._inner = AiohttpTransport(model, address, PROFILES["ollama"], chat="/api/chat")
        self._limit: int | None = None
        self._window = SMALLEST

    @property
    def place(self) -> str:
        """The base address."""
        return self._inner.place

    async def post(self, body: Mapping[str, Any]) -> Body:
        """The whole answer to a chat completion."""
        native = await self._native(body)
        answered = self._reader.loads((await self._inner.post(native)).data)
        self._check(native, answered)
        return Body(orjson.dumps(completion_of(answered)), events=False)

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncGenerator[Opened, None]:
        """The answer as it comes."""
        native = await self._native(body)
        async with self._inner.open(native) as opened:
            yield Opened(True, self._events(native, opened.chunks))

    async def get(self, path: str) -> bytes:
        """The answer at a path below the base address."""
        return await self._inner.get(path)

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The answer at a path from the root of the server."""
        return await self._inner.ask(path, body)

    async def aclose(self) -> None:
        """Close the connections of the present event loop."""
        await self._inner.aclose()

    async def _native(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if self._limit is None:
            self._limit = await trained_window(self, self._name) or _UNKNOWN_LIMIT
        need = _size(body) // _BYTES_A_TOKEN + int(body.get("num_predict") or _ROOM)
        while self._window < need and self._window < self._limit:
            self._window *= 2  # it only grows: each change of it loads the model anew
        return native_request(body, min(self._window, self._limit))

    async def _events(self, native: Mapping[str, Any], chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        made, rest = Chunks(), b""
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LIMITS.event_bytes:
                raise self._reader.odd("holds a line larger than allowed")
            for line in lines:
                if line.strip():
                    yield self._event(native, made, line)
        if rest.strip():
            yield self._event(native, made, rest)

    def _event(self, native: Mapping[str, Any], made: Chunks, line: bytes) -> bytes:
        answer = self._reader.loads(line)
        self._check(native, answer)
        return made.event(answer)

    def _check(self, native: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Refuse an answer to a prompt that was cut.

        Raises:
            PromptTooLong: The server counted fewer tokens than the prompt has.
        """
        counted, window = answer.get("prompt_eval_count"), as_object(native.get("options")).get("num_ctx")
        if not isinstance(counted, int) or not isinstance(window, int) or counted <= 0:
            return
        size = _size(native)
        if counted >= window or (size > _BYTES_A_TOKEN * window and counted * _MOST_BYTES_A_TOKEN < size):
            raise PromptTooLong(self._model, None, window, f"the server read {counted} tokens of {size} bytes")


def _size(body: Mapping[str, Any]) -> int:
    """Bytes of the prompt: messages and tools."""
    return len(orjson.dumps([body.get("messages"), body.get("tools")], default=str))

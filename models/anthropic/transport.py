"""Anthropic's SDK as a transport: chat completions in and out, its messages on the wire."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from ...core.errors import BackendError, BackendUnavailable, MissingExtra
from ..compatible.failures import Rejection, Transient, failure_of
from ..compatible.limits import LIMITS
from ..compatible.response import Reader
from ..compatible.stream import EventSplitter
from ..compatible.transport import Body, Opened, PerLoop
from ..specs import Spec
from .request import native_request
from .response import Events, completion_of

try:
    import anthropic
except ImportError as error:
    raise MissingExtra("Anthropic's models", "anthropic") from error


class AnthropicTransport:
    """Requests through an `anthropic.AsyncAnthropic`.

    Args:
        spec: What names the model.
    """

    def __init__(self, spec: Spec) -> None:
        self._model, self._spec = str(spec), spec
        self._reader = Reader(self._model)
        self._clients = PerLoop(self._client)

    @property
    def place(self) -> str:
        """Where the requests go, as far as it is known before a client is made."""
        return self._spec.url or self._spec.provider

    async def post(self, body: Mapping[str, Any]) -> Body:
        """The whole answer to a chat completion."""
        parts: list[bytes] = []
        size = 0
        async with self._sent(native_request(body)) as chunks:
            async for part in chunks:
                parts.append(part)
                size += len(part)
                if size > LIMITS.body_bytes:
                    raise self._reader.odd(f"is larger than {LIMITS.body_bytes} bytes")
        return Body(orjson.dumps(completion_of(self._reader.loads(b"".join(parts)))), events=False)

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncGenerator[Opened, None]:
        """The answer as it comes."""
        if not body.get("stream"):
            whole = await self.post(body)
            yield Opened(False, _once(whole.data))
            return
        async with self._sent(native_request(body)) as chunks:
            yield Opened(True, self._events(chunks))

    async def get(self, path: str) -> bytes:
        """The model listing."""
        return await self.ask(f"/v1{path}")

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The answer at a path from the root of the API."""
        client = await self._ready()
        try:
            if body is None:
                found: object = await client.get(path, cast_to=object)
            else:
                found = await client.post(path, cast_to=object, body=dict(body))
        except anthropic.APIError as error:
            raise self._failure(error) from error
        return orjson.dumps(found)

    async def aclose(self) -> None:
        """Close the client of the present event loop."""
        await self._clients.release(self)

    async def _ready(self) -> anthropic.AsyncAnthropic:
        client: anthropic.AsyncAnthropic = await self._clients.get(self)
        if not (client.api_key or client.auth_token or client.credentials):
            raise BackendUnavailable(self._model, "no key is known. Set ANTHROPIC_API_KEY.")
        return client

    def _client(self) -> anthropic.AsyncAnthropic:
        url = self._spec.url or os.environ.get("ANTHROPIC_BASE_URL") or None
        return anthropic.AsyncAnthropic(
            base_url=url.removesuffix("/v1") if url else None,
            max_retries=0,
            timeout=LIMITS.timeout_s,
            http_client=anthropic.DefaultAsyncHttpxClient(follow_redirects=False),
        )

    @asynccontextmanager
    async def _sent(self, native: Mapping[str, Any]) -> AsyncGenerator[AsyncIterator[bytes], None]:
        client = await self._ready()
        rest = {name: value for name, value in native.items() if name not in ("model", "messages", "max_tokens")}
        try:
            async with client.messages.with_streaming_response.create(
                model=native["model"], messages=native["messages"], max_tokens=native["max_tokens"], extra_body=rest
            ) as response:
                yield self._chunks(response.iter_bytes())
        except anthropic.APIError as error:
            raise self._failure(error) from error

    async def _chunks(self, parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The body's parts; a connection that breaks inside is not wrapped by the SDK."""
        try:
            async for part in parts:
                yield part
        except (GeneratorExit, BackendError, TimeoutError):
            raise
        except Exception as error:  # the HTTP library under the SDK differs by version
            raise Transient(
                BackendUnavailable(self._model, f"the connection broke ({type(error).__name__}).")
            ) from error

    async def _events(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        splitter, made = EventSplitter(self._reader), Events()
        async for chunk in chunks:
            for data in splitter.feed(chunk):
                if event := made.event(self._reader.loads(data)):
                    yield event

    def _failure(self, error: Exception) -> BackendError | Transient:
        if isinstance(error, anthropic.APIStatusError):
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            return failure_of(self._model, Rejection(error.status_code, error.response.content, headers))
        return Transient(BackendUnavailable(self._model, f"the service cannot be reached ({type(error).__name__})."))


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data

"""The openai SDK as a transport, for OpenAI, for Azure, and for a client handed over.

The SDK signs and routes (Azure's deployments, organisations, workload identities); the answer is taken
raw, so that the same strict and bounded reading applies as on our own transport.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import openai

from ...core.errors import BackendError, BackendUnavailable
from ..azure import resource_of
from ..specs import Spec
from .failures import Rejection, Transient, failure_of
from .limits import LIMITS, Limits
from .transport import Body, Opened, PerLoop


class SdkTransport:
    """Requests through an `openai.AsyncOpenAI`.

    Args:
        spec: What names the model; its provider chooses the client.
        client: A client of the user's own; it is used as it is, but for retries, and never closed here.
        limits: How large an answer may be.
    """

    def __init__(self, spec: Spec, client: openai.AsyncOpenAI | None = None, limits: Limits = LIMITS) -> None:
        self._model, self._limits = str(spec), limits
        self._spec = spec
        self._given = client.with_options(max_retries=0) if client else None
        self._clients = PerLoop(self._client)

    @property
    def place(self) -> str:
        """Where the requests go, as far as it is known before a client is made."""
        return str(self._given.base_url) if self._given else self._spec.url or self._spec.provider

    async def post(self, body: Mapping[str, Any]) -> Body:
        """The whole answer to a chat completion."""
        async with self.open(body) as opened:
            parts: list[bytes] = []
            size = 0
            async for part in opened.chunks:
                parts.append(part)
                size += len(part)
                if size > self._limits.body_bytes:
                    raise BackendUnavailable(
                        self._model, f"the server's answer is larger than {self._limits.body_bytes} bytes."
                    )
            return Body(b"".join(parts), opened.events)

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncGenerator[Opened, None]:
        """The answer as it comes."""
        client = await self._get()
        rest = {key: value for key, value in body.items() if key not in ("model", "messages")}
        try:
            async with client.chat.completions.with_streaming_response.create(
                model=body["model"], messages=body["messages"], extra_body=rest
            ) as response:
                events = "event-stream" in response.headers.get("content-type", "")
                yield Opened(events, self._chunks(response.iter_bytes()))
        except openai.APIError as error:
            raise self._failure(error) from error

    async def get(self, path: str) -> bytes:
        """The model listing; the SDK has no other path."""
        client = await self._get()
        try:
            raw = await client.models.with_raw_response.list()
        except openai.APIError as error:
            raise self._failure(error) from error
        return raw.content

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """Nothing: what lies beside the API is not reached through the SDK.

        Raises:
            BackendUnavailable: Always.
        """
        raise BackendUnavailable(self._model, f"{path} is not reached through the SDK.")

    async def aclose(self) -> None:
        """Close the client of the present event loop."""
        await self._clients.release(self)

    async def _get(self) -> openai.AsyncOpenAI:
        return self._given or await self._clients.get(self)

    def _client(self) -> openai.AsyncOpenAI:
        http = openai.DefaultAsyncHttpxClient(follow_redirects=False)
        try:
            if self._spec.provider == "azure":
                return _azure(self._spec.url, http)
            return openai.AsyncOpenAI(base_url=self._spec.url, max_retries=0, http_client=http)
        except (openai.OpenAIError, ValueError, TypeError) as error:
            raise BackendUnavailable(self._model, _first_line(error)) from error

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

    def _failure(self, error: openai.APIError) -> BackendError | Transient:
        if isinstance(error, openai.APIStatusError):
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            return failure_of(self._model, Rejection(error.status_code, error.response.content, headers))
        return Transient(BackendUnavailable(self._model, f"the service cannot be reached ({type(error).__name__})."))


def _azure(url: str | None, http: openai.DefaultAsyncHttpxClient) -> openai.AsyncOpenAI:
    """A client for a resource; key or token come from the environment."""
    found = resource_of(url)
    if found.version is None:
        return openai.AsyncOpenAI(base_url=found.endpoint, api_key=found.key, max_retries=0, http_client=http)
    return openai.AsyncAzureOpenAI(
        azure_endpoint=found.endpoint, api_version=found.version, max_retries=0, http_client=http
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

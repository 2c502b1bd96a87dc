"""Servers that behave as providers are documented to, oddities included.

    async with ProviderServer("ollama") as server:
        llm = model(f"ollama:m@{server.url}")

The model inside is a parrot, but what its server lets through, ignores, cuts or refuses is the
provider's own. A `ChatServer` is simpler where the answers themselves matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from aiohttp import web

from ..models._json import as_object
from ..models.profiles import PROFILES
from ._dialects import READERS, WRITERS, prompt_size
from ._parrot import Said, speak
from .quirks import QUIRKS, Quirks

__all__ = ["QUIRKS", "ProviderServer", "Quirks"]

_KEYS = frozenset({"authorization", "x-api-key", "api-key"})


class ProviderServer:
    """A provider's server on a free loopback port, with one model named `m`.

    Args:
        provider: A row of the table of providers.
        quirks: How it behaves; default: as documented.
    """

    def __init__(self, provider: str, quirks: Quirks | None = None) -> None:
        self.quirks = quirks or QUIRKS[provider]
        self._profile = PROFILES[provider]
        self._runner: web.AppRunner | None = None
        self.url = ""
        """Base address, `/v1` included."""
        self.requests: list[dict[str, Any]] = []
        """Bodies of the requests for an answer, in order."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        own = {"ollama": "/api/chat", "messages": "/v1/messages"}.get(self.quirks.dialect)
        for path in [own] if own else [f"{base}/chat/completions" for base in self.quirks.paths]:
            app.router.add_post(path, self._chat)
        if self._profile.listing:
            app.router.add_get("/v1/models", self._list)
        for base in self.quirks.paths if self._profile.embeddings else ():
            app.router.add_post(f"{base}/embeddings", self._embed)
        for path in self.quirks.answers:
            app.router.add_route("*", path, self._tell)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model", **self.quirks.listed}]})

    async def _tell(self, request: web.Request) -> web.Response:
        return web.json_response(self.quirks.answers[request.path])

    async def _embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [{"index": n, "embedding": [float(len(text)), 1.0, 2.0]} for n, text in enumerate(texts)]
        return web.json_response({"data": vectors[::-1], "model": "m", "usage": {"prompt_tokens": len(texts)}})

    async def _chat(self, request: web.Request) -> web.Response:
        body = as_object(await request.json())
        self.requests.append(body)
        quirks = self.quirks
        if quirks.wants_key and not _KEYS & {name.lower() for name in request.headers}:
            return _refusal(401, "no key")
        if named := sorted(quirks.refused & body.keys()):
            return _refusal(400, f"unsupported parameter: {named[0]}")
        if quirks.schema == "refused" and "response_format" in body:
            return _refusal(422, "response_format is not supported")
        prompt = prompt_size(body)
        window = int(as_object(body.get("options")).get("num_ctx") or quirks.window)
        if prompt > window and quirks.overlong == "refused":
            return _refusal(400, f"the prompt has {prompt} tokens, more than the context length of {window}")
        said = self._said(body)
        return WRITERS[quirks.dialect](quirks, body, said, min(prompt, window))

    def _said(self, body: Mapping[str, Any]) -> Said:
        quirks = self.quirks
        asked = READERS[quirks.dialect](body)
        if quirks.schema != "enforced":
            asked = replace(asked, schema=None)
        if not quirks.tools or (asked.schema is not None and quirks.schema_beats_tools):
            asked = replace(asked, tools=())
        if not quirks.tool_choice:
            asked = replace(asked, choice="auto")
        if not quirks.seed:
            asked = replace(asked, seed=None)
        if asked.schema is not None and speak(replace(asked, schema=None), parallel=False).calls:
            asked = replace(asked, schema=None)  # a call is not bound by the answer's schema
        return speak(asked, parallel=quirks.parallel)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status)

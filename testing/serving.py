"""A server on a loopback port that speaks chat completions and answers what it is told.

For tests of the wire itself; to test a graph, a `ScriptedModel` is simpler and quicker.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from aiohttp import web

Reply = dict[str, Any] | bytes | web.Response | Callable[[web.Request], Awaitable[web.StreamResponse]]
"""An object is sent as JSON, bytes as an event stream, a response as it is; a function answers itself."""


class ChatServer:
    """Answers `/v1/chat/completions` with its replies in turn, the last of them for ever.

    Args:
        replies: See `Reply`; `completion`, `stream` and `failure` make them.
        models: What `/v1/models` lists.
        routes: Other paths from the root, and what answers a POST there.
    """

    def __init__(
        self,
        *replies: Reply,
        models: list[dict[str, Any]] | None = None,
        routes: Mapping[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] | None = None,
    ) -> None:
        self._routes = dict(routes or {})
        self._replies = list(replies)
        self._models = [{"id": "m"}] if models is None else models
        self._runner: web.AppRunner | None = None
        self.url = ""
        """Base address, `/v1` included."""
        self.requests: list[dict[str, Any]] = []
        """Bodies received, in order."""
        self.headers: list[dict[str, str]] = []
        """Headers of the same requests, names in lower case."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._list)
        for path, handler in self._routes.items():
            app.router.add_post(path, handler)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
        if isinstance(reply, dict):
            return web.json_response(reply)
        if isinstance(reply, bytes):
            return web.Response(body=reply, content_type="text/event-stream")
        if isinstance(reply, web.Response):
            return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
        return await reply(request)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": self._models})


def completion(content: Any = "hi", *, finish: Any = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion; `message` adds fields to its message."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "served-name",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}},
    }


def wire_call(name: str = "add", arguments: Any = '{"a": 1}', call_id: Any = "call-9") -> dict[str, Any]:
    """A tool call inside a completion's message."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """One event of a stream."""
    return {"model": "served-name", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def stream(*events: dict[str, Any] | str) -> bytes:
    """A stream of these events; text is sent as it is, such as the end mark `[DONE]`."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return b"".join(f"data: {line}\n\n".encode() for line in lines)


def failure(status: int, message: str = "it failed", code: str = "", **headers: str) -> web.Response:
    """An error with a status, as OpenAI words it; `retry_after="1"` adds the header of that name."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response({"error": {"message": message, "code": code}}, status=status, headers=named)

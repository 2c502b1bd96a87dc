"""A model server that answers at once, or after `/d100` milliseconds: enough HTTP to measure its clients.

    python -m benchmarks.compare.stub

Prints its address, then serves until its standard input ends. A request with a response format gets an object of
that form, one with tools and no result yet gets a tool call, any other one gets a text.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import orjson

_DELAY = re.compile(rb"/d(\d+)/")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_VERDICT = '{"ok": true, "score": 0.9, "reason": "The context names the key."}'


def message_for(body: dict[str, Any]) -> dict[str, Any]:
    """The assistant's turn."""
    if body.get("response_format"):
        return {"role": "assistant", "content": _VERDICT}
    if not body.get("tools"):
        return {"role": "assistant", "content": "Look the key up, then answer."}
    last = body["messages"][-1]
    if last["role"] == "tool":
        return {"role": "assistant", "content": f"It is {last['content']}."}
    call = {"id": "call-1", "type": "function", "function": {"name": "lookup", "arguments": '{"key": "harbour"}'}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def answer_to(content: bytes) -> bytes:
    """The whole HTTP response to a request's body."""
    body = orjson.loads(content)
    message = message_for(body)
    finish = "tool_calls" if "tool_calls" in message else "stop"
    data = orjson.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
            "usage": {"prompt_tokens": 60, "completion_tokens": 12, "total_tokens": 72},
        }
    )
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests on it are answered in order."""

    def __init__(self) -> None:
        self._waiting = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._waiting) < whole:
                return
            content, self._waiting = self._waiting[end + 4 : whole], self._waiting[whole:]
            delay = _DELAY.search(head.partition(b"\r\n")[0])
            asyncio.get_running_loop().call_later(int(delay[1]) / 1000 if delay else 0, self._answer, content)

    def _answer(self, content: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer_to(content))


async def serve() -> None:
    """Serve on a free port of this machine until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())

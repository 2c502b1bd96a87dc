"""A model server that misbehaves on demand, on a loopback port.

    async with FaultServer() as server:
        llm = model(f"openai-compatible:chaos:500@{server.url}")

A request meets the fault that its model names, `chaos:NAME`, else one drawn from the server's mix. It speaks
raw HTTP over a socket, since a web framework would tidy up what has to stay broken. By itself:
`python -m collegium.testing.faulty --port 8099 --mix ok=80,500=20`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from time import monotonic
from typing import Any, Self

from ..models._json import as_object
from . import _misdeeds as deeds
from .faults import FAULTS, bites


class FaultServer:
    """Answers chat completions and embeddings, each request with its fault.

    Args:
        mix: Weight of each fault for requests that name none; default: all go well.
        seed: Decides the draws.
        retry_after_s: What it asks for when it is busy.
        stall_s: How long it is silent where it is.
        port: 0 takes a free one.

    Raises:
        ValueError: The mix names an unknown fault.
    """

    def __init__(
        self,
        mix: Mapping[str, float] | None = None,
        *,
        seed: int = 1,
        retry_after_s: float = 0.05,
        stall_s: float = 120.0,
        port: int = 0,
    ) -> None:
        self._mix = dict(mix or {"ok": 1.0})
        if unknown := self._mix.keys() - FAULTS.keys():
            raise ValueError(f"no fault is called {', '.join(sorted(unknown))}")
        self._random, self._port = Random(seed), port
        self.retry_after_s, self.stall_s = retry_after_s, stall_s
        self.log: list[dict[str, Any]] = []
        """Each request: `t` (seconds), `fault`, `stream`, and how it `end`ed: sent, cut or client_hung_up."""
        self.open_now = 0
        """Requests that are being answered."""
        self.keys: set[str] = set()
        """What came as `authorization`."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self._port)
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def requests(self) -> int:
        """How many requests for a model came."""
        return len(self.log)

    def stats(self) -> dict[str, Any]:
        """Counts: `requests`, `faults` by name, `client_hung_up` by fault, `open_now`."""
        gone = Counter(entry["fault"] for entry in self.log if entry["end"] == "client_hung_up")
        return {
            "requests": self.requests,
            "faults": dict(Counter(entry["fault"] for entry in self.log)),
            "client_hung_up": dict(gone),
            "open_now": self.open_now,
        }

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while (request := await _read_request(reader)) is not None:
                await self._respond(Wire(reader, writer), *request)
        except (ConnectionError, Cut, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _respond(self, wire: Wire, route: str, headers: Mapping[str, str], body: dict[str, Any]) -> None:
        own: dict[str, Callable[[], Any]] = {
            "GET /health": lambda: {"status": "ok"},
            "GET /stats": self.stats,
            "GET /log": lambda: self.log,
            "POST /reset": self._reset,
            "GET /v1/models": lambda: {"object": "list", "data": [{"id": "chaos", "object": "model"}]},
        }
        if route in own:
            await wire.whole(200, own[route]())
        elif route in ("POST /v1/chat/completions", "POST /v1/embeddings"):
            self.keys.add(headers.get("authorization", ""))
            await self._misbehave(wire, body, route.endswith("embeddings"))
        else:
            await wire.whole(404, deeds.error(f"there is no {route}"))

    async def _misbehave(self, wire: Wire, body: dict[str, Any], embeds: bool) -> None:
        streamed = body.get("stream") is True
        entry = {"t": monotonic(), "fault": self._draw(body, streamed, embeds), "stream": streamed, "end": "sent"}
        self.log.append(entry)
        self.open_now += 1
        try:
            await deeds.do(str(entry["fault"]), deeds.Scene(wire, body, self.retry_after_s, self.stall_s, embeds))
        except Cut:
            entry["end"] = "cut"
            raise
        except (ConnectionError, asyncio.CancelledError):
            entry["end"] = "client_hung_up"
            raise
        finally:
            self.open_now -= 1

    def _draw(self, body: Mapping[str, Any], streamed: bool, embeds: bool) -> str:
        kind, _, name = str(body.get("model", "")).partition(":")
        if kind == "chaos" and name in FAULTS:
            return name
        fitting = [name for name in self._mix if embeds or bites(FAULTS[name], streamed=streamed)]
        weights = [self._mix[name] for name in fitting]
        return self._random.choices(fitting, weights)[0] if sum(weights) else "ok"

    def _reset(self) -> dict[str, bool]:
        self.log.clear()
        return {"reset": True}


class Cut(Exception):
    """The server ended the connection on purpose."""


class Wire:
    """One response, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def head(self, status: int, headers: Mapping[str, Any]) -> None:
        """Status line and headers."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._writer.write(f"HTTP/1.1 {status} Chaos\r\n{lines}\r\n".encode("latin-1"))
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        """Some bytes; waits while the client does not read."""
        self._writer.write(data)
        await self._writer.drain()

    async def part(self, data: bytes) -> None:
        """A piece of a body whose length was not told."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data) if data else b"0\r\n\r\n")

    async def whole(self, status: int, body: Any, kind: str = "application/json", **headers: Any) -> None:
        """A whole response; what is not bytes goes out as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.head(status, {"content-type": kind, "content-length": len(data), **named})
        await self.send(data)

    async def pause(self, seconds: float) -> None:
        """Silence, which ends when the client leaves.

        Raises:
            ConnectionError: It left.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if not await self._reader.read(1):
                    raise ConnectionResetError

    def cut(self) -> None:
        """End the connection as a crashed server does.

        Raises:
            Cut: Always.
        """
        own: socket.socket | None = self._writer.get_extra_info("socket")
        if own is not None:  # no lingering: the peer sees a reset, not an end in good order
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        raise Cut


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], dict[str, Any]] | None:
    line = await reader.readline()
    if not line.strip():
        return None
    method, path, *_ = line.decode("latin-1").split(" ")
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    body: Any = json.loads(raw) if raw else {}
    return f"{method} {path}", headers, as_object(body)


def read_mix(text: str) -> dict[str, float]:
    """`ok=80,500=20` as weights; a name alone weighs 1."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name.strip(): float(weight or 1) for name, _, weight in pairs}


async def serve(options: argparse.Namespace) -> None:
    """Say where it listens, and serve until it is stopped."""
    async with FaultServer(
        read_mix(options.mix),
        seed=options.seed,
        retry_after_s=options.retry_after,
        stall_s=options.stall,
        port=options.port,
    ) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mix", default="ok=1", help="name=weight,name=weight…")
    parser.add_argument("--retry-after", type=float, default=1.0, help="seconds that a busy server asks for")
    parser.add_argument("--stall", type=float, default=120.0, help="seconds of silence")
    parser.add_argument("--list", action="store_true", help="name the faults and what a client should do")
    options = parser.parse_args(arguments)
    if options.list:
        for fault in FAULTS.values():
            print(f"{fault.name:18}{fault.where:10}{fault.advice}")
        return
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options))


if __name__ == "__main__":
    main()

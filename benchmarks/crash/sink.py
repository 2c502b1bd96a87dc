"""The world: a process that appends each effect to a file, with fsync, and only then answers.

One request is one line of JSON on a loopback connection, `{"face", "run", "key", "payload"}`, and so is its answer,
`{"receipt", "again"}`. The faces: `plain` does what it is told each time, `idempotent` knows a key again and gives
the old receipt, `slow` is plain, and takes up to 0.3 s before and after it acts.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import socketserver
import threading
import time
from pathlib import Path
from random import Random
from typing import Any, Literal, TypedDict, cast

Face = Literal["plain", "idempotent", "slow"]

SLOWEST_S = 0.3


class Entry(TypedDict):
    """One line of the sink's file."""

    at: float
    face: Face
    run: str
    key: str
    payload: dict[str, Any]
    receipt: str


class _Book:
    """The file, and which keys the idempotent face knows."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._count = 0

    def act(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if asked["face"] == "idempotent" and asked["key"] in self._known:
                return {"receipt": self._known[asked["key"]], "again": True}
            self._count += 1
            receipt = self._known[asked["key"]] = f"r{self._count}"
            line = json.dumps({"at": time.time(), **asked, "receipt": receipt})
            os.write(self._file, f"{line}\n".encode())
            os.fsync(self._file)
            return {"receipt": receipt, "again": False}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, book: _Book) -> None:
        super().__init__(listening.getsockname(), _Request, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.book = book


class _Request(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        book = cast("_Server", self.server).book
        asked = json.loads(self.rfile.readline() or "null")
        if asked is None:  # the worker died before it had said anything
            return
        slow = Random(asked["key"])
        pause_s = [slow.uniform(0, SLOWEST_S / 2) if asked["face"] == "slow" else 0.0 for _ in range(2)]
        time.sleep(pause_s[0])
        answer = book.act(asked)
        time.sleep(pause_s[1])
        try:
            self.wfile.write(f"{json.dumps(answer)}\n".encode())
        except OSError:
            return  # the worker died meanwhile; what happened has happened


def listen() -> socket.socket:
    """A loopback socket that waits for connections."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    listening.set_inheritable(True)
    return listening


def serve(listening: socket.socket, path: Path) -> None:
    """Be the sink until the process is killed."""
    _Server(listening, _Book(path)).serve_forever()


async def tell(port: int, face: Face, run: str, key: str, payload: dict[str, Any]) -> str:
    """Make an effect happen; returns its receipt."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        asked = json.dumps({"face": face, "run": run, "key": key, "payload": payload})
        writer.write(f"{asked}\n".encode())
        answer = await reader.readline()
    finally:
        writer.close()
    if not answer:
        raise ConnectionError("the sink closed the connection")
    return str(json.loads(answer)["receipt"])


def entries(path: Path) -> list[Entry]:
    """What happened, in order."""
    return [json.loads(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []

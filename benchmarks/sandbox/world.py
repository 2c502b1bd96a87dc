"""What must stay untouched: a canary outside of every allowed place, and a listener on the loopback."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path


@dataclass(slots=True)
class Outcome:
    """What came of one case."""

    group: str
    name: str
    wrong: list[str] = field(default_factory=list[str])
    note: str = ""
    """How it was refused, or a figure."""


@dataclass(slots=True)
class World:
    """A folder for the tools, and what lies beside it."""

    folder: Path
    """The allowed place."""
    outside: Path
    token: str
    port: int
    heard: list[str]
    """First bytes of whatever reached the listener."""
    _before: str = ""

    def begin(self) -> None:
        """Remember how the outside looks."""
        self.heard.clear()
        self._before = self._fingerprint()

    def touched(self, *said: object) -> list[str]:
        """What is wrong: the canary was changed, its secret appears in what was said, or somebody called."""
        wrong = [f"the listener heard {words!r}" for words in self.heard]
        if self._fingerprint() != self._before:
            wrong.append("the outside was changed")
        if any(self.token in str(one) for one in said):
            wrong.append("the canary was read")
        return wrong

    def _fingerprint(self) -> str:
        seen = sha256()
        for path in sorted(self.outside.rglob("*")):
            seen.update(str(path).encode())
            if path.is_file() and not path.is_symlink():
                seen.update(path.read_bytes() + str(path.stat().st_mode).encode())
        return seen.hexdigest()


@contextlib.contextmanager
def world(base: Path) -> Generator[World]:
    """A fresh one below `base`."""
    folder, outside = base / "home", base / "outside"
    folder.mkdir(parents=True)
    outside.mkdir()
    token = secrets.token_hex(16)
    (outside / "secret.txt").write_text(token, "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard: list[str] = []
        threading.Thread(target=_listen, args=(server, heard), daemon=True).start()
        made = World(folder, outside, token, int(server.getsockname()[1]), heard)
        made.begin()
        yield made
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread, which a plain close does not


def _listen(server: socket.socket, heard: list[str]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        heard.append("a connection")
        connection.close()

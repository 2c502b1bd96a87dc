"""The process of the embedded server: started once, shared by the runs of this process, ended with it."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from ...core.errors import BackendUnavailable, MissingExtra

START_LIMIT_S = 120.0
"""Loading weights from a slow disk."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a running server listens, and the key that it asks for."""

    url: str
    key: str


class ServerProcess:
    """One server for one GGUF file; safe to use from any thread.

    Args:
        path: The weights.
        name: How the model is named in errors.
        context_tokens: Window of one request.
    """

    restarts = 1
    """How often a server that crashed is started again."""

    def __init__(self, path: Path, name: str, context_tokens: int = 4096) -> None:
        self.path, self._name, self._context = path, name, context_tokens
        self._lock = threading.Lock()
        self._crashes = 0
        self._process: subprocess.Popen[str] | None = None
        self._address: Address | None = None
        self._log: IO[str] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def address(self) -> Address:
        """Where the server listens; it is started when it does not run (any more). Blocks meanwhile.

        Raises:
            MissingExtra: The runtime is not installed.
            BackendUnavailable: The server does not start.
        """
        with self._lock:
            if self._address is None or self.pid is None:
                self._count_crash()
                self._close()
                self._address = self._start()
            return self._address

    def stop(self) -> None:
        """End the process; the next use starts a new one."""
        with self._lock:
            self._close()
            self._crashes = 0

    def _count_crash(self) -> None:
        if self._address is None:
            return
        self._crashes += 1
        if self._crashes > self.restarts:
            raise BackendUnavailable(
                self._name,
                f"the embedded server crashed {self._crashes} times: {self._last_words()} Try another GGUF file.",
            )

    def _start(self) -> Address:
        if find_spec("xllamacpp") is None:
            raise MissingExtra("The embedded model", "embedded")
        key = secrets.token_urlsafe(24)
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        process = self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", f"{__package__}.serve", str(self.path)),
                *("--alias", _weights_name(self.path), "--context", str(self._context)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            # threads that spin while they wait take the cores from the runs
            env={**os.environ, "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C is for the run; this ends when its standard input closes
        )
        atexit.register(self.stop)
        watch = threading.Timer(START_LIMIT_S, process.kill)
        watch.start()
        try:
            url = self._say_key(process, key)
        finally:
            watch.cancel()
        return Address(f"{url}/v1", key)

    def _say_key(self, process: subprocess.Popen[str], key: str) -> str:
        """Hand the key over and read where the server listens; native code may print before that."""
        assert process.stdin and process.stdout
        try:
            process.stdin.write(f"{key}\n")
            process.stdin.flush()
        except OSError:
            pass  # it ended at once; its log says why
        for line in process.stdout:
            if line.startswith('{"address"'):
                return str(json.loads(line)["address"])
        raise BackendUnavailable(self._name, f"the embedded server did not start: {self._last_words()}")

    def _last_words(self) -> str:
        if self._log is None:
            return "no message"
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read()[-4000:].splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"no message; is {self.path} a GGUF file?"

    def _close(self) -> None:
        process, self._process, self._address = self._process, None, None
        if process is not None:
            atexit.unregister(self.stop)
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    _close_quietly(pipe)
        if self._log is not None:
            self._log.close()
            self._log = None


def _close_quietly(pipe: IO[str]) -> None:
    try:
        pipe.close()
    except OSError:
        pass  # the other end is gone already


_running: dict[Path, ServerProcess] = {}
_running_lock = threading.Lock()


def shared_server(path: Path, name: str, context_tokens: int) -> ServerProcess:
    """The server of this process for a GGUF file."""
    with _running_lock:
        return _running.setdefault(path, ServerProcess(path, name, context_tokens))


def _weights_name(path: Path) -> str:
    """What an answer names: the catalogue's name for weights that were pulled, else the file's."""
    return path.parent.name if path.stem == "model" else path.stem

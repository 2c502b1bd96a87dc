"""Configurations that start the servers beside this file."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

SERVER = Path(__file__).with_name("serving_mcp.py")
MISBEHAVING = Path(__file__).with_name("misbehaving.py")
HARMLESS = {"risk": "low", "effect": "read"}


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    """The entry of the SDK's server; its tools run without a question."""
    environment = {"NOTES": str(tmp_path / "notes"), "HOME": str(tmp_path)}
    return {"command": sys.executable, "args": [str(SERVER), "stdio"], "env": environment, "collegium": HARMLESS}


@pytest.fixture
def misbehaving(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Makes the entry of a server that breaks the protocol in one way."""

    def entry(mode: str, **settings: Any) -> dict[str, Any]:
        environment = {"FOLDER": str(tmp_path)}
        command = {"command": sys.executable, "args": [str(MISBEHAVING), mode], "env": environment}
        return {**command, "collegium": {**HARMLESS, **settings}}

    return entry


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Makes the entry of such a server that is spoken to over HTTP; it runs as long as the test."""
    running: list[subprocess.Popen[str]] = []

    def entry(mode: str, elsewhere: str = "", **settings: Any) -> dict[str, Any]:
        environment = {**os.environ, "FOLDER": str(tmp_path), "ELSEWHERE": elsewhere}
        command = [sys.executable, str(MISBEHAVING), mode, "http"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        running.append(process)
        assert process.stdout
        port = int(process.stdout.readline())
        return {"url": f"http://127.0.0.1:{port}/mcp", "collegium": {**HARMLESS, **settings}}

    try:
        yield entry
    finally:
        for process in running:
            process.kill()
            process.communicate()


@pytest.fixture
def configure(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Writes a file with these servers and returns its path."""

    def write(servers: Mapping[str, Any]) -> Path:
        (tmp_path / ".collegium").mkdir(exist_ok=True)
        path = tmp_path / "mcp.json"
        path.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def http_url() -> Iterator[str]:
    """The address of the SDK's server, spoken to over streamable HTTP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(SERVER), "http", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        for line in process.stderr:
            if "running on" in line:
                break
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def gone() -> Callable[[int], Awaitable[bool]]:
    """Tells whether a process ends within a few seconds; one that only waits to be buried has ended."""

    async def ended(pid: int) -> bool:
        for _ in range(500):
            if not is_alive(pid):
                return True
            await asyncio.sleep(0.01)
        return False

    return ended


def is_alive(pid: int) -> bool:
    """Whether a process is there and not only waiting to be buried."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False

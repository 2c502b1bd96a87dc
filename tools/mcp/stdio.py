"""A local server: its process, and the lines between it and the SDK's client.

The SDK's own stdio transport collects a line of any length, hands the server's standard error to the terminal and
waits for seconds before it ends the process; this one has limits, keeps the last words for the error message and
kills the whole process group. What is spoken over it is the SDK's.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio

from .config import Server
from .limits import FloodedError, Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import ByteReceiveStream, ByteSendStream, Process

_GRACE_S = 1.0
_LAST_WORDS = 2_000
_LOST = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, ConnectionError)


class Child:
    """The process of a server, with everything it starts."""

    def __init__(self) -> None:
        self.last_words = b""
        """The end of what it wrote to standard error."""
        self._process: Process | None = None

    def started(self, process: Process) -> None:
        """Remember what to kill."""
        self._process = process

    def kill(self) -> None:
        """Kill the process group; a child that has left the group escapes."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


@asynccontextmanager
async def stdio_transport(
    server: Server, child: Child, meter: Meter, cut: Callable[[str], None]
) -> AsyncGenerator[tuple[Any, Any]]:
    """Start an expanded server and give the two streams that the SDK's client speaks over.

    Args:
        server: What to start, with its variables put in.
        child: Receives the process.
        meter: Counts what comes.
        cut: Told why the connection is over: the server ended, or sent too much.

    Raises:
        OSError: It cannot be started.
    """
    from mcp.client.stdio import get_default_environment

    process = await anyio.open_process(
        [server.command, *server.args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=get_default_environment() | dict(server.env),
        cwd=server.cwd,
        start_new_session=True,
    )
    child.started(process)
    to_client, incoming = anyio.create_memory_object_stream[Any](0)
    outgoing, from_client = anyio.create_memory_object_stream[Any](0)
    assert process.stdin and process.stdout and process.stderr
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, process.stdout, to_client, meter, cut)
            tasks.start_soon(_write, process.stdin, from_client, cut)
            tasks.start_soon(_listen, process.stderr, child, meter, cut)
            try:
                yield incoming, outgoing
            finally:
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process, child)
        for stream in (to_client, incoming, outgoing, from_client):
            stream.close()


async def _read(source: ByteReceiveStream, to_client: Any, meter: Meter, cut: Callable[[str], None]) -> None:
    """Hand each line on as a message; lines that are none (stray prints) are counted and dropped."""
    from mcp.shared.message import SessionMessage
    from mcp.types import jsonrpc_message_adapter

    begun = bytearray()
    try:
        async with to_client:
            async for chunk in source:
                meter.took(len(chunk), chunk.count(b"\n"))
                *lines, rest = chunk.split(b"\n")
                for line in lines:
                    begun += line
                    meter.check_message(len(begun))
                    with suppress(ValueError):
                        await to_client.send(SessionMessage(jsonrpc_message_adapter.validate_json(bytes(begun))))
                    begun.clear()
                begun += rest
                meter.check_message(len(begun))
    except FloodedError as error:
        cut(str(error))
    except _LOST:
        pass
    finally:
        cut("it ended")


async def _write(sink: ByteSendStream, from_client: Any, cut: Callable[[str], None]) -> None:
    try:
        async with from_client:
            async for message in from_client:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await sink.send(text.encode() + b"\n")
    except (*_LOST, OSError):
        cut("it does not read what it is sent")


async def _listen(source: ByteReceiveStream, child: Child, meter: Meter, cut: Callable[[str], None]) -> None:
    try:
        async for chunk in source:
            meter.took(len(chunk))
            child.last_words = (child.last_words + chunk)[-_LAST_WORDS:]
    except FloodedError as error:
        cut(str(error))
    except _LOST:
        pass


async def _exit(process: Process) -> None:
    """Wait a moment for the process to exit."""
    with anyio.move_on_after(_GRACE_S):
        # polled, as wait() would also wait for the pipes, which a grandchild may hold open
        while process.returncode is None:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def _end(process: Process, child: Child) -> None:
    """Close its input, give it a moment to leave, then kill what is left of its group."""
    assert process.stdin and process.stdout and process.stderr
    with suppress(*_LOST, OSError):
        await process.stdin.aclose()
    await _exit(process)
    child.kill()
    await _exit(process)
    for pipe in (process.stdout, process.stderr):
        with suppress(*_LOST, OSError):
            await pipe.aclose()
    # A grandchild that left the group can hold the pipes; the loop's transport is then closed by hand.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        with suppress(PermissionError):
            transport.close()

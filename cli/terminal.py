"""The terminal as a place to talk: lines read without stopping the run's event loop, and the editor."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def is_interactive() -> bool:
    """Whether a person can be asked: input and output are both a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def make_console(*, error: bool = False) -> Console:
    """A console that takes text as it is, colours nothing on its own and keeps whole lines when it is no terminal."""
    from ._console import PipeConsole

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else 10_000
    return PipeConsole(file=stream, highlight=False, emoji=False, markup=False, width=width)


class Terminal:
    """Reads lines from the person; Ctrl-C stops the wait and the run is drained."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.stopped = asyncio.Event()
        """Set by Ctrl-C."""

    @contextmanager
    def catching_interrupts(self) -> Generator[None]:
        """Turn the first Ctrl-C (or SIGTERM) into `stopped`; a second Ctrl-C ends the process at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def line(self, prompt: str) -> str:
        """One line that the person types.

        Raises:
            EOFError: End of input.
            KeyboardInterrupt: Ctrl-C.
        """
        self._console.print(prompt, end="", style="bold")
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        # The terminal hands over whole lines: one wake-up, one line. A thread in `input()` could not be stopped.
        loop.add_reader(sys.stdin.fileno(), readable.set)
        try:
            await self._either(readable)
        finally:
            loop.remove_reader(sys.stdin.fileno())
        text = os.read(sys.stdin.fileno(), 65_536).decode(errors="replace")
        if not text:
            raise EOFError
        return text.rstrip("\n")

    async def edited(self, text: str) -> str | None:
        """The text after `$VISUAL` or `$EDITOR`; None where neither is set."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if not editor:
            return None
        with tempfile.TemporaryDirectory(prefix="collegium-") as folder:
            file = Path(folder) / "arguments.json"
            file.write_text(text, encoding="utf-8")
            process = await asyncio.create_subprocess_exec(*shlex.split(editor), str(file))
            await process.wait()
            return file.read_text(encoding="utf-8")

    async def _either(self, readable: asyncio.Event) -> None:
        waits = [asyncio.create_task(readable.wait()), asyncio.create_task(self.stopped.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.stopped.is_set():
            raise KeyboardInterrupt

    def _stop(self) -> None:
        if self.stopped.is_set():
            os._exit(1)  # a second Ctrl-C: the person does not want to wait for the drain
        self.stopped.set()

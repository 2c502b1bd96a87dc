"""Rich's console, with one difference; imported only where something is drawn."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console


class PipeConsole(Console):
    """A console that lets a closed pipe be an error of its own.

    Rich's own answer is SystemExit, which would tear down the event loop of a run from inside.
    """

    def on_broken_pipe(self) -> NoReturn:
        """Tell the caller; `failures.guarded` ends the command in silence."""
        raise BrokenPipeError

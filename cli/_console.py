"""Rich's console, with two differences; imported only where something is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from .text import clean


class PipeConsole(Console):
    """A console that shows no control character but its own, and lets a closed pipe be an error of its own.

    Rich's own answer to a closed pipe is SystemExit, which would tear down the event loop of a run from inside.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is drawn, piece by piece; what its maker did not clean is cleaned here."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(clean(piece.text), piece.style)

    def on_broken_pipe(self) -> NoReturn:
        """Tell the caller; `failures.guarded` ends the command in silence."""
        raise BrokenPipeError

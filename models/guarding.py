"""The door through which guards of a run see what is asked of models and what they answer.

The guards live in rooms above; a ContextVar carries them here. Without one nothing is done.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from ..core.messages import Message
from .base import Completion, PartialOutput, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from .backend import Backend, Call


class Pieces(Protocol):
    """A text on its way in pieces, held back as far as it may still have to change."""

    def push(self, piece: str) -> str:
        """What may be passed on now."""
        ...

    def end(self) -> str:
        """The rest."""
        ...


class ModelGuard(Protocol):
    """What stands between a run and its models."""

    async def asked(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The prompt as it may be sent, and recorded.

        Raises:
            GuardBlocked: It may not.
        """
        ...

    def marked(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The prompt as it is sent: untrusted texts are marked, with another mark each time."""
        ...

    async def said(self, completion: Completion[Any], output: Any) -> Completion[Any]:
        """The answer as it may be used, and recorded.

        Raises:
            GuardBlocked: It may not.
        """
        ...

    def pieces(self) -> Pieces:
        """For one text that is shown while it comes."""
        ...


model_guard: ContextVar[ModelGuard | None] = ContextVar("collegium_model_guard", default=None)
"""The guard of the present run, or None."""


class Live:
    """The texts of one answer that are shown while they come, by the kind of event."""

    def __init__(self, guard: ModelGuard) -> None:
        self._by_kind = {kind: guard.pieces() for kind in ("text_delta", "reasoning_delta")}

    def push(self, kind: str, text: str) -> str:
        """What may be shown now."""
        return self._by_kind[kind].push(text)

    def end(self) -> dict[str, str]:
        """The rest, by kind."""
        return {kind: rest for kind, pieces in self._by_kind.items() if (rest := pieces.end())}


live: ContextVar[Live | None] = ContextVar("collegium_live_guard", default=None)
"""What shown text passes through; None where it is shown as it is."""


@contextmanager
def showing(through: Live | None) -> Generator[None]:
    """Within it, shown text passes through the guard."""
    token = live.set(through)
    try:
        yield
    finally:
        live.reset(token)


async def guarded_events(guard: ModelGuard, model: Backend, call: Call) -> AsyncGenerator[StreamEvent, None]:
    """The answer as it may be seen while it comes: redacted text, held back where it may yet be blocked.

    Half of a call or of an object could hold half of what must not pass, so those come whole, with the Completion.
    """
    texts, thoughts, shown = guard.pieces(), guard.pieces(), Live(guard)
    async with aclosing(model.answer_stream(call)) as events:
        while True:
            with showing(shown):  # not around the yield: an asynchronous generator shares its caller's context
                try:
                    event = await anext(events)
                except StopAsyncIteration:
                    return
            match event:
                case TextDelta(text=text):
                    if passed := texts.push(text):
                        yield TextDelta(passed)
                case ReasoningDelta(text=text):
                    if passed := thoughts.push(text):
                        yield ReasoningDelta(passed)
                case ToolCallDelta() | PartialOutput():
                    continue
                case _:
                    completion = await guard.said(event, call.output)
                    if rest := thoughts.end():
                        yield ReasoningDelta(rest)
                    if rest := texts.end():
                        yield TextDelta(rest)
                    yield completion

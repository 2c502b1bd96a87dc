"""How much of a server's answer is believed before it is refused."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a server may send, how long it may take, and how often it is asked.

    Raises:
        InvalidInput: One of them is not above 0.
    """

    body_bytes: int = 8_000_000
    """A whole answer, or all events of a stream together times eight."""
    text_characters: int = 2_000_000
    event_bytes: int = 1_000_000
    """One event of a stream."""
    argument_characters: int = 256_000
    """The arguments of one tool call."""
    tool_calls: int = 32
    """Calls in one turn."""
    error_characters: int = 300
    """How much of a server's own error text is quoted."""
    timeout_s: float = 600.0
    """Deadline over all attempts when the caller gives none: a local server may load a model first."""
    idle_s: float = 60.0
    """Longest silence inside a stream that has begun."""
    attempts: int = 4
    """Tries of one request, the first included."""
    connections: int = 1000
    """Open at once, per event loop."""

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) > 0:
                raise InvalidInput(f"limits.{one.name}", f"{getattr(self, one.name)!r} is not above 0.")


LIMITS = Limits()

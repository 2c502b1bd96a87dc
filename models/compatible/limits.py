"""How much of a server's answer is believed before it is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a server may send and how long it may take."""

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


LIMITS = Limits()

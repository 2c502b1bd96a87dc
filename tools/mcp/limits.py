"""How much a server may send, and what becomes of one that sends more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class McpLimits:
    """Bounds on what comes from a server; past one of them it is cut off, and its process group killed."""

    message_bytes: int = 8 << 20
    """Of one message."""
    burst_bytes: int = 32 << 20
    """At once; what was used comes back at `bytes_per_s`."""
    bytes_per_s: int = 4 << 20
    burst_messages: int = 2_000
    """At once, answers and what nobody asked for together; they come back at `messages_per_s`."""
    messages_per_s: int = 200
    result_chars: int = 100_000
    """Of the text of a result; a longer one is cut, and says so."""
    tools: int = 512
    """That a server may list."""
    list_pages: int = 64
    """That a list of tools may have."""
    tool_chars: int = 64_000
    """Of a tool's description and schema together."""
    relist_after_s: float = 60
    """Age of the list of tools at which it is asked for again before a call."""


class FloodedError(Exception):
    """A server sent more than it may."""


class Meter:
    """Two buckets, of bytes and of messages, that fill again with time."""

    def __init__(self, limits: McpLimits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._bytes, self._messages = float(limits.burst_bytes), float(limits.burst_messages)
        self._seen = clock()

    def took(self, size: int, messages: int = 0) -> None:
        """Count what came.

        Raises:
            FloodedError: It is more than may come.
        """
        now = self._clock()
        passed, self._seen = now - self._seen, now
        limits = self._limits
        self._bytes = min(limits.burst_bytes, self._bytes + passed * limits.bytes_per_s) - size
        self._messages = min(limits.burst_messages, self._messages + passed * limits.messages_per_s) - messages
        if self._bytes < 0:
            raise FloodedError(f"it sent more than {limits.burst_bytes:,} bytes in a short time")
        if self._messages < 0:
            raise FloodedError(f"it sent more than {limits.burst_messages:,} messages in a short time")

    def check_message(self, size: int) -> None:
        """Refuse a message that is too large.

        Raises:
            FloodedError: It is.
        """
        if size > self._limits.message_bytes:
            raise FloodedError(f"it sent a message of more than {self._limits.message_bytes:,} bytes")

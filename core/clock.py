"""Time as a parameter, so that tests and replays decide it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from . import tape


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present moment, with time zone UTC."""
        ...


class SystemClock:
    """The machine's own clock; in a replay, that of the recording."""

    def now(self) -> datetime:
        """The present moment, with time zone UTC."""
        played = tape.in_replay()
        return datetime.now(UTC) if played is None else played.now()

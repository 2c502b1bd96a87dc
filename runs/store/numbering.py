"""Ids of checkpoints keep growing when the clock is set back.

A thread's newest checkpoint is the one with the greatest id. LangGraph makes the id of the time, and within one process
of the last id where the clock stands still; a process that begins after the clock was set back knows no last id.
"""

from __future__ import annotations

from uuid import UUID

from langgraph.checkpoint.base import id as numbers

_LAST = "_last_v6_timestamp"
"""What LangGraph made its last id of; it offers no public way to set it."""


def count_on(checkpoint_id: str) -> None:
    """Let the ids that this process makes from here on be greater than a stored one."""
    try:
        number = UUID(checkpoint_id)
    except ValueError:  # of another maker
        return
    if number.version == 6:
        # RFC 9562, section 5.6: 48 bits of the time, the version, and its 12 last bits.
        made = (number.int >> 80) << 12 | (number.int >> 64) & 0xFFF
        last: int = getattr(numbers, _LAST, None) or 0
        setattr(numbers, _LAST, max(last, made))

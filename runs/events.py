"""What happens in a run, as a closed list of kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

from .store.rows import EventRow

EventKind = Literal[
    "run_started",
    "run_resumed",
    "run_adopted",
    "run_migrated",
    "run_waiting",
    "run_done",
    "run_failed",
    "run_cancelled",
    "node_started",
    "node_finished",
    "node_failed",
    "tool_called",
    "tool_result",
    "model_called",
    "model_retried",
    "model_fell_back",
    "guard_tripped",
    "approval_requested",
    "approval_decided",
    "progress",
    "custom",
    "text_delta",
    "reasoning_delta",
]

KINDS: frozenset[str] = frozenset(get_args(EventKind))

LIVE_ONLY: frozenset[str] = frozenset({"text_delta", "reasoning_delta", "progress"})
"""Shown to whoever watches at that moment, and not stored."""

STOPS: frozenset[str] = frozenset({"run_waiting", "run_done", "run_failed", "run_cancelled"})
"""The run is at rest after one of these."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    `data` by kind: run_adopted and run_migrated {was, version, changes}; run_failed {error}; run_cancelled
    {reason}; run_waiting {approvals: [id]};
    node_finished {duration_s, writes: [field]}; node_failed {error}; tool_called {tool, call_id, arguments};
    tool_result {tool, call_id, status, content, duration_s}; model_called {model, spec, input_tokens,
    output_tokens, duration_s}; model_retried {spec, requests, wait_s, error}; model_fell_back {spec, to, error};
    guard_tripped {guard, point, action, kinds, tool}; approval_requested {approval_id, kind};
    approval_decided {approval_id, decision, by}; progress {text, done, total}; text_delta and reasoning_delta {text}.
    """

    run_id: str
    seq: int
    """Grows by one within a run; 0 for kinds that are live only."""
    kind: EventKind
    node: str | None
    """Node path, outermost first, joined by `/`; None for the run itself."""
    at: datetime
    data: Mapping[str, Any]


def row_of(event: Event) -> EventRow:
    """The row that keeps an event."""
    return EventRow(event.run_id, event.seq, event.kind, event.node, dict(event.data), event.at)


def event_of(row: EventRow) -> Event:
    """The event that a stored row describes."""
    return Event(row.run_id, row.seq, cast(EventKind, row.kind), row.node or None, row.at, row.data)

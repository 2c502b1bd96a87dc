"""Where runs, approvals, effects, events, workers and checkpoints are kept: SQLite, one writer thread."""

from . import approvals, effects, events, given, runs, salvage, tip, workers
from .database import Store
from .found import Found
from .rows import (
    ApprovalRow,
    EffectRow,
    EffectState,
    EventRow,
    Intent,
    RunRow,
    StoredStatus,
    WorkerRow,
)

__all__ = [
    "ApprovalRow",
    "EffectRow",
    "EffectState",
    "EventRow",
    "Found",
    "Intent",
    "RunRow",
    "Store",
    "StoredStatus",
    "WorkerRow",
    "approvals",
    "effects",
    "events",
    "given",
    "runs",
    "salvage",
    "tip",
    "workers",
]

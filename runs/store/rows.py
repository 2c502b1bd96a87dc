"""What the tables hold, as frozen values. Columns that hold JSON are decoded; times are UTC datetimes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ..decisions import ApprovalState, Kind

StoredStatus = Literal["pending", "queued", "running", "waiting", "done", "failed", "cancelled"]
"""`pending` waits for the thread to become free; `queued` waits for a worker."""

UNFINISHED: frozenset[StoredStatus] = frozenset({"queued", "running", "waiting"})
"""The states in which a run holds its thread."""

EffectState = Literal["intent", "done", "in_doubt", "failed", "abandoned"]


@dataclass(slots=True, kw_only=True)
class RunRow:
    """One run of a graph. Nobody changes one; frozen, its many fields would cost a turn of an agent 2 % more."""

    run_id: str
    thread_id: str
    graph: str
    version: str
    fingerprint: str
    """Digest of the shape of the state's schema."""
    input: bytes
    created_at: datetime
    updated_at: datetime
    shape: str = "{}"
    """JSON text that says what the fingerprint is of; read only to tell what changed."""
    target: str | None = None
    folder: str | None = None
    status: StoredStatus = "queued"
    epoch: int = 0
    """Fencing number: grows each time the run changes hands."""
    owner: str | None = None
    error: str | None = None
    model_spec: str | None = None
    """The spec that the run was started with; None for the default of whoever runs it."""
    model: str | None = None
    """The model that answered last."""
    usage: dict[str, Any] = field(default_factory=dict[str, Any])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    budget: dict[str, Any] | None = None
    fork: int = 0
    parent_run_id: str | None = None
    after_run_id: str | None = None
    """The run of the same thread that a pending run waits for."""
    finished_at: datetime | None = None
    links: int = 0
    """How many approvals and effects the run has; with `chain` it shows that none vanished."""
    chain: str = ""
    tags: tuple[str, ...] = ()
    forked_at: str | None = None
    """The step of the parent run that this one goes on from, as its history names it."""
    parent_checkpoint_id: str | None = None
    """The parent's checkpoint at that step."""
    reuse: tuple[str, ...] | None = None
    """Keys of recorded effects that stand in for the same calls of this run, each for one."""
    timeout_s: float | None = None
    """Seconds that the run may be at work; what it waits does not count."""
    worked_s: float = 0.0
    """Seconds that it has been at work, up to its last rest."""
    tip: dict[str, Any] | None = None
    """What a run at rest must still have of its checkpoints."""
    pruned_at: datetime | None = None
    """When its state and events were removed; its approvals and effects stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRow:
    """One question to a person, perhaps decided."""

    approval_id: str
    run_id: str
    thread_id: str
    interrupt_id: str
    interrupt_index: int
    """Place of the question within its interrupt."""
    question_key: str
    kind: Kind
    payload: dict[str, Any]
    allowed: tuple[str, ...]
    digest: str
    created_at: datetime
    schema: dict[str, Any] | None = None
    state: ApprovalState = "pending"
    expires_at: datetime | None = None
    decision: dict[str, Any] | None = None
    """As `decisions.decision_to_json` writes it."""
    decided_by: str | None = None
    decided_at: datetime | None = None
    link: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """One call of a tool with effects: intended, then known or in doubt."""

    key: str
    run_id: str
    tool: str
    digest: str
    """Of the tool and its arguments."""
    args: dict[str, Any]
    epoch: int
    created_at: datetime
    updated_at: datetime
    state: EffectState = "intent"
    result: dict[str, Any] | None = None
    attempt: int = 1
    link: int = 0
    source: str | None = None
    """Key of the recorded effect that this one stands for, where none was made anew."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What `effects.intend` found under a key."""

    outcome: Literal["new", "known", "in_doubt"]
    """new: the intent is stored, call the tool. known: `row.result` is the answer (also when the tool
    failed or the call was abandoned). in_doubt: an earlier intent has no result."""
    row: EffectRow
    world_key: str
    """Key under which the world knows the call: that of the effect that the row stands for, else its own."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing that happened in a run."""

    run_id: str
    seq: int
    """Counts from 1 within the run, without gaps."""
    kind: str
    node: str | None
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A process that works on runs."""

    worker_id: str
    host: str
    """Machine, boot and process namespace: two workers with equal hosts see each other's process ids."""
    pid: int
    beat_at: datetime
    pid_started: str | None = None
    """When the process started, as the kernel counts it; None where that is not known."""
    graphs: tuple[str, ...] = ()
    serving: bool = False
    """True when it takes up queued runs by itself."""

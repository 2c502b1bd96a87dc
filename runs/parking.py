"""From a question to its record."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from .decisions import Approval, DecisionWord, Question, decision_from_json
from .store import ApprovalRow, RunRow


def approval_row(
    approval_id: str, run: RunRow, interrupt_id: str, index: int, asked: Question, now: datetime
) -> ApprovalRow:
    """The record of a question that has just been asked."""
    seconds = asked["expires_s"]
    return ApprovalRow(
        approval_id=approval_id,
        run_id=run.run_id,
        thread_id=run.thread_id,
        interrupt_id=interrupt_id,
        interrupt_index=index,
        question_key=asked["key"],
        kind=asked["kind"],
        payload=asked["payload"],
        allowed=tuple(asked["allowed"]),
        schema=asked["schema"],
        digest=asked["digest"],
        created_at=now,
        expires_at=None if seconds is None else now + timedelta(seconds=seconds),
    )


def approval_of(row: ApprovalRow) -> Approval:
    """The record as users see it."""
    return Approval(
        approval_id=row.approval_id,
        run_id=row.run_id,
        thread_id=row.thread_id,
        interrupt_id=row.interrupt_id,
        kind=row.kind,
        payload=row.payload,
        allowed=cast("tuple[DecisionWord, ...]", tuple(row.allowed)),
        schema=row.schema,
        digest=row.digest,
        state=row.state,
        created_at=row.created_at,
        expires_at=row.expires_at,
        decision=decision_from_json(row.decision) if row.decision else None,
        by=row.decided_by,
        at=row.decided_at,
    )

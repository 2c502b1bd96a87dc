"""Approval records: asked once, decided once.

Plain functions of a connection; call them inside `Store.write` or `Store.read`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...core.errors import AlreadyDecided, ApprovalExpired, StaleApproval, UnknownApproval
from .codec import stamp
from .found import Found
from .rows import ApprovalRow, RunRow
from .sealing import hidden_value
from .tables import (
    APPROVAL,
    SELECT_APPROVAL,
    UPDATE_APPROVAL,
    decode_approval,
    get_run,
    insert_approval,
    readable_approvals,
    sealed,
    update_run,
)


def get(conn: sqlite3.Connection, approval_id: str) -> ApprovalRow:
    """The approval with this id.

    Raises:
        UnknownApproval: There is none.
        CorruptState: Its record is damaged.
    """
    record = conn.execute(f"{SELECT_APPROVAL} WHERE approval_id=?", (approval_id,)).fetchone()
    if record is None:
        raise UnknownApproval(approval_id)
    return decode_approval(conn, record)


def of_run(conn: sqlite3.Connection, run_id: str, *, interrupt_id: str | None = None) -> list[ApprovalRow]:
    """The approvals of a run, in the order asked; those of one interrupt in the order within it."""
    if interrupt_id is None:
        return _fetch(conn, "WHERE run_id=? ORDER BY link", run_id)
    return _fetch(conn, "WHERE run_id=? AND interrupt_id=? ORDER BY interrupt_index, link", run_id, interrupt_id)


def by_key(conn: sqlite3.Connection, run_id: str, question_key: str) -> list[ApprovalRow]:
    """The approvals of a run that were asked under this key, newest first."""
    return _fetch(conn, "WHERE run_id=? AND question_key=? ORDER BY link DESC", run_id, question_key)


def decided_calls(conn: sqlite3.Connection, run_id: str) -> list[ApprovalRow]:
    """The tool calls of a run that a person has decided about, in the order asked."""
    return _fetch(conn, "WHERE run_id=? AND kind='tool_call' AND state='decided' ORDER BY link", run_id)


def revoke(conn: sqlite3.Connection, approval_id: str, *, by: str, now: datetime) -> ApprovalRow:
    """Take back the standing leave that an approval gave; what was done by it stays done. Twice is once.

    Raises:
        UnknownApproval: There is no such approval, or it gave no standing leave.
    """
    row = get(conn, approval_id)
    decision = dict(row.decision or {})
    if decision.get("standing") is None:
        raise UnknownApproval(approval_id)
    if decision.get("revoked") is None:
        row = replace(row, decision={**decision, "revoked": {"by": by, "at": now.isoformat()}})
        _store(conn, row)
    return row


def inbox(
    conn: sqlite3.Connection,
    *,
    now: datetime | None = None,
    run_id: str | None = None,
    after: str | None = None,
    limit: int = 1000,
) -> Found[ApprovalRow]:
    """What waits for a person, oldest first, and what of it cannot be read.

    Args:
        conn: Any connection of the store.
        now: Leave out what has lapsed by then.
        run_id: Only approvals of this run.
        after: The id of the last approval of the page before; None for the first page.
        limit: Length of a page.

    Raises:
        UnknownApproval: There is no approval `after`.
    """
    tests, values = ["state='pending'"], list[Any]()
    if now is not None:
        tests.append("(expires_at IS NULL OR expires_at > ?)")
        values.append(stamp(now))
    if run_id is not None:
        tests.append("run_id=?")
        values.append(run_id)
    if after is not None:
        tests.append("(created_at, rowid) > (?, ?)")
        values += _place(conn, after)
    where = f"WHERE {' AND '.join(tests)} ORDER BY created_at, rowid LIMIT ?"
    return readable_approvals(conn, conn.execute(f"{SELECT_APPROVAL} {where}", (*values, limit)))


def _place(conn: sqlite3.Connection, approval_id: str) -> tuple[str, int]:
    found: tuple[str, int] | None = conn.execute(
        "SELECT created_at, rowid FROM approval WHERE approval_id=?", (approval_id,)
    ).fetchone()
    if found is None:
        raise UnknownApproval(approval_id)
    return found


def ensure(conn: sqlite3.Connection, run: RunRow, asked: Sequence[ApprovalRow]) -> list[ApprovalRow]:
    """Store what is not stored yet, and return all as they are stored, in the order given.

    A question is the same when its run, interrupt, key and digest are. One that was asked under the same
    interrupt and key with another content, and is still open, is withdrawn.
    """
    stored: list[ApprovalRow] = []
    for row in asked:
        found, outdated = _known(conn, row)
        for old in outdated:
            _store(conn, replace(old, state="cancelled"))
        if found is None:
            run = insert_approval(conn, run, row)
            found = get(conn, row.approval_id)
        stored.append(found)
    return stored


def decide(
    conn: sqlite3.Connection,
    approval_id: str,
    decision: Mapping[str, Any],
    *,
    by: str,
    now: datetime,
    digest: str | None = None,
) -> ApprovalRow:
    """Record a decision: the first one wins. When it was the run's last open question, the run is queued.

    Args:
        conn: A connection in a write transaction.
        approval_id: Which approval.
        decision: As `decisions.decision_to_json` writes it.
        by: Who decides.
        now: The present moment.
        digest: Of the content that the person saw; None trusts that it is the one stored.

    Returns:
        The approval as decided.

    Raises:
        UnknownApproval: There is no such approval.
        AlreadyDecided: Somebody was first, or the run was cancelled.
        ApprovalExpired: The time to answer is over.
        StaleApproval: The person saw another content.
    """
    row = get(conn, approval_id)
    wanted = digest if digest is not None else row.digest
    if not wanted.isascii():  # nothing that was ever shown; SQLite would refuse half of a surrogate pair
        raise _refusal(row, wanted)
    decided = replace(row, state="decided", decision=dict(decision), decided_by=by, decided_at=now)
    won = conn.execute(
        f"{UPDATE_APPROVAL} AND state='pending' AND digest=? AND (expires_at IS NULL OR expires_at > ?)",
        (
            *sealed(conn, decided, "approval", APPROVAL),
            approval_id,
            hidden_value(conn, "approval", "digest", wanted),
            stamp(now),
        ),
    ).rowcount
    if not won:
        raise _refusal(row, wanted)
    queue_if_decided(conn, row.run_id, now)
    return decided


def any_due(conn: sqlite3.Connection, now: datetime) -> bool:
    """Whether a question is open that has lapsed by now."""
    due = "SELECT 1 FROM approval WHERE state='pending' AND expires_at IS NOT NULL AND expires_at <= ? LIMIT 1"
    return conn.execute(due, (stamp(now),)).fetchone() is not None


def expire_due(conn: sqlite3.Connection, now: datetime) -> list[str]:
    """Let lapse what nobody answered in time; returns the runs that can go on because of it."""
    lapsed = "WHERE state='pending' AND expires_at IS NOT NULL AND expires_at <= ?"
    due = readable_approvals(conn, conn.execute(f"{SELECT_APPROVAL} {lapsed}", (stamp(now),)).fetchall())
    for row in due:
        _store(conn, replace(row, state="expired", decided_at=now))
    return [run_id for run_id in dict.fromkeys(row.run_id for row in due) if queue_if_decided(conn, run_id, now)]


def cancel_open(conn: sqlite3.Connection, run_id: str, *, keep: Sequence[str] = ()) -> None:
    """Withdraw the open questions of a run, but for those with the ids in `keep`."""
    for row in _fetch(conn, "WHERE run_id=? AND state='pending'", run_id):
        if row.approval_id not in keep:
            _store(conn, replace(row, state="cancelled"))


def queue_if_decided(conn: sqlite3.Connection, run_id: str, now: datetime) -> bool:
    """Queue a waiting run that has no open question left; True when it did."""
    if conn.execute("SELECT 1 FROM approval WHERE run_id=? AND state='pending'", (run_id,)).fetchone():
        return False
    run = get_run(conn, run_id)
    if run.status != "waiting":
        return False
    update_run(conn, run, status="queued", updated_at=now)
    return True


def _known(conn: sqlite3.Connection, row: ApprovalRow) -> tuple[ApprovalRow | None, list[ApprovalRow]]:
    """The stored form of a question, and open ones that it replaces."""
    same_key = _fetch(
        conn,
        "WHERE run_id=? AND interrupt_id=? AND question_key=? AND state != 'cancelled' ORDER BY link",
        row.run_id,
        row.interrupt_id,
        row.question_key,
    )
    found = next((old for old in same_key if old.digest == row.digest), None)
    return found, [old for old in same_key if old.digest != row.digest and old.state == "pending"]


def _refusal(row: ApprovalRow, digest: str) -> Exception:
    if row.state == "decided":
        word = str((row.decision or {}).get("decision", "decided"))
        return AlreadyDecided(row.approval_id, word, row.decided_by or "unknown", row.decided_at)
    if row.state == "cancelled":
        return AlreadyDecided(row.approval_id, "cancelled", "its run", None)
    if row.digest != digest:
        return StaleApproval(row.approval_id, row.digest, digest)
    assert row.expires_at is not None  # nothing else is left that refuses
    return ApprovalExpired(row.approval_id, row.expires_at)


def _store(conn: sqlite3.Connection, row: ApprovalRow) -> None:
    conn.execute(UPDATE_APPROVAL, (*sealed(conn, row, "approval", APPROVAL), row.approval_id))


def _fetch(conn: sqlite3.Connection, where: str, *values: Any, **named: Any) -> list[ApprovalRow]:
    return [decode_approval(conn, record) for record in conn.execute(f"{SELECT_APPROVAL} {where}", named or values)]

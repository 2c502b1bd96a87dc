"""Standing approvals: a person's leave, within one run, for calls like the one that was asked about.

One is part of the decision that gave it, so it stands in the same record, with who gave it and what was shown. It is
looked up in the store at each use, so that a revocation holds from that moment on, in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection
from typing import Any, cast

from ..core.errors import InvalidDecision
from ..guardrails.policy import fits
from .decisions import Approve, Question, rosier
from .scope import RunScope
from .store import ApprovalRow, approvals


@dataclass(frozen=True, slots=True)
class StandingApproval:
    """Leave for a tool with these arguments, in one run."""

    approval_id: str
    """The approval by which it was given, and by which it is revoked."""
    run_id: str
    tool: str
    patterns: Mapping[str, str]
    """Arguments that may differ, each within its pattern; the others must be as they were shown."""
    args: Mapping[str, Any]
    """The arguments that were shown."""
    by: str
    at: datetime | None
    revoked_by: str | None = None
    revoked_at: str | None = None

    @property
    def active(self) -> bool:
        """Whether nobody has revoked it."""
        return self.revoked_at is None


def checked_standing(row: ApprovalRow, decision: Approve) -> Approve:
    """The decision, if the leave that it gives may be given.

    Raises:
        InvalidDecision: It is no tool call, an argument is unknown, or one that says where something goes may differ.
    """
    patterns = decision.standing or {}
    if row.kind != "tool_call" or "why" not in row.payload:  # a request of LangChain's middleware says less
        raise InvalidDecision(row.approval_id, "only a call of a tool can be approved for more than once.")
    args = cast("Mapping[str, Any]", row.payload["args"])
    for name, pattern in patterns.items():
        if name not in args:
            known = ", ".join(args) or "none"
            raise InvalidDecision(row.approval_id, f"the call has no argument {name!r}; there are: {known}.")
        if name in row.payload.get("destined_by", ()):
            problem = f"{name!r} says where something goes, so it must stay as shown; leave it out."
            raise InvalidDecision(row.approval_id, problem)
        if not fits(args[name], pattern):
            raise InvalidDecision(row.approval_id, f"the pattern {pattern!r} does not fit {name!r} as it was shown.")
    return decision


def standing_of(row: ApprovalRow) -> StandingApproval | None:
    """The leave that an approval gave, revoked or not."""
    decision = row.decision or {}
    if decision.get("decision") != "approve" or decision.get("standing") is None:
        return None
    revoked = cast("Mapping[str, str]", decision.get("revoked") or {})
    return StandingApproval(
        approval_id=row.approval_id,
        run_id=row.run_id,
        tool=str(row.payload["tool"]),
        patterns=decision["standing"],
        args=row.payload["args"],
        by=row.decided_by or "unknown",
        at=row.decided_at,
        revoked_by=revoked.get("by"),
        revoked_at=revoked.get("at"),
    )


def covers(row: ApprovalRow, payload: Mapping[str, Any]) -> bool:
    """Whether the leave that an approval gave is still there, and takes in this call."""
    given = standing_of(row)
    if given is None or not given.active or given.tool != payload["tool"] or rosier(row.payload, payload):
        return False
    args = cast("Mapping[str, Any]", payload["args"])
    if args.keys() != given.args.keys():
        return False
    return all(
        fits(value, given.patterns[name]) if name in given.patterns else value == given.args[name]
        for name, value in args.items()
    )


async def found(scope: RunScope, payload: Mapping[str, Any]) -> ApprovalRow | None:
    """The approval of the run whose standing leave takes in a call, as the payload of its question shows it."""

    def look(conn: Connection) -> ApprovalRow | None:
        rows = approvals.decided_calls(conn, scope.run_id)
        return next((row for row in rows if covers(row, payload)), None)

    return await scope.store.read(look)


async def covering(scope: RunScope, asked: Question) -> Approve | None:
    """The decision that a standing approval of the run makes on a question; None where none takes it in."""
    row = await found(scope, asked["payload"]) if asked["kind"] == "tool_call" else None
    if row is None:
        return None
    scope.emit("standing_approval", {"approval_id": row.approval_id, "tool": row.payload["tool"], "key": asked["key"]})
    return Approve(by=row.decided_by or "unknown")

"""Stand-ins for the person at the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..core.errors import InvalidDecision
from ..runs.decisions import Approval, Approve, Decision


class Approver(Protocol):
    """Decides about one approval."""

    async def __call__(self, approval: Approval) -> Decision:
        """The decision; raise to leave the approval open."""
        ...


class ScriptedApprover:
    """Answers approvals from a list, in order, and keeps what it was shown.

    Args:
        decisions: One for each approval.

    Raises:
        InvalidDecision: It was asked more often than it has decisions.
    """

    def __init__(self, decisions: Iterable[Decision]) -> None:
        self._decisions = list(decisions)
        self.seen: list[Approval] = []
        """The approvals it was shown, in order."""

    async def __call__(self, approval: Approval) -> Decision:
        """The next decision."""
        self.seen.append(approval)
        if len(self.seen) > len(self._decisions):
            raise InvalidDecision(
                approval.approval_id,
                f"the script has only {len(self._decisions)} decisions and this is the next {approval.kind}",
            )
        return self._decisions[len(self.seen) - 1]


def approve_all(by: str = "test") -> Approver:
    """Approves whatever may be approved; an effect in doubt or a question is an `InvalidDecision`.

    Args:
        by: Whose name the records carry.
    """

    async def approve(approval: Approval) -> Decision:
        if "approve" in approval.allowed:
            return Approve(by=by)
        raise InvalidDecision(
            approval.approval_id,
            f"a {approval.kind} cannot be approved; allowed: {', '.join(approval.allowed)}. Use a ScriptedApprover.",
        )

    return approve

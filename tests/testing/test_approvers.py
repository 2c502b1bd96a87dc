"""Automatic approvers."""

from datetime import UTC, datetime

import pytest

from collegium.core.errors import InvalidDecision
from collegium.runs.decisions import Approval, Approve, DecisionWord, Kind, Reject
from collegium.testing import ScriptedApprover, approve_all


def approval(kind: Kind, *allowed: DecisionWord) -> Approval:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Approval("ap-1", "run-1", "t-1", "i-1", kind, {}, allowed, None, "d", "pending", at, None)


async def test_approve_all_approves_under_the_name_given() -> None:
    assert await approve_all(by="ada")(approval("tool_call", "approve", "reject")) == Approve(by="ada")


async def test_approve_all_refuses_what_cannot_be_approved() -> None:
    with pytest.raises(InvalidDecision, match="in_doubt cannot be approved; allowed: happened, retry"):
        await approve_all()(approval("in_doubt", "happened", "retry"))


async def test_a_scripted_approver_decides_in_order_and_then_complains() -> None:
    approver = ScriptedApprover([Reject("no")])
    asked = approval("review", "approve", "reject")
    assert await approver(asked) == Reject("no")
    assert approver.seen == [asked]
    with pytest.raises(InvalidDecision, match="only 1 decisions"):
        await approver(asked)

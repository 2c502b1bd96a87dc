"""What makes a run durable: leases, approval records, the effect journal, events, the Runner."""

from .budget import Budget
from .calls import (
    call_key,
    call_tool,
    cannot_wait,
    guarded,
    has_leave,
    plans_first,
    tool_question,
    validated,
    verdict_for,
)
from .decisions import (
    Approval,
    Approve,
    Decision,
    Edit,
    Extend,
    Happened,
    NotHappened,
    Question,
    Reject,
    Respond,
    Retry,
    ask,
    decision_from_json,
    decision_to_json,
    question,
)
from .events import KINDS, LIVE_ONLY, STOPS, Event, EventKind
from .retention import Pruned, Retention
from .run import AT_REST, Run, RunStatus
from .runner import MEMORY, Runner
from .standing_approvals import StandingApproval
from .steps import Step
from .target import AnyGraph, ManagedGraph, Target

__all__ = [
    "AT_REST",
    "AnyGraph",
    "Approval",
    "Approve",
    "Budget",
    "Decision",
    "Edit",
    "Event",
    "EventKind",
    "Extend",
    "Happened",
    "KINDS",
    "LIVE_ONLY",
    "MEMORY",
    "ManagedGraph",
    "NotHappened",
    "Pruned",
    "Question",
    "Reject",
    "Respond",
    "Retention",
    "Retry",
    "Run",
    "RunStatus",
    "Runner",
    "STOPS",
    "StandingApproval",
    "Step",
    "Target",
    "ask",
    "call_key",
    "call_tool",
    "cannot_wait",
    "decision_from_json",
    "decision_to_json",
    "guarded",
    "has_leave",
    "plans_first",
    "question",
    "tool_question",
    "validated",
    "verdict_for",
]

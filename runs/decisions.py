"""Questions to a person and the answers they may give.

A node that needs a person calls `ask` with everything it wants decided; the run parks, each question
becomes one approval record, and when the last is decided the node runs again and `ask` returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast, get_args

from pydantic import JsonValue
from typing_extensions import TypedDict

from ..core.errors import InvalidInput
from ..core.ids import digest

Kind = Literal["tool_call", "review", "in_doubt", "budget", "input"]
DecisionWord = Literal["approve", "edit", "reject", "respond", "happened", "not_happened", "retry", "extend"]
ApprovalState = Literal["pending", "decided", "expired", "cancelled"]

MARK = "collegium.questions"
"""Key of an interrupt value that carries `Question`s."""


class Question(TypedDict):
    """One thing to decide, as JSON types, inside an interrupt."""

    key: str
    """Stable for the same question after a restart, unique within the run."""
    kind: Kind
    payload: dict[str, JsonValue]
    """Everything that the person must see. tool_call: tool, args, description, risk, effect, trust, why it is asked,
    and where known destinations (each known or not), destined_by (the arguments that name them), origins (by argument,
    where what it was made from came from) and seen_in (by argument, where it stands).
    review: field, value. in_doubt: tool, args, key, since. input: prompt."""
    allowed: list[DecisionWord]
    schema: dict[str, Any] | None
    """JSON Schema that an edit or a typed answer must fit."""
    digest: str
    """SHA-256 of kind, key and payload: exactly what is decided."""
    expires_s: float | None
    """Seconds until the question lapses and counts as rejected; None waits for ever."""


def question(
    key: str,
    kind: Kind,
    payload: Mapping[str, JsonValue],
    allowed: Sequence[DecisionWord],
    *,
    schema: dict[str, Any] | None = None,
    expires_s: float | None = None,
) -> Question:
    """A question with the digest of its content."""
    body = dict(payload)
    return Question(
        key=key,
        kind=kind,
        payload=body,
        allowed=list(allowed),
        schema=schema,
        digest=digest({"kind": kind, "key": key, "payload": body}),
        expires_s=expires_s,
    )


_ABOUT = frozenset({"trust", "origins", "seen_in", "destinations", "destined_by", "why"})
"""Parts of a tool call's payload that tell of the call and are no part of it."""


def same_act(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two payloads ask about the same call.

    What is told of a call may change while it waits: calls beside it come back, and bring labels along.
    """
    names = (one.keys() | other.keys()) - _ABOUT
    return all(one.get(name) == other.get(name) for name in names)


def rosier(shown: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the person was told that the arguments were trusted, and they are not."""
    return shown.get("trust") == "trusted" and now.get("trust") == "untrusted"


@dataclass(frozen=True, slots=True)
class Approve:
    """Go on exactly as shown."""

    by: str = "unknown"
    standing: Mapping[str, str] | None = None
    """Of a tool call: leave for the like of it in this run, until it is revoked. Arguments that may differ, each with a
    pattern in which `*` stands for any text; the others must be as shown. None gives leave for this call alone."""
    word: Literal["approve"] = field(default="approve", init=False)


@dataclass(frozen=True, slots=True)
class Edit:
    """Go on with other arguments (of the same tool), or with another value of the field under review."""

    args: Any
    by: str = "unknown"
    word: Literal["edit"] = field(default="edit", init=False)


@dataclass(frozen=True, slots=True)
class Reject:
    """Do not do it; the reason is what the agent reads."""

    reason: str = ""
    by: str = "unknown"
    word: Literal["reject"] = field(default="reject", init=False)


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer in place of the tool, or answer a question: text, or a value that fits its schema."""

    text: Any
    by: str = "unknown"
    word: Literal["respond"] = field(default="respond", init=False)


@dataclass(frozen=True, slots=True)
class Happened:
    """For an effect in doubt: it did happen."""

    result: str = ""
    by: str = "unknown"
    word: Literal["happened"] = field(default="happened", init=False)


@dataclass(frozen=True, slots=True)
class NotHappened:
    """For an effect in doubt: it did not happen, and shall not."""

    by: str = "unknown"
    word: Literal["not_happened"] = field(default="not_happened", init=False)


@dataclass(frozen=True, slots=True)
class Retry:
    """For an effect in doubt: do it (again)."""

    by: str = "unknown"
    word: Literal["retry"] = field(default="retry", init=False)


@dataclass(frozen=True, slots=True)
class Extend:
    """For a spent budget: raise the limit by this amount, in the unit of the measure."""

    amount: float
    by: str = "unknown"
    word: Literal["extend"] = field(default="extend", init=False)


Decision = Approve | Edit | Reject | Respond | Happened | NotHappened | Retry | Extend


@dataclass(frozen=True, slots=True)
class Approval:
    """The record of one human decision: asked, perhaps answered."""

    approval_id: str
    run_id: str
    thread_id: str
    interrupt_id: str
    kind: Kind
    payload: dict[str, Any]
    allowed: tuple[DecisionWord, ...]
    schema: dict[str, Any] | None
    digest: str
    state: ApprovalState
    created_at: datetime
    expires_at: datetime | None
    decision: Decision | None = None
    by: str | None = None
    at: datetime | None = None

    @property
    def id(self) -> str:
        """The approval's id, short form."""
        return self.approval_id


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """The decision as JSON types: its word, who, and its content."""
    body: dict[str, Any] = {"decision": decision.word, "by": decision.by}
    match decision:
        case Approve(standing=standing) if standing is not None:
            body["standing"] = dict(standing)
        case Edit(args=args):
            body["args"] = args
        case Reject(reason=reason):
            body["reason"] = reason
        case Respond(text=text):
            body["text"] = text
        case Happened(result=result):
            body["result"] = result
        case Extend(amount=amount):
            body["amount"] = amount
        case _:
            pass
    return body


def decision_from_json(body: Mapping[str, Any]) -> Decision:
    """The decision that `decision_to_json` described.

    Raises:
        InvalidInput: The word is not a decision, or its content is missing.
    """
    by = _text(body, "by", "unknown")
    match body.get("decision"):
        case "approve":
            return Approve(by, _patterns(body))
        case "edit":
            return Edit(body.get("args"), by)
        case "reject":
            return Reject(_text(body, "reason"), by)
        case "respond":
            return Respond(body.get("text"), by)
        case "happened":
            return Happened(_text(body, "result"), by)
        case "not_happened":
            return NotHappened(by)
        case "retry":
            return Retry(by)
        case "extend":
            return Extend(_amount(body), by)
        case other:
            raise InvalidInput("decision", f"{other!r} is none. Possible: {', '.join(get_args(DecisionWord))}.")


def _text(body: Mapping[str, Any], name: str, default: str = "") -> str:
    try:
        return str(body.get(name, default))
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list nested as deeply
        raise InvalidInput(name, "it is text.") from None


def _patterns(body: Mapping[str, Any]) -> dict[str, str] | None:
    given: Any = body.get("standing")
    if given is None:
        return None
    if isinstance(given, Mapping):
        found = cast("Mapping[Any, Any]", given)
        if all(isinstance(part, str) for pair in found.items() for part in pair):
            return dict(found)
    raise InvalidInput("standing", "give an object of argument names and patterns, as in {'text': '*'}.")


def _amount(body: Mapping[str, Any]) -> float:
    try:
        return float(body["amount"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidInput("amount", "a number is needed, as in {'decision': 'extend', 'amount': 1000}.") from None


def ask(questions: Sequence[Question]) -> list[Decision]:
    """Put questions to a person and return their decisions, in the order asked.

    Call it once in a node and do nothing before it: the node runs again from its first line when the
    decisions are there. A question that lapsed comes back as `Reject` by `expiry`.
    """
    from langgraph.types import interrupt

    answers = cast("list[dict[str, Any]]", interrupt({MARK: list(questions)}))
    return [decision_from_json(answer) for answer in answers]

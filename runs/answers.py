"""Checks an answer before it is recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import InvalidArguments, InvalidDecision
from ..tools.base import Tool
from .decisions import Approve, Decision, Edit, Extend, Respond, decision_to_json
from .standing_approvals import checked_standing
from .store import ApprovalRow

_TEXTS = frozenset({"by", "reason", "result"})

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def checked(row: ApprovalRow, decision: Decision, tool: Tool | None) -> Decision:
    """The decision as it will be recorded: allowed here, and an edit or answer that fits its schema.

    Raises:
        InvalidDecision: The word is not allowed for this approval, or its content does not fit or has no JSON form.
    """
    _check_recordable(row, decision)
    if decision.word not in row.allowed:
        words = ", ".join(row.allowed)
        raise InvalidDecision(row.approval_id, f"{decision.word!r} is not a possible answer. Possible: {words}.")
    match decision:
        case Approve(standing=standing) if standing is not None:
            return checked_standing(row, decision)
        case Edit(args=args, by=by):
            return Edit(_edited(row, args, tool), by)
        case Extend(amount=amount):
            if not amount > 0:
                raise InvalidDecision(row.approval_id, f"{amount!r} extends nothing; give an amount above 0.")
            return decision
        case Respond(text=text):
            if text is None:
                raise InvalidDecision(row.approval_id, "an answer is needed; None cannot be one.")
            if row.kind == "input" and row.schema is not None:
                _fits(row, text)
            return decision
        case _:
            return decision


def _check_recordable(row: ApprovalRow, decision: Decision) -> None:
    """No type checker stands before a caller, and what is recorded must come back as it was."""
    for name, value in decision_to_json(decision).items():
        try:
            if name in _TEXTS and not isinstance(cast("object", value), str):
                raise TypeError(f"it is text, not {value!r:.80}")
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"{name!r} cannot be recorded: {_without_surrogates(str(error))}."
            raise InvalidDecision(row.approval_id, problem) from error


def _without_surrogates(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _edited(row: ApprovalRow, args: Any, tool: Tool | None) -> Any:
    if row.kind != "tool_call":
        _fits(row, args)
        return args
    if not isinstance(args, Mapping):
        raise InvalidDecision(row.approval_id, "an edit gives all arguments of the call as a JSON object.")
    edited = {str(key): value for key, value in cast("Mapping[Any, Any]", args).items()}
    if tool is None:
        _fits(row, edited)
        return edited
    try:
        return tool.validate(edited)
    except InvalidArguments as error:
        raise InvalidDecision(row.approval_id, f"the edit does not fit {tool.name!r}: {error.problem}") from error


def _fits(row: ApprovalRow, value: Any) -> None:
    if row.schema is None:
        return
    from jsonschema import Draft202012Validator  # a tenth of what this room takes to load, and seldom needed

    validator = Draft202012Validator(row.schema)
    problems = cast("list[ValidationError]", sorted(validator.iter_errors(value), key=lambda e: str(e.path)))  # pyright: ignore[reportUnknownMemberType]  # untyped signature
    if problems:
        place = ".".join(str(part) for part in problems[0].absolute_path)
        where = f"{place}: " if place else ""
        raise InvalidDecision(row.approval_id, f"the value does not fit: {where}{problems[0].message}")

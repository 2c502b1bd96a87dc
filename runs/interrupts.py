"""From LangGraph's interrupts to approval records, and from decisions back to resume values.

Three shapes are understood: our own questions (`decisions.ask`), the request of LangChain's
human-in-the-loop middleware (`action_requests` with `review_configs`), and any other value, which is
one question of kind `input`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from langgraph.types import Interrupt
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from .decisions import (
    MARK,
    Approve,
    Decision,
    DecisionWord,
    Edit,
    Happened,
    Question,
    Reject,
    Respond,
    decision_to_json,
    question,
)

_MIDDLEWARE_WORDS: dict[str, DecisionWord] = {
    "approve": "approve",
    "accept": "approve",
    "edit": "edit",
    "reject": "reject",
    "ignore": "reject",
    "respond": "respond",
    "response": "respond",
}


def questions_of(interrupt: Interrupt) -> list[Question]:
    """What one interrupt asks, in the order in which it wants the answers."""
    value = interrupt.value
    if isinstance(value, Mapping):
        request = cast("Mapping[str, Any]", value)
        if MARK in request:
            return list(cast("Sequence[Question]", request[MARK]))
        if "action_requests" in request:
            return _middleware_questions(interrupt.id, request)
    return [_plain_question(interrupt)]


def resume_value(interrupt: Interrupt, decisions: Sequence[Decision]) -> Any:
    """What the interrupted node receives for the decisions on its questions."""
    value = interrupt.value
    if isinstance(value, Mapping):
        request = cast("Mapping[str, Any]", value)
        if MARK in request:
            return [decision_to_json(decision) for decision in decisions]
        if "action_requests" in request:
            actions = cast("Sequence[Mapping[str, Any]]", request["action_requests"])
            pairs = zip(actions, decisions, strict=True)
            return {"decisions": [_middleware_answer(action["name"], d) for action, d in pairs]}
    return _plain_answer(decisions[0])


def _plain_question(interrupt: Interrupt) -> Question:
    schema = cast("dict[str, Any] | None", getattr(interrupt, "response_schema", None))
    payload: dict[str, Any] = {"prompt": as_json(interrupt.value)}
    allowed: list[DecisionWord] = ["respond"] if schema else ["respond", "approve", "reject", "edit"]
    return question(interrupt.id, "input", payload, allowed, schema=schema)


def _plain_answer(decision: Decision) -> Any:
    match decision:
        case Approve():
            return True
        case Reject():
            return False
        case Edit(args=args):
            return args
        case Respond(text=text):
            return text
        case _:
            return decision_to_json(decision)


def _middleware_questions(interrupt_id: str, request: Mapping[str, Any]) -> list[Question]:
    configs = {config["action_name"]: config for config in request.get("review_configs", ())}
    asked: list[Question] = []
    for index, action in enumerate(cast("Sequence[Mapping[str, Any]]", request["action_requests"])):
        config = cast("Mapping[str, Any]", configs.get(action["name"], {}))
        words = cast("Sequence[str]", config.get("allowed_decisions") or ["approve", "reject"])
        payload = {
            "tool": action["name"],
            "args": as_json(action.get("args", action.get("arguments", {}))),
            "description": str(action.get("description", "")),
        }
        allowed: list[DecisionWord] = [_MIDDLEWARE_WORDS[word] for word in words if word in _MIDDLEWARE_WORDS]
        key = f"{interrupt_id}/{index}"
        asked.append(question(key, "tool_call", payload, allowed, schema=config.get("args_schema")))
    return asked


def _middleware_answer(tool: str, decision: Decision) -> dict[str, Any]:
    match decision:
        case Edit(args=args):
            return {"type": "edit", "edited_action": {"name": tool, "args": args}}
        case Reject(reason=reason):
            return {"type": "reject", "message": reason} if reason else {"type": "reject"}
        case Respond(text=text):
            return {"type": "respond", "message": text}
        case Happened(result=result):
            return {"type": "respond", "message": result}
        case _:
            return {"type": "approve"}


def as_json(value: Any, fallback: Callable[[Any], Any] = str) -> Any:
    """The value as JSON types; what has no JSON form becomes text."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return to_jsonable_python(value, fallback=fallback)

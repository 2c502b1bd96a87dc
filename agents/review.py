"""Nodes at which a person decides: the review of a field, and a question."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, cast, get_origin

from langgraph.types import Command, Overwrite
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from ..core.errors import Rejected, UnknownField
from ..graphs.reducers import is_reducer
from ..runs import Decision, Edit, Question, Reject, Respond, ask, call_key, question
from ..runs.decisions import DecisionWord
from ._support import edited
from .values import Answer


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the state, as a person may fill it."""

    name: str
    kind: Any
    """Its type, without markers."""
    adapter: TypeAdapter[Any]
    merges: bool
    """It has a reducer, so that a plain write would be added to what is there."""

    @property
    def schema(self) -> dict[str, Any]:
        return self.adapter.json_schema()

    def read(self, given: Any) -> Any:
        """The given value as one of the field's type; text is tried as JSON where it does not fit."""
        try:
            return self.adapter.validate_python(given)
        except ValidationError:
            if not isinstance(given, str):
                raise
            try:
                return self.adapter.validate_json(given)
            except ValidationError:
                pass
            raise

    def write(self, value: Any) -> dict[str, Any]:
        return {self.name: Overwrite(value) if self.merges else value}


def _field_of(state: type[BaseModel], name: str, where: str) -> _Field:
    info = state.model_fields.get(name)
    if info is None:
        raise UnknownField(name, list(state.model_fields), f"node {where!r}")
    merges = any(is_reducer(marker) for marker in info.metadata)
    rules = [marker for marker in info.metadata if not is_reducer(marker)]
    full: Any = Annotated[(info.annotation, *rules)] if rules else info.annotation
    return _Field(name, info.annotation, TypeAdapter(full), merges)


class Review:
    """A person approves, edits or rejects the value of a field.

    An edit must fit the field's type; one that does not is shown again with what is wrong. A rejection
    ends the run as cancelled. With `notes`, the person may also respond: what they say is written there.

    Args:
        field: The field under review.
        notes: A text field (or a list of texts) for what the person says; None takes no response.
        expires_s: Seconds until no answer counts as a rejection; None waits for ever.
    """

    def __init__(self, field: str, *, notes: str | None = None, expires_s: float | None = None) -> None:
        self.field, self.notes, self.expires_s = field, notes, expires_s
        self.reads = {"value": field}
        self.writes = (field, notes) if notes else (field,)

    def bind(self, state: type[BaseModel], name: str) -> Callable[..., Any]:
        """The node for a field of this state.

        Raises:
            UnknownField: The state lacks the field, or the one for notes.
        """
        field = _field_of(state, self.field, name)
        notes = _field_of(state, self.notes, name) if self.notes else None

        async def review(value: Any) -> Command[Any]:
            return Command(update=self._decide(field, notes, value))

        review.__annotations__ = {"value": field.kind, "return": Command[Any]}
        return review

    def _decide(self, field: _Field, notes: _Field | None, value: Any) -> dict[str, Any]:
        problem = ""
        for attempt in range(1_000):  # each turn of this loop is one decision of a person
            decision = ask([self._question(field, value, attempt, problem)])[0]
            match decision:
                case Edit(args=args, by=by):
                    try:
                        return field.write(_edited(field.read(args), value, by))
                    except ValidationError as error:
                        problem = one_line(error)
                case Respond(text=text) if notes:
                    return _noted(notes, text)
                case Reject(reason=reason, by=by):
                    raise Rejected(self.field, reason, by)
                case _:
                    return {}
        raise Rejected(self.field, "no edit fitted", "program")

    def _question(self, field: _Field, value: Any, attempt: int, problem: str) -> Question:
        payload: dict[str, JsonValue] = {"field": self.field, "value": as_json(value)}
        if problem:
            payload["problem"] = problem
        words: tuple[DecisionWord, ...] = ("approve", "edit", "reject", *(("respond",) if self.notes else ()))
        key = call_key(0, attempt)
        return question(key, "review", payload, words, schema=field.schema, expires_s=self.expires_s)


def _edited(value: Any, was: Any, by: str) -> Any:
    """What a person has edited; an answer's sentences are no longer the model's."""
    return edited(value, was, by) if isinstance(value, Answer) and isinstance(was, Answer) else value


class Ask:
    """A person answers a question; the answer is written to a field and must fit its type.

    Args:
        prompt: The question.
        into: The field for the answer.
        expires_s: Seconds until no answer counts as a rejection; None waits for ever.
    """

    def __init__(self, prompt: str, *, into: str, expires_s: float | None = None) -> None:
        self.prompt, self.into, self.expires_s = prompt, into, expires_s
        self.reads: dict[str, str] = {}
        self.writes = (into,)

    def bind(self, state: type[BaseModel], name: str) -> Callable[..., Any]:
        """The node for a field of this state.

        Raises:
            UnknownField: The state lacks the field.
        """
        field = _field_of(state, self.into, name)

        async def answer() -> Command[Any]:
            return Command(update=self._answer(field))

        return answer

    def _answer(self, field: _Field) -> dict[str, Any]:
        problem = ""
        for attempt in range(1_000):  # each turn of this loop is one answer of a person
            decision = ask([self._question(field, attempt, problem)])[0]
            if isinstance(decision, Reject):
                raise Rejected(self.into, decision.reason, decision.by)
            try:
                return field.write(field.read(_said(decision)))
            except ValidationError as error:
                problem = one_line(error)
        raise Rejected(self.into, "no answer fitted", "program")

    def _question(self, field: _Field, attempt: int, problem: str) -> Question:
        payload: dict[str, JsonValue] = {"prompt": self.prompt, "field": self.into}
        if problem:
            payload["problem"] = problem
        key = call_key(0, attempt)
        words: tuple[DecisionWord, ...] = ("respond", "reject")
        return question(key, "input", payload, words, schema=field.schema, expires_s=self.expires_s)


def as_json(value: Any) -> JsonValue:
    """The value as JSON types, for a person to see."""
    return cast(JsonValue, to_jsonable_python(value, fallback=str))


def one_line(error: ValidationError) -> str:
    """The first thing that does not fit, with its place."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def _said(decision: Decision) -> Any:
    return decision.text if isinstance(decision, Respond) else None


def _noted(notes: _Field, text: Any) -> dict[str, Any]:
    said = text if isinstance(text, str) else json.dumps(text)
    is_list = (get_origin(notes.kind) or notes.kind) is list
    return {notes.name: [said] if is_list else said}

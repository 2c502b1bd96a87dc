"""The way in and the way out: input to field values, channel values to a typed state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from langgraph.types import Overwrite
from pydantic import BaseModel, ValidationError

from ..core.errors import InvalidInput, InvalidWrite, nearest
from .fields import MISSING, Fields, explain, show
from .nodes import build_state

StateT = TypeVar("StateT", bound=BaseModel)


def admit(fields: Fields, schema: type[BaseModel], input: Any) -> dict[str, Any]:
    """The input as field values, only those that the caller set.

    Raises:
        InvalidInput: A field is unknown, missing or refused.
    """
    values = landed(fields, schema, _given(input))
    for name, info in schema.model_fields.items():
        if info.is_required() and name not in values:
            raise InvalidInput(name, f"is missing. Give it, as in --set {name}=… or {schema.__name__}({name}=…).")
    if schema.__pydantic_decorators__.model_validators:
        _check_whole(schema, values)
    return values


def landed(
    fields: Fields, schema: type[BaseModel], given: Mapping[str, Any], carried: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The values that were given, each checked against its field.

    Args:
        fields: The state.
        schema: The fields that a caller may give.
        given: The values.
        carried: Fields that may come over from the run before, whatever `schema` says.

    Raises:
        InvalidInput: A field is unknown or refused.
    """
    names = tuple(schema.model_fields)
    aliases = {info.alias: name for name, info in schema.model_fields.items() if info.alias}
    values: dict[str, Any] = {}
    for key, value in given.items():
        name = aliases.get(key, key)
        if name not in names and name not in carried:
            raise InvalidInput(key, f"the graph has no such input. {nearest(key, names)}")
        try:
            values[name] = fields.land("input", name, value)
        except InvalidWrite as error:
            raise InvalidInput(name, f"{error.problem} (it was {error.value}).") from error
    return values


def changed(fields: Fields, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values that are put into a state from outside, each checked against its field.

    Raises:
        InvalidInput: A field is unknown or refused.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in fields:
            raise InvalidInput(name, f"the state has no such field. {nearest(name, tuple(fields))}")
        try:
            values[name] = fields.land("fork", name, Overwrite(value)).value
        except InvalidWrite as error:
            raise InvalidInput(name, f"{error.problem} (it was {show(value)}).") from error
    return values


def view(schema: type[StateT], fields: Fields, values: Mapping[str, Any]) -> StateT:
    """The typed state that channel values make.

    Values were checked when they were written and are not checked again; those of other channels are left out.
    """
    found = {name: value for name in fields if (value := fields.value(name, values)) is not MISSING}
    state = cast("StateT", build_state(schema, found))
    written = {name for name in fields if name in values}
    state.__pydantic_fields_set__.intersection_update(written)
    return state


def _given(input: Any) -> dict[str, Any]:
    if isinstance(input, BaseModel):
        return {name: getattr(input, name) for name in type(input).model_fields if name in input.model_fields_set}
    if isinstance(input, Mapping):
        return {str(key): value for key, value in cast("Mapping[object, Any]", input).items()}
    raise InvalidInput("input", f"is {type(input).__name__}; give the state's fields as a mapping or an object.")


def _check_whole(schema: type[BaseModel], values: dict[str, Any]) -> None:
    try:
        schema.model_validate(values)
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        raise InvalidInput(str(place[0]) if place else "input", explain(error)) from error

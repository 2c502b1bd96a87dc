"""The fields of a state: how each is checked when it is written, and what it holds when nobody wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, cast, get_args, get_origin

from langchain_core.messages import convert_to_messages
from langgraph.channels.base import BaseChannel
from langgraph.graph.message import add_messages
from langgraph.types import Overwrite
from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticUndefined, SchemaValidator

from ..core.errors import InvalidWrite, nearest
from ..core.trust import Origin
from .reducers import Append, MergeById, is_reducer, merges_safely, plainly
from .state import CameFrom, Keep
from .typing_match import accepts_none, item_type, second_parameter_type

MISSING: Any = PydanticUndefined
"""What a channel holds before anything was written."""

ReadChannel = Callable[[str], Any]
"""Gives the present value of a channel."""

_SHOWN = 200


class Field:
    """One field of a state, with what its checks need worked out beforehand."""

    def __init__(self, schema: type[BaseModel], name: str) -> None:
        info = schema.model_fields[name]
        self.name = name
        self.info = info
        self.type: Any = info.annotation
        """The type without its markers."""
        self.hint: Any = schema.__annotations__.get(name, info.annotation)
        """The type with its markers, as LangGraph reads it."""
        self.required = info.is_required()
        self.optional = accepts_none(self.type)
        self.reducer: Any = next((marker for marker in info.metadata if is_reducer(marker)), None)
        self.messages = _adds_messages(self.reducer)
        self.kept = self.messages or any(isinstance(marker, Keep) for marker in info.metadata)
        self.came: frozenset[Origin] = frozenset(
            marker.origin for marker in info.metadata if isinstance(marker, CameFrom)
        )
        """Where all its values come from, as declared."""
        self.update_type = self._update_type()
        self.written_type = _written_type(self)
        """What a node's result type is compared with."""
        self.coerces = loses_type(self.type)
        """Whether a value may come back from a checkpoint as another type (a tuple as a list)."""

    def default(self) -> Any:
        """The value of a field that nothing has written; `MISSING` for an input."""
        return MISSING if self.required else self.info.get_default(call_default_factory=True, validated_data={})

    def _update_type(self) -> Any:
        if self.reducer is None:
            return self.type
        declared = getattr(self.reducer, "update_type", None)
        if declared is not None:
            return declared(self.type)
        if isinstance(self.reducer, (BaseChannel, type)):
            return Any
        if merges_safely(self.reducer):
            return self.type
        return second_parameter_type(self.reducer) or self.type


class Fields(Mapping[str, Field]):
    """The fields of one state class, and the checks of what is written to them."""

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __init__(self, schema: type[BaseModel]) -> None:
        self.schema = schema
        self._fields = {name: Field(schema, name) for name in schema.model_fields}
        self._whole = _fields_validator(schema)
        self._updates = {
            name: _adapter(field.update_type, schema)
            for name, field in self._fields.items()
            if field.reducer is not None and not field.messages
        }
        decorators = schema.__pydantic_decorators__.field_validators.values()
        validated = {name for decorator in decorators for name in decorator.info.fields}
        everything = "*" in validated
        self._merged = {
            name
            for name, field in self._fields.items()
            if _is_function(field.reducer) and (everything or name in validated or _constrained(field))
        }
        self._in_context = everything or bool(validated)
        self._adapters: dict[str, TypeAdapter[Any]] = {}

    def __getitem__(self, name: str) -> Field:
        return self._fields[name]

    def __iter__(self) -> Any:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @property
    def merged(self) -> frozenset[str]:
        """Fields whose merged value is checked as well as each update."""
        return frozenset(self._merged)

    def land(self, node: str, name: str, value: Any, read: ReadChannel | None = None) -> Any:
        """The value that may be written, checked and converted.

        Args:
            node: The writer, for the message.
            name: The field.
            value: What it writes: a value, an update for the field's reducer, or an `Overwrite`.
            read: Gives present values; without it, merged values are not checked.

        Raises:
            InvalidWrite: The field does not exist, or refuses the value.
        """
        field = self._fields.get(name)
        if field is None:
            hint = nearest(name, tuple(self._fields))
            raise InvalidWrite(node, name, show(value), f"the state has no field {name!r}. {hint}")
        try:
            return self._checked(field, value, read)
        except ValidationError as error:
            raise InvalidWrite(node, name, show(value), explain(error, name)) from error
        except (ValueError, TypeError, NotImplementedError) as error:
            # A reducer refuses a value; `add_messages` raises the last for what is no message.
            raise InvalidWrite(node, name, show(value), str(error)) from error

    def _checked(self, field: Field, value: Any, read: ReadChannel | None) -> Any:
        if isinstance(value, Overwrite):
            return Overwrite(self.whole(field.name, cast(Any, value).value, read))
        if field.reducer is None:
            return self.whole(field.name, value, read)
        if field.messages:
            update: Any = _messages(value)
        else:
            update = self._updates[field.name].validate_python(value)
        if read is not None and field.name in self._merged:
            current = read(field.name)
            self.whole(field.name, update if current is None else field.reducer(current, update), read)
        return update

    def whole(self, name: str, value: Any, read: ReadChannel | None = None) -> Any:
        """The value of a field checked against its type, constraints and validators."""
        context: dict[str, Any] = {}
        if read is not None and self._in_context:
            context = {other: found for other in self._fields if (found := read(other)) is not None}
        return cast(Any, self._whole.validate_assignment(context, name, value))[0][name]

    def value(self, name: str, values: Mapping[str, Any]) -> Any:
        """The value of a field among channel values, else its default, else `MISSING`.

        Lists, dicts and sets are copied, so that a node that changes its argument changes nothing else.
        """
        found = values.get(name, MISSING)
        field = self._fields[name]
        if found is MISSING:
            return field.default()
        if field.coerces:
            return self._coerced(field, found)
        return found.copy() if type(found) in (list, dict, set) else found

    def _coerced(self, field: Field, value: Any) -> Any:
        adapter = self._adapters.get(field.name)
        if adapter is None:
            adapter = self._adapters[field.name] = _adapter(field.type, self.schema)
        return adapter.validate_python(value)


@lru_cache(maxsize=256)
def fields_of(schema: type[BaseModel]) -> Fields:
    """The fields of a state class, worked out once."""
    return Fields(schema)


def show(value: Any) -> str:
    """A value in at most 200 characters."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # a list nested thousands deep, an integer of as many digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def explain(error: ValidationError, name: str | None = None) -> str:
    """What pydantic found, in a line; places are given below the field `name`."""
    found: list[str] = []
    for problem in error.errors(include_url=False)[:3]:
        place = [str(part) for part in problem["loc"]]
        if name is not None and place[:1] == [name]:
            del place[0]
        found.append(f"{'.'.join(place)}: {problem['msg']}" if place else problem["msg"])
    more = error.error_count() - len(found)
    return "; ".join(found) + (f" (and {more} more)" if more > 0 else "")


def loses_type(annotation: Any) -> bool:
    """Whether the type holds tuples outside of models: a checkpoint gives them back as lists."""
    if annotation is tuple or get_origin(annotation) is tuple:
        return True
    return any(loses_type(part) for part in get_args(annotation))


def _written_type(field: Field) -> Any:
    if field.messages or isinstance(field.reducer, (BaseChannel, type)):
        return Any
    if isinstance(plainly(field.reducer), (Append, MergeById)):
        return field.type | item_type(field.type)
    return field.update_type


def _is_function(reducer: Any) -> bool:
    return reducer is not None and not isinstance(reducer, (BaseChannel, type))


def _constrained(field: Field) -> bool:
    markers = [marker for marker in field.info.metadata if not isinstance(marker, Keep) and marker is not field.reducer]
    return bool(markers) or not merges_safely(field.reducer)


def _adds_messages(reducer: Any) -> bool:
    inner = plainly(reducer)
    return getattr(inner, "func", inner) is add_messages  # functools.partial(add_messages, format=…)


def _messages(value: Any) -> list[Any]:
    listed = cast("Iterable[Any]", value) if isinstance(value, (list, tuple)) else [value]
    return list(convert_to_messages(list(listed)))


def _adapter(annotation: Any, schema: type[BaseModel]) -> TypeAdapter[Any]:
    config = ConfigDict(arbitrary_types_allowed=True, strict=bool(schema.model_config.get("strict")))
    try:
        return TypeAdapter(annotation, config=config)
    except PydanticUserError:  # a type with a config of its own: a model, a dataclass, a TypedDict
        return TypeAdapter(annotation)


def _fields_validator(schema: type[BaseModel]) -> SchemaValidator:
    """A validator of single fields: their types, constraints and validators, without those of the model."""
    core = cast("dict[str, Any]", schema.__pydantic_core_schema__)
    definitions: Any = None
    config: Any = None
    while core["type"] != "model-fields":
        if core["type"] == "definitions":
            definitions = core["definitions"]
        config = core.get("config", config) if core["type"] == "model" else config
        core = core["schema"]
    whole: Any = core
    if definitions is not None:
        whole = {"type": "definitions", "schema": core, "definitions": definitions}
    return SchemaValidator(whole, config)

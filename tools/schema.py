"""From a function's signature to the schema of a tool's arguments.

pydantic builds both the JSON Schema and the validation, so what a model is shown is what is checked.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ..core.errors import InvalidArguments, InvalidTool, nearest
from .base import IdempotencyKey, ToolContext
from .docstrings import Docstring

_PREFIX = "arg_"
"""Fields are called `arg_x` with the alias `x`: a parameter may then be called `json` or `_x`, which
pydantic refuses or warns about as a field name."""

_strict_json = json.JSONEncoder(allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a tool's function, divided into those of the model and those of the program."""

    arguments: type[BaseModel]
    """Validates what a model sends, strictly and without unknown names."""
    parameters: dict[str, Any]
    """JSON Schema of the arguments."""
    context: str | None
    """Name of the parameter that receives the ToolContext."""
    key: str | None
    """Name of the parameter that receives the idempotency key."""
    numbered: bool
    """Whether the schema lists numbers: pydantic takes `true` for 1 there, and JSON Schema does not."""

    def check(self, tool: str, arguments: Mapping[str, Any]) -> BaseModel:
        """The arguments as an object of `self.arguments`.

        Raises:
            InvalidArguments: One is unknown, missing, or not of its declared type; text is not taken for a
                number, nor a number for text.
        """
        try:
            text = _strict_json(to_jsonable_python(dict(arguments)))
            checked = self.arguments.model_validate_json(text, strict=True)
            if self.numbered and (problem := _first_misfit(self.parameters, json.loads(text))):
                raise InvalidArguments(tool, problem)
            return checked
        except ValidationError as error:
            raise InvalidArguments(tool, self._problem(error)) from error
        except (ValueError, TypeError, RecursionError, PydanticSerializationError) as error:
            raise InvalidArguments(tool, f"the arguments have no JSON form ({error})") from error

    def values(self, checked: BaseModel) -> dict[str, Any]:
        """Parameter name to Python value, as the function takes them."""
        return {name.removeprefix(_PREFIX): getattr(checked, name) for name in self.arguments.model_fields}

    def _problem(self, error: ValidationError) -> str:
        known = list(self.parameters.get("properties", {}))
        return "; ".join(_one_problem(dict(detail), known) for detail in error.errors(include_url=False))


def read_signature(tool: str, function: Callable[..., Any], doc: Docstring) -> Signature:
    """What a tool's function takes.

    Raises:
        InvalidTool: A parameter has no annotation, or one that has no JSON Schema, or cannot be named by a
            model (`*args`, `**kwargs`, positional-only).
    """
    hints = _hints(tool, function)
    fields: dict[str, Any] = {}
    injected: dict[str, str] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = _hint(tool, parameter, hints)
        if kind := _injected(hint):
            if kind in injected:
                raise InvalidTool(tool, f"two parameters take the {kind}; keep one of them.")
            injected[kind] = parameter.name
        else:
            fields[_PREFIX + parameter.name] = _field(parameter, hint, doc)
    model = _model(tool, fields)
    schema = _schema(tool, model)
    return Signature(model, schema, injected.get("context"), injected.get("key"), _lists_numbers(schema))


def _hints(tool: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise InvalidTool(
            tool, f"an annotation cannot be resolved ({error}); define its type at module level."
        ) from error


def _hint(tool: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Any:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise InvalidTool(tool, f"a model cannot name {str(parameter)!r}; declare each argument by name.")
    if parameter.name not in hints:
        raise InvalidTool(tool, f"parameter {parameter.name!r} has no annotation; give it a type.")
    return hints[parameter.name]


def _injected(hint: Any) -> str | None:
    if get_origin(hint) is Annotated:
        hint = hint.__origin__
    if hint is IdempotencyKey:
        return "key"
    return "context" if hint is ToolContext or get_origin(hint) is ToolContext else None


def _field(parameter: inspect.Parameter, hint: Any, doc: Docstring) -> tuple[Any, Any]:
    default = ... if parameter.default is parameter.empty else parameter.default
    described = doc.arguments.get(parameter.name)
    if described:
        # outermost, so that a description in the annotation's own Field gives way to the docstring
        return hint, Field(default, alias=parameter.name, description=described)
    return hint, Field(default, alias=parameter.name)


def _model(tool: str, fields: Mapping[str, Any]) -> type[BaseModel]:
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False, protected_namespaces=())
    try:
        return create_model(f"{tool}_arguments", __config__=config, **fields)
    except (PydanticUserError, TypeError) as error:
        raise InvalidTool(tool, f"its parameters have no JSON Schema ({error})") from error


def _schema(tool: str, model: type[BaseModel]) -> dict[str, Any]:
    try:
        schema = _untitled(model.model_json_schema(by_alias=True))
        for default in (field.default for field in model.model_fields.values() if not field.is_required()):
            json.dumps(to_jsonable_python(default), allow_nan=False)
    except (PydanticUserError, PydanticSerializationError, ValueError, TypeError) as error:
        raise InvalidTool(tool, f"its parameters have no JSON Schema ({error})") from error
    schema.setdefault("properties", {})
    return schema


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without pydantic's titles, which cost tokens and tell a model nothing new."""
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in ("properties", "$defs"):
            kept[key] = {name: _untitled(part) for name, part in value.items()}
        elif isinstance(value, dict) and key not in ("default", "const"):
            kept[key] = _untitled(cast("dict[str, Any]", value))
        elif isinstance(value, list) and key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            kept[key] = [_untitled(part) for part in cast("Iterable[dict[str, Any]]", value)]
        else:
            kept[key] = value
    return kept


def _lists_numbers(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_lists_numbers, cast("list[Any]", schema)))
    if not isinstance(schema, dict):
        return False
    own = cast("dict[str, Any]", schema)
    listed = [own.get("const"), *cast("Iterable[Any]", own["enum"] if isinstance(own.get("enum"), list) else ())]
    return any(isinstance(one, int | float) for one in listed) or any(map(_lists_numbers, own.values()))


def _first_misfit(schema: Mapping[str, Any], arguments: Any) -> str | None:
    from jsonschema import Draft202012Validator  # needed by few tools

    for error in Draft202012Validator(schema).iter_errors(arguments):  # pyright: ignore[reportUnknownMemberType]  # untyped signature
        return f"{'.'.join(map(str, error.absolute_path))!r}: {error.message:.300}"
    return None


def _one_problem(detail: Mapping[str, Any], known: list[str]) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        return f"there is no argument {where!r}. {nearest(where, known)}"
    if detail["type"] == "missing":
        return f"{where!r} is missing"
    return f"{where!r}: {detail['msg'][:1].lower()}{detail['msg'][1:]} (got {detail['input']!r:.80})"

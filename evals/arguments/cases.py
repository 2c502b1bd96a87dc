"""Function-calling cases in the form of the Berkeley leaderboard: tools, and the calls that are accepted.

An accepted call gives, for each argument, the values that are right; "" among them means that it may be left out, and
so does null where the type of the argument does not have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...core.errors import InvalidInput
from ..rows import read_rows

_TYPES = {"dict": "object", "float": "number", "tuple": "array"}
_MAX_VARIANTS = 50
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One call that is accepted, written out."""

    case_id: str
    tool: str
    schema: Schema
    """JSON Schema of the arguments, with nothing beside them."""
    arguments: dict[str, Any]


def read_cases(path: Path) -> list[Case]:
    """Every accepted call of a file of JSON lines, each alternative of an argument once.

    Args:
        path: Objects with `id`, `tools` (name, parameters) and `accepted` (tool to argument to accepted values).

    Raises:
        InvalidInput: The file cannot be read, or a line does not have this form.
    """
    cases: list[Case] = []
    for row in read_rows(path, ("id", "tools", "accepted")):
        try:
            cases.extend(_cases(row))
        except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as error:
            problem = f"it is no such case ({type(error).__name__}: {error})."
            raise InvalidInput(f"{path}: {str(row['id']):.80}", problem) from error
    if not cases:
        raise InvalidInput(str(path), "it holds no accepted call.")
    return cases


def json_schema(given: Mapping[str, Any]) -> Schema:
    """A schema of the leaderboard as JSON Schema: its own type names replaced, a default of null allowed as null."""
    kept = {key: value for key, value in given.items() if key in ("enum", "default", "description", "required")}
    kind = _TYPES.get(given.get("type", "any"), given.get("type", "any"))
    if kind != "any":
        kept["type"] = kind
    if "properties" in given and kind == "object":
        kept["properties"] = {name: json_schema(part) for name, part in given["properties"].items()}
    if kind == "array" and given.get("items"):
        kept["items"] = json_schema(given["items"])
    if "default" in given and given["default"] is None and kind != "any":
        kept["type"] = [kind, "null"]
        if "enum" in kept:
            kept["enum"] = [*kept["enum"], None]
    if "enum" in kept and given.get("default", kept["enum"][0]) not in kept["enum"]:
        kept["enum"] = [*kept["enum"], given["default"]]  # the data's own default is not wrong
    return kept


def _cases(row: Mapping[str, Any]) -> Iterator[Case]:
    schemas = {tool["name"]: json_schema(tool["parameters"]) for tool in row["tools"]}
    for accepted in row["accepted"]:
        for name, arguments in accepted.items():
            schema: Schema = {"properties": {}, "required": [], **schemas[name], "additionalProperties": False}
            for made in _objects(arguments, schema):
                yield Case(str(row["id"]), name, schema, made)


def _objects(accepted: Mapping[str, Any], schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An object with the first accepted value of each part, then one for each other alternative."""
    choices = {name: _choices(values, schema, name) for name, values in accepted.items()}
    first = {name: found[0] for name, found in choices.items()}
    made = [first]
    for name, found in choices.items():
        made.extend({**first, name: value} for value in found[1:])
    return [_present(one) for one in made[:_MAX_VARIANTS]]


def _choices(values: list[Any], schema: Mapping[str, Any], name: str) -> list[Any]:
    part = cast("dict[str, Any]", schema.get("properties", {})).get(name, {})
    values = values or [[]]  # no alternative at all is how an empty list is written
    optional = name not in schema.get("required", ())
    lacking = [value for value in values if optional and (value == "" or (value is None and not _takes_null(part)))]
    may_lack = bool(lacking)
    given = [made for value in values if value not in lacking for made in _values(value, part)]
    return [*given, _ABSENT] if may_lack else given


def _takes_null(schema: Mapping[str, Any]) -> bool:
    return "type" not in schema or "null" in schema["type"]


def _values(value: Any, schema: Mapping[str, Any]) -> list[Any]:
    """What an accepted value stands for; inside of objects it has alternatives of its own."""
    if isinstance(value, dict) and _is_alternatives(cast("dict[str, Any]", value)):
        return list(_objects(cast("dict[str, Any]", value), schema))
    if isinstance(value, list):
        parts = cast("list[Any]", value)
        inner = [_values(part, schema.get("items", {})) for part in parts]
        first = [found[0] for found in inner]
        others = [[*first[:place], other, *first[place + 1 :]] for place, f in enumerate(inner) for other in f[1:]]
        return [first, *others]
    return [value]


def _is_alternatives(value: Mapping[str, Any]) -> bool:
    return bool(value) and all(isinstance(part, list) and bool(cast("list[Any]", part)) for part in value.values())


class _Absent:
    """Stands for an argument that is left out."""


_ABSENT = _Absent()


def _present(made: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made.items() if value is not _ABSENT}

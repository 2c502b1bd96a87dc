"""Calls that are wrong by one thing: each mutation breaks the schema, by the schema's own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

Break = Literal["missing", "surplus", "type", "null", "enum"]

_WRONG: dict[str, tuple[Any, ...]] = {
    "string": (7, ["text"], True),
    "integer": ("7", 7.5, [7], True),
    "number": ("7.5", [7.5], True),
    "boolean": ("true", 1, []),
    "array": ("text", {"0": "text"}, 7),
    "object": ("text", [1], 7),
}


@dataclass(frozen=True, slots=True)
class Mutation:
    """A call that breaks the schema."""

    broken: Break
    place: str
    """Which argument; dotted below the top."""
    arguments: dict[str, Any]


def mutations(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[Mutation]:
    """Every way in which the call is made wrong by one value: one that lacks, is too much, or does not fit."""
    yield Mutation("surplus", "no_such_argument", {**arguments, "no_such_argument": 1})
    for broken, place, value in _broken_object(schema, arguments):
        yield Mutation(broken, place, value)


def _broken_object(schema: Mapping[str, Any], value: Mapping[str, Any]) -> Iterator[tuple[Break, str, dict[str, Any]]]:
    properties = cast("dict[str, dict[str, Any]]", schema.get("properties", {}))
    for name in schema.get("required", ()):
        if name in value:
            yield "missing", name, {key: part for key, part in value.items() if key != name}
    for name, part in value.items():
        for broken, place, wrong in _broken(properties.get(name, {}), part):
            yield broken, f"{name}.{place}" if place else name, {**value, name: wrong}


def _broken(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[Break, str, Any]]:
    kinds = _kinds(schema)
    if not kinds:
        return
    for wrong in _wrong(kinds):
        yield "type", "", wrong
    if "null" not in kinds:
        yield "null", "", None
    if "enum" in schema and isinstance(value, str):
        yield "enum", "", f"{value} or so"
    if isinstance(value, Mapping):
        yield from _broken_object(schema, cast("dict[str, Any]", value))
    if isinstance(value, list) and value and schema.get("items"):
        parts = cast("list[Any]", value)
        for broken, place, wrong in _broken(schema["items"], parts[0]):
            yield broken, f"0.{place}".rstrip("."), [wrong, *parts[1:]]


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type", [])
    return {kind} if isinstance(kind, str) else set(cast("list[str]", kind))


def _wrong(kinds: set[str]) -> Iterator[Any]:
    (kind,) = kinds - {"null"}
    yield from _WRONG[kind]

"""What differs between the shape that a run was stored with and the shape of its graph, and what that means.

A shape is what stored runs depend on: `fields` (name to type text), `required` (fields without a default),
`types` (the fields of the classes that the state names), `nodes`, `tools` (name to a digest of what a call of it
is) and `inner` (a digest of the state inside each node that is a graph). A part that a stored shape lacks, as
older stores do, counts as unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

ChangeKind = Literal["field", "node", "tool", "inner"]

Shape = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two shapes."""

    kind: ChangeKind
    """field: of the state, or of a class in it (`Plan.steps`). inner: the state of the graph inside a node."""
    name: str
    before: str | None
    """None for what is new."""
    after: str | None
    """None for what is gone."""
    breaking: bool
    """Whether a stored run may be unable to go on. A field that breaks breaks every run; of a node, a tool or an
    inner state it depends on where the run stands."""
    text: str


def changes(before: Shape, after: Shape) -> list[Change]:
    """What differs, in the order nodes, fields, tools, inner states; empty when every stored run can go on."""
    found = list(_nodes(_names(before, "nodes"), _names(after, "nodes"))) if "nodes" in before else []
    if "fields" in before:
        found += _fields(before, after, _texts(before, "fields"), _texts(after, "fields"), "")
    found += _classes(before, after)
    if "tools" in before:
        found += _tools(_texts(before, "tools"), _texts(after, "tools"))
    if "inner" in before:
        found += _inner(_texts(before, "inner"), _texts(after, "inner"))
    return found


def told(found: Iterable[Change]) -> str:
    """The changes in one line."""
    return "; ".join(change.text for change in found) or "its shape differs"


def _nodes(before: set[str], after: set[str]) -> Iterable[Change]:
    for name in sorted(before - after):
        yield Change("node", name, name, None, True, f"node {name!r} is gone")
    for name in sorted(after - before):
        yield Change("node", name, None, name, False, f"node {name!r} is new")


def _fields(
    old: Shape, new: Shape, before: Mapping[str, str], after: Mapping[str, str], owner: str
) -> Iterable[Change]:
    """The fields of the state, or of the class `owner` (which ends with a dot)."""
    for part in sorted(before.keys() | after.keys()):
        name = f"{owner}{part}"
        was, now = before.get(part), after.get(part)
        needed = name in _names(new, "required")
        if now is None:
            yield Change("field", name, was, None, True, f"field {name!r} is gone")
        elif was is None and needed:
            yield Change("field", name, None, now, True, f"field {name!r} is new and has no default")
        elif was is None:
            yield Change("field", name, None, now, False, f"field {name!r} is new")
        elif was != now:
            yield Change("field", name, was, now, True, f"field {name!r} was {was} and is {now}")
        elif needed and "required" in old and name not in _names(old, "required"):
            yield Change("field", name, was, now, True, f"field {name!r} has no default any more")


def _classes(before: Shape, after: Shape) -> Iterable[Change]:
    # A class that is gone, or was put in another's place, shows in the type of the field that named it.
    old, new = _parts(before, "types"), _parts(after, "types")
    for name in sorted(old.keys() & new.keys()):
        yield from _fields(before, after, old[name], new[name], f"{name}.")


def _tools(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[Change]:
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None:
            yield Change("tool", name, None, now, False, f"tool {name!r} is new")
        elif now is None:
            yield Change("tool", name, was, None, True, f"tool {name!r} is gone")
        elif was != now:
            yield Change("tool", name, was, now, True, f"tool {name!r} takes other arguments or acts otherwise")


def _inner(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[Change]:
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            text = f"the state inside node {name!r} has changed"
            yield Change("inner", name, before[name], after[name], True, text)


def _names(shape: Shape, part: str) -> set[str]:
    return {str(name) for name in cast("Iterable[Any]", shape.get(part) or ())}


def _texts(shape: Shape, part: str) -> dict[str, str]:
    return {str(name): str(text) for name, text in cast("Mapping[Any, Any]", shape.get(part) or {}).items()}


def _parts(shape: Shape, part: str) -> dict[str, dict[str, str]]:
    found = cast("Mapping[Any, Mapping[Any, Any]]", shape.get(part) or {})
    return {str(name): {str(key): str(text) for key, text in inner.items()} for name, inner in found.items()}

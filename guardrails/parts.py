"""The texts inside a value: JSON, pydantic models, dataclasses, tuples and sets, at any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from pydantic import BaseModel


def through_parts(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with each of its parts changed; itself where nothing was, or where it has none."""
    if isinstance(value, list | tuple | set | frozenset):
        return _collection(cast("Any", value), change)
    if isinstance(value, BaseModel):
        names = (*type(value).model_fields, *(value.model_extra or ()))
        changed = _changed({name: getattr(value, name) for name in names}, change)
        return value.model_copy(update=changed) if changed else value
    if is_dataclass(value) and not isinstance(value, type):
        held = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
        changed = _changed(held, change)
        return replace(value, **changed) if changed else value
    return value


def _collection(value: Any, change: Callable[[Any], Any]) -> Any:
    parts = [change(part) for part in value]
    if isinstance(value, list):
        return parts
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def _changed(held: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    changed = {name: change(part) for name, part in held.items()}
    return {name: part for name, part in changed.items() if part is not held[name] and part != held[name]}


def texts_of(value: Any) -> Iterator[str]:
    """All texts in a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in cast("dict[Any, Any]", value).items():
            yield from texts_of(key)
            yield from texts_of(item)
    else:
        found: list[Any] = []

        def note(part: Any) -> Any:
            found.append(part)
            return part

        through_parts(value, note)
        for part in found:
            yield from texts_of(part)

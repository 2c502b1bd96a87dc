"""Which classes a type mentions, however deep: the allow-list of the decoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from enum import Enum
from typing import Any, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel


def reachable_types(roots: Iterable[Any]) -> list[type]:
    """Models, dataclasses, named tuples and enums that `roots` mention, each once."""
    found: dict[type, None] = {}
    seen: set[int] = set()
    todo = list(roots)
    while todo:
        annotation = todo.pop()
        if id(annotation) in seen:
            continue
        seen.add(id(annotation))
        todo.extend((*get_args(annotation), get_origin(annotation)))
        cls = _user_class(annotation)
        if cls is not None:
            todo.extend(_fields(cls))
            if _is_value_class(cls):
                found[cls] = None
    return list(found)


def _user_class(annotation: Any) -> type[Any] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None and annotation.__module__ != "builtins":
        return cast("type[Any]", annotation)
    return None


def _is_value_class(cls: type[Any]) -> bool:
    return issubclass(cls, (BaseModel, Enum)) or dataclasses.is_dataclass(cls) or hasattr(cls, "_fields")


def _fields(cls: type[Any]) -> list[Any]:
    if issubclass(cls, BaseModel):
        return [field.annotation for field in cls.model_fields.values()]
    if not hasattr(cls, "__annotations__"):
        return []
    try:
        return list(get_type_hints(cls).values())
    except (NameError, TypeError):
        return []

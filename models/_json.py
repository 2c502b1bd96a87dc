"""Narrowing what came out of a JSON parser; a value of another type counts as absent."""

from __future__ import annotations

from typing import Any


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    if isinstance(value, dict):
        return value  # pyright: ignore[reportUnknownVariableType]  (what is in it is read with distrust)
    return {}


def as_list(value: Any) -> list[Any]:
    """The value if it is a JSON list, else an empty one."""
    if isinstance(value, list):
        return value  # pyright: ignore[reportUnknownVariableType]
    return []

"""Data sets as JSON lines: one object a line, checked while it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from ..core.errors import InvalidInput


def read_rows(path: Path, required: Iterable[str] = (), numbers: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; empty lines are passed over.

    Args:
        path: The file, in UTF-8.
        required: Fields that each object must have.
        numbers: Fields that hold a finite number, where they are there.

    Raises:
        InvalidInput: The file is not there, is empty, or a line is no JSON object, or a field lacks or is no number.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(str(path), f"it cannot be read ({error}).") from error
    rows = [_row(path, number, line, required, numbers) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise InvalidInput(str(path), "it holds no rows.")
    return rows


def _row(path: Path, number: int, line: str, required: Iterable[str], numbers: Iterable[str]) -> dict[str, Any]:
    place = f"{path}:{number}"
    try:
        row: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(place, f"it is no JSON ({error}).") from error
    if not isinstance(row, dict):
        raise InvalidInput(place, "a line must be a JSON object.")
    found = cast("dict[str, Any]", row)
    for name in required:
        if name not in found:
            raise InvalidInput(place, f"it has no field {name!r}; there are: {', '.join(found) or 'none'}.")
    for name in numbers:
        if name in found and not _is_number(found[name]):
            raise InvalidInput(place, f"{name} must be a finite number, not {found[name]!r:.80}.")
    return found


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # an integer larger than any float
        return False

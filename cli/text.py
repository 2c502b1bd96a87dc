"""Text from outside, made safe to show, and values laid out whole for a reader."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

# C0 and C1 controls except line feed and tab, delete, and the marks that reorder or hide text: shown raw they
# could move the cursor, rewrite what a person approves, or make it read differently from what is run.
# Half of a surrogate pair has no UTF-8 form, so it could not even be written.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)


def clean(text: str) -> str:
    """The text with every control character spelled out by its number."""
    return _UNSAFE.sub(_spelled, text)


def one_line(text: str) -> str:
    """The text cleaned, on one line."""
    return clean(" ".join(text.split()))


def shortened(text: str, limit: int) -> str:
    """The text on one line, cut at `limit` characters with an ellipsis."""
    line = one_line(text)
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def outline(value: Any, indent: int = 0) -> list[str]:
    """Lines that show a JSON value whole: `name: value`, nested parts indented, lists with dashes."""
    pad = "  " * indent
    if isinstance(value, Mapping) and value:
        return [line for name, part in _items(value) for line in _entry(f"{pad}{name}:", part, indent)]
    if isinstance(value, list) and value:
        parts = cast("list[Any]", value)
        return [line for part in parts for line in _dashed(part, indent)]
    return [pad + line for line in _scalar(value)]


def as_json(value: Any) -> Any:
    """A state, an event or any value of a run as JSON types; what has no JSON form becomes text."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, fallback=str, bytes_mode="base64", inf_nan_mode="strings")


def print_json(value: Any) -> None:
    """Write one JSON document to standard output; characters that a terminal would act on are escaped in it."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    sys.stdout.write(_UNSAFE.sub(lambda match: json.dumps(match.group())[1:-1], text) + "\n")


def plural(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`."""
    teen = 10 < number % 100 < 14
    return f"{number:,}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def clock(moment: datetime | None) -> str:
    """A moment in the reader's own time zone, to the minute."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else ""


def _spelled(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    mapping = cast("Mapping[object, Any]", value)
    return ((one_line(str(name)), part) for name, part in mapping.items())


def _entry(label: str, value: Any, indent: int) -> list[str]:
    if isinstance(value, (Mapping, list)) and value:
        return [label, *outline(value, indent + 1)]
    first, *rest = _scalar(value)
    if not rest:
        return [f"{label} {first}"]
    return [label, *("  " * (indent + 1) + line for line in (first, *rest))]


def _dashed(value: Any, indent: int) -> list[str]:
    pad = "  " * indent
    first, *rest = outline(value, indent + 1)
    return [f"{pad}- {first.lstrip()}", *rest]


def _scalar(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return clean(value).split("\n") if value.strip() else [json.dumps(value)]
    return [clean(json.dumps(value, ensure_ascii=False, default=str))]

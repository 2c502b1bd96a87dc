"""Between rows and what SQLite stores: JSON text, UTC times that sort as text, a checksum for each record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar
from zlib import crc32

from ...core.errors import CorruptState

RowT = TypeVar("RowT")

SqlValue = str | int | float | bytes | None

_JSON = frozenset(
    {"usage", "metadata", "budget", "payload", "allowed", "schema", "decision", "args", "result"} | {"data", "graphs"}
)
_TIMES = frozenset({"created_at", "updated_at", "finished_at", "expires_at", "decided_at", "at", "beat_at"})


def stamp(moment: datetime) -> str:
    """A time as text that sorts: UTC, always with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def checksum(*values: SqlValue) -> int:
    """CRC-32 over the values and their lengths, so that a flipped bit or a swapped record is seen."""
    seal = 0
    plain: list[SqlValue] = []
    for value in values:
        if isinstance(value, bytes):
            seal = crc32(value, crc32(b"%d" % len(value), seal))
        else:
            plain.append(value)
    return crc32(repr(plain).encode(), seal)


def columns(kind: type[Any]) -> tuple[str, ...]:
    """The columns of a row class, in the order of its fields."""
    return tuple(field.name for field in fields(kind))


def encode(row: Any, names: Sequence[str]) -> tuple[SqlValue, ...]:
    """The row's values as SQLite stores them."""
    return tuple(_to_sql(name, getattr(row, name)) for name in names)


def decode(kind: type[RowT], names: Sequence[str], record: Sequence[Any], what: str) -> RowT:
    """The row of a record whose last column is its checksum.

    Raises:
        CorruptState: The record's bytes are not those that were stored.
    """
    *values, seal = record
    verify(seal, *values, what=what)
    return from_columns(kind, names, values)


def from_columns(kind: type[RowT], names: Sequence[str], values: Sequence[Any]) -> RowT:
    """The row whose columns hold these values."""
    return kind(**{name: _from_sql(name, value) for name, value in zip(names, values, strict=True)})


def verify(seal: int, *values: SqlValue, what: str) -> None:
    """Check the checksum of a record.

    Raises:
        CorruptState: It differs; `what` names the record.
    """
    if checksum(*values) != seal:
        raise CorruptState(what, "the stored bytes are damaged (checksum differs). Restore the store from a copy.")


def to_json(value: Any) -> str:
    """JSON text of a column.

    Raises:
        TypeError: The value is not made of JSON types.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which SQLite does not take as text
        return json.dumps(value, separators=(",", ":"))
    return text


def _to_sql(name: str, value: Any) -> SqlValue:
    if value is None:
        return None
    if name in _TIMES:
        return stamp(value)
    if name in _JSON:
        return to_json(value)
    return int(value) if isinstance(value, bool) else value


def _from_sql(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _TIMES:
        return datetime.fromisoformat(value)
    if name in _JSON:
        read: list[Any] | dict[str, Any] = json.loads(value)
        return tuple(read) if isinstance(read, list) else read
    return bool(value) if name == "serving" else value

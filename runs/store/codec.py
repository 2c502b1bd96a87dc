"""Between rows and what SQLite stores: JSON text, UTC times that sort as text, a checksum for each record."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints
from zlib import crc32

from ...core.errors import CorruptState
from ...core.messages import Usage
from ..budget import Budget

RowT = TypeVar("RowT")

SqlValue = str | int | float | bytes | None

_JSON = frozenset(
    {"usage", "metadata", "budget", "payload", "allowed", "schema", "decision", "args", "result"}
    | {"data", "graphs", "tags", "reuse", "tip"}
)
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_TIMES = frozenset(
    {"created_at", "updated_at", "finished_at", "expires_at", "decided_at", "at", "beat_at", "pruned_at"}
)


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


def encode(row: Any, names: tuple[str, ...]) -> tuple[SqlValue, ...]:
    """The row's values as SQLite stores them."""
    read, special = _plan(names)
    values = list(read(row))
    for place, (to_sql, _) in special:
        if values[place] is not None:
            values[place] = to_sql(values[place])
    return tuple(values)


def stored(name: str, value: Any) -> SqlValue:
    """One value as SQLite stores it in the column of this name."""
    conversion = _CONVERSIONS.get(name)
    return value if value is None or conversion is None else conversion[0](value)


def from_columns(kind: type[RowT], names: tuple[str, ...], values: Sequence[Any]) -> RowT:
    """The row whose columns hold these values.

    Raises:
        TypeError: A value is not of its column's type; SQLite would store it none the less.
        ValueError: A value cannot be read as what its column holds.
    """
    given = list(values)
    for place, (_, from_sql) in _plan(names)[1]:
        if given[place] is not None:
            given[place] = from_sql(given[place])
    types = _types(cast("Any", kind), names)
    if not all(map(isinstance, given, types)):
        odd = [name for name, value, types in zip(names, given, types, strict=True) if not isinstance(value, types)]
        raise TypeError(f"column {odd[0]!r} holds a value of another type")
    for place, words in _words(cast("Any", kind), names):
        if given[place] not in words:
            raise ValueError(f"column {names[place]!r} holds {given[place]!r:.80}")
    return kind(**dict(zip(names, given, strict=True)))


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
    text = _COMPACT.encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # a lone surrogate, which SQLite does not take as text
            return json.dumps(value, separators=(",", ":"))
    return text


def _from_json(text: str) -> Any:
    value: list[Any] | dict[str, Any] = json.loads(text)
    return tuple(value) if isinstance(value, list) else value


def _amounts_of(kind: type[Any], *, or_none: bool = False) -> Callable[[str], Any]:
    """Reads numbers by the names of a class that is made of them."""
    names = {field.name for field in fields(kind)}
    types = (int, float, NoneType) if or_none else (int, float)

    def read(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, dict) or not value.keys() <= names:
            raise ValueError(f"{text:.80} does not hold what a {kind.__name__} does")
        amounts = cast("dict[str, Any]", value)
        if not all(isinstance(amount, types) for amount in amounts.values()):
            raise ValueError(f"{text:.80} does not hold numbers")
        return amounts

    return read


def _texts(text: str) -> Any:
    value = _from_json(text)
    if not isinstance(value, tuple) or not all(isinstance(one, str) for one in cast("tuple[Any, ...]", value)):
        raise ValueError(f"{text:.80} is no list of texts")
    return cast("tuple[str, ...]", value)


def _tip(text: str) -> Any:
    value = json.loads(text)
    if not isinstance(value, dict) or value.keys() != _TIP.keys():
        raise ValueError(f"{text:.80} is no tip")
    tip = cast("dict[str, Any]", value)
    if not all(isinstance(tip[name], kind) for name, kind in _TIP.items()):
        raise ValueError(f"{text:.80} is no tip")
    if not all(isinstance(head, str) for head in tip["heads"].values()):
        raise ValueError("a tip names a checkpoint by something else than text")
    return tip


_TIP: dict[str, type] = {"epoch": int, "heads": dict, "writes": int, "effects": int, "events": int}

_Conversion = tuple[Callable[[Any], SqlValue], Callable[[Any], Any]]

_CONVERSIONS: dict[str, _Conversion] = {
    **dict.fromkeys(_JSON, (to_json, _from_json)),
    **dict.fromkeys(_TIMES, (stamp, datetime.fromisoformat)),
    **dict.fromkeys(("allowed", "graphs", "tags", "reuse"), (to_json, _texts)),
    "usage": (to_json, _amounts_of(Usage)),
    "budget": (to_json, _amounts_of(Budget, or_none=True)),
    "tip": (to_json, _tip),
    "serving": (int, bool),
}
"""By column: to what SQLite stores, and back."""


@cache
def _types(kind: Any, names: tuple[str, ...]) -> tuple[tuple[type, ...], ...]:
    """What each column of a row class may hold."""
    hints = get_type_hints(kind)
    return tuple(_plain_types(hints[name]) for name in names)


def _plain_types(hint: Any) -> tuple[type, ...]:
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    plain = [str if get_origin(part) is Literal else get_origin(part) or part for part in parts]
    return (*plain, int) if float in plain else tuple(plain)


@cache
def _words(kind: Any, names: tuple[str, ...]) -> tuple[tuple[int, frozenset[str]], ...]:
    """The columns that hold one of a few words, by place."""
    hints = get_type_hints(kind)
    closed = ((place, hints[name]) for place, name in enumerate(names))
    return tuple((place, frozenset(get_args(hint))) for place, hint in closed if get_origin(hint) is Literal)


@cache
def _plan(names: tuple[str, ...]) -> tuple[Callable[[Any], tuple[Any, ...]], list[tuple[int, _Conversion]]]:
    """How to read a row's fields at once, and which columns are not stored as they are."""
    special = [(place, _CONVERSIONS[name]) for place, name in enumerate(names) if name in _CONVERSIONS]
    return attrgetter(*names), special

"""Tables and records: each row of a CSV, each line of a JSONL becomes a piece of text of its own.

A row reads as `Column: value` lines, so that a passage says what its values mean, and can be found by that.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, cast

import orjson

from ..unreadable import Unreadable

_HEADINGS = ("title", "name", "subject", "heading", "headline")
"""Fields of a record that say what it is about; the first there is becomes its heading."""
_SHORT = 200
"""A longer text, or one of several lines, stands below a record's fields as a paragraph."""
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Records:
    """What a file of records says."""

    text: str
    starts: tuple[int, ...]
    """Where each record begins in the text."""
    problem: str = ""
    """Which lines could not be read."""


def rows_text(source: str, text: str, *, tabs: bool = False) -> Records:
    """The rows of a CSV or TSV; the first row names the columns, unless it holds numbers or empty cells.

    Raises:
        Unreadable: It is no table.
    """
    delimiter = "\t" if tabs else _delimiter(text)
    try:
        rows = [row for row in csv.reader(StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Unreadable(source, f"it is no table ({error}).") from error
    if not rows:
        return Records("", ())
    names = _names(rows[0])
    body = rows[1:] if names else rows
    return _joined(_row(names or [], row) for row in body)


def lines_text(source: str, text: str) -> Records:
    """The lines of a JSONL; lines that are not JSON are left out and named.

    Raises:
        Unreadable: Most lines are not JSON.
    """
    records: list[Any] = []
    broken: list[int] = []
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, line in lines:
        try:
            records.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            broken.append(number)
    if len(broken) * 2 > len(lines):
        raise Unreadable(source, f"{len(broken)} of its {len(lines)} lines are not JSON, line {broken[0]} first.")
    problem = f"{len(broken)} of {len(lines)} lines are not JSON, line {broken[0]} first." if broken else ""
    made = _joined(_record(record) for record in records)
    return Records(made.text, made.starts, problem)


def _joined(records: Iterable[str]) -> Records:
    starts: list[int] = []
    parts: list[str] = []
    at = 0
    for record in records:
        if record:
            starts.append(at)
            parts.append(f"{record}\n\n")
            at += len(parts[-1])
    return Records("".join(parts), tuple(starts))


def _delimiter(text: str) -> str:
    """What most evenly divides the first lines; csv's own sniffer takes letters for delimiters."""
    lines = [line for line in text[:20_000].split("\n")[:20] if line.strip()]
    counts = {mark: [line.count(mark) for line in lines] for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: (min(counts[mark], default=0), sum(counts[mark])))


def _names(row: Sequence[str]) -> list[str] | None:
    names = [" ".join(cell.split()) for cell in row]
    if len(set(names)) < len(names) or any(not name or _is_number(name) or len(name) > 60 for name in names):
        return None
    return names


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace(",", "").replace("-", "").replace("%", "").isdigit()


def _row(names: Sequence[str], row: Sequence[str]) -> str:
    given = [*names, *(f"Column {n}" for n in range(len(names) + 1, len(row) + 1))]
    return _fields((name, cell) for name, cell in zip(given, row, strict=False))


def _record(record: Any) -> str:
    if not isinstance(record, dict):
        return _scalar(record)
    fields = dict(_flat(cast("Mapping[str, Any]", record)))
    heading = next((key for key in _HEADINGS if 0 < len(fields.get(key, "")) <= _SHORT), None)
    title = "" if heading is None else " ".join(fields.pop(heading).split())
    return "\n\n".join(filter(None, [f"# {title}" if title else "", _fields(fields.items())]))


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in cast("list[Any]", value)):
        return ", ".join(_scalar(item) for item in cast("list[Any]", value))
    return orjson.dumps(value).decode()


def _fields(fields: Iterable[tuple[str, str]]) -> str:
    short: list[str] = []
    long: list[str] = []
    for name, raw in fields:
        value = raw.strip()
        if len(value) > _SHORT or "\n" in value:
            long.append(value)
        elif value:
            short.append(f"{name}: {value}")
    return "\n\n".join(filter(None, ["\n".join(short), *long]))

"""The file of a recording: one JSON object, laid out for reading and for git.

An entry stands on lines of its own; a text of several lines is a list of them under `$lines`; schemas and tools,
which many entries name, stand once under `shapes`; an event is one line.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, cast

from ...core.errors import CassetteError
from ...core.ids import digest
from .playing import Line

VERSION = 1
_LINES, _SHAPE = "$lines", "$shape"
_SHAPED = frozenset({"schema", "parameters"})
"""Keys whose objects are written once for all entries."""
_LONE = re.compile("[\ud800-\udfff]")
"""Halves of surrogate pairs, which models do write and UTF-8 cannot hold."""


@dataclass(slots=True)
class Entry:
    """One dealing with the outside: what was asked, and what came of it."""

    kind: str
    place: str
    """Node path, with the index of the branch where a node ran several times at once; empty outside nodes."""
    request: Any
    came: dict[str, Any]
    played: bool = False


@dataclass(slots=True)
class Recording:
    """What a cassette holds."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the recorder wants to find again: target and input of the command line."""
    ids: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """By prefix, in the order in which they were made."""
    facts: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    entries: list[Entry] = field(default_factory=list[Entry])
    lines: list[Line] = field(default_factory=list[Line])


def save(recording: Recording, path: Path) -> None:
    """Write the file, all or nothing.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8") as file:
        aside = Path(file.name)
        try:
            file.write(written(recording))
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            aside.unlink()
            raise
    aside.chmod(0o644)
    aside.replace(path)


def load(path: Path) -> Recording:
    """The recording in a file.

    Raises:
        CassetteError: There is none, it is of another version, or it is no recording.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version = data["cassette"]
        if version != VERSION:
            raise CassetteError(str(path), f"it has version {version!r}, and this Collegium reads {VERSION}.")
        return _read(data)
    except FileNotFoundError:
        raise CassetteError(str(path), "there is no such file; record it first.") from None
    except OSError as error:
        raise CassetteError(str(path), f"it cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CassetteError(str(path), f"it is no recording ({type(error).__name__}: {error}).") from error


def written(recording: Recording) -> str:
    """The text of the file."""
    shapes: dict[str, Any] = {}
    entries = [_entry_json(entry, shapes) for entry in _in_order(recording)]
    head = {
        "cassette": VERSION,
        "started": recording.started.isoformat(),
        "notes": recording.notes,
        "ids": recording.ids,
        "facts": recording.facts,
        "shapes": dict(sorted(shapes.items())),
        "entries": entries,
    }
    text = json.dumps(_folded(head), indent=1, ensure_ascii=False).removesuffix("\n}")
    events = ",\n".join(f"  {json.dumps(_line_json(line), ensure_ascii=False)}" for line in recording.lines)
    whole = f'{text},\n "events": [\n{events}\n ]\n}}\n' if events else f'{text},\n "events": []\n}}\n'
    return _LONE.sub(lambda match: f"\\u{ord(match.group()):04x}", whole)


def _in_order(recording: Recording) -> list[Entry]:
    """Entries by the first event of their node, then by branch: the same for two recordings of one run."""
    first: dict[str, int] = {"": -1}
    for index, line in enumerate(recording.lines):
        first.setdefault(line.node or "", index)
    far = len(recording.lines)

    def rank(entry: Entry) -> tuple[int, str, int]:
        path, _, branch = entry.place.partition("[")
        return first.get(path, far), path, int(branch.partition("]")[0]) if branch else -1

    return sorted(recording.entries, key=rank)


def _entry_json(entry: Entry, shapes: dict[str, Any]) -> dict[str, Any]:
    request = _shaped(entry.request, shapes)
    return {"kind": entry.kind, "place": entry.place, "request": request, **_shaped(entry.came, shapes)}


def _shaped(value: Any, shapes: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_shaped(item, shapes) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, Any]", value)
    return {
        key: _put_away(str(given.get("name") or key), item, shapes)
        if key in _SHAPED and isinstance(item, dict)
        else _shaped(item, shapes)
        for key, item in given.items()
    }


def _put_away(name: str, shape: Any, shapes: dict[str, Any]) -> dict[str, str]:
    key = f"{name}-{digest(shape)[:6]}"
    shapes[key] = shape
    return {_SHAPE: key}


def _line_json(line: Line) -> dict[str, Any]:
    told: dict[str, Any] = {"run": line.run_id, "kind": line.kind, "node": line.node, "at": line.at.isoformat()}
    if line.duration_s is not None:
        told["duration_s"] = line.duration_s
    if line.task_ids:
        told["tasks"] = list(line.task_ids)
    return {**told, "data": line.digest}


def _folded(value: Any) -> Any:
    match value:
        case str() if "\n" in value:
            return {_LINES: value.split("\n")}
        case list():
            return [_folded(item) for item in cast("list[Any]", value)]
        case dict():
            return {key: _folded(item) for key, item in cast("dict[str, Any]", value).items()}
        case _:
            return value


def _read(data: dict[str, Any]) -> Recording:
    plain = _unfolded(data, {})
    shapes = plain["shapes"]
    return Recording(
        started=datetime.fromisoformat(plain["started"]),
        notes=plain["notes"],
        ids=plain["ids"],
        facts=plain["facts"],
        entries=[_entry(_unfolded(entry, shapes)) for entry in plain["entries"]],
        lines=list(_lines(plain["events"])),
    )


def _entry(data: dict[str, Any]) -> Entry:
    came = {key: value for key, value in data.items() if key not in ("kind", "place", "request")}
    return Entry(data["kind"], data["place"], data["request"], came)


def _lines(events: list[dict[str, Any]]) -> Iterator[Line]:
    for told in events:
        at, tasks = datetime.fromisoformat(told["at"]), tuple(told.get("tasks", ()))
        yield Line(told["run"], told["kind"], told["node"], at, told["data"], told.get("duration_s"), tasks)


def _unfolded(value: Any, shapes: dict[str, Any]) -> Any:
    match value:
        case list():
            return [_unfolded(item, shapes) for item in cast("list[Any]", value)]
        case dict():
            given = cast("dict[str, Any]", value)
            if given.keys() == {_LINES}:
                return "\n".join(given[_LINES])
            if given.keys() == {_SHAPE} and given[_SHAPE] in shapes:
                return shapes[given[_SHAPE]]
            return {key: _unfolded(item, shapes) for key, item in given.items()}
        case _:
            return value

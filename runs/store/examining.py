"""Reads every record of a store that may be damaged, from a copy, and tells what is whole.

The file itself is never opened by SQLite: even a reader would copy its log back, and that changes a damaged file.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import ormsgpack

from ...core.errors import CorruptState, StoreError, StoreKeyError
from ...core.settings import store_key
from . import checkpoints, descriptors, events, given, history, log, runs, salvage, soundness
from .checkpoints import Search
from .found import Found
from .problems import translate
from .rows import RunRow
from .schema import fill_up, migrate, migrations, refuse_foreign
from .sealing import is_encrypted, unlock
from .soundness import lenient

Line = dict[str, Any]
"""One record as JSON values, under `record` what it is."""


@dataclass(slots=True)
class Examined:
    """What a store holds."""

    store: str
    problems: list[str] = field(default_factory=list[str])
    """What is wrong with the file as a whole."""
    damaged: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What is wrong with runs, by run id."""
    runs: int = 0
    """Runs that were read whole."""
    lines: list[Line] = field(default_factory=list[Line])
    """Every record that is whole."""

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged or missing."""
        return not self.problems and not self.damaged


def examine(path: Path, key: str | None = None) -> Examined:
    """Look at every record of a store.

    Args:
        path: The file.
        key: With what it is encrypted; else `COLLEGIUM_STORE_KEY`.

    Raises:
        OSError: The file cannot be read at all.
        StoreKeyError: It is encrypted, and the key is missing or another.
    """
    found = Examined(str(path))
    with tempfile.TemporaryDirectory(prefix="collegium-doctor-") as folder:
        copy = Path(folder) / "store.db"
        descriptors.copy(path, copy)
        beside = path.with_name(f"{path.name}-wal")
        if beside.exists():
            shutil.copyfile(beside, copy.with_name(f"{copy.name}-wal"))
        try:
            refuse_foreign(copy)
        except StoreError as error:
            found.problems.append(error.problem)
            fill_up(copy)  # SQLite opens no file that is too short, though it holds whole pages
        try:
            _look(found, copy, key or store_key())
        except StoreKeyError:
            raise
        except (sqlite3.Error, UnicodeDecodeError, StoreError) as error:
            problem = error if isinstance(error, StoreError) else translate(error, str(path))
            found.problems.append(problem.problem)
    return found


def _look(found: Examined, copy: Path, key: str | None) -> None:
    seen = log.look(copy)
    with closing(descriptors.connect(copy, 0)) as connection:
        connection.text_factory = lenient
        try:
            if warning := log.check(connection, copy, seen):
                found.problems.append(warning)
        except StoreError as error:
            found.problems.append(error.problem)
        migrate(connection, found.store, migrations())
        if is_encrypted(connection):
            connection.cipher = unlock(connection, key, found.store)
        found.problems += _checked(connection)
        found.problems += soundness.miscounted(connection)
        _read(found, connection)


def _checked(connection: sqlite3.Connection) -> list[str]:
    try:
        lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check(100)").fetchall()]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [" ".join(line.split()) for line in lines if line != "ok"]


def _read(found: Examined, connection: sqlite3.Connection) -> None:
    rows = _noted(found, salvage.all_runs(connection))
    approvals = _noted(found, salvage.all_approvals(connection))
    effects = _noted(found, salvage.all_effects(connection))
    known = {row.run_id for row in rows}
    for record, some in (("approval", approvals), ("effect", effects)):
        found.lines += [{"record": record, **_plain(one)} for one in reversed(some) if one.run_id not in known]
    for row in reversed(rows):
        found.lines.append({"record": "run", **_plain(_with_input(connection, row))})
        found.lines += [
            {"record": "approval", **_plain(one)} for one in reversed(approvals) if one.run_id == row.run_id
        ]
        found.lines += [{"record": "effect", **_plain(one)} for one in reversed(effects) if one.run_id == row.run_id]
        problems = [*_parts(found, connection, row)]
        if problems:
            found.damaged[row.run_id] = problems
        else:
            found.runs += 1


def _noted(found: Examined, some: Found[Any]) -> list[Any]:
    found.problems += some.damaged
    return [*some]


def _parts(found: Examined, connection: sqlite3.Connection, row: RunRow) -> Iterator[str]:
    """What is wrong with a run; what is whole of it becomes lines."""
    parts: list[Callable[[], list[Line]]] = [
        lambda: _verified(connection, row),
        lambda: _events(connection, row),
        lambda: _steps(connection, row),
    ]
    for part in parts:
        try:
            found.lines += part()
        except CorruptState as error:
            yield str(error)
        except sqlite3.DatabaseError as error:
            yield f"run {row.run_id}: {error}"


def _with_input(connection: sqlite3.Connection, row: RunRow) -> RunRow:
    """The run with its input whole, where its pieces are."""
    with suppress(CorruptState, sqlite3.DatabaseError):
        return replace(row, input=given.whole(connection, row))
    return row


def _verified(connection: sqlite3.Connection, row: RunRow) -> list[Line]:
    runs.verify(connection, row)
    given.whole(connection, row)
    return []


def _events(connection: sqlite3.Connection, row: RunRow) -> list[Line]:
    lines: list[Line] = []
    while some := events.after(connection, row.run_id, len(lines)):
        lines += [{"record": "event", **_plain(one)} for one in some]
    return lines


def _steps(connection: sqlite3.Connection, row: RunRow) -> list[Line]:
    """The run's latest state, after all its checkpoints were read."""
    lines: list[Line] = []
    search = Search(thread_id=row.thread_id, run_id=row.run_id)
    for record in list(checkpoints.find(connection, search)):
        whole = history.whole(connection, record)
        if not lines and not record.key.ns:
            state = {**whole.body.small, **{name: _value(value) for name, value in whole.values.items()}}
            shown = {name: value for name, value in state.items() if ":" not in name and not name.startswith("__")}
            lines.append({"record": "state", "run_id": row.run_id, "state": shown})
    return lines


def _value(stored: tuple[str, bytes]) -> Any:
    kind, content = stored
    if kind != "msgpack":
        return content.decode("utf-8", "replace")
    return ormsgpack.unpackb(content, ext_hook=_extension, option=ormsgpack.OPT_NON_STR_KEYS)


def _extension(code: int, content: bytes) -> Any:
    """The data of a value of a user's class; the class itself is not loaded."""
    parts = cast("list[Any]", ormsgpack.unpackb(content, ext_hook=_extension, option=ormsgpack.OPT_NON_STR_KEYS))
    return parts[2] if type(parts) is list and len(parts) > 2 else parts  # module, name, data


def _plain(row: Any) -> Line:
    return asdict(row)

"""Reading and writing rows whole, each under its checksum, and the chain that ties a run's records together.

The public functions are in `runs`, `approvals`, `effects`, `events` and `workers`; these are their floor.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar, cast

from ...core.errors import CorruptState, Fenced, UnknownRun
from . import given
from .codec import SqlValue, checksum, columns, encode, from_columns, stored, verify
from .found import Found
from .rows import ApprovalRow, EffectRow, EventRow, RunRow
from .sealing import cipher_of, hidden, hidden_value, shown

T = TypeVar("T")

RUN = columns(RunRow)
APPROVAL = columns(ApprovalRow)
EFFECT = columns(EffectRow)

Record = dict[str, SqlValue]
"""A row as it is stored, by column."""


def select(names: tuple[str, ...], table: str) -> str:
    """`SELECT` of a row class's columns and the checksum."""
    return f"SELECT {', '.join(names)}, checksum FROM {table}"


def _insert(names: tuple[str, ...], table: str, verb: str = "INSERT") -> str:
    marks = ", ".join("?" * (len(names) + 1))
    return f"{verb} INTO {table} ({', '.join(names)}, checksum) VALUES ({marks})"


def _update(names: tuple[str, ...], table: str, key: str) -> str:
    assignments = ", ".join(f"{name}=?" for name in (*names, "checksum"))
    return f"UPDATE {table} SET {assignments} WHERE {key}=?"


@cache
def _change_run(names: tuple[str, ...]) -> str:
    return _update(names, "run", "run_id")


SELECT_RUN = select(RUN, "run")
_GET_RUN = f"{SELECT_RUN} WHERE run_id=?"
SELECT_APPROVAL = select(APPROVAL, "approval")
SELECT_EFFECT = select(EFFECT, "effect")
_BY_RUN = "SELECT 1 FROM effect INDEXED BY effect_run WHERE run_id=? AND key=?"
_INSERT_RUN = _insert(RUN, "run")
_INSERT_APPROVAL = _insert(APPROVAL, "approval")
_INSERT_EFFECT = _insert(EFFECT, "effect")
_UPDATE_RUN = _update(RUN, "run", "run_id")
UPDATE_APPROVAL = _update(APPROVAL, "approval", "approval_id")
_UPDATE_EFFECT = _update(EFFECT, "effect", "key")


def sealed(
    conn: sqlite3.Connection, row: RunRow | ApprovalRow | EffectRow | EventRow, table: str, names: tuple[str, ...]
) -> tuple[Any, ...]:
    """The row's stored values and their checksum."""
    values = hidden(conn, table, names, encode(row, names))
    return (*values, checksum(*values))


def decode(
    conn: sqlite3.Connection, kind: type[T], table: str, names: tuple[str, ...], record: Sequence[Any], what: str
) -> T:
    """The row of a record whose last column is its checksum.

    Raises:
        CorruptState: The record's bytes are not those that were stored, or never were a record of this kind.
    """
    *values, seal = record
    verify(seal, *values, what=what)
    try:
        return from_columns(kind, names, shown(conn, table, names, values))
    except (TypeError, ValueError, RecursionError) as error:  # another program wrote it, and sealed it well
        raise CorruptState(what, f"it is no such record ({error!s:.200}). Restore the store from a copy.") from error


def decode_run(conn: sqlite3.Connection, record: tuple[Any, ...]) -> RunRow:
    """The run of a record that `SELECT_RUN` gave."""
    return decode(conn, RunRow, "run", RUN, record, f"run {record[0]}")


def readable(conn: sqlite3.Connection, records: Iterable[tuple[Any, ...]]) -> Found[RunRow]:
    """The runs of records that `SELECT_RUN` gave; damaged ones stay where they are, for whoever asks for them."""
    return _found(conn, records, decode_run)


def readable_approvals(conn: sqlite3.Connection, records: Iterable[tuple[Any, ...]]) -> Found[ApprovalRow]:
    """The approvals of records that `SELECT_APPROVAL` gave; damaged ones stay where they are."""
    return _found(conn, records, decode_approval)


def _found(
    conn: sqlite3.Connection,
    records: Iterable[tuple[Any, ...]],
    decoded: Callable[[sqlite3.Connection, tuple[Any, ...]], T],
) -> Found[T]:
    rows: list[T] = []
    damaged: list[str] = []
    for record in records:
        try:
            rows.append(decoded(conn, record))
        except CorruptState as error:
            damaged.append(str(error))
    return Found(rows, damaged)


def decode_approval(conn: sqlite3.Connection, record: tuple[Any, ...]) -> ApprovalRow:
    """The approval of a record that `SELECT_APPROVAL` gave."""
    return decode(conn, ApprovalRow, "approval", APPROVAL, record, f"approval {record[0]}")


def decode_effect(conn: sqlite3.Connection, record: tuple[Any, ...]) -> EffectRow:
    """The effect of a record that `SELECT_EFFECT` gave."""
    return decode(conn, EffectRow, "effect", EFFECT, record, f"effect {record[0]}")


def insert_run(conn: sqlite3.Connection, row: RunRow) -> int:
    """Store a new run; returns its number in the order of admission."""
    kept = replace(row, input=given.kept(conn, row.thread_id, row.input))
    return cast(int, conn.execute(_INSERT_RUN, sealed(conn, kept, "run", RUN)).lastrowid)


def get_run(conn: sqlite3.Connection, run_id: str) -> RunRow:
    """The run with this id.

    Raises:
        UnknownRun: There is none.
        CorruptState: Its record is damaged.
    """
    return decode_run(conn, _stored_run(conn, run_id))


def update_run(conn: sqlite3.Connection, row: RunRow, **changes: Any) -> RunRow:
    """Store the run with these changes. Right only in a transaction that has read `row`."""
    changed = replace(row, **changes)
    conn.execute(_UPDATE_RUN, (*sealed(conn, changed, "run", RUN), row.run_id))
    return changed


def held_run(conn: sqlite3.Connection, run_id: str, epoch: int) -> RunRow:
    """The run, if it is still held under this epoch.

    Raises:
        Fenced: Another worker took it over, or it was cancelled.
    """
    row = get_run(conn, run_id)
    if row.epoch != epoch:
        raise Fenced(run_id, epoch)
    return row


def run_record(conn: sqlite3.Connection, run_id: str, epoch: int | None = None) -> Record:
    """The run as it is stored, by column, if it is still held under this epoch; None takes any.

    Raises:
        UnknownRun: There is none.
        Fenced: Another worker took it over, or it was cancelled.
        CorruptState: Its record is damaged.
    """
    *values, seal = _stored_run(conn, run_id)
    verify(seal, *values, what=f"run {run_id}")
    record = dict(zip(RUN, values, strict=True))
    if epoch is not None and record["epoch"] != epoch:
        raise Fenced(run_id, epoch)
    return record


def change_run(conn: sqlite3.Connection, record: Record, **changes: Any) -> None:
    """Store the run with these changes; its other columns are neither decoded nor written again.

    Right only in a transaction that has read `record`.
    """
    run_id = record["run_id"]
    written = {name: hidden_value(conn, "run", name, stored(name, value), run_id) for name, value in changes.items()}
    seal = checksum(*{**record, **written}.values())
    conn.execute(_change_run(tuple(written)), (*written.values(), seal, run_id))


def check_fence(conn: sqlite3.Connection, run_id: str, epoch: int) -> None:
    """Make sure, inside the transaction that writes, that the run is still held under this epoch.

    Raises:
        Fenced: Another worker took it over, or it was cancelled.
    """
    if not conn.execute("SELECT 1 FROM run WHERE run_id=? AND epoch=?", (run_id, epoch)).fetchone():
        raise Fenced(run_id, epoch)


def _stored_run(conn: sqlite3.Connection, run_id: str) -> tuple[Any, ...]:
    record = conn.execute(_GET_RUN, (run_id,)).fetchone()
    if record is None:
        raise UnknownRun(run_id)
    return cast("tuple[Any, ...]", record)


def insert_approval(conn: sqlite3.Connection, run: RunRow, row: ApprovalRow) -> RunRow:
    """Store a new approval as the next link of its run's chain; returns the run as it is then."""
    run, link = _lengthen(conn, run, row.approval_id, row.digest)
    conn.execute(_INSERT_APPROVAL, sealed(conn, replace(row, link=link), "approval", APPROVAL))
    return run


def insert_effect(conn: sqlite3.Connection, run: RunRow, row: EffectRow) -> EffectRow:
    """Store a new effect as the next link of its run's chain."""
    _, link = _lengthen(conn, run, row.key, row.digest)
    stored = replace(row, link=link)
    conn.execute(_INSERT_EFFECT, sealed(conn, stored, "effect", EFFECT))
    return stored


def update_effect(conn: sqlite3.Connection, row: EffectRow, **changes: Any) -> EffectRow:
    """Store the effect with these changes. Right only in a transaction that has read `row`."""
    changed = replace(row, **changes)
    conn.execute(_UPDATE_EFFECT, (*sealed(conn, changed, "effect", EFFECT), row.key))
    return changed


def check_absent(conn: sqlite3.Connection, run: RunRow, key: str) -> None:
    """Make sure that an effect of the run which was not found under this key was never stored.

    Raises:
        CorruptState: There are fewer approvals and effects (or more) than the run counts, or the key is hidden.
    """
    (found,) = conn.execute(
        "SELECT (SELECT count(*) FROM approval WHERE run_id=:run) + (SELECT count(*) FROM effect WHERE run_id=:run)",
        {"run": run.run_id},
    ).fetchone()
    if found != run.links:
        raise _broken(run, f"it counts {run.links} approvals and effects, and {found} are stored")
    if conn.execute(_BY_RUN, (run.run_id, key)).fetchone():
        raise _broken(run, f"its effect {key} is stored and is not found under its key")


def check_chain(conn: sqlite3.Connection, run: RunRow) -> None:
    """See whether an approval or effect of the run has vanished or was exchanged.

    Raises:
        CorruptState: The records do not give the chain that the run holds.
    """
    chain, count, cipher = "", 0, cipher_of(conn)
    for count, (link, record_id, digest, table) in enumerate(
        conn.execute(
            "SELECT link, approval_id, digest, 'approval' FROM approval WHERE run_id=:run"
            " UNION ALL SELECT link, key, digest, 'effect' FROM effect WHERE run_id=:run ORDER BY 1",
            {"run": run.run_id},
        ),
        start=1,
    ):
        if link != count:
            raise _broken(run, f"record {count} of {run.links} is missing")
        chain = _next(chain, record_id, cipher.open_same(digest, table, "digest") if cipher else digest)
    if (count, chain) != (run.links, run.chain):
        raise _broken(run, f"the {count} records stored are not the {run.links} that it counts")


def _lengthen(conn: sqlite3.Connection, run: RunRow, record_id: str, digest: str) -> tuple[RunRow, int]:
    link = run.links + 1
    return update_run(conn, run, links=link, chain=_next(run.chain, record_id, digest)), link


def _next(chain: str, record_id: str, digest: str) -> str:
    return hashlib.sha256(f"{chain}\n{record_id}\n{digest}".encode("utf-8", "surrogateescape")).hexdigest()


def _broken(run: RunRow, what: str) -> CorruptState:
    return CorruptState(f"run {run.run_id}", f"{what}. The store has lost records; restore a copy, or cancel the run.")

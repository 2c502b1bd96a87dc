"""The effect journal: intent, call, result, each stored before the next.

Plain functions of a connection; call them inside `Store.write` with `full=True`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...core.errors import CorruptState, JournalMismatch
from .rows import EffectRow, EffectState, Intent, RunRow
from .tables import (
    SELECT_EFFECT,
    check_absent,
    check_fence,
    decode_effect,
    held_run,
    insert_effect,
    update_effect,
)


def find(conn: sqlite3.Connection, key: str) -> EffectRow | None:
    """The effect under this key, or None.

    Raises:
        CorruptState: Its record is damaged.
    """
    record = conn.execute(f"{SELECT_EFFECT} WHERE key=?", (key,)).fetchone()
    return None if record is None else decode_effect(conn, record)


def of_run(conn: sqlite3.Connection, run_id: str) -> list[EffectRow]:
    """The effects of a run, in the order intended."""
    return [
        decode_effect(conn, record)
        for record in conn.execute(f"{SELECT_EFFECT} WHERE run_id=? ORDER BY link", (run_id,))
    ]


def recorded(conn: sqlite3.Connection, keys: Sequence[str]) -> list[EffectRow]:
    """The effects under these keys.

    Raises:
        CorruptState: One has vanished, or is damaged.
    """
    return [_recorded(conn, key) for key in keys]


def in_doubt(conn: sqlite3.Connection, run_id: str) -> list[EffectRow]:
    """The effects of a run of which nobody knows whether they happened, in the order intended."""
    return [row for row in of_run(conn, run_id) if row.state in ("intent", "in_doubt")]


def with_doubts(conn: sqlite3.Connection, run_id: str, reason: str) -> str:
    """Why a run ends, and which of its effects nobody knows the outcome of, as nobody will be asked about them."""
    names = ", ".join(row.tool for row in in_doubt(conn, run_id))
    return f"{reason} (in doubt, may have happened: {names})" if names else reason


def standing_in(
    conn: sqlite3.Connection,
    run_id: str,
    epoch: int,
    key: str,
    *,
    tool: str,
    digest: str,
    args: Mapping[str, Any],
    now: datetime,
) -> Intent | None:
    """Store that a recorded effect, one of those that the run may reuse, stands for a call; None when none does.

    Returns:
        What to do: take the result (`known`), or find out first whether the recorded call happened (`in_doubt`).

    Raises:
        Fenced: Another worker took the run over, or it was cancelled.
        CorruptState: An effect that the run may reuse has vanished.
    """
    run = held_run(conn, run_id, epoch)
    row = find(conn, key)
    if row is None:
        check_absent(conn, run, key)
        source = _unused(conn, run, tool, digest)
        if source is None:
            return None
        state: EffectState = "in_doubt" if source.state == "intent" else source.state
        copy = EffectRow(
            key=key,
            run_id=run_id,
            tool=tool,
            digest=digest,
            args=dict(args),
            epoch=epoch,
            created_at=now,
            updated_at=now,
            state=state,
            result=source.result,
            attempt=source.attempt,
            source=source.key,
        )
        row = insert_effect(conn, run, copy)
    elif row.source is None or (row.tool, row.digest) != (tool, digest):
        return None
    return Intent("in_doubt" if row.state in ("intent", "in_doubt") else "known", row, _world_key(conn, row))


def _unused(conn: sqlite3.Connection, run: RunRow, tool: str, digest: str) -> EffectRow | None:
    """The first effect that the run may reuse for this call and has not."""
    used = {row.source for row in of_run(conn, run.run_id)}
    for key in run.reuse or ():
        row = _recorded(conn, key)
        if (row.tool, row.digest) == (tool, digest) and row.state != "abandoned" and key not in used:
            return row
    return None


def _world_key(conn: sqlite3.Connection, row: EffectRow) -> str:
    while row.source is not None:
        row = _recorded(conn, row.source)
    return row.key


def intend(
    conn: sqlite3.Connection,
    run_id: str,
    epoch: int,
    key: str,
    *,
    tool: str,
    digest: str,
    args: Mapping[str, Any],
    now: datetime,
) -> Intent:
    """Store that a tool is about to be called, unless the key is in the journal already.

    Returns:
        What to do: call the tool (`new`), take the result (`known`), or find out first whether an earlier
        call happened (`in_doubt`; the record is marked so).

    Raises:
        Fenced: Another worker took the run over, or it was cancelled.
        JournalMismatch: The journal holds another call under this key.
        CorruptState: Records of the run have vanished.
    """
    run = held_run(conn, run_id, epoch)
    row = find(conn, key)
    if row is None:
        # A journal that has lost a record must not start the effect a second time.
        check_absent(conn, run, key)
        fresh = EffectRow(
            key=key,
            run_id=run_id,
            tool=tool,
            digest=digest,
            args=dict(args),
            epoch=epoch,
            created_at=now,
            updated_at=now,
        )
        return Intent("new", insert_effect(conn, run, fresh), key)
    if (row.run_id, row.tool, row.digest) != (run_id, tool, digest):
        raise JournalMismatch(tool, f"the journal holds another call of {row.tool!r} under key {key!r}.")
    if row.state in ("intent", "in_doubt"):
        return Intent("in_doubt", update_effect(conn, row, state="in_doubt", updated_at=now), _world_key(conn, row))
    return Intent("known", row, _world_key(conn, row))


def retry(conn: sqlite3.Connection, run_id: str, epoch: int, key: str, *, now: datetime) -> EffectRow:
    """Store that an effect in doubt is about to be called again.

    Raises:
        Fenced: Another worker took the run over, or it was cancelled.
        CorruptState: The journal has lost the record.
    """
    check_fence(conn, run_id, epoch)
    row = _recorded(conn, key)
    return update_effect(conn, row, state="intent", epoch=epoch, attempt=row.attempt + 1, updated_at=now)


def record(
    conn: sqlite3.Connection,
    run_id: str,
    epoch: int,
    key: str,
    state: EffectState,
    result: Mapping[str, Any] | None,
    *,
    now: datetime,
) -> EffectRow:
    """Store how a call went.

    Raises:
        Fenced: Another worker took the run over, or it was cancelled; the effect stays in doubt.
        CorruptState: The journal has lost the record.
    """
    check_fence(conn, run_id, epoch)
    row = _recorded(conn, key)
    known = None if result is None else dict(result)
    return update_effect(conn, row, state=state, result=known, epoch=epoch, updated_at=now)


def _recorded(conn: sqlite3.Connection, key: str) -> EffectRow:
    row = find(conn, key)
    if row is None:
        raise CorruptState(f"effect {key}", "its intent has vanished from the journal. Restore a copy of the store.")
    return row

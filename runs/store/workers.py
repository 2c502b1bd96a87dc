"""Who works on runs, who has died, and whose runs go back to the queue.

Plain functions of a connection; call them inside `Store.write`. A wrong verdict of death is harmless:
the epoch of the run grows, so what the living worker still writes is refused.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from platform import node

from .codec import columns, encode, from_columns, stamp
from .rows import RunRow, WorkerRow
from .tables import SELECT_RUN, readable, update_run

_NAMES = columns(WorkerRow)
_SELECT = f"SELECT {', '.join(_NAMES)} FROM worker"


def this_worker(worker_id: str, now: datetime, *, graphs: tuple[str, ...] = (), serving: bool = False) -> WorkerRow:
    """The row of the present process."""
    pid = os.getpid()
    return WorkerRow(
        worker_id=worker_id,
        host=this_host(),
        pid=pid,
        pid_started=started(pid),
        beat_at=now,
        graphs=graphs,
        serving=serving,
    )


def this_host() -> str:
    """Where process ids have a meaning: the machine's name, its boot and the process namespace."""
    boot, space = "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = os.readlink("/proc/self/ns/pid")
    return "/".join(part for part in (node(), boot, space) if part)


def started(pid: int) -> str | None:
    """When a process of this machine started, in the kernel's ticks; None when it is gone or not seen."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The name in parentheses may hold spaces; the start time is the 20th value after it, the state the first.
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]


def register(conn: sqlite3.Connection, row: WorkerRow) -> None:
    """Store a worker; it may claim runs from here on."""
    marks = ", ".join("?" * len(_NAMES))
    conn.execute(f"INSERT INTO worker ({', '.join(_NAMES)}) VALUES ({marks})", encode(row, _NAMES))


def beat(conn: sqlite3.Connection, worker_id: str, now: datetime) -> bool:
    """Say that a worker lives. False when it was declared dead: it must drop its runs and register anew."""
    return conn.execute("UPDATE worker SET beat_at=? WHERE worker_id=?", (stamp(now), worker_id)).rowcount == 1


def leave(conn: sqlite3.Connection, worker_id: str, now: datetime) -> list[str]:
    """Remove a worker; runs that it still holds are queued. Returns their ids."""
    conn.execute("DELETE FROM worker WHERE worker_id=?", (worker_id,))
    return _free_orphans(conn, now)


def listing(conn: sqlite3.Connection) -> list[WorkerRow]:
    """All workers that count as alive."""
    found: list[WorkerRow] = []
    for record in conn.execute(f"{_SELECT} ORDER BY worker_id"):
        with suppress(ValueError, TypeError):  # a damaged record is no sign of life
            found.append(_decode(record))
    return found


def sweep(conn: sqlite3.Connection, now: datetime, lease_s: float) -> list[str]:
    """Remove workers that are dead and queue the runs that they held, under a new epoch.

    Dead is one whose last beat is older than the lease, or as far in the future (a clock was set back, and it would
    hold its runs until then), or whose process, on this machine, is gone.

    Returns:
        The ids of the runs that were queued.
    """
    lease, host = timedelta(seconds=lease_s), this_host()
    alive = [w.worker_id for w in listing(conn) if abs(now - w.beat_at) <= lease and not _gone(w, host)]
    conn.execute("DELETE FROM worker WHERE worker_id NOT IN (SELECT value FROM json_each(?))", (json.dumps(alive),))
    return _free_orphans(conn, now)


def _gone(worker: WorkerRow, host: str) -> bool:
    if worker.host != host or worker.pid_started is None:
        return False
    return started(worker.pid) != worker.pid_started


def _free_orphans(conn: sqlite3.Connection, now: datetime) -> list[str]:
    records = conn.execute(
        f"{SELECT_RUN} WHERE status='running' AND owner NOT IN (SELECT worker_id FROM worker) ORDER BY seq"
    ).fetchall()
    return [_free(conn, run, now) for run in readable(conn, records)]


def _free(conn: sqlite3.Connection, run: RunRow, now: datetime) -> str:
    return update_run(conn, run, status="queued", owner=None, epoch=run.epoch + 1, updated_at=now).run_id


def _decode(record: tuple[object, ...]) -> WorkerRow:
    return from_columns(WorkerRow, _NAMES, record)

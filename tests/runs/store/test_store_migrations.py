"""Stores that earlier releases wrote: they open, their runs go on, and no upgrade stops half-way."""

from __future__ import annotations

import gzip
import os
import resource
import signal
import sqlite3
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from collegium.core.errors import CollegiumError, StoreUnavailable
from collegium.runs import Approve, Happened, Runner
from collegium.runs.store import Store
from collegium.runs.store.examining import examine
from collegium.runs.store.schema import migrations, open_file

RELEASED = Path(__file__).with_name("released")
VERSIONS = [version for version, _ in migrations()]

sys.path.insert(0, str(RELEASED))
build: Any = import_module("make").build  # the script that made the files lies beside them


def unpack(version: int, path: Path) -> None:
    path.write_bytes(gzip.decompress((RELEASED / f"schema_{version}.db.gz").read_bytes()))


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_every_schema_that_was_ever_written_is_kept_as_a_file() -> None:
    kept = {path.name for path in RELEASED.glob("*.gz")}

    assert kept == {f"schema_{version}.db.gz" for version in VERSIONS}, "run released/make.py for the newest"


@pytest.mark.parametrize("version", VERSIONS)
async def test_runs_of_every_released_store_are_read_and_go_on(path: Path, version: int) -> None:
    unpack(version, path)

    async with Runner(f"sqlite:///{path}", graphs=[build(stuck=False)], poll_s=0.02) as runner:
        found = await runner.runs()
        by_kind = {run.thread_id: run.run_id for run in found}
        waiting = {approval.thread_id: approval.approval_id for approval in await runner.inbox()}
        done = await runner.get(by_kind["done"])
        left = await runner.wait(by_kind["stuck"], timeout_s=30)
        paid = await runner.answer(waiting["waiting"], Approve(by="ada"))
        if version == 1:  # it called the arguments trusted, which was too rosy: the question is put once more
            assert paid.status == "waiting" and paid.approvals[0].payload["trust"] == "untrusted"
            paid = await paid.answer(paid.approvals[0].id, Approve(by="ada"))
        settled = await runner.answer(waiting["in_doubt"], Happened(by="ada", result="seen"))
        again = await (await runner.resume(by_kind["failed"])).wait(timeout_s=30)
        said = [event.kind async for event in runner.events(by_kind["done"])]

    assert found.damaged == ()
    assert (done.status, done.state["said"], done.state["text"]) == ("done", "wired done", "done " * 1000)
    assert (said[0], said[-1]) == ("run_started", "run_done")
    assert (left.status, left.state["said"]) == ("done", "wired stuck")
    assert (paid.status, paid.state["said"]) == ("done", "paid waiting")
    assert (settled.status, settled.state["said"]) == ("done", "seen")
    assert (again.status, again.state["said"]) == ("done", "wired failed")
    assert examine(path).whole


def test_a_store_of_a_newer_release_is_refused_and_left_alone(path: Path) -> None:
    unpack(VERSIONS[-1], path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={VERSIONS[-1] + 1}")
        connection.commit()
    before = path.read_bytes()

    with pytest.raises(StoreUnavailable, match="Upgrade Collegium"):
        Store(str(path)).open_now()

    assert path.read_bytes() == before


def upgraded_until(path: Path, statement: int) -> int:
    """Upgrade in a child that is killed before the n-th statement; returns how it ended."""
    child = os.fork()
    if not child:
        seen = 0

        def count(_: str) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        real = sqlite3.connect

        def connect(*args: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = real(*args, **options)
            connection.set_trace_callback(count)
            return connection

        sqlite3.connect = connect  # type: ignore[assignment]  # this process ends here
        open_file(path, 10).close()
        os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_an_upgrade_killed_at_any_statement_leaves_the_old_schema_or_the_new(path: Path, version: int) -> None:
    killed = seen_old = 0
    for statement in range(1, 200):
        for beside in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        unpack(version, path)
        status = upgraded_until(path, statement)
        if status == 0:
            break
        killed += os.WTERMSIG(status) == signal.SIGKILL
        seen_old += version_of(path) == version
        assert version_of(path) in (version, VERSIONS[-1])
        open_file(path, 10).close()
        assert version_of(path) == VERSIONS[-1]

    assert killed > 10
    assert seen_old > 5
    assert examine(path).whole


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_upgrade_without_room_leaves_the_old_schema(path: Path) -> None:
    unpack(1, path)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            open_file(path, 1)
        except CollegiumError:
            os._exit(3)
        os._exit(0)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 3
    assert version_of(path) == 1
    open_file(path, 10).close()
    assert version_of(path) == VERSIONS[-1]

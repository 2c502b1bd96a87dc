"""A migration is there or it is not, whoever is killed in it and however many try at once."""

from __future__ import annotations

import importlib
import multiprocessing
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collegium.runs import Respond, Run, Runner

sys.path.insert(0, str(Path(__file__).parent))
moving = importlib.import_module("moving")  # under a name that child processes can import, too

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["collegium.runs", "moving"])


async def waiting(url: str, name: str = "Ada") -> Run[Any]:
    async with Runner(url, graphs=[moving.letter()], serve=False) as runner:
        return await (await runner.start("letter", {"to": name})).wait(timeout_s=30)


def state_of(url: str, run_id: str) -> tuple[str, str]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
        version, status = conn.execute("SELECT version, status FROM run WHERE run_id=?", (run_id,)).fetchone()
        return str(version), str(status)


COMMIT = 13
"""The statement of the transaction that makes it one; a change that adds one shows in the last case of the test."""


@pytest.mark.parametrize("statement", [0, 1, 2, 3, 5, 9, 11, COMMIT, COMMIT + 1])
async def test_a_run_killed_in_its_migration_is_as_it_was_or_migrated(url: str, statement: int) -> None:
    run = await waiting(url)
    process = CHILDREN.Process(target=moving.migrate_and_die, args=(url, run.run_id, statement))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    whole = statement > COMMIT
    assert state_of(url, run.run_id) == (("2", "queued") if whole else ("1", "waiting"))
    graph = moving.letter() if statement % 2 and not whole else moving.card()
    async with Runner(url, graphs=[graph], serve=False) as runner:
        run = await runner.wait((await runner.resume(run.run_id)).run_id, timeout_s=30)
        run = await run.answer(run.approvals[0].id, Respond("yes", "ada"))
    assert (run.status, run.state.said) == ("done", "yes")


async def test_processes_that_migrate_at_once_migrate_each_run_once(url: str) -> None:
    found = [await waiting(url, f"friend {number}") for number in range(12)]
    barrier = CHILDREN.Barrier(2)
    processes = [CHILDREN.Process(target=moving.serve, args=(url, barrier, len(found))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    async with Runner(url, graphs=[moving.card()], serve=False) as runner:
        for number, run in enumerate(found):
            kinds = [event.kind async for event in runner.events(run.run_id)]
            assert kinds.count("run_migrated") == 1
            now = await runner.get(run.run_id)
            done = await runner.answer(now.approvals[0].id, Respond("yes", "ada"))
            assert (done.status, done.state.wish) == ("done", f"luck for friend {number}")

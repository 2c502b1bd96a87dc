import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from collegium.runs.store import ApprovalRow, RunRow, Store, approvals, events, runs, workers

RunMaker = Callable[..., RunRow]
ApprovalMaker = Callable[..., ApprovalRow]
Together = Callable[[str, list[str]], list[list[str]]]

EIGHT = [f"process-{n}" for n in range(8)]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_eight_processes_that_open_a_new_store_at_once_make_one(path: Path, together: Together) -> None:
    together("open", EIGHT)

    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def test_of_eight_processes_exactly_one_claims_each_run(
    store: Store, run_row: RunMaker, together: Together
) -> None:
    for number in range(20):
        await store.write(partial(runs.admit, row=run_row(f"run-{number}")))

    lines = [line for printed in together("claim", EIGHT) for line in printed]

    assert Counter(line for line in lines if not line.endswith("no")) == {f"{n}:1": 1 for n in range(20)}
    assert len(lines) == 160


async def test_of_eight_processes_exactly_one_decides_and_the_others_learn_who(
    store: Store, run_row: RunMaker, approval_row: ApprovalMaker, together: Together
) -> None:
    def ask(conn: sqlite3.Connection) -> None:
        run = runs.admit(conn, run_row())
        approvals.ensure(conn, run, [approval_row(f"ap-{n}") for n in range(20)])

    await store.write(ask)

    printed = dict(zip(EIGHT, together("decide", EIGHT), strict=True))

    for number in range(20):
        stored = await store.read(partial(approvals.get, approval_id=f"ap-{number}"))
        told = {name: lines[number].partition(":")[2] for name, lines in printed.items()}
        assert told.pop(str(stored.decided_by)) == "won"
        assert set(told.values()) == {stored.decided_by}


async def test_processes_that_write_at_once_lose_nothing_and_number_events_without_gaps(
    store: Store, together: Together
) -> None:
    together("append", EIGHT[:4])

    stored = await store.read(lambda conn: events.after(conn, "run-0"))

    assert [event.seq for event in stored] == list(range(1, 441))
    for name in EIGHT[:4]:
        mine = [event.data[name] for event in stored if name in event.data]
        assert [number for number in mine if number != "row"] == list(range(100))


async def test_sigkill_in_the_middle_of_a_write_keeps_the_post_before_it_and_nothing_of_the_write(
    store: Store, together: Together
) -> None:
    together("die", ["victim"])

    stored = await store.read(lambda conn: events.after(conn, "run-0"))

    assert [event.data for event in stored] == [{"word": "posted"}]
    assert await store.write(lambda conn: conn.execute("PRAGMA integrity_check").fetchone()) == ("ok",)


async def test_a_full_disk_is_named_keeps_what_was_acknowledged_and_can_be_written_again(
    store: Store, together: Together
) -> None:
    ((refused, after),) = together("fill", ["writer"])

    acknowledged, _, words = refused.partition(" ")
    stored = await store.read(lambda conn: events.after(conn, "run-0"))

    assert "store.db" in words and "disk" in words
    assert int(acknowledged) > 10
    assert [event.seq for event in stored] == list(range(1, int(acknowledged) + 2))
    assert int(after) == int(acknowledged) + 1


async def test_the_runs_of_a_process_that_is_gone_are_queued_under_a_new_epoch(
    store: Store, run_row: RunMaker, together: Together
) -> None:
    for number in range(20):
        await store.write(partial(runs.admit, row=run_row(f"run-{number}")))
    together("claim", ["gone"])

    freed = await store.write(lambda conn: workers.sweep(conn, NOW, lease_s=1e9))

    run = await store.read(lambda conn: runs.get(conn, "run-0"))
    assert len(freed) == 20
    assert (run.status, run.owner, run.epoch) == ("queued", None, 2)
    assert await store.read(workers.listing) == []

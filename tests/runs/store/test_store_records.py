import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from collegium.core.errors import (
    AlreadyDecided,
    ApprovalExpired,
    CorruptState,
    Fenced,
    JournalMismatch,
    StaleApproval,
    ThreadBusy,
    UnknownApproval,
    UnknownRun,
)
from collegium.runs.store import ApprovalRow, Intent, RunRow, approvals, effects, events, runs, workers
from collegium.runs.store.codec import columns, encode, from_columns
from collegium.runs.store.schema import open_file

T = TypeVar("T")
RunMaker = Callable[..., RunRow]
ApprovalMaker = Callable[..., ApprovalRow]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=90)


@pytest.fixture
def conn(path: Path) -> Any:
    connection = open_file(path, 1.0)
    workers.register(connection, workers.this_worker("w-1", NOW))
    yield connection
    connection.close()


def running(conn: sqlite3.Connection, row: RunRow) -> int:
    runs.admit(conn, row)
    epoch = runs.claim(conn, row.run_id, "w-1", NOW)
    assert epoch is not None
    return epoch


def intend(conn: sqlite3.Connection, epoch: int = 1, key: str = "k-1", digest: str = "d") -> Intent:
    return effects.intend(conn, "run-0", epoch, key, tool="send", digest=digest, args={"to": "ada"}, now=NOW)


def test_a_run_comes_back_as_it_was_admitted(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    row = run_row(
        input=b"\x00\xff",
        shape='{"question": "str"}',
        metadata={"who": "a\ud800\u0000"},
        budget={"tokens": 5},
        target="x:y",
    )

    runs.admit(conn, row)

    assert runs.get(conn, "run-0") == row


def test_a_thread_has_one_unfinished_run(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    runs.admit(conn, run_row("run-0", thread_id="t"))

    with pytest.raises(ThreadBusy, match="run-0"):
        runs.admit(conn, run_row("run-1", thread_id="t"))


def test_enqueued_runs_of_a_thread_take_their_turn_in_order(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    epoch = running(conn, run_row("run-0", thread_id="t"))
    second = runs.admit(conn, run_row("run-1", thread_id="t"), "enqueue")
    third = runs.admit(conn, run_row("run-2", thread_id="t"), "enqueue")

    assert (second.status, second.after_run_id) == ("pending", "run-0")
    assert (third.status, third.after_run_id) == ("pending", "run-1")
    assert runs.finish(conn, "run-0", epoch, "done", now=NOW) == "run-1"
    assert runs.cancel(conn, "run-1", "not needed", now=NOW) == "run-2"
    assert runs.get(conn, "run-2").status == "queued"


def test_a_pending_run_that_is_cancelled_moves_nobody_up(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    running(conn, run_row("run-0", thread_id="t"))
    runs.admit(conn, run_row("run-1", thread_id="t"), "enqueue")
    runs.admit(conn, run_row("run-2", thread_id="t"), "enqueue")

    assert runs.cancel(conn, "run-1", "not needed", now=NOW) is None
    assert runs.get(conn, "run-2").status == "pending"


def test_a_run_is_claimed_once_and_only_by_a_living_worker(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    runs.admit(conn, run_row())

    assert runs.claim(conn, "run-0", "w-dead", NOW) is None
    assert runs.claim(conn, "run-0", "w-1", NOW) == 1
    assert runs.claim(conn, "run-0", "w-1", NOW) is None


def test_what_a_worker_writes_is_refused_once_the_run_changed_hands(
    conn: sqlite3.Connection, run_row: RunMaker
) -> None:
    epoch = running(conn, run_row())
    runs.requeue(conn, "run-0", epoch, now=NOW)
    assert runs.claim(conn, "run-0", "w-1", NOW) == 2

    for write in (
        lambda: runs.check_fence(conn, "run-0", epoch),
        lambda: runs.park(conn, "run-0", epoch, [], now=NOW),
        lambda: runs.finish(conn, "run-0", epoch, "done", now=NOW),
        lambda: runs.requeue(conn, "run-0", epoch, now=NOW),
        lambda: intend(conn, epoch),
        lambda: events.append(conn, "run-0", "custom", {}, now=NOW, epoch=epoch),
    ):
        with pytest.raises(Fenced):
            write()


def test_cancelling_fences_the_worker_and_withdraws_the_questions(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker
) -> None:
    epoch = running(conn, run_row())
    runs.park(conn, "run-0", epoch, [approval_row()], now=NOW)

    runs.cancel(conn, "run-0", "stop", now=NOW)

    run = runs.get(conn, "run-0")
    assert (run.status, run.error, run.finished_at) == ("cancelled", "stop", NOW)
    assert approvals.inbox(conn) == []
    with pytest.raises(AlreadyDecided, match="withdrawn by its run"):
        approvals.decide(conn, "ap-0", {"decision": "approve"}, by="ada", now=NOW)
    with pytest.raises(Fenced):
        runs.check_fence(conn, "run-0", epoch)


def test_cancelling_a_finished_run_changes_nothing(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    runs.finish(conn, "run-0", running(conn, run_row()), "done", now=NOW)
    before = runs.get(conn, "run-0")

    runs.cancel(conn, "run-0", "too late", now=LATER)

    assert runs.get(conn, "run-0") == before


def test_a_parked_run_waits_and_the_last_decision_queues_it(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker
) -> None:
    epoch = running(conn, run_row())
    parked = runs.park(
        conn, "run-0", epoch, [approval_row("ap-0"), approval_row("ap-1")], now=NOW, usage={"input_tokens": 1}
    )
    assert parked.status == "waiting"

    approvals.decide(conn, "ap-1", {"decision": "respond", "text": "b"}, by="ada", now=NOW)
    assert runs.get(conn, "run-0").status == "waiting"
    approvals.decide(conn, "ap-0", {"decision": "respond", "text": "a"}, by="ada", now=NOW)

    run = runs.get(conn, "run-0")
    assert (run.status, run.owner, run.usage) == ("queued", None, {"input_tokens": 1})


def test_parking_again_keeps_ids_and_decisions_and_does_not_wait_for_what_is_decided(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker
) -> None:
    epoch = running(conn, run_row())
    runs.park(conn, "run-0", epoch, [approval_row("ap-0")], now=NOW)
    approvals.decide(conn, "ap-0", {"decision": "respond", "text": "a"}, by="ada", now=NOW)
    again = runs.claim(conn, "run-0", "w-1", NOW)
    assert again == 2

    parked = runs.park(
        conn, "run-0", again, [approval_row("ap-9", question_key="ap-0", digest="digest of ap-0")], now=NOW
    )

    assert parked.status == "queued"
    assert [(row.approval_id, row.decided_by) for row in parked.approvals] == [("ap-0", "ada")]


def test_a_question_whose_content_changed_is_a_new_one_and_the_old_is_withdrawn(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker
) -> None:
    epoch = running(conn, run_row())
    runs.park(conn, "run-0", epoch, [approval_row("ap-0")], now=NOW)

    runs.park(conn, "run-0", epoch, [approval_row("ap-1", question_key="ap-0", digest="another")], now=NOW)

    assert [row.approval_id for row in approvals.inbox(conn)] == ["ap-1"]
    assert approvals.get(conn, "ap-0").state == "cancelled"


def test_only_the_first_decision_counts_and_the_second_learns_of_it(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker
) -> None:
    runs.park(conn, "run-0", running(conn, run_row()), [approval_row()], now=NOW)
    approvals.decide(conn, "ap-0", {"decision": "reject"}, by="ada", now=NOW)

    with pytest.raises(AlreadyDecided, match="reject by ada at 2026-11-22 12:00:00"):
        approvals.decide(conn, "ap-0", {"decision": "approve"}, by="bob", now=LATER)

    assert approvals.get(conn, "ap-0").decision == {"decision": "reject"}


def test_a_decision_about_another_content_is_refused(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker
) -> None:
    runs.park(conn, "run-0", running(conn, run_row()), [approval_row()], now=NOW)

    with pytest.raises(StaleApproval):
        approvals.decide(conn, "ap-0", {"decision": "approve"}, by="ada", now=NOW, digest="of what I saw")
    with pytest.raises(UnknownApproval):
        approvals.decide(conn, "ap-7", {"decision": "approve"}, by="ada", now=NOW)

    assert approvals.get(conn, "ap-0").state == "pending"


def test_a_late_decision_is_refused_and_expiry_lets_the_run_go_on(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker
) -> None:
    due = NOW + timedelta(seconds=60)
    runs.park(conn, "run-0", running(conn, run_row()), [approval_row(expires_at=due)], now=NOW)

    with pytest.raises(ApprovalExpired):
        approvals.decide(conn, "ap-0", {"decision": "approve"}, by="ada", now=due)
    assert approvals.inbox(conn, now=LATER) == []
    assert approvals.expire_due(conn, NOW) == []
    assert approvals.expire_due(conn, LATER) == ["run-0"]

    assert approvals.get(conn, "ap-0").state == "expired"
    assert runs.get(conn, "run-0").status == "queued"


def test_an_intent_without_a_result_is_in_doubt_and_one_with_a_result_is_known(
    conn: sqlite3.Connection, run_row: RunMaker
) -> None:
    epoch = running(conn, run_row())

    assert intend(conn).outcome == "new"
    assert intend(conn).outcome == "in_doubt"
    assert [row.state for row in effects.in_doubt(conn, "run-0")] == ["in_doubt"]
    assert effects.retry(conn, "run-0", epoch, "k-1", now=NOW).attempt == 2
    effects.record(conn, "run-0", epoch, "k-1", "done", {"text": "sent"}, now=LATER)

    known = intend(conn)
    assert (known.outcome, known.row.result, known.row.updated_at) == ("known", {"text": "sent"}, LATER)
    assert effects.in_doubt(conn, "run-0") == []


def test_another_call_under_a_key_of_the_journal_is_refused(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    running(conn, run_row())
    intend(conn)

    with pytest.raises(JournalMismatch):
        intend(conn, digest="of other arguments")


def test_the_result_of_a_fenced_worker_leaves_its_effect_in_doubt(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    epoch = running(conn, run_row())
    intend(conn)
    runs.requeue(conn, "run-0", epoch, now=NOW)
    runs.claim(conn, "run-0", "w-1", NOW)

    with pytest.raises(Fenced):
        effects.record(conn, "run-0", epoch, "k-1", "done", {}, now=NOW)

    assert intend(conn, epoch=2).outcome == "in_doubt"


@pytest.mark.parametrize("table", ["effect", "approval"])
def test_a_vanished_record_is_seen_when_the_run_is_claimed_or_acts(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker, table: str
) -> None:
    epoch = running(conn, run_row())
    intend(conn)
    runs.park(conn, "run-0", epoch, [approval_row()], now=NOW)
    approvals.decide(conn, "ap-0", {"decision": "approve"}, by="ada", now=NOW)
    conn.execute(f"DELETE FROM {table}")

    with pytest.raises(CorruptState, match="run run-0"):
        runs.claim(conn, "run-0", "w-1", NOW)
    with pytest.raises(CorruptState, match="run run-0"):
        intend(conn, key="k-2")


def test_a_record_exchanged_for_another_breaks_the_chain(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    running(conn, run_row("run-0"))
    running(conn, run_row("run-1"))
    intend(conn, key="k-1")
    intend(conn, key="k-2", digest="d2")
    runs.verify(conn, runs.get(conn, "run-0"))
    conn.execute("UPDATE effect SET link = 3 - link")

    with pytest.raises(CorruptState):
        runs.verify(conn, runs.get(conn, "run-0"))


@pytest.mark.parametrize(
    ("damage", "record"),
    [
        ("UPDATE run SET status='done'", "run run-0"),
        ("UPDATE run SET input=x'00'", "run run-0"),
        ("UPDATE effect SET result='{}'", "effect k-1"),
        ("UPDATE approval SET state='decided', decision='{\"decision\":\"approve\"}'", "approval ap-0"),
        ('UPDATE event SET data=\'{"text":"other"}\'', "event 1 of run run-0"),
    ],
)
def test_a_record_whose_bytes_changed_is_refused_by_name(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker, damage: str, record: str
) -> None:
    epoch = running(conn, run_row())
    intend(conn)
    events.append(conn, "run-0", "custom", {"text": "this"}, now=NOW)
    runs.park(conn, "run-0", epoch, [approval_row()], now=NOW)
    conn.execute(damage)

    with pytest.raises(CorruptState, match=record):
        runs.get(conn, "run-0")
        effects.of_run(conn, "run-0")
        approvals.of_run(conn, "run-0")
        events.after(conn, "run-0")


def test_runs_are_listed_newest_first_page_by_page(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    for number in range(7):
        runs.admit(conn, run_row(f"run-{number}", graph="odd" if number % 2 else "even"))

    first = runs.listing(conn, limit=3)
    second = runs.listing(conn, limit=3, before=first[-1].run_id)

    assert [row.run_id for row in first + second] == [f"run-{n}" for n in (6, 5, 4, 3, 2, 1)]
    assert [row.run_id for row in runs.listing(conn, graph="odd", status="queued")] == ["run-5", "run-3", "run-1"]
    assert runs.listing(conn, thread_id="thread of run-2") == [runs.get(conn, "run-2")]
    assert runs.count(conn) == {"queued": 7}
    with pytest.raises(UnknownRun):
        runs.get(conn, "run-9")


def test_runs_that_go_on_are_claimable_ahead_of_new_ones(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    runs.admit(conn, run_row("run-new"))
    runs.admit(conn, run_row("run-other", graph="other"))
    epoch = running(conn, run_row("run-old"))
    runs.requeue(conn, "run-old", epoch, now=NOW)

    assert [row.run_id for row in runs.claimable(conn, graphs=["briefing"])] == ["run-old", "run-new"]
    assert [row.run_id for row in runs.claimable(conn)] == ["run-old", "run-new", "run-other"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM run WHERE status='waiting' ORDER BY seq DESC LIMIT 50",
        "SELECT * FROM run WHERE thread_id='t' ORDER BY seq DESC LIMIT 50",
        "SELECT * FROM run WHERE graph='g' AND seq < 9 ORDER BY seq DESC LIMIT 50",
        "SELECT * FROM run ORDER BY seq DESC LIMIT 50",
        "SELECT * FROM checkpoint WHERE thread_id='t' AND ns='' AND run_id='r' ORDER BY checkpoint_id DESC LIMIT 1",
    ],
)
def test_lists_need_neither_a_full_scan_nor_a_sort(conn: sqlite3.Connection, query: str) -> None:
    plan = " | ".join(row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {query}"))

    assert "TEMP B-TREE" not in plan
    assert "SEARCH" in plan or "INDEX" in plan or plan == "SCAN run"  # the last walks the primary key backwards


@pytest.mark.parametrize(
    ("given", "index"),
    [({"now": NOW}, "approval_inbox"), ({"after": "ap-1"}, "approval_inbox"), ({"run_id": "run-0"}, "approval_run")],
)
def test_the_inbox_is_read_by_index(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker, given: dict[str, Any], index: str
) -> None:
    runs.park(conn, "run-0", running(conn, run_row()), [approval_row("ap-1")], now=NOW)
    seen: list[str] = []
    conn.set_trace_callback(seen.append)
    approvals.inbox(conn, **given)
    conn.set_trace_callback(None)
    plan = " | ".join(row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {seen[-1]}"))

    assert f"INDEX {index}" in plan


def test_the_inbox_comes_in_pages_that_miss_nothing_asked_in_the_same_moment(
    conn: sqlite3.Connection, run_row: RunMaker, approval_row: ApprovalMaker
) -> None:
    names = [f"ap-{number}" for number in (3, 1, 4, 0, 2)]
    questions = [approval_row(name, question_key=name) for name in names]
    runs.park(conn, "run-0", running(conn, run_row()), questions, now=NOW)
    pages: list[list[str]] = [[]]
    while page := approvals.inbox(conn, after=pages[-1][-1] if pages[-1] else None, limit=2):
        pages.append([row.approval_id for row in page])

    assert pages[1:] == [names[:2], names[2:4], names[4:]]
    with pytest.raises(UnknownApproval):
        approvals.inbox(conn, after="ap-unknown")


def test_a_worker_whose_beat_is_too_old_loses_its_runs(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    epoch = running(conn, run_row())

    assert workers.sweep(conn, NOW + timedelta(seconds=29), lease_s=30) == []
    assert workers.beat(conn, "w-1", NOW + timedelta(seconds=29))
    assert workers.sweep(conn, NOW + timedelta(seconds=59), lease_s=30) == []
    assert workers.sweep(conn, NOW + timedelta(seconds=60), lease_s=30) == ["run-0"]

    assert not workers.beat(conn, "w-1", LATER)
    with pytest.raises(Fenced):
        runs.check_fence(conn, "run-0", epoch)


def test_a_worker_whose_process_id_belongs_to_another_process_now_loses_its_runs(
    conn: sqlite3.Connection, run_row: RunMaker
) -> None:
    running(conn, run_row())
    conn.execute("UPDATE worker SET pid_started='1'")

    assert workers.sweep(conn, NOW, lease_s=30) == ["run-0"]


def test_a_worker_on_another_machine_is_judged_by_its_beat_alone(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    running(conn, run_row())
    conn.execute("UPDATE worker SET pid_started='1', host='elsewhere'")

    assert workers.sweep(conn, NOW, lease_s=30) == []


def test_a_worker_that_leaves_gives_its_runs_back(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    running(conn, run_row())

    assert workers.leave(conn, "w-1", NOW) == ["run-0"]
    assert workers.listing(conn) == []


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("tip", "{}"),
        ("tip", '{"epoch":1,"heads":[],"writes":0,"effects":0,"events":0}'),
        ("tip", '{"epoch":1,"heads":{"":7},"writes":0,"effects":0,"events":0}'),
        ("usage", '{"words":1}'),
        ("usage", '{"input_tokens":"many"}'),
        ("budget", '{"words":1}'),
        ("tags", "[1]"),
        ("reuse", "[{}]"),
    ],
)
def test_json_of_another_shape_is_refused_when_a_record_is_read(run_row: RunMaker, column: str, text: str) -> None:
    names = columns(RunRow)
    stored = dict(zip(names, encode(run_row(), names), strict=True))
    assert from_columns(RunRow, names, list(stored.values())) == run_row()

    with pytest.raises((TypeError, ValueError)):
        from_columns(RunRow, names, list((stored | {column: text}).values()))

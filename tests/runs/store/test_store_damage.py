"""What a damaged store tells: what can be read is right, and what cannot is named."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from collegium.core.errors import CorruptState
from collegium.runs import Approve, Runner, call_tool
from collegium.runs.store import Store
from collegium.runs.store.examining import examine
from collegium.tools import tool


class Bill(TypedDict, total=False):
    name: str
    ledger: str
    said: str


@tool(effect="unsafe", risk="high")
async def pay(ledger: str, name: str) -> str:
    """Pay a bill.

    Args:
        ledger: Where it is noted.
        name: Whose it is.
    """
    return f"paid {name}"


def build() -> Any:
    async def act(state: Bill) -> Bill:
        result = await call_tool(pay, {"ledger": state.get("ledger", ""), "name": state.get("name", "")})
        return {"said": result.content}

    graph: Any = StateGraph(Bill)
    graph.add_node("act", act)
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    return graph


@pytest.fixture
async def ids(path: Path, tmp_path: Path) -> AsyncIterator[list[str]]:
    """Four runs: two that are done, then two that wait."""
    found: list[str] = []
    async with Runner(f"sqlite:///{path}", graphs=[build()]) as runner:
        for number in range(4):
            run = await runner.start("Bill", {"name": f"n{number}", "ledger": str(tmp_path / "ledger")})
            run = await run.wait(timeout_s=30)
            if number < 2:
                await run.answer(run.approvals[0].approval_id, Approve(by="ada"))
            found.append(run.run_id)
    yield found


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(statement, values)
        connection.commit()


def copy_of(path: Path, copy: Path) -> None:
    copy.write_bytes(path.read_bytes())


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def log_of(path: Path) -> bytes:
    return path.with_name(f"{path.name}-wal").read_bytes()


def opened(path: Path) -> Runner:
    return Runner(f"sqlite:///{path}", graphs=[build()], serve=False)


async def test_a_damaged_run_is_named_and_hides_no_other(path: Path, ids: list[str]) -> None:
    change(path, "UPDATE run SET usage='{}  ' WHERE run_id=?", ids[0])

    async with opened(path) as runner:
        found = await runner.runs()

        assert [run.run_id for run in found] == list(reversed(ids[1:]))
        assert [ids[0] in line for line in found.damaged] == [True]
        with pytest.raises(CorruptState, match=ids[0]):
            await runner.get(ids[0])


async def test_a_damaged_question_is_named_and_hides_no_other(path: Path, ids: list[str]) -> None:
    change(path, "UPDATE approval SET payload='{}' WHERE run_id=?", ids[2])

    async with opened(path) as runner:
        found = await runner.inbox()

        assert [approval.run_id for approval in found] == [ids[3]]
        assert len(found.damaged) == 1
        with pytest.raises(CorruptState, match=ids[2]):
            await runner.get(ids[2])


async def test_a_text_that_is_no_text_damages_one_run_only(path: Path, ids: list[str]) -> None:
    change(path, "UPDATE run SET graph=CAST(x'42ff6c6c' AS TEXT) WHERE run_id=?", ids[0])

    async with opened(path) as runner:
        found = await runner.runs()

        assert len(found) == 3
        assert (await runner.get(ids[3])).status == "waiting"


@pytest.mark.parametrize(
    "lost",
    [
        "DELETE FROM checkpoint WHERE thread_id=(SELECT thread_id FROM run WHERE run_id=:run) AND checkpoint_id="
        "(SELECT max(checkpoint_id) FROM checkpoint WHERE run_id=:run)",
        "DELETE FROM pending_write WHERE thread_id=(SELECT thread_id FROM run WHERE run_id=:run)",
        "DELETE FROM approval WHERE run_id=:run",
        "DELETE FROM blob WHERE thread_id=(SELECT thread_id FROM run WHERE run_id=:run)",
    ],
)
async def test_what_a_waiting_run_has_lost_is_missed(path: Path, ids: list[str], lost: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        gone = connection.execute(lost, {"run": ids[2]}).rowcount
        connection.commit()
    if not gone:
        pytest.skip("the run stores nothing there")

    async with opened(path) as runner:
        with pytest.raises(CorruptState):
            await runner.get(ids[2])


@pytest.mark.parametrize("number", ["1", "max(seq)"])
async def test_an_event_that_vanished_is_missed(path: Path, ids: list[str], number: str) -> None:
    change(path, f"DELETE FROM event WHERE run_id=?1 AND seq=(SELECT {number} FROM event WHERE run_id=?1)", ids[0])

    async with opened(path) as runner:
        with pytest.raises(CorruptState, match="event"):
            [event async for event in runner.events(ids[0])]


async def hidden(path: Path, run_id: str, index: str) -> None:
    """Take a run's entry out of an index, as a flipped bit in a page of it does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (text,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name=?", (index,)).fetchone()
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql=sql || ? WHERE name=?", (f" WHERE run_id != '{run_id}'", index)
        )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"REINDEX {index}")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_schema SET sql=? WHERE name=?", (text, index))


async def test_a_run_that_an_index_hides_is_found_and_nothing_is_moved(path: Path, ids: list[str]) -> None:
    await hidden(path, ids[3], "run_status")

    async with opened(path) as runner:
        found = await runner.runs(status="waiting")

        assert [run.run_id for run in found] == [ids[3], ids[2]]
        assert "run_status" in found.damaged[0]
        waiting = (await runner.get(ids[2])).approvals[0]
        with pytest.raises(CorruptState, match="collegium doctor"):
            await runner.answer(waiting.approval_id, Approve(by="ada"))
        with pytest.raises(CorruptState, match="collegium doctor"):
            await runner.get("run-unknown")


async def test_the_log_of_another_store_is_refused(path: Path, ids: list[str]) -> None:
    other = path.with_name("other.db")
    store = Store(str(other))
    await store.open()
    path.with_name(f"{path.name}-wal").write_bytes(log_of(other))
    await store.close()

    with pytest.raises(CorruptState, match="another store|is damaged"):
        await opened(path).open()


async def test_a_log_that_is_damaged_before_its_end_is_refused(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "runs.db"
    copy.parent.mkdir()
    async with Runner(f"sqlite:///{path}", graphs=[build()]) as runner:
        for number in range(3):
            await (await runner.start("Bill", {"name": f"n{number}", "ledger": ""})).wait(timeout_s=30)
        copy_of(path, copy)
        wal = bytearray(log_of(path))
    wal[32 + 24 + 4120 * 5 + 100] ^= 1
    copy.with_name("runs.db-wal").write_bytes(wal)

    with pytest.raises(CorruptState, match="damaged at frame 6"):
        await opened(copy).open()


async def test_a_store_whose_log_is_missing_says_so(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with Runner(f"sqlite:///{path}", graphs=[build()]):
        copy_of(path, copy)

    async with opened(copy) as runner:
        assert ["the log is missing" in line for line in (await runner.runs()).damaged] == [True]
        with pytest.raises(CorruptState, match="the log is missing"):
            await runner.get("run-lost")
    async with opened(copy) as runner:
        assert (await runner.runs()).damaged == ()


async def test_a_schema_whose_names_are_no_text_is_refused_and_examined(path: Path, ids: list[str]) -> None:
    content = content_of(path)
    written = content.replace(b"tablerunrun", b"table\xffunrun").replace(b"CREATE TABLE run ", b"CR!ATE TABLE run ")
    put(path, written)

    assert written != content
    with pytest.raises(CorruptState, match="is damaged"):
        await opened(path).open()
    assert "is damaged" in examine(path).problems[-1]


async def test_a_run_that_may_have_gone_further_says_so(path: Path, ids: list[str]) -> None:
    async with opened(path) as runner:
        assert (await runner.get(ids[2])).warning == ""
    change(path, "UPDATE mark SET log='0123456789abcdef'")

    async with opened(path) as runner:
        assert "the log is missing" in (await runner.get(ids[2])).warning


async def test_doctor_finds_a_whole_store_whole_and_exports_every_record(path: Path, ids: list[str]) -> None:
    found = examine(path)

    assert (found.whole, found.runs) == (True, 4)
    assert {line["run_id"] for line in found.lines} == set(ids)
    assert {line["record"] for line in found.lines} == {"run", "approval", "effect", "event", "state"}
    (state,) = [line["state"] for line in found.lines if line["record"] == "state" and line["run_id"] == ids[0]]
    assert state["said"] == "paid n0"


async def test_doctor_names_what_is_damaged_and_never_touches_the_file(path: Path, ids: list[str]) -> None:
    change(path, "DELETE FROM event WHERE run_id=? AND seq=2", ids[1])
    before = content_of(path)

    found = examine(path)

    assert (list(found.damaged), found.runs) == ([ids[1]], 3)
    assert content_of(path) == before
    assert not path.with_name(f"{path.name}-wal").exists()


@pytest.mark.parametrize("content", [b"", b"no store at all", b"SQLite format 3\0" + bytes(3000)])
def test_doctor_says_what_it_can_about_what_is_no_store(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    found = examine(path)

    assert not found.whole
    assert found.problems

"""Many runs that wait for a person."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from collegium import END, START, Graph, Runner, State
from collegium.runs import Approve, ask, question

ROOT = Path(__file__).parents[2]


class Draft(State):
    text: str


def drafts() -> Graph[Draft]:
    graph = Graph(Draft, name="drafts")

    async def approve(text: str) -> dict[str, str]:
        ask([question("send", "review", {"text": text}, ["approve", "reject"])])
        return {}

    graph.add_node("approve", approve, writes=())
    graph.add_edge(START, "approve")
    graph.add_edge("approve", END)
    return graph


def test_a_waiting_run_takes_the_same_room_however_many_wait(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.paused", "--runs", "40", "--few", "20", "--large", "0"]
    subprocess.run([*command, "--answers", "4", "--json", str(figures)], check=True, cwd=ROOT, timeout=300)
    few, many = json.loads(figures.read_text(encoding="utf-8"))

    assert (few["runs"], many["runs"]) == (20, 40)
    assert many["bytes_beyond_state"] < 1.1 * few["bytes_beyond_state"]
    # What an empty store holds is in both.
    more = 40 * many["bytes_beyond_state"] - 20 * few["bytes_beyond_state"]
    assert more / 20 <= 8000


async def test_waiting_runs_are_looked_up_by_index(tmp_path: Path) -> None:
    path, seen = tmp_path / "drafts.db", list[str]()
    async with Runner(f"sqlite:///{path}", graphs=[drafts()], serve=False) as runner:
        for number in range(5):
            await (await runner.start("drafts", {"text": f"{number}"})).wait()
        await runner.store.read(lambda conn: conn.set_trace_callback(seen.append))
        [newest, *_] = await runner.runs(status="waiting", limit=3)
        await runner.runs(graph="drafts", limit=3)
        [first, second, *_] = await runner.inbox(limit=3)
        assert [one.approval_id for one in await runner.inbox(after=first.approval_id, limit=1)] == [second.approval_id]
        await runner.get(newest.run_id)
        await runner.store.read(lambda conn: conn.set_trace_callback(None))
    conn = sqlite3.connect(path)
    searches = [query for query in seen if query.startswith("SELECT") and (" FROM run" in query or "approval" in query)]
    plans = [row[3] for query in searches for row in conn.execute(f"EXPLAIN QUERY PLAN {query}")]
    conn.close()

    assert len(searches) >= 5
    assert [plan for plan in plans if plan.startswith("SCAN") and " INDEX " not in plan] == []


async def test_no_statement_of_an_answer_looks_at_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, statements, connect = tmp_path / "runs.db", set[str](), sqlite3.connect
    async with Runner(f"sqlite:///{path}", graphs=[drafts()], serve=False) as runner:
        for number in range(3):
            await (await runner.start("drafts", {"text": f"{number}"})).wait()

    def traced(*given: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*given, **named)
        connection.set_trace_callback(statements.add)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    async with Runner(f"sqlite:///{path}", graphs=[drafts()]) as worker:
        first, *_ = await worker.inbox()
        statements.clear()  # the whole file is looked at once, when it is first used
        run = await worker.answer(first.approval_id, Approve(by="ada"))
        await worker.runs(limit=2)
        await worker.runs(status="waiting", limit=2)
        await worker.inbox(limit=2)
    monkeypatch.undo()
    assert run.status == "done"

    assert any("FROM approval" in statement for statement in statements)
    assert {step for statement in statements for step in scans(path, statement)} == set()


def scans(path: Path, statement: str) -> list[str]:
    """Steps of a statement's plan that look at a whole table that holds a row or more for each run.

    Walking along an index is no such step where the statement has a limit.
    """
    if statement.split(maxsplit=1)[0] not in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
        return []
    connection = sqlite3.connect(path)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    connection.close()
    tables = ("run", "approval", "effect", "event", "checkpoint", "blob", "pending_write", "piece", "run_label")
    whole = [f"{step}: {statement}" for step in plan if step.split()[0] == "SCAN" and step.split()[1] in tables]
    sorted_anew = any("TEMP B-TREE FOR ORDER BY" in step for step in plan)
    return whole if sorted_anew or "LIMIT" not in statement else []

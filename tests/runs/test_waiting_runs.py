"""Many runs that wait for a person."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from collegium import END, START, Graph, Runner, State
from collegium.runs import ask, question

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

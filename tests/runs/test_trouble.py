"""Runs that meet a store in trouble: they go on by themselves once it can be used again."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from collegium.runs import Runner, call_tool
from collegium.runs.store import Store, workers
from collegium.tools import tool


class Work(TypedDict, total=False):
    folder: str
    said: str


@tool(effect="unsafe", risk="low")
async def pay(folder: str) -> str:
    """Pay once.

    Args:
        folder: Where the ledger lies.
    """
    with (Path(folder) / "ledger").open("a", encoding="ascii") as ledger:
        ledger.write("paid\n")
    return "paid"


def build(reached: asyncio.Event, go: asyncio.Event) -> Any:
    async def act(state: Work) -> Work:
        reached.set()
        await go.wait()
        result = await call_tool(pay, {"folder": state.get("folder", "")})
        return {"said": f"{result.status}: {result.content}"}

    graph: Any = StateGraph(Work)
    graph.add_node("act", act)
    graph.add_edge(START, "act")
    return graph


async def test_a_run_that_met_a_locked_store_goes_on_when_the_lock_is_gone(tmp_path: Path) -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    store = Store(f"sqlite:///{tmp_path / 'runs.db'}", busy_s=0.1)
    await store.open()
    async with Runner(store, graphs=[build(reached, go)], poll_s=0.02, lease_s=0.3) as runner:
        run = await runner.start("Work", {"folder": str(tmp_path)})
        await reached.wait()
        with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            go.set()
            await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == f"collegium-{run.run_id}"])
            other.execute("ROLLBACK")

        run = await runner.wait(run.run_id, timeout_s=30)

        assert (run.status, run.state["said"]) == ("done", "ok: paid")
        assert (tmp_path / "ledger").read_text("ascii") == "paid\n"
    await store.close()


async def test_who_waits_for_a_run_hears_that_it_was_cancelled(tmp_path: Path) -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    async with Runner(f"sqlite:///{tmp_path / 'runs.db'}", graphs=[build(reached, go)]) as runner:
        run = await runner.start("Work", {"folder": str(tmp_path)})
        waiting = asyncio.create_task(run.wait(timeout_s=30))
        await reached.wait()

        await run.cancel("not needed")

        assert (await waiting).status == "cancelled"


async def test_who_waits_for_a_run_hears_its_end_also_when_the_worker_was_taken_for_dead(tmp_path: Path) -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    async with Runner(f"sqlite:///{tmp_path / 'runs.db'}", graphs=[build(reached, go)], lease_s=0.3) as runner:
        run = await runner.start("Work", {"folder": str(tmp_path)})
        waiting = asyncio.create_task(run.wait(timeout_s=30))
        await reached.wait()
        reached.clear()

        await runner.store.write(
            lambda conn: [workers.leave(conn, w.worker_id, w.beat_at) for w in workers.listing(conn)]
        )
        await reached.wait()
        go.set()

        ended = await waiting
        assert (ended.status, ended.state["said"]) == ("done", "ok: paid")


async def test_a_context_that_cannot_be_made_fails_the_run_and_not_the_worker(tmp_path: Path) -> None:
    def context() -> object:
        raise ConnectionError("the bank is closed")

    async with Runner(
        f"sqlite:///{tmp_path / 'runs.db'}", graphs=[build(asyncio.Event(), asyncio.Event())], context=context
    ) as runner:
        run = await runner.start("Work", {"folder": str(tmp_path)})

        run = await run.wait(timeout_s=30)

        assert (run.status, run.error) == ("failed", "ConnectionError: the bank is closed")


async def test_a_start_that_is_given_up_while_it_is_stored_leaves_no_run_behind_that_nobody_moves(
    tmp_path: Path,
) -> None:
    go = asyncio.Event()
    go.set()
    graph = build(asyncio.Event(), go)
    async with Runner(f"sqlite:///{tmp_path / 'runs.db'}", graphs=[graph], poll_s=0.02, lease_s=0.3) as runner:
        await runner.runs()
        for turns in range(20):  # somewhere among these the run is on its way into the store
            starting = asyncio.create_task(runner.start("Work", {"folder": str(tmp_path)}, thread_id=f"t{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)

        stored = await runner.runs()

        assert stored
        ended = [await runner.wait(known.run_id, timeout_s=30) for known in stored]
        assert {run.status for run in ended} == {"done"}


async def nothing(state: Any) -> dict[str, Any]:
    return {}


def other_shape(name: str) -> Any:
    class Other(TypedDict, total=False):
        folder: str
        more: str

    graph: Any = StateGraph(Other)
    graph.add_node(name, nothing)
    graph.add_edge(START, name)
    compiled = graph.compile()
    compiled.name = "Work"
    return compiled


async def test_runs_of_a_graph_that_has_changed_do_not_keep_others_from_being_taken_up(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    go = asyncio.Event()
    go.set()
    async with Runner(url, graphs=[other_shape("gone")], serve=False, slots=0) as before:
        for _ in range(60):
            await before.start("Work", {"folder": ""})
        await before.close(drain_s=0)
    async with Runner(url, graphs=[build(asyncio.Event(), go)], serve=False, slots=0) as left:
        run = await left.start("Work", {"folder": str(tmp_path)})
        await left.close(drain_s=0)

    async with Runner(url, graphs=[build(asyncio.Event(), go)], poll_s=0.02) as runner:
        assert (await runner.wait(run.run_id, timeout_s=30)).status == "done"


async def test_a_damaged_run_does_not_keep_others_from_being_taken_up(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    go = asyncio.Event()
    go.set()
    graph = build(asyncio.Event(), go)
    async with Runner(url, graphs=[graph], serve=False, slots=0) as left:
        damaged = await left.start("Work", {"folder": ""})
        run = await left.start("Work", {"folder": str(tmp_path)})
        await left.close(drain_s=0)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as other:
        other.execute("UPDATE run SET shape='[]' WHERE run_id=?", (damaged.run_id,))
        other.commit()

    async with Runner(url, graphs=[graph], poll_s=0.02) as runner:
        assert (await runner.wait(run.run_id, timeout_s=30)).status == "done"


def build_pair(reached: asyncio.Event, *, fails: bool) -> Any:
    """An effect that never comes back, beside a node that fails once the effect is on its way."""

    @tool(effect="unsafe", risk="low")
    async def send(text: str) -> str:
        """Send it.

        Args:
            text: What.
        """
        reached.set()
        await asyncio.Event().wait()
        return text

    async def act(state: Work) -> Work:
        result = await call_tool(send, {"text": "hello"})
        return {"said": result.content}

    async def fail(state: Work) -> Work:
        if fails:
            await reached.wait()
            raise ValueError("no good")
        return {}

    graph: Any = StateGraph(Work)
    graph.add_node("act", act)
    graph.add_node("fail", fail)
    graph.add_edge(START, "act")
    graph.add_edge(START, "fail")
    return graph


async def test_a_run_cancelled_in_the_middle_of_an_effect_says_that_it_may_have_happened(tmp_path: Path) -> None:
    reached = asyncio.Event()
    async with Runner(f"sqlite:///{tmp_path / 'runs.db'}", graphs=[build_pair(reached, fails=False)]) as runner:
        run = await runner.start("Work", {"folder": ""})
        await reached.wait()

        run = await run.cancel("not needed")

        assert (run.status, run.error) == ("cancelled", "not needed (in doubt, may have happened: send)")


async def test_a_run_that_fails_beside_an_effect_says_so_and_asks_about_it_when_resumed(tmp_path: Path) -> None:
    reached = asyncio.Event()
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    async with Runner(url, graphs=[build_pair(reached, fails=True)]) as runner:
        run = await (await runner.start("Work", {"folder": ""})).wait(timeout_s=30)

        assert run.status == "failed"
        assert run.error == "ValueError: no good (in node 'fail') (in doubt, may have happened: send)"

    async with Runner(url, graphs=[build_pair(reached, fails=False)]) as runner:
        run = await (await runner.resume(run.run_id)).wait(timeout_s=30)

        assert (run.status, [approval.kind for approval in run.approvals]) == ("waiting", ["in_doubt"])

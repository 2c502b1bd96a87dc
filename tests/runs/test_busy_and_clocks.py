"""A store that another process holds locked, and clocks that jump by a day."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langgraph.checkpoint.base import id as numbers
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from collegium.core.errors import StoreUnavailable
from collegium.runs import Approve, Happened, Runner, call_tool
from collegium.runs.store import Store, workers
from collegium.tools import tool

DAY = timedelta(days=1)

HOLD = """
import sqlite3, sys
connection = None
for line in sys.stdin:
    connection = connection or sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
    connection.execute("BEGIN IMMEDIATE" if line == "hold\\n" else "ROLLBACK")
    print("done", flush=True)
"""


class Holder:
    """Another process that holds the store's write lock."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, word: str) -> None:
        assert self.process.stdin and self.process.stdout
        print(word, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "done\n"

    def hold(self) -> None:
        self.tell("hold")

    def release(self) -> None:
        self.tell("release")


class Bill(TypedDict, total=False):
    log: list[str]


class World:
    """What happened outside, and where a run is held up."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.at_work, self.go_on = asyncio.Event(), asyncio.Event()

    def graph(self) -> Any:
        @tool(effect="unsafe", risk="high")
        async def pay() -> str:
            """Pay, once a person agrees."""
            self.happened.append("pay")
            return "paid"

        async def prepare(state: Bill) -> Bill:
            self.at_work.set()
            await self.go_on.wait()
            return {"log": ["prepared"]}

        async def settle(state: Bill) -> Bill:
            return {"log": [*state.get("log", []), (await call_tool(pay, {})).content]}

        graph: Any = StateGraph(Bill)
        graph.add_node("prepare", prepare)
        graph.add_node("settle", settle)
        graph.add_edge(START, "prepare")
        graph.add_edge("prepare", "settle")
        graph.add_edge("settle", END)
        return graph


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def holder(path: Path) -> Iterator[Holder]:
    holder = Holder(path)
    yield holder
    holder.process.communicate(timeout=60)


async def test_an_answer_waits_for_a_process_that_holds_the_store(path: Path, holder: Holder) -> None:
    world, store = World(), Store(str(path), busy_s=60)
    world.go_on.set()
    await store.open()
    async with Runner(store, graphs=[world.graph()]) as runner:
        run = await (await runner.start("Bill", {})).wait(timeout_s=60)

        holder.hold()
        asyncio.get_running_loop().call_later(3, holder.release)
        run = await run.answer(run.approvals[0].approval_id, Approve(by="ada"))

        assert (run.status, run.state["log"], world.happened) == ("done", ["prepared", "paid"], ["pay"])
    await store.close()


async def test_a_store_held_for_too_long_is_named_before_anything_happens(path: Path, holder: Holder) -> None:
    world, store = World(), Store(str(path), busy_s=0.2)
    world.go_on.set()
    await store.open()
    async with Runner(store, graphs=[world.graph()], serve=False) as runner:
        run = await (await runner.start("Bill", {})).wait(timeout_s=60)

        holder.hold()
        with pytest.raises(StoreUnavailable, match="another process holds it locked"):
            await run.answer(run.approvals[0].approval_id, Approve(by="ada"))
        with pytest.raises(StoreUnavailable, match="another process holds it locked"):
            await runner.start("Bill", {})
        assert (await runner.get(run.run_id)).status == "waiting"
        assert world.happened == []
        holder.release()

        run = await run.answer(run.approvals[0].approval_id, Approve(by="ada"))
        assert (run.status, world.happened, len(await runner.runs())) == ("done", ["pay"], 1)
    await store.close()


async def test_a_run_whose_store_was_held_too_long_goes_on_by_itself(path: Path, holder: Holder) -> None:
    world, store = World(), Store(str(path), busy_s=0.2)
    await store.open()
    async with Runner(store, graphs=[world.graph()], lease_s=0.5, poll_s=0.05) as runner:
        run = await runner.start("Bill", {})
        await world.at_work.wait()
        holder.hold()
        world.go_on.set()
        with pytest.raises(StoreUnavailable):
            await run.wait(timeout_s=60)
        assert world.happened == []
        holder.release()

        async with asyncio.timeout(60):
            while (run := await runner.get(run.run_id)).status != "waiting":  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # the run goes on elsewhere, and says so in the store only
        run = await run.answer(run.approvals[0].approval_id, Approve(by="ada"))

        assert (run.status, run.state["log"], world.happened) == ("done", ["prepared", "paid"], ["pay"])
    await store.close()


class HandClock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.at = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_steps_and_events_keep_their_order_when_the_clock_jumps(path: Path, jump: timedelta) -> None:
    world, clock = World(), HandClock()
    async with Runner(f"sqlite:///{path}", graphs=[world.graph()], clock=clock) as runner:
        run = await runner.start("Bill", {})
        await world.at_work.wait()
        clock.at += jump
        world.go_on.set()
        run = await run.wait(timeout_s=60)
        clock.at += jump
        run = await run.answer(run.approvals[0].approval_id, Approve(by="ada"))

        assert (run.status, run.state["log"], world.happened) == ("done", ["prepared", "paid"], ["pay"])
        assert [step.nodes for step in await run.history()][-2:] == [("prepare",), ("settle",)]
        kinds = [event.kind async for event in run.events()]
        assert kinds[-1] == "run_done"


async def test_a_clock_that_was_set_back_while_no_process_ran_hides_no_step(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.go_on.set()
    async with Runner(f"sqlite:///{path}", graphs=[world.graph()]) as runner:
        run = await (await runner.start("Bill", {})).wait(timeout_s=60)
    # What LangGraph numbers checkpoints by, in a process that begins a day before the last one ended.
    monkeypatch.setattr(numbers, "_last_v6_timestamp", None)
    monkeypatch.setattr(numbers, "time", SimpleNamespace(time_ns=lambda: time.time_ns() - 86_400 * 10**9))

    async with Runner(f"sqlite:///{path}", graphs=[world.graph()]) as runner:
        run = await runner.answer(run.approvals[0].approval_id, Approve(by="ada"))

        assert (run.status, run.state["log"], world.happened) == ("done", ["prepared", "paid"], ["pay"])
        assert (await runner.get(run.run_id)).state == run.state
        assert [step.nodes for step in await run.history()][-2:] == [("prepare",), ("settle",)]


async def test_a_worker_whose_clock_is_a_day_ahead_repeats_no_effect_that_another_one_makes(path: Path) -> None:
    paying, paid, happened = asyncio.Event(), asyncio.Event(), list[str]()

    @tool(effect="unsafe", risk="low")
    async def wire() -> str:
        """Pay, slowly."""
        happened.append("begun")
        paying.set()
        await paid.wait()
        return "paid"

    def build() -> Any:
        async def settle(state: Bill) -> Bill:
            return {"log": [(await call_tool(wire, {})).content]}

        graph: Any = StateGraph(Bill)
        graph.add_node("settle", settle)
        graph.add_edge(START, "settle")
        graph.add_edge("settle", END)
        return graph

    ahead = HandClock()
    ahead.at = datetime.now(UTC) + DAY
    async with Runner(f"sqlite:///{path}", graphs=[build()]) as first:
        run = await first.start("Bill", {})
        await paying.wait()
        async with Runner(f"sqlite:///{path}", graphs=[build()], clock=ahead, poll_s=0.05) as second:
            run = await (await second.get(run.run_id)).wait(timeout_s=60)
            assert [approval.kind for approval in run.approvals] == ["in_doubt"]
            paid.set()
            run = await run.answer(run.approvals[0].approval_id, Happened(by="ada", result="seen"))
            run = await run.wait(timeout_s=60)

            assert (run.status, run.state["log"], happened) == ("done", ["seen"], ["begun"])


@pytest.mark.parametrize(
    ("beat", "left"), [(-DAY, 0), (DAY, 0), (timedelta(seconds=-10), 1), (timedelta(seconds=10), 1)]
)
async def test_a_lease_ends_whichever_way_the_clock_jumped(path: Path, beat: timedelta, left: int) -> None:
    now, store = datetime.now(UTC), Store(str(path))
    await store.open()
    worker = replace(workers.this_worker("wk-0", now + beat), host="elsewhere")
    await store.write(lambda conn: workers.register(conn, worker))

    await store.write(lambda conn: workers.sweep(conn, now, 15))

    assert len(await store.read(workers.listing)) == left
    await store.close()

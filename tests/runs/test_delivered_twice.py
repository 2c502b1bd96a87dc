"""A run that is handed to several workers at once, several times, has one worker and one effect."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from collegium.graphs import END, START, Graph, State
from collegium.runs import Runner, call_tool
from collegium.tools import tool


class Work(State):
    said: str = ""


def build(folder: Path) -> Graph[Work]:
    @tool(effect="unsafe", risk="low")
    async def pay() -> str:
        """Pay once."""
        with (folder / "ledger").open("a", encoding="ascii") as ledger:
            ledger.write("paid\n")
        await asyncio.sleep(0)
        return "paid"

    async def act() -> str:
        return (await call_tool(pay, {})).content

    graph = Graph(Work, name="work")
    graph.add_node("act", act, writes="said")
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    return graph


async def test_a_run_delivered_to_several_workers_at_once_acts_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    async with Runner(url, graphs=[build(tmp_path)], slots=0) as first:  # admits, and has no room to work
        run_id = (await first.start("work", {})).run_id
        await first.close(drain_s=0)

    async with AsyncExitStack() as stack:
        runners = [
            await stack.enter_async_context(Runner(url, graphs=[build(tmp_path)], poll_s=0.01)) for _ in range(4)
        ]
        await asyncio.gather(*(runner.resume(run_id) for runner in runners for _ in range(3)))
        ends = await asyncio.gather(*(runner.wait(run_id, timeout_s=60) for runner in runners))

    assert [(run.status, run.state.said) for run in ends] == [("done", "paid")] * 4
    assert (tmp_path / "ledger").read_text("ascii") == "paid\n"

"""Runs that queue behind each other on one thread."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from collegium.core.errors import ThreadBusy
from collegium.runs import Respond, Run, Runner


def load(name: str) -> ModuleType:
    """A module beside this file, under a name that child processes can import too."""
    path = Path(__file__).with_name(f"{name}.py")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


queueing = load("queueing")


class Turn(TypedDict, total=False):
    number: int
    mood: str


class Queue:
    """A graph whose runs say when they begin, and go on as their input tells."""

    def __init__(self) -> None:
        self.begun: list[int] = []

    async def turn(self, state: Turn) -> Turn:
        number, mood = state.get("number", 0), state.get("mood", "")
        if number not in self.begun:
            self.begun.append(number)
        if mood == "ask":
            interrupt("?")
        if mood == "fail":
            raise ValueError(f"{number} fails")
        return {"mood": "done"}

    def graph(self) -> Any:
        graph: Any = StateGraph(Turn)
        graph.add_node("turn", self.turn)
        graph.add_edge(START, "turn")
        return graph


async def enqueue(runner: Runner, graph: Any, moods: list[str]) -> list[Run[Any]]:
    return [
        await runner.start(graph, {"number": n, "mood": mood}, thread_id="t", on_busy="enqueue")
        for n, mood in enumerate(moods)
    ]


async def statuses(found: list[Run[Any]]) -> list[str]:
    return [(await run.refresh()).status for run in found]


async def test_queued_runs_begin_one_after_the_other_in_the_order_of_admission(url: str) -> None:
    queue = Queue()
    graph = queue.graph()
    async with Runner(url, graphs=[graph]) as runner:
        found = await enqueue(runner, graph, ["ask", "go", "go", "go", "go"])
        first = await found[0].wait(timeout_s=20)
        assert await statuses(found) == ["waiting", "pending", "pending", "pending", "pending"]

        await first.answer(first.approvals[0].id, Respond("on", by="ada"))
        await found[-1].wait(timeout_s=20)

        assert await statuses(found) == ["done"] * 5
        assert queue.begun == [0, 1, 2, 3, 4]


async def test_one_that_is_cancelled_in_the_middle_of_the_queue_changes_no_others(url: str) -> None:
    queue = Queue()
    graph = queue.graph()
    async with Runner(url, graphs=[graph]) as runner:
        found = await enqueue(runner, graph, ["ask", "go", "go", "go", "go"])
        first = await found[0].wait(timeout_s=20)

        cancelled = await found[2].cancel("not needed")
        assert cancelled.status == "cancelled"
        assert (await statuses(found))[:2] == ["waiting", "pending"]
        await first.cancel()
        await found[-1].wait(timeout_s=20)

        assert await statuses(found) == ["cancelled", "done", "cancelled", "done", "done"]
        assert queue.begun == [0, 1, 3, 4]


async def test_the_next_begins_when_one_fails_and_the_failed_one_can_be_resumed_later(url: str) -> None:
    queue = Queue()
    graph = queue.graph()
    async with Runner(url, graphs=[graph]) as runner:
        found = await enqueue(runner, graph, ["go", "fail", "ask", "go"])
        third = await found[2].wait(timeout_s=20)
        assert await statuses(found) == ["done", "failed", "waiting", "pending"]

        with pytest.raises(ThreadBusy):
            await found[1].resume()
        await third.answer(third.approvals[0].id, Respond("on", by="ada"))
        await found[3].wait(timeout_s=20)

        assert queue.begun == [0, 1, 2, 3]
        again = await (await found[1].resume()).wait(timeout_s=20)
        assert again.error == "ValueError: 1 fails (in node 'turn')"


@pytest.mark.parametrize("at", [1, 3])
async def test_a_queue_keeps_its_order_over_a_crash(tmp_path: Path, at: int) -> None:
    assert queueing.killed_at(tmp_path, at) == -signal.SIGKILL

    async with Runner(f"sqlite:///{tmp_path}/runs.db", graphs=[queueing.build()]) as runner:
        found = list(reversed(await runner.runs(thread_id="t")))
        assert len(found) == 5
        for run in found:
            assert (await runner.wait(run.run_id, timeout_s=30)).status == "done"

    begun = [int(line) for line in (tmp_path / "begun").read_text("ascii").splitlines()]
    assert begun == [*range(at + 1), *range(at, 5)]

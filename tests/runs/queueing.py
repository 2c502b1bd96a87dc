"""Five runs on one thread, in a process that kills itself in one of them; run in child processes by
test_thread_queue."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import START, StateGraph

from collegium.runs import Runner

RUNS = 5


class Turn(TypedDict, total=False):
    number: int
    folder: str
    said: str


async def turn(state: Turn) -> Turn:
    folder, number = Path(state.get("folder", "")), state.get("number", 0)
    admitted, fatal = folder / "admitted", folder / "die_at"
    while not admitted.exists():  # noqa: ASYNC110 - a file, as the process that goes on must see it, too
        await asyncio.sleep(0.01)
    with (folder / "begun").open("a", encoding="ascii") as file:
        file.write(f"{number}\n")
    if fatal.exists() and fatal.read_text(encoding="ascii") == str(number):
        fatal.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"said": "done"}


def build() -> Any:
    graph: Any = StateGraph(Turn)
    graph.add_node("turn", turn)
    graph.add_edge(START, "turn")
    return graph


async def start(folder: str) -> None:
    async with Runner(f"sqlite:///{folder}/runs.db", graphs=[build()]) as runner:
        found = [
            await runner.start("Turn", {"number": number, "folder": folder}, thread_id="t", on_busy="enqueue")
            for number in range(RUNS)
        ]
        (Path(folder) / "admitted").touch()
        await found[-1].wait(timeout_s=60)


def child(folder: str) -> None:
    asyncio.run(start(folder))


def killed_at(folder: Path, number: int) -> int:
    """Exit code of a process that dies in the run of this number."""
    (folder / "die_at").write_text(str(number), encoding="ascii")
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["collegium.runs", __name__])
    process = context.Process(target=child, args=(str(folder),))
    process.start()
    process.join(90)
    return int(process.exitcode or 0)

"""A graph whose process kills itself at a chosen point around an effect; run in child processes by test_crash."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, TypedDict

from langgraph.graph import START, StateGraph

from collegium.runs import Approve, Decision, Happened, NotHappened, Retry, Runner, call_tool
from collegium.tools import tool

Point = Literal["never", "before_intent", "after_intent", "after_effect", "after_result"]
Answer = Literal["", "approve", "happened", "not_happened", "retry"]


class Work(TypedDict, total=False):
    folder: str
    die_at: Point
    said: str


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def effects(folder: Path) -> int:
    """How often the effect happened, as the world counts it."""
    counter = folder / "effects"
    return len(counter.read_text(encoding="ascii").splitlines()) if counter.exists() else 0


def happen(folder: str) -> None:
    descriptor = os.open(Path(folder) / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, b"paid\n")
    os.fsync(descriptor)
    os.close(descriptor)


def armed(folder: str, point: Point) -> bool:
    """True the first time the chosen point is reached."""
    chosen = Path(folder) / "die_at"
    if not chosen.exists() or chosen.read_text(encoding="ascii") != point:
        return False
    chosen.unlink()
    return True


@tool(effect="unsafe", risk="low")
async def pay(folder: str) -> str:
    """Pay once.

    Args:
        folder: Where the counter lies.
    """
    if armed(folder, "after_intent"):
        die()
    happen(folder)
    if armed(folder, "after_effect"):
        die()
    return "paid"


async def act(state: Work) -> Work:
    folder = state.get("folder", "")
    if armed(folder, "before_intent"):
        die()
    result = await call_tool(pay, {"folder": folder})
    if armed(folder, "after_result"):
        die()
    return {"said": f"{result.status}: {result.content}"}


def build() -> Any:
    graph: Any = StateGraph(Work)
    graph.add_node("act", act)
    graph.add_edge(START, "act")
    return graph


async def start(folder: str) -> None:
    """Start the run and work on it (until the process dies)."""
    async with Runner(f"sqlite:///{folder}/runs.db", graphs=[build()]) as runner:
        run = await runner.start("Work", {"folder": folder}, thread_id="t")
        await run.wait(timeout_s=30)


async def recover(folder: str, answer: Answer) -> dict[str, Any]:
    """What a new process finds: it goes on by itself, and answers what waits."""
    async with Runner(f"sqlite:///{folder}/runs.db", graphs=[build()]) as runner:
        (known,) = await runner.runs()
        run = await runner.wait(known.run_id, timeout_s=30)
        kinds = [approval.kind for approval in run.approvals]
        if answer and run.approvals:
            decisions: dict[str, Decision] = {
                "approve": Approve("ada"),
                "happened": Happened("", "ada"),
                "not_happened": NotHappened("ada"),
                "retry": Retry("ada"),
            }
            run = await run.answer(run.approvals[0].id, decisions[answer])
        return {"status": run.status, "kinds": kinds, "said": run.state.get("said") if run.state else None}


def child(work: str, folder: str, answer: Answer, out: Connection) -> None:
    if work == "start":
        asyncio.run(start(folder))
    else:
        out.send(asyncio.run(recover(folder, answer)))


def in_child(work: str, folder: Path, answer: Answer = "") -> tuple[int, dict[str, Any] | None]:
    """Exit code (negative: the signal) and what the child sent."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["collegium.runs", __name__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(work, str(folder), answer, sender))
    process.start()
    sender.close()
    try:
        found = receiver.recv() if receiver.poll(60) else None
    except EOFError:
        found = None
    process.join(60)
    receiver.close()
    return process.exitcode or 0, found

"""A disk that is full, at every size: no effect without its intent on disk, and every run goes on with space."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from collegium.core.errors import CollegiumError
from collegium.runs import Approve, Run, Runner, call_tool
from collegium.runs.store.examining import examine
from collegium.tools import tool

STEPS = range(4096, 4096 * 120, 4096 * 20)


class Bill(TypedDict, total=False):
    text: str
    said: list[str]


@tool(effect="unsafe", risk="high")
async def pay(name: str) -> str:
    """Pay once, and note it outside of the store.

    Args:
        name: Whose bill it is.
    """
    note(name)
    return f"paid {name}"


@tool(effect="unsafe", risk="low")
async def tip(name: str) -> str:
    """Pay without asking.

    Args:
        name: Whose bill it is.
    """
    note(name)
    return f"tipped {name}"


def note(name: str) -> None:
    """Tell another process, which no limit on this one's files concerns."""
    os.write(int(os.environ["LEDGER_FD"]), f"{name}\n".encode())


def build() -> Any:
    async def write(state: Bill) -> Bill:
        return {"text": "word " * 4000}

    async def act(state: Bill) -> Bill:
        results = [await call_tool(tip, {"name": "waiter"}), await call_tool(pay, {"name": "cook"})]
        return {"said": [result.content for result in results]}

    graph: Any = StateGraph(Bill)
    graph.add_node("write", write)
    graph.add_node("act", act)
    graph.add_edge(START, "write")
    graph.add_edge("write", "act")
    graph.add_edge("act", END)
    return graph


async def go(path: Path) -> str:
    """Bring the one run of the store to its end; returns where it came to."""
    async with Runner(f"sqlite:///{path}", graphs=[build()]) as runner:
        known = await runner.runs()
        run: Run[Any] = await (runner.resume(known[0].run_id) if known else runner.start("Bill", {}))
        run = await run.wait(timeout_s=30)
        while run.approvals:
            approval = run.approvals[0]
            word = "retry" if approval.kind == "in_doubt" else "approve"
            if word == "retry":
                return "in doubt"
            run = await run.answer(approval.approval_id, Approve(by="ada"))
        return f"{run.status} {run.error or ''}"


def main(path: Path, size: int) -> None:
    """Go as far as the size of a file allows."""
    if size:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        print(asyncio.run(go(path)))
    except CollegiumError as error:
        print(f"{type(error).__name__}: {error}")


def play(path: Path, size: int) -> tuple[str, list[str]]:
    """What a child said under a limit, and which effects happened."""
    reading, writing = os.pipe()
    command = [sys.executable, __file__, str(path), str(size)]
    environment = {**os.environ, "LEDGER_FD": str(writing)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, pass_fds=[writing], env=environment
    )
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as ledger:
        happened = ledger.read().split()
    return done.stdout.strip() + done.stderr[-500:], happened


@pytest.mark.parametrize("size", STEPS)
def test_a_full_disk_stops_a_run_before_its_next_effect_and_loses_nothing(tmp_path: Path, size: int) -> None:
    path = tmp_path / "runs.db"

    said, before = play(path, size)
    intents = [line["args"]["name"] for line in examine(path).lines if line["record"] == "effect"] if before else []
    ended, after = play(path, 0)

    assert "Traceback" not in said
    assert set(before) <= set(intents)
    if not said.startswith("done"):
        assert "disk" in said
    assert ended in ("done", "in doubt")
    assert all((before + after).count(name) <= 1 for name in ("waiter", "cook"))
    if ended == "done":
        assert sorted(before + after) == ["cook", "waiter"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

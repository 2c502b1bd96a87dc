"""Made the store files beside it, each with the Collegium of its schema: `PYTHONPATH=<its src> python make.py FILE.gz`.

A run of each state: done, failed, waiting for leave, in doubt, at work when its process was killed. The notes in the
state name them; effects are counted in a ledger that the test lays elsewhere, so they note nothing here.
"""

import asyncio
import gzip
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from collegium.runs import Runner, call_tool
from collegium.tools import tool


class Bill(TypedDict, total=False):
    kind: str
    text: str
    said: str


@tool(effect="unsafe", risk="high")
async def pay(name: str) -> str:
    """Pay a bill.

    Args:
        name: Whose it is.
    """
    return f"paid {name}"


@tool(effect="unsafe", risk="low")
async def wire(name: str) -> str:
    """Pay, and lose the answer.

    Args:
        name: Whose it is.
    """
    if name == "in_doubt":
        raise TimeoutError("the line was cut")
    return f"wired {name}"


def build(*, stuck: bool) -> Any:
    """The graph; `stuck` keeps the run of that kind at work."""

    async def write(state: Bill) -> Bill:
        return {"text": f"{state.get('kind')} " * 1000}

    async def act(state: Bill) -> Bill:
        kind = state.get("kind", "")
        if kind == "stuck" and stuck:
            await asyncio.Event().wait()
        if kind == "failed" and stuck:
            raise ValueError("no money")
        result = await call_tool(pay if kind == "waiting" else wire, {"name": kind})
        return {"said": result.content}

    graph: Any = StateGraph(Bill)
    graph.add_node("write", write)
    graph.add_node("act", act)
    graph.add_edge(START, "write")
    graph.add_edge("write", "act")
    graph.add_edge("act", END)
    return graph


async def fill(path: Path) -> None:
    """Make the runs, then die without a word."""
    async with Runner(f"sqlite:///{path}", graphs=[build(stuck=True)]) as runner:
        for kind in ("done", "failed", "waiting", "in_doubt"):
            await (await runner.start("Bill", {"kind": kind}, thread_id=kind)).wait(timeout_s=30)
        run = await runner.start("Bill", {"kind": "stuck"}, thread_id="stuck")
        async for event in run.events():
            if event.kind == "node_started" and event.node == "act":
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Fill a store in a child that is killed, copy the log back, and pack the file."""
    import sqlite3

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        child = os.fork()
        if not child:
            asyncio.run(fill(path))
        os.waitpid(child, 0)
        sqlite3.connect(path).close()  # the last connection copies the log back
        with sqlite3.connect(path, isolation_level=None) as connection:
            connection.execute("VACUUM")
            connection.execute("UPDATE mark SET log=NULL")  # from schema 4 on: no log belongs to the file
        connection.close()
        with gzip.GzipFile(sys.argv[1], "wb", mtime=0) as file:
            file.write(path.read_bytes())


if __name__ == "__main__":
    main()

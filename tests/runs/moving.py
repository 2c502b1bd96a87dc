"""Processes that migrate one store at the same time, or are killed while they do; run by test_migrating_processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from multiprocessing.synchronize import Barrier
from typing import Any

from collegium.agents import Ask
from collegium.graphs import END, START, Graph, State
from collegium.runs import Runner, migrating


class Letter(State):
    to: str
    wishes: list[str] = []
    said: str = ""


class Card(State):
    to: str
    wish: str = ""
    said: str = ""


def letter() -> Graph[Letter]:
    """Version 1: it asks, then ends."""
    graph = Graph(Letter, name="letter")
    graph.add_node("wish", wishes_for, writes="wishes")
    graph.add_node("ask", Ask("Send it?", into="said"))
    graph.add_edge(START, "wish")
    graph.add_edge("wish", "ask")
    graph.add_edge("ask", END)
    return graph


def wishes_for(to: str) -> list[str]:
    return [f"luck for {to}", "x" * 5000]


def card() -> Graph[Card]:
    """Version 2: one wish, and the question under another name."""
    graph = Graph(Card, name="letter", version="2")
    graph.add_node("wish", wish_for, writes="wish")
    graph.add_node("question", Ask("Send it?", into="said"))
    graph.add_edge(START, "wish")
    graph.add_edge("wish", "question")
    graph.add_edge("question", END)
    return graph.add_migration("1", first_wish, nodes={"ask": "question"})


def wish_for(to: str) -> str:
    return f"luck for {to}"


def first_wish(values: dict[str, Any]) -> dict[str, Any]:
    return {"to": values["to"], "wish": values["wishes"][0]}


def migrate_and_die(url: str, run_id: str, statement: int) -> None:
    """Migrate a run, and kill this process before that statement of the transaction; 0 is the first."""
    write = migrating.Migrated.write

    def counted(self: migrating.Migrated, conn: sqlite3.Connection, row: Any) -> Any:
        left = iter(range(statement, -1, -1))

        def before(_: str) -> None:
            if next(left, 0) == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        conn.set_trace_callback(before)
        return write(self, conn, row)

    migrating.Migrated.write = counted  # type: ignore[method-assign]
    asyncio.run(resume(url, run_id))


async def resume(url: str, run_id: str) -> None:
    async with Runner(url, graphs=[card()], serve=False) as runner:
        await runner.wait((await runner.resume(run_id)).run_id, timeout_s=60)


def serve(url: str, barrier: Barrier, count: int) -> None:
    """Take up whatever there is, as another process does, until every question is asked in version 2."""

    async def work() -> None:
        runner = Runner(url, graphs=[card()], poll_s=0.01)
        barrier.wait(60)
        async with runner, asyncio.timeout(90):
            while await moved(url) < count:  # noqa: ASYNC110 - the store tells, not this loop
                await asyncio.sleep(0.02)

    asyncio.run(work())


async def moved(url: str) -> int:
    """How many runs wait in version 2."""

    def read() -> int:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as conn:
            (count,) = conn.execute("SELECT count(*) FROM run WHERE version='2' AND status='waiting'").fetchone()
            return int(count)

    return await asyncio.to_thread(read)

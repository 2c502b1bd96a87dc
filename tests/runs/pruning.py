"""A process that prunes a store and kills itself at a chosen statement; run in child processes by test_prune_crash."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from datetime import timedelta
from functools import partial
from sqlite3 import Connection
from typing import Any

from collegium import END, START, Graph, State
from collegium.agents import Ask
from collegium.runs import Runner, retention


class Note(State):
    text: str
    answer: str = ""
    copy_of: str = ""


async def copy(text: str) -> str:
    return text


def build() -> Graph[Note]:
    graph = Graph(Note, name="note")
    graph.add_node("copy", copy, writes="copy_of")
    graph.add_node("ask", Ask("And?", into="answer"))
    graph.add_edge(START, "copy")
    graph.add_edge("copy", "ask")
    graph.add_edge("ask", END)
    return graph


class Fuse:
    """Kills the process when the connection is about to do its n-th statement."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, statement: str) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def prune(url: str, at: int) -> None:
    retention.BATCH = 3
    async with Runner(url, serve=False) as runner:
        await runner.store.write(partial(_lit, at=at))
        await runner.prune(older_than=timedelta(0), history="drop")


def _lit(conn: Connection, at: int) -> None:
    conn.set_trace_callback(Fuse(at))


def child(url: str, at: int) -> None:
    asyncio.run(prune(url, at))


def killed_at(url: str, at: int) -> int:
    """Exit code of a process that prunes and dies at a statement: negative the signal, 0 when it was done before."""
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["collegium.runs", __name__])
    process = context.Process(target=child, args=(url, at))
    process.start()
    process.join(60)
    return int(process.exitcode or 0)

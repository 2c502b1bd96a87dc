"""One contender, one task, in a process of its own: `python -m benchmarks.compare.child PEER TASK ADDRESS`.

Prints the CPU (user and system, all threads of this process) that the task took, in milliseconds.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import statistics
import sys
from collections.abc import Awaitable, Callable
from time import process_time
from typing import Any

QUIET = {"LANGSMITH_TRACING": "false", "OTEL_SDK_DISABLED": "true", "OPENAI_API_KEY": "none"}

PEERS = {
    "openai": "benchmarks.compare.peer_openai",
    "langgraph": "benchmarks.compare.peer_langgraph",
    "collegium": "benchmarks.peer_collegium",
}

WARM, TURNS, PIPELINES, AT_ONCE, POOL = 20, 150, 60, 500, 1000


def build(peer: str, address: str) -> Any:
    """The contender's bench; `peer_collegium` is shared with another harness and asks for `common`."""
    sys.modules["common"] = importlib.import_module("benchmarks.compare.tasks")
    return importlib.import_module(PEERS[peer]).build(address, POOL)


async def one_by_one(work: Callable[[], Awaitable[Any]], check: Callable[[Any], None], runs: int) -> float:
    """The median of so many runs, one after the other."""
    for _ in range(WARM):
        check(await work())
    gc.collect()
    spent: list[float] = []
    for _ in range(runs):
        before = process_time()
        found = await work()
        spent.append(process_time() - before)
        check(found)
    return statistics.median(spent) * 1000


async def at_once(work: Callable[[], Awaitable[Any]], check: Callable[[Any], None]) -> float:
    """Many runs at the same time, all of them together."""
    check(await work())
    gc.collect()
    before = process_time()
    found = await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    spent = process_time() - before
    for each in found:
        check(each)
    return spent * 1000


async def measure(peer: str, task: str, address: str) -> float:
    """CPU milliseconds: of a run (b, c), of all runs (d), or of this process up to its first answer (ready)."""
    from .tasks import check_b, check_c

    bench = build(peer, f"{address}/d100/v1" if task == "d" else f"{address}/v1")
    try:
        match task:
            case "ready":
                check_b(await bench.b())
                return process_time() * 1000
            case "b":
                return await one_by_one(bench.b, check_b, TURNS)
            case "c":
                return await one_by_one(bench.c, check_c, PIPELINES)
            case _:
                return await at_once(bench.b, check_b)
    finally:
        await bench.close()


if __name__ == "__main__":
    os.environ.update(QUIET)
    print(asyncio.run(measure(*sys.argv[1:4])))

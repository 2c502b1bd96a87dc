"""What runs cost that wait for a person: 10,000 with 4 kB of state, and 100 with 1 MB.

    python -m benchmarks.paused [--runs 10000] [--few 100] [--large 100] [--answers 400] [--json FILE]

Runs are started and come to rest at an approval as users' runs do. Then: bytes in the file for each run beyond its
own state; the first page of the lists; a worker's start in a new process, and its memory; the time from an answer to
the run's next rest; and answers a second with two worker processes. The same is measured with 100 runs in a store.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from collegium import END, START, Graph, Runner, State
from collegium.runs import Approve, ask, question

SMALL, LARGE = 4_000, 1_000_000
PAGE = 50
AT_ONCE = 20
"""Runs that are on their way to their question at the same time."""


class Draft(State):
    text: str
    said: str = ""


def build() -> Graph[Draft]:
    """One approval, then one step."""
    graph = Graph(Draft, name="drafts")

    async def approve(said: str) -> dict[str, Any]:
        ask([question("send", "review", {"what": "send the draft"}, ["approve", "reject"])])
        return {}

    async def send(said: str) -> str:
        return "sent"

    graph.add_node("approve", approve, writes=())
    graph.add_node("send", send, writes="said")
    graph.add_edge(START, "approve")
    graph.add_edge("approve", "send")
    graph.add_edge("send", END)
    return graph


def text(number: int, size: int) -> str:
    """Text that has nothing in common with that of other runs."""
    return Random(number).randbytes(size // 2).hex()


async def make(path: Path, runs: int, size: int) -> None:
    """Bring runs to their questions."""
    graph = build()
    async with Runner(f"sqlite:///{path}", graphs=[graph], serve=False) as runner:
        for begin in range(0, runs, AT_ONCE):
            some = range(begin, min(begin + AT_ONCE, runs))
            started = [await runner.start(graph, {"text": text(number, size)}) for number in some]
            rested = await asyncio.gather(*(run.wait() for run in started))
            assert all(run.status == "waiting" for run in rested), rested[0].error


def stored(path: Path) -> int:
    """Bytes of all pages of the file, those in its log included."""
    connection = sqlite3.connect(path)
    (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    connection.close()
    return int(pages * size)


async def timed_ms(work: Callable[[], Awaitable[Any]], times: int = 9) -> float:
    """Median of several calls, the first left out."""
    took: list[float] = []
    for _ in range(times + 1):
        begun = time.perf_counter()
        await work()
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took[1:])


async def lists_ms(path: Path) -> dict[str, float]:
    """First pages, as a person or a page of a web application asks for them."""
    async with Runner(f"sqlite:///{path}", graphs=[build()], serve=False) as runner:
        return {
            "runs": await timed_ms(lambda: runner.runs(limit=PAGE)),
            "runs of a status": await timed_ms(lambda: runner.runs(status="waiting", limit=PAGE)),
            "runs of a graph": await timed_ms(lambda: runner.runs(graph="drafts", limit=PAGE)),
            "inbox": await timed_ms(lambda: runner.inbox(limit=PAGE)),
        }


async def waiting(path: Path, count: int) -> list[str]:
    """Ids of approvals that wait, the oldest first."""
    found: list[str] = []
    async with Runner(f"sqlite:///{path}", serve=False) as runner:
        while len(found) < count:
            page = await runner.inbox(after=found[-1] if found else None, limit=min(count - len(found), 1000))
            if not page:
                break
            found += [approval.approval_id for approval in page]
    return found


async def answer(path: Path, approvals: list[str]) -> list[float]:
    """Milliseconds from each answer to the next rest of its run, one after the other."""
    took: list[float] = []
    async with Runner(f"sqlite:///{path}", graphs=[build()], serve=False) as runner:
        for approval_id in approvals:
            begun = time.perf_counter()
            run = await runner.answer(approval_id, Approve(by="ada"))
            took.append((time.perf_counter() - begun) * 1000)
            assert run.status == "done" and run.state.said == "sent", run.error
    return took


async def started(path: Path) -> dict[str, float]:
    """A worker that serves: seconds until it has looked for work, and the memory that it has then."""
    begun = time.perf_counter()
    async with Runner(f"sqlite:///{path}", graphs=[build()]) as runner:
        await runner.inbox(limit=PAGE)
        open_s = time.perf_counter() - begun
    return {"open_s": open_s, "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


async def child(*given: str) -> Any:
    """What this module gives in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.paused", *given, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return json.loads(out)


async def together(path: Path, approvals: list[str]) -> float:
    """Answers a second of two processes, from the first answer to the last."""
    halves = [approvals[::2], approvals[1::2]]
    spans = await asyncio.gather(*(child("--child", "answer", str(path), json.dumps(half)) for half in halves))
    return float(len(approvals) / (max(span[1] for span in spans) - min(span[0] for span in spans)))


async def measure(path: Path, runs: int, size: int, answers: int) -> dict[str, Any]:
    """All figures of one store."""
    begun = time.perf_counter()
    await make(path, runs, size)
    made_s, kept = time.perf_counter() - begun, stored(path)
    found: dict[str, Any] = {
        "runs": runs,
        "state_bytes": size,
        "making_ms_each": made_s / runs * 1000,
        "bytes_beyond_state": kept / runs - size,
        "file_over_state": kept / runs / size,
        "lists_ms": await lists_ms(path),
        "start": await child("--child", "start", str(path), "[]"),
    }
    asked = await waiting(path, min(runs, answers))
    alone = sorted(await answer(path, asked[: len(asked) // 2]))
    found["answer_ms"] = {"p50": statistics.median(alone), "p95": alone[int(len(alone) * 0.95)]}
    found["answers_a_second"] = await together(path, asked[len(asked) // 2 :])
    return found


def show(found: dict[str, Any]) -> None:
    """Print the figures of one store."""
    lists = ", ".join(f"{name} {value:.1f}" for name, value in found["lists_ms"].items())
    print(f"{found['runs']} runs with {found['state_bytes']} bytes of state, {found['making_ms_each']:.1f} ms each")
    print(
        f"  beyond the state {found['bytes_beyond_state']:.0f} bytes a run; file {found['file_over_state']:.2f} x state"
    )
    print(f"  first page, ms: {lists}")
    print(f"  worker: open in {found['start']['open_s']:.2f} s, {found['start']['memory_mb']:.0f} MB")
    p50, p95 = found["answer_ms"]["p50"], found["answer_ms"]["p95"]
    print(f"  answer to rest: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    print(f"  two workers: {found['answers_a_second']:.0f} answers a second")


async def run_child(what: str, path: Path, approvals: list[str]) -> Any:
    """The part of a process of its own."""
    if what == "start":
        return await started(path)
    begun = time.time()
    await answer(path, approvals)
    return [begun, time.time()]


async def compare(runs: int, few: int, large: int, answers: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for count, size in ((few, SMALL), (runs, SMALL), (large, LARGE)):
        if count:
            with tempfile.TemporaryDirectory() as folder:
                found.append(await measure(Path(folder) / "paused.db", count, size, answers))
            show(found[-1])
    return found


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--large", type=int, default=100)
    parser.add_argument("--answers", type=int, default=400)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "FILE", "APPROVALS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        what, path, approvals = given.child
        print(json.dumps(asyncio.run(run_child(what, Path(path), json.loads(approvals)))))
        return
    found = asyncio.run(compare(given.runs, given.few, given.large, given.answers))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

"""CPU of one durable super-step: plain LangGraph without a saver, with its async SQLite saver, and with the store's.

    python benchmarks/superstep.py [--steps 60] [--repeats 7] [--json FILE]

A graph of one node adds 1 to a counter, over and over, with `durability="sync"`; the state also holds a list of
records (1 kB or 100 kB) that is given once and not changed. Figures are user and system time of this process, all
threads, per super-step: the difference of a long run and a short one, so that the fixed cost of a run falls out. The
variants take turns within each repetition, and medians are printed, with the ratio to LangGraph's saver.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from time import process_time
from typing import Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from pydantic import BaseModel

from collegium.core.clock import SystemClock
from collegium.core.ids import new_id
from collegium.runs.store import RunRow, Store, runs, workers
from collegium.runs.store.saver import StoreSaver
from collegium.runs.store.serde import StrictSerializer


class Record(TypedDict):
    name: str
    text: str
    score: float


class Plain(TypedDict):
    steps: int
    goal: int
    records: list[Record]


class RecordModel(BaseModel):
    name: str
    text: str
    score: float


class Model(BaseModel):
    steps: int
    goal: int
    records: list[RecordModel]


Saver = Callable[[Path], AbstractAsyncContextManager["BaseCheckpointSaver[Any] | None"]]


async def count_plain(state: Plain) -> Command[str]:
    done = state["steps"] + 1 >= state["goal"]
    return Command(update={"steps": state["steps"] + 1}, goto=END if done else "count")


async def count_model(state: Model) -> Command[str]:
    done = state.steps + 1 >= state.goal
    return Command(update={"steps": state.steps + 1}, goto=END if done else "count")


def plain_input(goal: int, items: int) -> Any:
    return {
        "steps": 0,
        "goal": goal,
        "records": [{"name": f"r{i}", "text": "x" * 60, "score": i / 7} for i in range(items)],
    }


def model_input(goal: int, items: int) -> Any:
    return Model.model_validate(plain_input(goal, items))


def builder(schema: str) -> Any:
    graph: Any = StateGraph(Plain) if schema == "TypedDict" else StateGraph(Model)
    graph.add_node("count", count_plain if schema == "TypedDict" else count_model, destinations=("count", END))
    graph.add_edge(START, "count")
    return graph


@asynccontextmanager
async def no_saver(_: Path) -> AsyncGenerator[None]:
    yield None


@asynccontextmanager
async def langgraph_saver(path: Path) -> AsyncGenerator[AsyncSqliteSaver]:
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        yield saver


@asynccontextmanager
async def store_saver(path: Path) -> AsyncGenerator[StoreSaver]:
    store = Store(str(path))
    await store.open()
    yield StoreSaver(store, serde=StrictSerializer([Model, RecordModel]))
    await store.close()


VARIANTS: dict[str, Saver] = {"none": no_saver, "asyncsqlite": langgraph_saver, "store": store_saver}


async def run_once(graph: Any, saver: BaseCheckpointSaver[Any] | None, steps: int, entry: Any) -> float:
    """CPU seconds of one run on a thread of its own; the store's saver is scoped, as a Runner does it."""
    thread_id = new_id("thread")
    if isinstance(saver, StoreSaver):
        saver = await scoped(saver, thread_id)
    compiled = graph.compile(checkpointer=saver)
    config: dict[str, Any] = {"configurable": {"thread_id": thread_id}, "recursion_limit": steps + 10}
    keywords = {} if saver is None else {"durability": "sync"}
    before = process_time()
    result = await compiled.ainvoke(entry, config, **keywords)
    spent = process_time() - before
    assert result["steps"] == steps
    return spent


async def scoped(saver: StoreSaver, thread_id: str) -> StoreSaver:
    now = SystemClock().now()
    row = RunRow(
        run_id=new_id("run"),
        thread_id=thread_id,
        graph="superstep",
        version="1",
        fingerprint="",
        input=b"",
        created_at=now,
        updated_at=now,
    )
    worker = workers.this_worker(new_id("worker"), now)
    await saver.store.write(lambda conn: runs.admit(conn, row))
    await saver.store.write(lambda conn: workers.register(conn, worker))
    epoch = await saver.store.write(lambda conn: runs.claim(conn, row.run_id, worker.worker_id, now))
    assert epoch is not None
    return saver.scoped(row.run_id, epoch, fresh=True)


async def measure(schema: str, items: int, variant: str, steps: int, folder: Path) -> float:
    """Milliseconds per super-step."""
    make = plain_input if schema == "TypedDict" else model_input
    graph = builder(schema)
    async with VARIANTS[variant](folder / f"{new_id(variant)}.db") as saver:
        await run_once(graph, saver, 5, make(5, items))
        short = await run_once(graph, saver, 10, make(10, items))
        long = await run_once(graph, saver, steps + 10, make(steps + 10, items))
    return (long - short) / steps * 1000


async def compare(steps: int, repeats: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for schema in ("TypedDict", "BaseModel"):
            for size, items in (("1kB", 10), ("100kB", 1000)):
                figures: defaultdict[str, list[float]] = defaultdict(list)
                for _ in range(repeats):
                    for variant in VARIANTS:
                        figures[variant].append(await measure(schema, items, variant, steps, Path(folder)))
                medians = {name: statistics.median(values) for name, values in figures.items()}
                rows.append(
                    {
                        "schema": schema,
                        "state": size,
                        **medians,
                        "ratio": medians["store"] / medians["asyncsqlite"],
                    }
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = asyncio.run(compare(args.steps, args.repeats))
    python, load = sys.version.split()[0], os.getloadavg()[0]
    print(f"CPU ms per super-step, median of {args.repeats}; load {load:.1f}; Python {python}")
    print("| schema | state | no saver | AsyncSqliteSaver | StoreSaver | ratio |\n|---|---|---|---|---|---|")
    for row in rows:
        print("| {schema} | {state} | {none:.2f} | {asyncsqlite:.2f} | {store:.2f} | {ratio:.2f} |".format(**row))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The same steps on plain LangGraph: its own SQLite saver, `durability="sync"`, `interrupt` for the approvals.

It has no runs and nobody who finds unfinished ones, so the driver keeps a list of what was accepted and hands it to
each new worker, which goes on with every thread that is not finished, as its documentation says. Approvals are in
nodes of their own and the effects in others, which is the best that its rules allow. The person answers inside the
worker, as there is no record that another process could answer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import add
from pathlib import Path
from random import Random
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from . import marks, sink
from .children import Child, fork
from .worker import THINKS_S, line_reader, speaker

UNIFORM_S = 0.4
PATIENCE_S = 0.8
END_S = 60.0


class Work(TypedDict, total=False):
    label: str
    steps: Annotated[list[str], add]


@dataclass(slots=True)
class Baseline:
    """What became of plain LangGraph's runs."""

    kills: int = 0
    runs: int = 0
    lost: int = 0
    """Accepted, and without an end after the last restart."""
    effects: int = 0
    twice: int = 0
    """Plain effects that happened more than once, though nobody chose it."""
    asked_again: int = 0
    """Questions that the person had answered before."""
    points: Counter[str] = field(default_factory=Counter[str])


def build(port: int, saver: BaseCheckpointSaver[Any]) -> Any:
    """The graph of `workload`, without the parts that plain LangGraph lacks."""
    graph: Any = StateGraph(Work)

    def step(name: str) -> Any:
        async def node(state: Work) -> Work:
            return {"steps": [name]}

        return node

    def asking(name: str) -> Any:
        async def node(state: Work) -> Work:
            interrupt({"question": name, "label": state.get("label")})
            return {"steps": [name]}

        return node

    def acting(name: str, face: sink.Face) -> Any:
        async def node(state: Work) -> Work:
            label = state.get("label", "")
            marks.passing("effect.before")
            await sink.tell(port, face, label, f"{label}/{name}", {"tool": name, "label": label})
            marks.passing("effect.after")
            return {"steps": [name]}

        return node

    nodes = {
        "plan": step("plan"),
        "retrieve": step("retrieve"),
        "model": step("model"),
        "approve": asking("approve"),
        "pay": acting("pay", "plain"),
        "store": acting("store", "idempotent"),
        "report": step("report"),
        "judge": step("judge"),
        "decide": asking("decide"),
        "notify": acting("notify", "plain"),
        "finish": step("finish"),
    }
    for name, node in nodes.items():
        graph.add_node(name, node)
    chain = [START, "plan", "retrieve", "model", "approve", "pay"]
    for here, there in zip(chain, chain[1:], strict=False):
        graph.add_edge(here, there)
    graph.add_edge("pay", "store")
    graph.add_edge("pay", "report")
    graph.add_edge(["store", "report"], "judge")
    for here, there in (("judge", "decide"), ("decide", "notify"), ("notify", "finish"), ("finish", END)):
        graph.add_edge(here, there)
    return graph.compile(checkpointer=saver)


class _MarkedSaver(AsyncSqliteSaver):
    async def aput(self, *given: Any, **named: Any) -> Any:
        marks.passing("put.before")
        stored = await super().aput(*given, **named)
        marks.passing("put.after")
        return stored

    async def aput_writes(self, *given: Any, **named: Any) -> None:
        marks.passing("writes.before")
        await super().aput_writes(*given, **named)
        marks.passing("writes.after")


def work(folder: Path, port: int, seed: int, accepted: list[str], commands: int, news: int) -> None:
    """Be a worker of plain LangGraph."""
    asyncio.run(_work(folder, port, seed, accepted, commands, news))


async def _work(folder: Path, port: int, seed: int, accepted: list[str], commands: int, news: int) -> None:
    say, lines = speaker(news), await line_reader(commands)
    threads: list[asyncio.Task[None]] = []
    async with _MarkedSaver.from_conn_string(str(folder / "plain.db")) as saver:
        graph = build(port, saver)
        threads += [asyncio.create_task(_go_on(graph, label, seed, say)) for label in accepted]
        say("ready")
        while (line := await lines.readline()) and (words := line.decode().split()) != ["stop"]:
            if words[0] == "arm":
                marks.arm(marks.aim_of(words), say)
            else:
                say(f"accepted {words[1]}")
                threads.append(asyncio.create_task(_go_on(graph, words[1], seed, say)))


async def _go_on(graph: Any, label: str, seed: int, say: Callable[[str], None]) -> None:
    config = {"configurable": {"thread_id": label}}
    snapshot = await graph.aget_state(config)
    step: Any = {"label": label, "steps": []} if snapshot.created_at is None else None
    while True:
        if step is None and snapshot.interrupts:
            await asyncio.sleep(Random(f"{seed}/{label}").uniform(0, THINKS_S))
            asked = snapshot.interrupts[0]
            say(f"answered {label}/{asked.value['question']}")
            step = Command(resume={asked.id: True})
        elif step is None and snapshot.created_at is not None and not snapshot.tasks:
            say(f"ended {label}")
            return
        await graph.ainvoke(step, config, durability="sync")
        snapshot, step = await graph.aget_state(config), None


class _Trial:
    def __init__(self, folder: Path, seed: int, kills: int) -> None:
        self._folder, self._seed, self._kills = folder, seed, kills
        self._listening = sink.listen()
        self._port = self._listening.getsockname()[1]
        self._accepted: list[str] = []
        self._ended: set[str] = set()
        self._answered: list[str] = []
        self._submitted = 0
        self.found = Baseline()

    def run(self) -> Baseline:
        listening, path = self._listening, self._folder / "plain-sink.jsonl"
        world = fork(lambda: sink.serve(listening, path), self._folder / "plain-stderr.log", [])
        try:
            while self.found.kills < self._kills:
                self._round(Random(f"{self._seed}/plain/{self.found.kills}"))
            last = self._spawn()
            end = time.monotonic() + END_S
            while time.monotonic() < end and set(self._accepted) - self._ended:
                last.listen(0.1)
                self._hear(last)
            last.kill()
        finally:
            os.kill(world, signal.SIGKILL)
            os.waitpid(world, 0)
            listening.close()
        return self._count(sink.entries(path))

    def _spawn(self) -> Child:
        left = [label for label in self._accepted if label not in self._ended]
        folder, port, seed = self._folder, self._port, self._seed
        return Child(lambda c, n: work(folder, port, seed, left, c, n), folder / "plain-stderr.log", [])

    def _round(self, rng: Random) -> None:
        victim = self._spawn()
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            self._submitted += 1
            victim.tell(f"start w{self._submitted:04d}")
        if rng.random() < 0.4:
            where = "moment"
            victim.listen(rng.uniform(0, UNIFORM_S))
        else:
            point = marks.BASELINE_POINTS[self.found.kills % len(marks.BASELINE_POINTS)]
            by = "itself" if rng.random() < 0.66 else "driver"
            victim.tell(f"arm {point} {rng.choice((1, 1, 2, 3, 5))} {by}")
            reached = victim.listen(PATIENCE_S, lambda line: line.startswith("at "))
            where = point if reached else "missed"
            time.sleep(rng.uniform(0, 0.003))
        victim.kill()
        self._hear(victim)
        self.found.kills += 1
        self.found.points[where] += 1

    def _hear(self, child: Child) -> None:
        for line in child.lines:
            word, *rest = line.split()
            if word == "accepted":
                self._accepted.append(rest[0])
            elif word == "ended":
                self._ended.add(rest[0])
            elif word == "answered":
                self._answered.append(rest[0])
        child.lines.clear()

    def _count(self, entries: list[sink.Entry]) -> Baseline:
        found = self.found
        times = Counter(entry["key"] for entry in entries if entry["face"] == "plain")
        found.runs = len(self._accepted)
        found.lost = len(set(self._accepted) - self._ended)
        found.effects = len(times)
        found.twice = sum(number > 1 for number in times.values())
        found.asked_again = len(self._answered) - len(set(self._answered))
        return found


def trial(folder: Path, *, seed: int, kills: int) -> Baseline:
    """Kill workers of plain LangGraph as those of Collegium are killed, one at a time."""
    return _Trial(folder, seed, kills).run()

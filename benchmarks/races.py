"""Several processes answer one approval at the same moment: who wins, what the others hear, what happens.

    python -m benchmarks.races [--rounds 200] [--processes 2 8] [--seed N] [--json FILE]

In each round one run waits with one approval, and every process answers it at one agreed moment, half with yes and
half with no. In every fourth round one of them is killed within 20 ms of that moment. A worker in another process
goes on with the run, and a sink counts what happens in the world.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from collegium.core.errors import AlreadyDecided
from collegium.graphs import END, START, Graph, State
from collegium.runs import Approve, Reject, Runner, ask, call_key, call_tool, tool_question

from .crash import history, sink
from .crash.children import Child, fork
from .crash.worker import line_reader, speaker
from .crash.workload import pay

LEAD_S = 0.03
"""From the command to the moment at which all answer."""
PATIENCE_S = 20.0


class Race(State):
    label: str
    key: str = ""
    said: str = ""


@dataclass(slots=True)
class Found:
    """What came of the rounds with one number of processes."""

    processes: int
    rounds: int = 0
    killed: int = 0
    answers_s: list[float] = field(default_factory=list[float])
    """How long each answer took, the losers' included."""
    faults: list[str] = field(default_factory=list[str])

    def p95_s(self) -> float:
        """19 of 20 answers took no longer."""
        return sorted(self.answers_s)[int(0.95 * len(self.answers_s))] if self.answers_s else 0.0


def build() -> Graph[Race]:
    """One approval, then one effect."""
    graph = Graph(Race, name="race")

    async def propose() -> str:
        return call_key(0, 0)

    async def decide(label: str, key: str) -> dict[str, Any]:
        ask([tool_question(pay, {"label": label}, key)])
        return {}

    async def act(label: str, key: str) -> str:
        return (await call_tool(pay, {"label": label}, key=key, trust="untrusted")).status

    graph.add_node("propose", propose, writes="key")
    graph.add_node("decide", decide)
    graph.add_node("act", act, writes="said")
    for here, there in ((START, "propose"), ("propose", "decide"), ("decide", "act"), ("act", END)):
        graph.add_edge(here, there)
    return graph


async def _serve(url: str, port: int, commands: int, say: Callable[[str], None]) -> None:
    """Start the runs asked for, and move them on."""
    lines = await line_reader(commands)
    async with Runner(url, graphs=[build()], context=port, poll_s=0.02) as runner:
        say("ready")
        while (line := await lines.readline()) and (words := line.decode().split()) != ["stop"]:
            run = await runner.start("race", {"label": words[1]}, metadata={"label": words[1]})
            run = await run.wait(timeout_s=PATIENCE_S)
            say(f"asks {run.approvals[0].id} {run.run_id}")


async def _answer(url: str, commands: int, say: Callable[[str], None]) -> None:
    """Answer what is named, at the moment that is named."""
    lines = await line_reader(commands)
    async with Runner(url, serve=False) as runner:
        say("ready")
        while (line := await lines.readline()) and (words := line.decode().split()) != ["stop"]:
            approval_id, moment, word, by = words
            decision = Approve(by) if word == "approve" else Reject("no", by)
            await asyncio.sleep(float(moment) - time.time())
            begun = time.perf_counter()
            told: dict[str, Any] = {"by": by, "word": word}
            try:
                await runner.answer(approval_id, decision)
                told["won"] = True
            except AlreadyDecided as error:
                told["lost_to"] = [error.decision, error.by]
            except Exception as error:  # the measurement: whatever else a caller meets is a fault
                told["error"] = f"{type(error).__name__}: {error}"
            say(json.dumps({**told, "seconds": time.perf_counter() - begun}))


class Races:
    """One store, one worker, one sink, and the processes that answer."""

    def __init__(self, folder: Path, processes: int, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._url = f"sqlite:///{folder / 'runs.db'}"
        self._listening = sink.listen()
        self._log = folder / "stderr.log"
        self._all: list[Child] = []
        self.found = Found(processes)
        self._expected: dict[str, int] = {}

    def run(self, rounds: int) -> Found:
        """The rounds, one after the other."""
        listening, port = self._listening, self._listening.getsockname()[1]
        world = fork(lambda: sink.serve(listening, self._folder / "sink.jsonl"), self._log, [])
        try:
            worker = self._child(lambda c, n: asyncio.run(_serve(self._url, port, c, speaker(n))))
            people = [self._person() for _ in range(self.found.processes)]
            for number in range(rounds):
                self._round(worker, people, number)
            self._until_ended()
        finally:
            for child in self._all:
                child.kill()
            os.kill(world, signal.SIGKILL)
            os.waitpid(world, 0)
            listening.close()
        self._count()
        return self.found

    def _child(self, work: Callable[[int, int], None]) -> Child:
        child = Child(work, self._log, self._all)
        child.listen(PATIENCE_S, lambda line: line == "ready")
        self._all.append(child)
        return child

    def _person(self) -> Child:
        return self._child(lambda c, n: asyncio.run(_answer(self._url, c, speaker(n))))

    def _round(self, worker: Child, people: list[Child], number: int) -> None:
        rng = Random(f"{self._seed}/{len(people)}/{number}")
        label = f"w{number:04d}"
        worker.tell(f"start {label}")
        if not worker.listen(PATIENCE_S, lambda line: line.startswith("asks")):
            raise RuntimeError(f"run {label} did not come to its approval; see {self._log}")
        _, approval_id, run_id = worker.lines[-1].split()
        moment = time.time() + LEAD_S
        words = ["approve" if place % 2 else "reject" for place in range(len(people))]
        rng.shuffle(words)
        for place, (child, word) in enumerate(zip(people, words, strict=True)):
            child.lines.clear()
            child.tell(f"{approval_id} {moment} {word} p{place}")
        fresh = self._kill_one(people, rng, moment) if number % 4 == 3 else None
        told = [json.loads(self._heard(child)) for child in people if child is not fresh]
        self._judge(approval_id, run_id, told)
        self.found.rounds += 1

    def _kill_one(self, people: list[Child], rng: Random, moment: float) -> Child:
        place = rng.randrange(len(people))
        time.sleep(max(0.0, moment - time.time()) + rng.uniform(0, 0.02))
        self._all.remove(people[place])
        people[place].kill()
        fresh = people[place] = self._person()
        self.found.killed += 1
        return fresh

    def _heard(self, child: Child) -> str:
        if not child.lines and not child.listen(PATIENCE_S, lambda _: True):
            raise RuntimeError(f"a process gave no account of its answer: {self._log.read_text()[-3000:]}")
        return child.lines[-1]

    def _judge(self, approval_id: str, run_id: str, told: list[dict[str, Any]]) -> None:
        (row,) = [row for row in history.approvals(self._folder / "runs.db") if row["approval_id"] == approval_id]
        winner = [row["decision"]["decision"], row["decision"]["by"]] if row["decision"] else None
        won = [[one["word"], one["by"]] for one in told if "won" in one]
        complete = len(told) == self.found.processes
        if len(won) > 1 or (complete and len(won) != 1) or (won and won[0] != winner):
            self._fault(f"{approval_id}: {won} won, and {winner} is recorded")
        for one in told:
            self.found.answers_s.append(one["seconds"])
            if "error" in one:
                self._fault(one["error"])
            if "lost_to" in one and one["lost_to"] != winner:
                self._fault(f"{approval_id}: {one['by']} heard of {one['lost_to']}, and {winner} is recorded")
        self._expected[run_id] = int(winner is not None and winner[0] == "approve")

    def _fault(self, text: str) -> None:
        self.found.faults.append(text)

    def _until_ended(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while any(run["status"] != "done" for run in history.runs(self._folder / "runs.db")):
            if time.monotonic() > end:
                self._fault("a run did not end")
                return
            time.sleep(0.05)

    def _count(self) -> None:
        happened = Counter(entry["run"] for entry in sink.entries(self._folder / "sink.jsonl"))
        for run_id, times in self._expected.items():
            if happened[run_id] != times:
                self._fault(f"{run_id} acted {happened[run_id]} times; decided were {times}")


def main() -> int:
    """Run the races; the exit status is 1 when one of them had no winner, or more than one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.races", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", help="write the report to this file")
    options = parser.parse_args()
    report: list[dict[str, Any]] = []
    for processes in options.processes:
        with tempfile.TemporaryDirectory(prefix="races-") as folder:
            found = Races(Path(folder), processes, options.seed).run(options.rounds)
        p95_ms = found.p95_s() * 1000
        print(f"{processes} processes, {found.rounds} rounds, {found.killed} killed: p95 of an answer {p95_ms:.0f} ms")
        for fault in found.faults[:10]:
            print(f"FAULT {fault}")
        report.append({**asdict(found), "p95_s": found.p95_s()})
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 1 if any(found["faults"] for found in report) else 0


if __name__ == "__main__":
    sys.exit(main())

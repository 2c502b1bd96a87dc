"""Runs the comparison and prints it: `python -m benchmarks.compare [--rounds 5] [--json FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import superstep

from .child import PEERS

ROOT = Path(__file__).parents[2]

TASKS = {
    "b": "one turn with a tool (ms)",
    "c": "plan, retrieve, act, judge (ms)",
    "d": "500 turns at once (ms)",
    "ready": "start to first answer (ms)",
}

IMPORTS = {"openai": "import openai", "langgraph": "import langgraph.graph", "collegium": "import collegium"}

HELP = "import sys; sys.argv[1:] = ['--help']; from collegium.cli import main; main()"

GOALS = {"b": 0.6, "c": 0.7, "step": 0.6}
"""Most that Collegium may take, as a share of the openai SDK (b, c) and of LangGraph's saver (step)."""


class Row(NamedTuple):
    """CPU of one task by contender, and Collegium's share of theirs."""

    what: str
    openai: float | None
    langgraph: float | None
    collegium: float
    of_openai: float | None
    of_langgraph: float | None


@contextmanager
def stub() -> Generator[str]:
    """A model server in a process of its own; gives its address."""
    command = [sys.executable, "-m", "benchmarks.compare.stub"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.communicate()


def child(peer: str, task: str, address: str) -> float:
    """What one contender takes for one task, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.compare.child", peer, task, address]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def code(text: str) -> float:
    """CPU milliseconds of a fresh process that runs this code."""
    spent = _children_s()
    subprocess.run([sys.executable, "-c", text], cwd=ROOT, check=True, capture_output=True)
    return (_children_s() - spent) * 1000


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def rounds_of(count: int, address: str) -> dict[str, dict[str, list[float]]]:
    """Task to contender to its figures, a figure a round; within a round the contenders take turns."""
    found: defaultdict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for peer in PEERS:
        child(peer, "ready", address)  # unmeasured: compiles what was never imported here
    for number in range(count):
        for task in TASKS:
            for peer in PEERS:
                found[task][peer].append(child(peer, task, address))
        for peer, text in IMPORTS.items():
            found["import"][peer].append(code(text))
        found["help"]["collegium"].append(code(HELP))
        print(f"round {number + 1} of {count} done, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return found


def rows_of(found: dict[str, dict[str, list[float]]]) -> dict[str, Row]:
    """The least that each contender took, and the median of the ratios within the rounds."""
    names = {**TASKS, "import": "import (ms)", "help": "collegium --help (ms)"}
    rows: dict[str, Row] = {}
    for task, what in names.items():
        own = found[task]["collegium"]
        others = {peer: found[task].get(peer) for peer in ("openai", "langgraph")}
        least = {peer: min(figures) if figures else None for peer, figures in others.items()}
        share = {
            peer: statistics.median(a / b for a, b in zip(own, figures, strict=True)) if figures else None
            for peer, figures in others.items()
        }
        rows[task] = Row(what, least["openai"], least["langgraph"], min(own), share["openai"], share["langgraph"])
    return rows


def steps_of(repeats: int) -> dict[str, Row]:
    """The durable super-step beside LangGraph's async SQLite saver, by schema and size of the state."""
    return {
        f"step {found['schema']} {found['state']}": Row(
            f"durable super-step, {found['state']} of {found['schema']} (ms)",
            None,
            found["asyncsqlite"],
            found["store"],
            None,
            found["ratio"],
        )
        for found in asyncio.run(superstep.compare(60, repeats))
    }


def table(rows: dict[str, Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| CPU of | openai SDK | LangGraph | Collegium | of the SDK | of LangGraph | goal |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for key, row in rows.items():
        goal = GOALS.get(key.split()[0])
        against = "LangGraph" if key.startswith("step") else "the SDK"
        cells = [row.what, *map(_figure, (row.openai, row.langgraph, row.collegium))]
        cells += [*map(_figure, (row.of_openai, row.of_langgraph)), f"{goal} of {against}" if goal else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step-repeats", type=int, default=5, help="of the super-step; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with stub() as address:
        found = rounds_of(options.rounds, address)
    rows = rows_of(found) | (steps_of(options.step_repeats) if options.step_repeats else {})
    print(f"Least CPU and median ratio of {options.rounds} rounds; Python {sys.version.split()[0]}\n")
    print(table(rows))
    if options.json:
        report: dict[str, Any] = {"rows": {key: row._asdict() for key, row in rows.items()}, "rounds": found}
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

"""What labels and the policy add to the CPU of an agent's turn: `python -m benchmarks.labels [--turns 150]`.

The turn of `compare` (task B: one tool, two requests, `graph.run`) and its pipeline (C) run with labels and policy as
they are, and with both taken out, in one process and by turns, so that what else the machine does falls on both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

from benchmarks.compare.__main__ import stub
from benchmarks.compare.child import QUIET, build

GOAL = 0.10
"""Most that labels and policy may add."""
BATCH = 5
"""Turns between two changes from one side to the other."""


@contextmanager
def without() -> Generator[None]:
    """Inside, nothing is labelled, and the policy allows everything without a look."""
    from collegium.agents import _calls
    from collegium.core.trust import Reading
    from collegium.graphs import labels, lowering, nodes, routers
    from collegium.guardrails.policy import Judgement, Policy
    from collegium.models import backend
    from collegium.runs import calls

    blank, allowed = Reading(), Judgement("allow", "", {})

    def always(value: Any) -> Any:
        def given(*_: Any, **__: Any) -> Any:
            return value

        return given

    def as_it_came(_: Any, result: Any, __: Any) -> Any:
        return result

    replaced: list[tuple[Any, str, Any]] = [
        (labels.Labeller, "begin", always(blank)),
        (labels.Labeller, "landed", as_it_came),
        (labels.Labeller, "entered", always({})),
        (lowering, "write_channel", always(None)),
        (nodes, "leave", always(None)),
        (routers, "led_by", always(None)),
        (backend, "_note_origins", always(None)),
        (calls, "met", always(None)),
        (_calls, "origins_here", always(None)),
        (_calls, "trust_of", always("trusted")),
        (Policy, "judge", always(allowed)),
    ]
    with ExitStack() as stack:
        for place, name, value in replaced:
            stack.enter_context(patch.object(place, name, value))
        yield


async def measure(work: Callable[[], Awaitable[Any]], turns: int) -> dict[str, Any]:
    """Median CPU of a turn with and without, in ms, and the median of what labels and policy add in each pair."""
    spent: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(4 * BATCH):
        await work()
    gc.collect()
    for number in range(2 * (turns // BATCH)):
        side = "without" if (number + number // 2) % 2 else "with"  # with, without, without, with, …
        with without() if side == "without" else ExitStack():
            before = process_time()
            for _ in range(BATCH):
                await work()
            spent[side].append((process_time() - before) * 1000 / BATCH)
    added = [own / bare - 1 for own, bare in zip(spent["with"], spent["without"], strict=True)]
    return {
        "with_ms": round(statistics.median(spent["with"]), 3),
        "without_ms": round(statistics.median(spent["without"]), 3),
        "least_with_ms": round(min(spent["with"]), 3),
        "least_without_ms": round(min(spent["without"]), 3),
        "added": round(statistics.median(added), 4),
    }


async def compare(address: str, turns: int) -> dict[str, dict[str, Any]]:
    """Both tasks."""
    bench = build("collegium", f"{address}/v1")
    try:
        return {"turn": await measure(bench.b, turns), "pipeline": await measure(bench.c, turns // 2)}
    finally:
        await bench.close()


def main() -> None:
    """Run it and print it; the status says whether the goal was met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.update(QUIET)
    with stub() as address:
        found = asyncio.run(compare(address, options.turns))
    for task, figures in found.items():
        print(
            f"{task}: {figures['with_ms']:.2f} ms of CPU with labels and policy, "
            f"{figures['without_ms']:.2f} ms without: "
            f"{figures['added']:+.1%} (goal: at most {GOAL:+.0%})"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    sys.exit(found["turn"]["added"] > GOAL)


if __name__ == "__main__":
    main()

"""HumanEval's own solutions in the box: each must pass, and what the box adds to their time."""

from __future__ import annotations

import json
import time
from pathlib import Path

from collegium.tools import python

from .world import Outcome

GROUP = "humaneval"
MOST_P95_MS = 150.0
PROGRAM = """import time as _time
_begun = _time.perf_counter()
{prompt}{canonical_solution}
{test}
check({entry_point})
print('took', _time.perf_counter() - _begun)
"""


def read(file: Path) -> list[dict[str, str]]:
    """The problems of a file of JSON lines."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]


async def solutions(problems: list[dict[str, str]]) -> list[Outcome]:
    """One outcome for all, and one for the time."""
    tool = python()
    passing, timing = Outcome(GROUP, f"{len(problems)} solutions"), Outcome(GROUP, "time")
    added_ms: list[float] = []
    for problem in problems:
        begun = time.perf_counter()
        came = await tool.fn(PROGRAM.format(**problem))
        wall_s = time.perf_counter() - begun
        if came["exit_code"] != 0:
            passing.wrong.append(f"{problem['id']}: {came}")
            continue
        added_ms.append((wall_s - float(came["output"].split()[-1])) * 1000)
    passing.note = f"{len(added_ms)} pass"
    if added_ms:
        added_ms.sort()
        p50, p95 = added_ms[len(added_ms) // 2], added_ms[min(len(added_ms) - 1, int(0.95 * len(added_ms)))]
        timing.note = f"the box adds {p50:.0f} ms at the median, {p95:.0f} ms at 95 %, {added_ms[-1]:.0f} ms at most"
        if p95 > MOST_P95_MS:
            timing.wrong.append(f"{p95:.0f} ms at 95 % are more than {MOST_P95_MS:.0f}")
    return [passing, timing]

"""HumanEval's own solutions in the box: each must pass, and what the box adds to their time.

What it adds is everything but the time that the program itself counts: also the start of the interpreter in the box.
Beside it stands what a plain interpreter adds to the same program at the same moment, without any box.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from collegium.tools import python
from collegium.tools.sandbox.box import interpreter

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
    plain_ms: list[float] = []
    await tool.fn("")  # what this machine has is found out once in a process
    for problem in problems:
        code = PROGRAM.format(**problem)
        begun = time.perf_counter()
        came = await tool.fn(code)
        wall_s = time.perf_counter() - begun
        if came["exit_code"] != 0:
            passing.wrong.append(f"{problem['id']}: {came}")
            continue
        added_ms.append((wall_s - float(came["output"].split()[-1])) * 1000)
        plain_ms.append(await _plain(code))
    passing.note = f"{len(added_ms)} pass"
    if added_ms:
        p95 = _at(added_ms, 0.95)
        boxed, plain = (
            f"{_at(each, 0.5):.0f} ms at the median, {_at(each, 0.95):.0f} ms at 95 %, {max(each):.0f} ms at most"
            for each in (added_ms, plain_ms)
        )
        timing.note = f"the box adds {boxed}; a plain interpreter {plain}"
        if p95 > MOST_P95_MS:
            timing.wrong.append(f"{p95:.0f} ms at 95 % are more than {MOST_P95_MS:.0f}")
    return [passing, timing]


async def _plain(code: str) -> float:
    """Milliseconds that an interpreter adds to the program without a box."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        interpreter(), "-I", "-S", "-B", "-c", code, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return (time.perf_counter() - begun - float(output.split()[-1])) * 1000


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]

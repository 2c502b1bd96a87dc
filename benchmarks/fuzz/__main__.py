"""`python -m benchmarks.fuzz [--examples 20000] [--door NAME] [--seed N] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, Phase, given, seed, settings

from .doors import DOORS


@dataclass
class Report:
    """What came of the examples of one door."""

    door: str
    seed: int
    outcomes: Counter[str] = field(default_factory=Counter[str])
    failure: str = ""
    slowest_s: float = 0.0
    seconds: float = 0.0
    memory_mb: int = 0


def fuzz(name: str, examples: int, number: int, folder: Path) -> Report:
    """Bring so many odd values to a door; the failure, if there is one, is the smallest that was found."""
    door = DOORS[name](folder)
    report = Report(name, number)

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(door.examples)
    def bring(example: Any) -> None:
        begun = time.perf_counter()
        outcome = door.attempt(example)
        report.slowest_s = max(report.slowest_s, time.perf_counter() - begun)
        report.outcomes[outcome] += 1

    begun = time.perf_counter()
    try:
        bring()
    except Exception as error:  # whatever came through is what we look for
        report.failure = "".join(traceback.format_exception(error))
    finally:
        door.close()
    report.seconds = time.perf_counter() - begun
    report.memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return report


def main() -> int:
    """Print a line for each door; status 1 where something came through."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=300, help="for each door")
    parser.add_argument("--door", choices=sorted(DOORS), action="append", help="only this one; repeatable")
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--json", type=Path, help="write the reports to this file")
    wanted = parser.parse_args()
    reports: list[Report] = []
    for name in wanted.door or DOORS:
        with tempfile.TemporaryDirectory(prefix="collegium-fuzz-") as folder:
            report = fuzz(name, wanted.examples, wanted.seed, Path(folder).resolve())
        reports.append(report)
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(report.outcomes.items()))
        print(
            f"{name}: {'FAILED' if report.failure else 'passed'}; {counts}; slowest {report.slowest_s:.2f} s, "
            f"{report.seconds:.0f} s in all, {report.memory_mb} MB",
            flush=True,
        )
        if report.failure:
            print(report.failure, file=sys.stderr)
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(report) for report in reports], indent=2), encoding="utf-8")
    return int(any(report.failure for report in reports))


if __name__ == "__main__":
    sys.exit(main())

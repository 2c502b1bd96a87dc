"""Ingestion killed at its steps.

    python -m benchmarks.ingestion [--kills 200] [--seed N]

Passed: after each kill the index is as before or as it was to be, and the next ingestion ends as one that nobody
killed, with nothing lost, nothing twice, and at most one batch of texts embedded again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from .kills import kills


def main() -> int:
    """Run as asked; the exit status says whether it passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="collegium-ingestion-") as folder:
        return 0 if _killed(Path(folder), given.kills, given.seed) else 1


def _killed(folder: Path, count: int, seed: int) -> bool:
    done = failed = missed = twice = 0
    for kill in kills(folder, count, seed):
        done += 1
        failed += bool(kill.failures)
        missed += not kill.died
        twice = max(twice, kill.embedded_twice)
        for failure in kill.failures:
            print(f"step {kill.at}, {' '.join(kill.step)}: {failure}", flush=True)
    print(f"{done} kills, {failed} with a failure, {missed} too late; at most {twice} texts embedded twice")
    return not failed and not missed


if __name__ == "__main__":
    raise SystemExit(main())

"""Damaged copies of a store, read through the public interface and compared with the truth.

    python -m benchmarks.damage [--copies 2000] [--seed N] [--kind NAME] [--json FILE]

Passed: no value that is wrong, no record that vanished, no error without a type, no effect twice, no crash; and of the
copies with one flipped bit, at least 90 in 100 give all runs but at most one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random

from .judge import Verdict, judge
from .kinds import WEIGHTS, Kind, Sources
from .stores import RUNS, build


def main() -> int:
    """Run as asked; the exit status says whether it passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kind", help="only this kind of damage")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    verdicts: list[Verdict] = []
    for verdict in damaged(given.copies, given.seed, given.kind):
        verdicts.append(verdict)
        for failure in verdict.failures:
            print(f"copy {verdict.copy} {verdict.kind}: {failure}", flush=True)
    _report(verdicts)
    if given.json:
        given.json.write_text(json.dumps([asdict(verdict) for verdict in verdicts]), encoding="utf-8")
    return 0 if passed(verdicts) else 1


def damaged(copies: int, seed: int, kind: str | None = None) -> Iterator[Verdict]:
    """Judge so many copies, one after the other."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="collegium-damage-", dir=memory if memory.is_dir() else None))
    folder.chmod(0o777)
    try:
        sources = Sources(*(build(folder / name, killed=name != "closed") for name in ("closed", "killed", "other")))
        for path in ("closed", "killed"):
            (folder / path).chmod(0o777)
        for copy in range(copies):
            random = Random(f"{seed}/{copy}")
            yield _one(folder, sources, _chosen(random, kind), copy, random)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _chosen(random: Random, name: str | None) -> Kind:
    kinds = {kind: weight for kind, weight in WEIGHTS.items() if name in (None, kind.__name__)}
    return random.choices(list(kinds), [1] if name else list(kinds.values()))[0]


def _one(folder: Path, sources: Sources, kind: Kind, copy: int, random: Random) -> Verdict:
    place = folder / "copy"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    path = place / "runs.db"
    for one in (place,):
        one.chmod(0o777)
    kind(path, sources, random)
    name = kind.__name__
    if not name.startswith("read_only"):
        for entry in place.iterdir():
            entry.chmod(0o666)
    template = sources.of(name)
    ledger = folder / ("killed" if template is sources.killed else "closed") / "ledger"
    verdict = judge(path, template.truth, ledger, Verdict(name, copy), random, drop_root=name.startswith("read_only"))
    os.chmod(place, 0o777)
    return verdict


def nearly_whole(verdicts: list[Verdict]) -> float:
    """Share of the copies with one flipped bit that gave all runs but at most one."""
    flips = [verdict for verdict in verdicts if verdict.kind == "one_flip"]
    return sum(verdict.read >= RUNS - 1 for verdict in flips) / len(flips) if flips else 1.0


def passed(verdicts: list[Verdict]) -> bool:
    """Whether nothing happened that must not."""
    return not any(verdict.failures for verdict in verdicts) and nearly_whole(verdicts) >= 0.9


def _report(verdicts: list[Verdict]) -> None:
    by_kind: defaultdict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_kind[verdict.kind].append(verdict)
    print(f"{'damage':28} copies  wrong  vanished  untyped  repeated  crashed  refused  runs read  answered")
    for kind, some in sorted(by_kind.items()):
        counts = Counter[str]()
        for one in some:
            for name in ("wrong", "vanished", "untyped", "repeated", "crashed", "refused"):
                counts[name] += bool(getattr(one, name))
        read = sum(one.read for one in some) / len(some)
        print(
            f"{kind:28} {len(some):6} {counts['wrong']:6} {counts['vanished']:9} {counts['untyped']:8}"
            f" {counts['repeated']:9} {counts['crashed']:8} {counts['refused']:8} {read:10.1f}"
            f" {sum(one.answered for one in some) / len(some):9.1f}"
        )
    print(f"one flipped bit: {nearly_whole(verdicts):.1%} of the copies give all runs but at most one")
    print("passed" if passed(verdicts) else "FAILED")


if __name__ == "__main__":
    sys.exit(main())

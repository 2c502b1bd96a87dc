"""The command line of the crash benchmark."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from random import SystemRandom
from typing import Any

from . import baseline
from .checker import Verdict, as_json, check
from .driver import SETTLE_S, Figures, Trial
from .marks import POINTS
from .systematic import Pass, Systematic


def main() -> int:
    """Run a trial; the exit status is 1 when anything was lost, done twice or not shown."""
    options = _options()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="crash-"))
    folder.mkdir(parents=True, exist_ok=True)
    if options.systematic:
        return _systematic(folder, options)
    print(f"seed {options.seed}, {options.kills} kills, files in {folder}", flush=True)
    trial = Trial(folder, seed=options.seed, kills=options.kills, workers=options.workers)
    figures = trial.run(lambda line: print(line, flush=True))
    verdict = check(folder)
    if max(figures.settled_s) > SETTLE_S:
        verdict.faults["late"].append(f"the runs rested {max(figures.settled_s):.1f} s after the last restart")
    _tell(figures, verdict)
    plain = baseline.trial(folder, seed=options.seed, kills=options.baseline) if options.baseline else None
    if plain is not None:
        _tell_plain(plain)
    report = {
        "seed": options.seed,
        "figures": _figures(figures, "points"),
        "verdict": as_json(verdict),
        "plain": None if plain is None else {**asdict(plain), "points": dict(plain.points)},
    }
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 1 if verdict.faults else 0


def _systematic(folder: Path, options: argparse.Namespace) -> int:
    print(f"seed {options.seed}, every point of one run, files in {folder}", flush=True)
    found = Systematic(folder, seed=options.seed, cases=options.cases).run(lambda line: print(line, flush=True))
    verdict = check(folder)
    verdict.faults["late"].extend(found.late)
    if not found.late:
        del verdict.faults["late"]
    _tell_pass(found)
    _tell_verdict(verdict, found.seconds)
    report = {"seed": options.seed, "pass": _figures(found, "killed_at", "again_at"), "verdict": as_json(verdict)}
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 1 if verdict.faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--workers", type=int, choices=(1, 2), default=2)
    parser.add_argument(
        "--systematic", action="store_true", help="kill at every point of one run, instead of at random"
    )
    parser.add_argument("--cases", type=int, help="with --systematic: only so many, evenly spread")
    parser.add_argument("--baseline", type=int, default=0, metavar="KILLS", help="kill plain LangGraph as often, too")
    parser.add_argument("--folder", help="keep the store, the sink's file and the logs here; must be empty")
    parser.add_argument("--json", help="write the report to this file")
    return parser.parse_args()


def _figures(found: Figures | Pass, *counted: str) -> dict[str, Any]:
    """As JSON types; a Counter is more than `asdict` can copy."""
    empty: dict[str, Any] = {name: Counter[str]() for name in counted}
    plain = asdict(replace(found, **empty))
    return {**plain, **{name: dict(getattr(found, name)) for name in counted}}


def _tell(figures: Figures, verdict: Verdict) -> None:
    ready = sorted(figures.ready_s) or [0.0]
    print(f"kills: {figures.kills}, {figures.with_two} with two workers, {figures.frozen} frozen past the lease")
    print(f"killed at: {', '.join(f'{point} {times}' for point, times in sorted(figures.points.items()))}")
    print(f"a worker was ready after {ready[len(ready) // 2]:.2f} s (median), {ready[-1]:.2f} s at most")
    print(f"all runs rested {max(figures.settled_s):.1f} s after the last restart, ended {max(figures.ended_s):.1f} s")
    _tell_verdict(verdict, figures.seconds)


def _tell_pass(found: Pass) -> None:
    reached = {*found.killed_at, *found.again_at}
    print(f"one run passes {found.points} points; {found.cases} runs, {found.missed} kills missed their point")
    print(f"killed at: {', '.join(f'{point} {times}' for point, times in sorted(found.killed_at.items()))}")
    print(f"again at: {', '.join(f'{point} {times}' for point, times in sorted(found.again_at.items()))}")
    print(f"never killed at: {', '.join(point for point in POINTS if point not in reached) or 'none'}")
    print(f"a run ended at most {found.slowest_s:.1f} s after the last restart")


def _tell_verdict(verdict: Verdict, seconds: float) -> None:
    print(
        f"runs: {verdict.runs} ({verdict.accepted} accepted); effects: {verdict.done} done, {verdict.not_done} not "
        f"done, {verdict.unknown} unknown and settled by a person, {verdict.retried} tried again by choice"
    )
    for kind, lines in verdict.faults.items():
        print(f"FAULT {kind}: {len(lines)}")
        for line in lines[:5]:
            print(f"    {line}")
    print(f"{seconds:.0f} s. {'FAILED' if verdict.faults else 'Nothing lost, nothing twice.'}")


def _tell_plain(found: baseline.Baseline) -> None:
    print(
        f"plain LangGraph (sync, one worker): {found.kills} kills, {found.runs} runs accepted, {found.lost} lost, "
        f"{found.twice} of {found.effects} plain effects more than once, {found.asked_again} questions asked again"
    )


if __name__ == "__main__":
    sys.exit(main())

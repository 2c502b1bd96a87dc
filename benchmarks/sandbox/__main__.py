"""Every way out of the built-in tools that is known, with a canary outside and a listener that hears any touch.

    python -m benchmarks.sandbox [--data FOLDER] [--only GROUP ...] [--quick] [--json FILE]

Groups: paths, web, archives, command, code, use, death, humaneval.
`--data` names a folder that holds `humaneval/problems.jsonl`, that file's own folder, or the file. Traffic goes to the
loopback only. Without `--quick` each program gets the limits that the tools have: 10 s of CPU, 30 s in all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from collegium.tools.sandbox import Limits, Walls, strength

from . import boxes, commands, humaneval, packed, paths, web
from .world import Outcome, World, world


def main() -> None:
    """Run the groups and say what is wrong; exit status 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("COLLEGIUM_DATA", ".")))
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    print(strength())
    outcomes = asyncio.run(_all(chosen))
    wrong = [one for one in outcomes if one.wrong]
    print(f"\n{len(outcomes)} cases, {len(wrong)} wrong")
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1), "utf-8")
    sys.exit(bool(wrong))


async def _all(chosen: argparse.Namespace) -> list[Outcome]:
    outcomes: list[Outcome] = []
    async for outcome in _cases(chosen):
        outcomes.append(outcome)
        note = " / ".join(outcome.note.split("\n"))[:150]
        verdict = "WRONG" if outcome.wrong else "ok"
        print(f"{verdict:6}{outcome.group:18}{outcome.name:42}{note}", flush=True)
        for problem in outcome.wrong:
            print(f"      {problem}")
    return outcomes


async def _cases(chosen: argparse.Namespace) -> AsyncIterator[Outcome]:
    with tempfile.TemporaryDirectory() as base:
        for group in chosen.only:
            with world(Path(base, group)) as here:
                async for outcome in GROUPS[group](here, chosen):
                    yield outcome


def _kinds() -> list[Walls]:
    return [kind for kind in ("namespaces", "filters") if kind not in strength().missing]


def _kinds_and_limits() -> list[Walls]:
    """Also the kind that keeps nothing away, and still ends what runs in it."""
    return [*_kinds(), "limits"] if boxes.python_for("limits") else _kinds()


async def _paths(here: World, chosen: argparse.Namespace) -> AsyncIterator[Outcome]:
    for outcome in paths.cases(here, 200 if chosen.quick else 2000):
        yield outcome


async def _web(here: World, chosen: argparse.Namespace) -> AsyncIterator[Outcome]:
    async for outcome in web.cases(here, (302, 308) if chosen.quick else web.CODES):
        yield outcome


async def _archives(here: World, chosen: argparse.Namespace) -> AsyncIterator[Outcome]:
    sizes = {"tries": 200, "members": 5000, "size_mb": 16} if chosen.quick else {}
    for outcome in packed.cases(here, **sizes):
        yield outcome


async def _command(here: World, chosen: argparse.Namespace) -> AsyncIterator[Outcome]:
    yield commands.unguarded(here)
    for kind in _kinds():
        with world(here.folder / kind) as inner:
            async for outcome in commands.cases(inner, kind, at_once=chosen.quick):
                yield outcome


async def _code(here: World, chosen: argparse.Namespace) -> AsyncIterator[Outcome]:
    yield boxes.unboxed(here)
    for kind in _kinds():
        async for outcome in boxes.escapes(here, kind):
            yield outcome


async def _use(here: World, chosen: argparse.Namespace) -> AsyncIterator[Outcome]:
    for kind in _kinds_and_limits():
        async for outcome in boxes.uses(kind, boxes.QUICK if chosen.quick else Limits()):
            yield outcome


async def _death(here: World, chosen: argparse.Namespace) -> AsyncIterator[Outcome]:
    for kind in _kinds_and_limits():
        async for outcome in boxes.deaths(kind):
            yield outcome


async def _humaneval(here: World, chosen: argparse.Namespace) -> AsyncIterator[Outcome]:
    name = "problems.jsonl"
    places = [chosen.data, chosen.data / name, chosen.data / "humaneval" / name]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        yield Outcome(humaneval.GROUP, "solutions", note=f"not tried: there is no {name} below {chosen.data}")
        return
    for outcome in await humaneval.solutions(humaneval.read(file)):
        yield outcome


GROUPS = {
    "paths": _paths,
    "web": _web,
    "archives": _archives,
    "command": _command,
    "code": _code,
    "use": _use,
    "death": _death,
    "humaneval": _humaneval,
}

main()

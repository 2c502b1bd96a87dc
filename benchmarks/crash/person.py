"""The person: looks into the inbox, thinks for a moment, answers, and writes down what was said before saying it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from random import Random
from typing import Any, TextIO

from collegium.core.errors import ApprovalError, CollegiumError
from collegium.core.ids import digest
from collegium.runs import (
    Approval,
    Approve,
    Edit,
    Happened,
    NotHappened,
    Reject,
    Respond,
    Retry,
    Runner,
)
from collegium.runs.decisions import Decision

from . import sink
from .worker import Setup

LOOKS_S = 0.02


def run(setup: Setup) -> None:
    """Answer whatever waits until the process is killed."""
    asyncio.run(_live(setup))


async def _live(setup: Setup) -> None:
    # Without graphs it moves no run: it only records, and the workers find what it said.
    async with Runner(setup.url, serve=False, lease_s=setup.lease_s) as runner:
        with (setup.folder / "answers.jsonl").open("a", encoding="ascii") as log:
            taken: dict[str, asyncio.Task[None]] = {}
            while True:
                await _look(runner, setup, log, taken)
                await asyncio.sleep(LOOKS_S)


async def _look(runner: Runner, setup: Setup, log: TextIO, taken: dict[str, asyncio.Task[None]]) -> None:
    try:
        waiting = await runner.inbox()
    except CollegiumError as error:
        _write(log, {"failed": "inbox", "error": str(error)})
        return
    for approval in waiting:
        if approval.id not in taken:
            taken[approval.id] = asyncio.create_task(_answer(runner, setup, approval, log))


async def _answer(runner: Runner, setup: Setup, approval: Approval, log: TextIO) -> None:
    moods = Random(f"{setup.seed}/{approval.kind}/{json.dumps(approval.payload.get('args'), sort_keys=True)}")
    await asyncio.sleep(moods.uniform(0, setup.thinks_s))
    decision = _decision(approval, moods, setup)
    said = {"approval_id": approval.id, "run_id": approval.run_id, "word": decision.word}
    said["effect"] = str(approval.payload.get("key", ""))
    _write(log, {"intends": True, **said})
    try:
        await runner.answer(approval.id, decision, digest=approval.digest)
    except ApprovalError as error:
        _write(log, {"refused": type(error).__name__, **said})
    except CollegiumError as error:
        _write(log, {"failed": "answer", "error": str(error), **said})
    else:
        _write(log, {"recorded": True, **said})


def _decision(approval: Approval, moods: Random, setup: Setup) -> Decision:
    if approval.kind == "in_doubt":
        return _judged(str(approval.payload["key"]), moods, setup.folder / "sink.jsonl")
    chance = moods.random() if setup.moody else 1.0
    if chance < 0.04:
        return Reject("not this one", by="ada")
    if chance < 0.08:
        return Respond("do it by hand", by="ada")
    if chance < 0.14:
        label = str(approval.payload["args"]["label"])
        return Edit({"label": f"w9{label[1:]}"}, by="ada")
    return Approve(by="ada")


def _judged(key: str, moods: Random, world: Path) -> Decision:
    """Mostly what the world says; now and then a new try without a look."""
    if moods.random() < 0.15:
        return Retry(by="ada")
    if any(entry["key"] == digest(key)[:32] for entry in sink.entries(world)):
        return Happened("seen in the world", by="ada")
    return NotHappened(by="ada") if moods.random() < 0.3 else Retry(by="ada")


def _write(log: TextIO, entry: dict[str, Any]) -> None:
    log.write(f"{json.dumps(entry)}\n")
    log.flush()
    if "failed" in entry:
        sys.stderr.write(f"the person met {entry['error']}\n")

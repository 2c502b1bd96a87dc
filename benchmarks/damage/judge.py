"""Reads one damaged copy as a user would, and says where it differs from the truth without a sign."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

from collegium.core.errors import ApprovalError, CollegiumError, CorruptState, StoreError
from collegium.runs import Approve, Happened, Run, Runner, RunStatus

from .stores import KINDS, RUNS, Job, Known, Truth, graphs, known, paid

LIMIT_S = 60
"""Seconds after which a reader counts as hung."""

ANSWERED = 5
"""Waiting runs that are answered in each copy."""

NOBODY = 65534


@dataclass(slots=True)
class Verdict:
    """What came of one copy."""

    kind: str
    copy: int
    wrong: list[str] = field(default_factory=list[str])
    """Values that were given and are not true."""
    vanished: list[str] = field(default_factory=list[str])
    """Records that were not given, without a sign."""
    untyped: list[str] = field(default_factory=list[str])
    """Errors that no caller could expect."""
    repeated: list[str] = field(default_factory=list[str])
    """Effects that happened once more."""
    crashed: str = ""
    refused: str = ""
    """Why the store was not opened."""
    read: int = 0
    """Runs that were read whole."""
    answered: int = 0
    """Answers that brought a run to its right end."""

    @property
    def failures(self) -> list[str]:
        """All that must not be."""
        crashed = [self.crashed] if self.crashed else []
        return [*self.wrong, *self.vanished, *self.untyped, *self.repeated, *crashed]


def judge(path: Path, truth: Truth, ledger: Path, verdict: Verdict, random: Random, *, drop_root: bool) -> Verdict:
    """Read a copy in a process of its own, with a time limit."""
    ledger.write_text("".join(f"{name}\n" for name in truth.paid.elements()), encoding="utf-8")
    ledger.chmod(0o666)
    answer = path.parent.parent / "verdict"
    answer.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        _read(path, truth, ledger, verdict, random, answer, drop_root)
    _, status = os.waitpid(child, 0)
    if status or not answer.exists():
        word = os.WTERMSIG(status) if os.WIFSIGNALED(status) else status
        verdict.crashed = "it hung" if word == signal.SIGALRM else f"it ended with {word}"
        return verdict
    return Verdict(**json.loads(answer.read_text("utf-8")))


def _read(
    path: Path, truth: Truth, ledger: Path, verdict: Verdict, random: Random, answer: Path, drop_root: bool
) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIMIT_S)
    answer.touch()
    answer.chmod(0o666)
    if drop_root and os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        asyncio.run(Reading(path, truth, verdict, random).all())
    except BaseException as error:  # whatever comes is the finding
        verdict.untyped.append(f"outside: {type(error).__name__}: {error}"[:300])
    for name, times in (paid(ledger) - truth.paid).items():
        if times + truth.paid[name] > 1:
            verdict.repeated.append(f"paid {times + truth.paid[name]} times for {name}")
    answer.write_text(json.dumps(asdict(verdict)), encoding="utf-8")
    os._exit(0)


class Reading:
    """One look at a copy."""

    def __init__(self, path: Path, truth: Truth, verdict: Verdict, random: Random) -> None:
        self._path, self._truth, self._verdict, self._random = path, truth, verdict, random
        self._old = False

    async def all(self) -> None:
        """Read and answer everything."""
        runner = Runner(f"sqlite:///{self._path}", graphs=graphs(), serve=False)
        try:
            await runner.open()
        except CollegiumError as error:
            self._verdict.refused = str(error)
            return
        self._old = bool(runner.store.warning)
        try:
            for part in (self._runs, self._inbox, self._labels, self._each, self._answer):
                await self._typed(part, runner)
        finally:
            await self._typed(Runner.close, runner)

    async def _typed(self, part: Callable[[Runner], Awaitable[None]], runner: Runner) -> None:
        try:
            await part(runner)
        except StoreError:
            pass  # a sign
        except Exception as error:  # the finding
            self._verdict.untyped.append(f"{getattr(part, '__name__', part)}: {type(error).__name__}: {error}"[:300])

    async def _runs(self, runner: Runner) -> None:
        truth = self._truth.runs
        listed = await runner.runs(limit=RUNS + 10)
        self._compare("runs", {run.run_id: self._short(run) for run in listed}, bool(listed.damaged))
        for status in ("waiting", "done", "failed"):
            wanted = {run_id for run_id, run in truth.items() if run.status == status}
            found = await runner.runs(status=cast("RunStatus", status), limit=RUNS + 10)
            self._missing(f"runs {status}", wanted, {run.run_id for run in found}, bool(found.damaged))

    def _short(self, run: Run[None]) -> str:
        return f"{run.status} {run.error}"

    def _compare(self, where: str, found: dict[str, str], sign: bool) -> None:
        truth = {run_id: f"{run.status} {run.error}" for run_id, run in self._truth.runs.items() if run.kind != "stuck"}
        stuck = {run_id for run_id, run in self._truth.runs.items() if run.kind == "stuck"}
        for run_id, told in found.items():
            # A missing log leaves a store of the past, which says so.
            if run_id not in stuck and truth.get(run_id) != told and not (sign and self._old):
                self._verdict.wrong.append(f"{where}: {run_id} is {told}, and was {truth.get(run_id)}")
        self._missing(where, {*truth, *stuck}, {*found}, sign)

    def _missing(self, where: str, wanted: set[str], found: set[str], sign: bool) -> None:
        if wanted - found and not sign:
            self._verdict.vanished.append(f"{where}: {len(wanted - found)} are missing")
        if found - wanted and not (sign and self._old):
            self._verdict.wrong.append(f"{where}: {len(found - wanted)} do not belong there")

    async def _inbox(self, runner: Runner) -> None:
        wanted = {approval for run in self._truth.runs.values() for approval in run.approvals}
        found = await runner.inbox()
        got = {(approval.approval_id, approval.digest) for approval in found}
        self._missing("inbox", {str(one) for one in wanted}, {str(one) for one in got}, bool(found.damaged))

    async def _labels(self, runner: Runner) -> None:
        tagged = await runner.runs(tags=["n1"], limit=RUNS + 10)
        wanted = {
            run_id for run_id, run in self._truth.runs.items() if self._number(run) % 3 == 1 and run.kind != "stuck"
        }
        self._missing("tags", wanted, {run.run_id for run in tagged}, bool(tagged.damaged))

    def _number(self, run: Known) -> int:
        return int(run.name.removeprefix("name"))

    async def _each(self, runner: Runner) -> None:
        for run_id, truth in self._truth.runs.items():
            if truth.kind == "stuck":
                continue
            where: list[str] = []
            try:
                told = await known(runner, run_id, where.append)
            except StoreError:
                continue
            except Exception as error:  # the finding
                text = f"{where[-1:]} {truth.kind}: {type(error).__name__}: {error}"[:300]
                (self._verdict.vanished if isinstance(error, CollegiumError) else self._verdict.untyped).append(text)
                continue
            if told == truth:
                self._verdict.read += 1
            elif not (await runner.get(run_id)).warning:
                self._verdict.wrong.append(f"{where[-1:]} {truth.kind}: {_difference(told, truth)}")

    async def _answer(self, runner: Runner) -> None:
        waiting = [run for run in self._truth.runs.values() if run.approvals]
        for truth in self._random.sample(waiting, ANSWERED):
            decision = Happened(by="ada", result="seen") if truth.kind == "in_doubt" else Approve(by="ada")
            try:
                run = await runner.answer(truth.approvals[0][0], decision)
            except StoreError:
                continue
            except ApprovalError as error:
                if self._old:
                    continue
                self._verdict.vanished.append(f"answer: {error}")
                continue
            state: dict[str, Any] = run.state.model_dump() if isinstance(run.state, Job) else run.state
            said = "ok: seen" if truth.kind == "in_doubt" else f"ok: paid {truth.name}"
            if (run.status, state.get("said")) != ("done", said):
                if isinstance(run.cause, CorruptState) or (run.error or "").startswith("CorruptState"):
                    continue
                self._verdict.wrong.append(f"answered {truth.kind}: {run.status} {run.error} {state.get('said')}")
            else:
                self._verdict.answered += 1


def _difference(told: Known, truth: Known) -> str:
    fields = [name for name in Known.__slots__ if getattr(told, name) != getattr(truth, name)]
    return ", ".join(
        f"{name}: {str(getattr(told, name))[:60]!r} for {str(getattr(truth, name))[:60]!r}" for name in fields
    )


assert len(KINDS) == 5  # a fifth of the runs each

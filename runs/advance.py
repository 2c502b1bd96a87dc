"""Moves a run as far as it can go: until it is finished, waits for a person, or is told to drain.

`advance` is safe to call at any time, from anywhere, for any run: the claim on the run row gives one
caller the lease (an epoch), every later write of that caller carries it, and a write with an older
epoch is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count
from sqlite3 import Connection
from time import monotonic
from typing import Any, Literal, NamedTuple, TypeVar, cast

from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command, Interrupt, StateSnapshot

from ..core.context import current_node, current_run, node_calls
from ..core.errors import BudgetExceeded, CollegiumError, Fenced, Rejected, RunTimeout, StoreError
from ..core.messages import Usage
from ..core.tape import through_now, whole_tape
from ..core.trust import current_reading
from ..guardrails.policy import Policy
from ..models.guarding import model_guard
from .budget import Amounts, Budget, Measure
from .decisions import Decision, Question, Reject, decision_from_json
from .engine import Engine, Services
from .events import Event, EventKind, row_of
from .fitting import settle
from .guarding import RunGuard, kept
from .inputs import first_input
from .interrupts import questions_of, resume_value
from .parking import approval_row
from .private import CHECKPOINTER, STRICT_RESUME
from .reason import reason_of
from .scope import RUN_KEY, RunScope
from .show import NodeShow
from .spending import extended, is_budget
from .store import ApprovalRow, RunRow, approvals, effects, events, runs
from .target import Target
from .values import last_values

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

_News = tuple[EventKind, dict[str, Any]]

End = Literal["done", "waiting", "failed", "cancelled", "drained", "fenced", "idle", "again"]
"""How an advance ended. idle: nothing to do. again: an answer arrived while the run was parking."""


_COUNTED = ("input_tokens", "output_tokens", "usd")
"""What an event tells of one model call, by the names of `Usage`."""


class Outcome(NamedTuple):
    """How an advance ended, and the exception behind a failure."""

    end: End
    cause: BaseException | None = None
    next_run_id: str | None = None
    """The run of the same thread that was waiting for this one to end."""
    row: RunRow | None = None
    """The run as it ended; None where it has not."""
    values: dict[str, Any] | None = None
    """What a run that is done ended with."""


class _Park(NamedTuple):
    """Nothing can go on before a person has answered these."""

    interrupts: Sequence[Interrupt]


class _Finished:
    """The graph has no task left."""


async def advance(
    engine: Engine, run_id: str, control: RunControl | None = None, *, claimed: RunRow | None = None
) -> Outcome:
    """Take the lease of a queued run and move it as far as it goes.

    Args:
        engine: The services of the Runner.
        run_id: Which run.
        control: Through which it is told to drain.
        claimed: The run, when its lease was taken at admission.

    Raises:
        UnknownTarget: The run's graph is not known here; the run is left as it is.
        GraphChanged: The graph has changed, so that the run cannot go on; the run is left as it is.
        StoreError: The store cannot be used.
    """
    if claimed is None:
        await engine.store.refuse_unsound()
    outcome = Outcome("again")
    while outcome.end == "again":
        row = claimed or await _claimed(engine, run_id)
        claimed = None
        if row is None:
            return Outcome("idle")
        target = engine.registry.target(row)
        lease = Lease(engine, row, target, await _scope(engine, row, target), control or RunControl())
        token = current_run.set(lease.scope)
        guarded = model_guard.set(lease.scope.guard)
        current_node.set(None)
        node_calls.set(None)
        current_reading.set(None)
        try:
            outcome = await lease.drive()
        except StoreError:
            await lease.give_up()
            raise
        finally:
            current_run.reset(token)
            model_guard.reset(guarded)
    return outcome


async def _claimed(engine: Engine, run_id: str) -> RunRow | None:
    """The run, held by this worker; None when it is not queued."""
    claim = partial(_claim, engine=engine, run_id=run_id)
    row = await engine.store.write(claim)
    while row is not None and row.status == "queued":
        await settle(engine, run_id)
        row = await engine.store.write(claim)
    return row


def _claim(conn: Connection, engine: Engine, run_id: str) -> RunRow | None:
    """The run as it is held from here on; as it stands, still queued, where its graph has changed."""
    row = runs.get(conn, run_id)
    if row.status == "queued" and not engine.registry.fits(row):
        return row
    epoch = runs.claim(conn, run_id, engine.worker_id, engine.clock.now())
    return None if epoch is None else replace(row, epoch=epoch, status="running")


async def _scope(engine: Engine, row: RunRow, target: Target) -> RunScope:
    given = engine.services.get(row.run_id, Services())
    used = await _used_before(engine, row)
    began = monotonic()
    model = given.model if given.model is not None else engine.model
    last = await engine.last_event(row.run_id) if row.epoch > 1 else 0
    scope = RunScope(
        run_id=row.run_id,
        thread_id=row.thread_id,
        epoch=row.epoch,
        fork=row.fork,
        store=engine.store,
        clock=engine.clock,
        policy=given.policy or engine.policy or target.policy or Policy(),
        budget=Budget(**row.budget) if row.budget else Budget(),
        publish=engine.publish,
        model_spec=model if model is not None else row.model_spec,
        usage=used.usage,
        tool_calls=used.tool_calls,
        limits=await _limits(engine, row),
        worked_s=lambda: row.worked_s + monotonic() - began,
        model=row.model,
        reusable=await _reusable(engine, row),
        numbers=count(last + 1),
        watchers=lambda: engine.watch.watched(row.run_id),
    )
    if guards := engine.guards_for(row.run_id, target):
        known = engine.placeholders_of(row.thread_id)
        if row.epoch > 1:
            known.mapping.update(await kept(engine.store, row.run_id))
        scope.guard = RunGuard(guards, known)
        scope.guard.scope = scope
    return scope


async def _limits(engine: Engine, row: RunRow) -> Amounts:
    """The run's limits, with what people have added to them."""
    if not row.budget:
        return {}
    asked = await engine.store.read(lambda conn: approvals.of_run(conn, row.run_id))
    return extended(Budget(**row.budget).limits, asked)


class _Used(NamedTuple):
    usage: Usage
    tool_calls: int


async def _used_before(engine: Engine, row: RunRow) -> _Used:
    """What earlier leases have used: as the run's events tell, which a killed worker has left, too."""
    if row.epoch == 1:
        return _Used(Usage(**row.usage), 0)
    found = await engine.events_after(row.run_id, 0, kinds=("model_called", "tool_called"))
    called = [event.data for event in found if event.kind == "model_called"]
    told = sum(
        (Usage(**{name: data[name] for name in _COUNTED if name in data}, model_calls=1) for data in called), Usage()
    )
    stored = Usage(**row.usage)
    return _Used(max(stored, told, key=lambda used: used.model_calls), len(found) - len(called))


async def _reusable(engine: Engine, row: RunRow) -> frozenset[tuple[str, str]]:
    if not row.reuse:
        return frozenset()
    found = await engine.store.read(lambda conn: effects.recorded(conn, row.reuse or ()))
    return frozenset((effect.tool, effect.digest) for effect in found)


class Lease:
    """One holder's turn with a run."""

    def __init__(self, engine: Engine, row: RunRow, target: Target, scope: RunScope, control: RunControl) -> None:
        self.engine, self.row, self.target, self.scope, self.control = engine, row, target, scope, control
        self._began = asyncio.get_running_loop().time()
        self._show = NodeShow(scope)
        self._next: str | None = None
        self._ended: RunRow | None = None
        self._values: dict[str, Any] | None = None
        self._saver = engine.saver(row, target)
        self._config: dict[str, Any] = {
            "configurable": {
                "thread_id": row.thread_id,
                CHECKPOINTER: self._saver,
                STRICT_RESUME: True,
            },
            "metadata": {RUN_KEY: row.run_id},
            "recursion_limit": scope.budget.steps,
        }

    async def drive(self) -> Outcome:
        """Advance until the run rests; whatever goes wrong is recorded on the run."""
        self._begin()
        try:
            async with self._in_time():
                self.scope.deps = await self.engine.deps(self.engine.services.get(self.row.run_id, Services()))
            return self._outcome(await self._advance())
        except Fenced:
            return Outcome("fenced")
        except GraphDrained:
            await self._release()
            return Outcome("drained")
        except asyncio.CancelledError:
            await asyncio.shield(self._release())
            raise
        except StoreError:
            raise
        except Rejected as error:
            await self._finish("cancelled", str(error))
            return self._outcome("cancelled", error)
        except RunTimeout as error:
            await self._finish("failed", str(error), fence=True)
            return self._outcome("failed", error)
        except Exception as error:  # the boundary of a run: any failure of a node becomes its outcome
            log.debug("run %s failed", self.row.run_id, exc_info=True)
            await self._finish("failed", reason_of(error, self.scope.budget))
            return self._outcome("failed", error)

    async def give_up(self) -> None:
        """Hear what else of this lease could not be stored: its caller is told, so nobody else need be."""
        with suppress(CollegiumError):
            await self.engine.store.flush(self.scope.lane)

    def _in_time(self) -> AbstractAsyncContextManager[None]:
        """Cancel what is at work inside once the run has used up its time, if that is limited.

        Only what can be done once more stands inside: a record of the run's end, cut off, could contradict its state.

        Raises:
            RunTimeout: The time is used up.
        """
        return nullcontext() if self.row.timeout_s is None else self._within(self.row.timeout_s)

    @asynccontextmanager
    async def _within(self, timeout_s: float) -> AsyncGenerator[None]:
        limit = asyncio.timeout(timeout_s - self._worked_s)
        try:
            async with limit:
                yield
        except (Fenced, GraphDrained, StoreError):
            raise
        except Exception as error:  # a node may turn the cancellation into an error of its own
            if limit.expired():
                raise RunTimeout(self.row.run_id, timeout_s) from error
            raise

    @property
    def _worked_s(self) -> float:
        """Seconds that the run has been at work, this turn included."""
        return self.row.worked_s + asyncio.get_running_loop().time() - self._began

    def _begin(self) -> None:
        row = self.row
        forked = {"parent_run_id": row.parent_run_id, "at": row.forked_at} if row.forked_at is not None else {}
        if row.epoch == 1:
            self.scope.event("run_started", forked, node="")
        else:
            self.scope.event("run_resumed", {}, node="")
        if guard := self.scope.guard:
            for trip in guard.known.trips:
                guard.tell(trip)
            guard.known.trips.clear()

    def _outcome(self, end: End, cause: Exception | None = None) -> Outcome:
        return Outcome(end, cause, self._next, self._ended, self._values if end == "done" else None)

    async def _advance(self) -> End:
        step = await self._first_step()
        while True:
            if isinstance(step, _Finished):
                self.target.check_end(self._values)
                await self._finish("done")
                return "done"
            if isinstance(step, _Park):
                return await self._park(step.interrupts)
            async with self._in_time():
                interrupts = await self._segment(step)
            if interrupts and self._saver.refused:  # what waits could not go on from where it stands
                raise self._saver.refused[0]
            step = _Park(interrupts) if interrupts else await self._after()

    async def _first_step(self) -> Any:
        if self.row.epoch == 1 and self.row.forked_at is None:
            return await self._input()
        return await self._next_step(await self._snapshot())

    async def _after(self) -> Any:
        """LangGraph came back without a question: finished, unless a static breakpoint stopped it."""
        compiled = self.target.compiled
        if compiled.interrupt_before_nodes or compiled.interrupt_after_nodes:
            return await self._next_step(await self._snapshot())
        return _Finished()

    async def _next_step(self, snapshot: StateSnapshot) -> Any:
        """What to hand to LangGraph: the input, an answer, or None to go on."""
        if snapshot.created_at is None or not self._mine(snapshot):
            return await self._input()
        if snapshot.interrupts:
            return await self._answered(snapshot.interrupts)
        if not snapshot.tasks:
            return _Finished()
        return await self._past_breakpoint(snapshot)

    async def _answered(self, interrupts: Sequence[Interrupt]) -> Any:
        """The answers that there are; None where only budgets were decided, whose nodes run again by themselves."""
        decided = await self._decisions(interrupts)
        if not decided:
            return _Park(interrupts)
        answers: dict[str, Any] = {}
        for interrupt in interrupts:
            decisions = decided.get(interrupt.id)
            if decisions is None:
                continue
            if is_budget(questions_of(interrupt)):
                self._refuse_spent(questions_of(interrupt)[0], decisions[0])
            else:
                answers[interrupt.id] = resume_value(interrupt, decisions)
        return Command(resume=answers) if answers else None

    def _refuse_spent(self, asked: Question, decision: Decision) -> None:
        if isinstance(decision, Reject):
            measure = cast(Measure, asked["payload"]["measure"])
            limit = float(cast(float, asked["payload"]["limit"]))
            raise BudgetExceeded(measure.replace("_", " "), limit, self.scope.purse.used(measure), decision.by)

    def _mine(self, snapshot: StateSnapshot) -> bool:
        return (snapshot.metadata or {}).get(RUN_KEY) == self.row.run_id

    async def _past_breakpoint(self, snapshot: StateSnapshot) -> Any:
        stopped = _breakpoint(self.target, snapshot)
        if stopped is None:
            return None
        answer = (await self._decisions([stopped])).get(stopped.id)
        if answer is None:
            return _Park([stopped])
        if isinstance(answer[0], Reject):
            raise Rejected("breakpoint", answer[0].reason, answer[0].by)
        return None

    async def _input(self) -> dict[str, Any]:
        given = self.target.decode(await self.engine.given(self.row))
        last = await last_values(self.engine, self.row, self.target) if self.target.kept_fields() else {}
        return first_input(self.target, given, last)

    async def _snapshot(self) -> StateSnapshot:
        return await self.target.compiled.aget_state(cast(Any, self._config))

    async def _segment(self, step: Any) -> list[Interrupt]:
        """Run LangGraph until it comes back; returns what it asks."""
        interrupts: list[Interrupt] = []
        compiled: Any = self.target.compiled
        stream = compiled.astream(
            step,
            self._config,
            context=self.scope.deps,
            stream_mode=["values", "tasks"],
            subgraphs=self.target.nested,
            durability=self.engine.durability,
            control=self.control,
        )
        async for part in stream:
            namespace, mode, data = part if self.target.nested else ((), *part)
            if mode == "tasks":
                self._show.part(namespace, data)
            elif not namespace and isinstance(data, dict):
                interrupts.extend(cast("dict[str, Any]", data).pop("__interrupt__", ()))
                self._values = data
        return interrupts

    async def _decisions(self, interrupts: Sequence[Interrupt]) -> dict[str, list[Decision]]:
        stored = await self.engine.store.read(lambda conn: approvals.of_run(conn, self.row.run_id))
        known = {(row.question_key, row.digest): row for row in stored if row.state in ("decided", "expired")}
        found: dict[str, list[Decision]] = {}
        for interrupt in interrupts:
            asked = [known.get((q["key"], q["digest"])) for q in questions_of(interrupt)]
            rows = [row for row in asked if row is not None]
            if len(rows) == len(asked):
                found[interrupt.id] = [self._told(row) for row in rows]
        return found

    def _told(self, row: ApprovalRow) -> Decision:
        decision: Decision = Reject("nobody answered in time", by="expiry")
        if row.decision is not None:
            decision = decision_from_json(row.decision)
        data = {"approval_id": row.approval_id, "decision": decision.word, "by": decision.by}
        self.scope.event("approval_decided", data, node="")
        return decision

    async def _park(self, interrupts: Sequence[Interrupt]) -> End:
        now, run_id, epoch = self.engine.clock.now(), self.row.run_id, self.row.epoch
        rows = [
            approval_row(self._approval_id(asked), self.row, interrupt.id, index, asked, now)
            for interrupt in interrupts
            for index, asked in enumerate(questions_of(interrupt))
        ]
        rows = _once(rows)
        used, heads = self._used(), self._heads()
        parked = await self._rest(
            lambda conn: runs.park(conn, run_id, epoch, rows, now=now, heads=heads, **used), _parking_news
        )
        return "again" if parked.status == "queued" else "waiting"

    async def _finish(
        self, status: Literal["done", "failed", "cancelled"], error: str | None = None, *, fence: bool = False
    ) -> None:
        now, run_id, epoch = self.engine.clock.now(), self.row.run_id, self.row.epoch
        news: dict[str, _News] = {
            "done": ("run_done", {}),
            "failed": ("run_failed", {"error": error}),
            "cancelled": ("run_cancelled", {"reason": error}),
        }
        used, heads = self._used(), self._heads()

        def finish(conn: Connection) -> str | None:
            reason = error and effects.with_doubts(conn, run_id, error)
            return runs.finish(conn, run_id, epoch, status, now=now, error=reason, fence=fence, heads=heads, **used)

        if status == "done" and self.engine.store.put_off(self.scope.lane, finish, last=True):
            for event in self._numbered(now, [news[status]]):
                self.engine.announce(event)
        else:
            self._next = await self._rest(finish, lambda _: [news[status]])
        self._ended = replace(
            self.row,
            status=status,
            owner=None,
            error=error,
            updated_at=now,
            finished_at=now,
            **used,
        )

    async def _release(self) -> None:
        """Put the run back into the queue, for this or another worker."""
        now, run_id, epoch = self.engine.clock.now(), self.row.run_id, self.row.epoch
        used, heads = self._used(), self._heads()
        try:
            await self._rest(lambda conn: runs.requeue(conn, run_id, epoch, now=now, heads=heads, **used), lambda _: [])
        except Fenced:
            log.debug("run %s was taken over or cancelled meanwhile", run_id)

    def _heads(self) -> dict[str, str] | None:
        """The newest checkpoints that this lease wrote; None in memory, where nothing is ever damaged."""
        return None if self.engine.store.path is None else self._saver.heads

    def _used(self) -> dict[str, Any]:
        """What the run has used so far, as changes of its row."""
        return {"usage": self.scope.usage.as_dict(), "model": self.scope.model, "worked_s": self._worked_s}

    async def _rest(
        self,
        work: Callable[[Connection], ResultT],
        news: Callable[[ResultT], Sequence[_News]],
    ) -> ResultT:
        """Bring the run to rest: its new state and the events that tell of it, all or nothing."""
        scope, now = self.scope, self.engine.clock.now()

        def joined(conn: Connection) -> tuple[ResultT, list[Event]]:
            result = work(conn)
            told = self._numbered(now, news(result))
            if self.engine.store.path is not None:
                events.append_all(conn, [row_of(event) for event in told])
            return result, told

        result, told = await self.engine.store.write(joined, full=True, lane=scope.lane)
        for event in told:
            self.engine.announce(event)
        return result

    def _numbered(self, now: datetime, news: Sequence[_News]) -> list[Event]:
        run_id, numbers = self.row.run_id, self.scope.numbers
        told = [Event(run_id, next(numbers), kind, None, now, data) for kind, data in news]
        return told if (tape := whole_tape()) is None else tape.arrange(told, rest=True)

    def _approval_id(self, asked: Question) -> str:
        if (tape := whole_tape()) is None:
            return self.engine.ids("ap")
        shown = {name: value for name, value in asked["payload"].items() if name not in ("key", "since")}
        request = {"kind": asked["kind"], "payload": shown, "allowed": asked["allowed"]}
        return through_now(tape, "question", request, lambda: self.engine.ids("ap"))


def _once(rows: Sequence[ApprovalRow]) -> list[ApprovalRow]:
    """Each question once, though several branches ask it."""
    return list({(row.question_key, row.digest): row for row in reversed(rows)}.values())[::-1]


def _parking_news(parked: runs.Parked) -> list[_News]:
    if parked.status == "queued":
        return []
    waiting = [row for row in parked.approvals if row.state == "pending"]
    news: list[_News] = [("approval_requested", {"approval_id": row.approval_id, "kind": row.kind}) for row in waiting]
    return [*news, ("run_waiting", {"approvals": [row.approval_id for row in waiting]})]


def _breakpoint(target: Target, snapshot: StateSnapshot) -> Interrupt | None:
    """The question of a plain graph compiled with `interrupt_before` or `interrupt_after`."""
    compiled = target.compiled
    if not (compiled.interrupt_before_nodes or compiled.interrupt_after_nodes):
        return None
    checkpoint = (snapshot.config.get("configurable") or {}).get("checkpoint_id", "")
    return Interrupt(value={"breakpoint": list(snapshot.next)}, id=f"breakpoint-{checkpoint}")

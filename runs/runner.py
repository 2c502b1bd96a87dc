"""Starts runs, moves them on, and answers for them: one per process or application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from sqlite3 import Connection
from types import TracebackType
from typing import Any, Literal, Self, cast

from ..core.clock import Clock, SystemClock
from ..core.errors import CorruptState, GraphChanged
from ..core.ids import IdSource, new_id
from ..core.settings import DEFAULT_DB, database_url
from ..core.tape import through_now, whole_tape
from ..guardrails.guards import Guards
from ..guardrails.policy import Policy
from .admission import OnBusy, checked_metadata, checked_on_busy, checked_tags, checked_timeout, wanted_metadata
from .advance import Outcome
from .answers import checked
from .budget import Budget
from .decisions import Approval, Decision, Edit, Respond, decision_to_json
from .ending import to_the_end
from .engine import Engine, Services
from .events import LIVE_ONLY, Event
from .fitting import settle
from .fork import Effects, Wish, forked
from .guarding import Placeholders, RunGuard, admitted, keep, kept
from .parking import approval_of
from .reading import Reader
from .registry import Registry
from .retention import Pruned, Retention, keep_pruning, prune
from .run import AT_REST, Run, RunStatus
from .scope import lane_of
from .standing_approvals import StandingApproval, standing_of
from .steps import Step, steps_of
from .store import ApprovalRow, Found, RunRow, Store, approvals, effects, events, runs, salvage, tip
from .target import AnyGraph, Target
from .watch import Watch, arriving
from .worker import ANONYMOUS, Worker

MEMORY = "sqlite://:memory:"

HOME = DEFAULT_DB.parent.name
"""The project's own folder, made where it is missing; any other folder must be there."""


class Runner:
    """Owns a store and the runs in it.

        async with Runner("sqlite:///collegium.db", graphs=[graph]) as runner:
            run = await runner.start(graph, {"question": "…"})
            run = await run.wait()

    Several Runners, in one process or in many, may share a store: a run has one worker at a time.
    """

    def __init__(
        self,
        url: str | Store | None = None,
        *,
        graphs: Sequence[AnyGraph] = (),
        context: object | None = None,
        model: object | None = None,
        policy: Policy | None = None,
        guards: Guards | None = None,
        serve: bool = True,
        slots: int = 1000,
        lease_s: float = 15.0,
        poll_s: float = 0.25,
        retention: Retention | None = None,
        clock: Clock | None = None,
        ids: IdSource = new_id,
    ) -> None:
        """Describe a Runner; `async with` (or `open`) opens its store.

        Args:
            url: `sqlite:///path` or `sqlite://:memory:`; else `COLLEGIUM_DB`, else the project's store. Or a Store,
                which its owner closes.
            graphs: Graphs that it can run: Collegium graphs and any LangGraph graph.
            context: Handed to tools and nodes as `deps`: an object, or a function (sync or async) that makes one
                at each start and resume. Never stored.
            model: A spec or a Model for agents without one of their own; wins over what a run was started with.
            policy: For all runs; else each graph's own.
            guards: For all runs; else each graph's own.
            serve: Take up queued runs of these graphs by itself, also those that other processes left. Without
                it, only runs that were started, resumed or answered here are moved.
            slots: Most runs at work at once; further ones queue.
            lease_s: Seconds without a sign of life after which a worker's runs go to another.
            poll_s: Seconds between looks at the store for work.
            retention: What to remove of finished runs by itself, when it opens and every hour; else nothing.
            clock: Tells the time.
            ids: Makes ids.
        """
        self._owns_store = not isinstance(url, Store)
        self._store = url if isinstance(url, Store) else Store(url if url == MEMORY else database_url(url))
        self._poll_s = poll_s
        self._engine = Engine(
            store=self._store,
            registry=Registry(graphs),
            clock=clock or SystemClock(),
            ids=ids,
            watch=Watch(),
            worker_id=ids("wk"),
            policy=policy,
            guards=guards,
            model=model,
            context=context,
        )
        self._worker = Worker(self._engine, serve=serve, slots=slots, lease_s=lease_s, poll_s=poll_s)
        self._reader = Reader(self._engine, self)
        self._retention = retention.checked() if retention else None
        self._pruning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def store(self) -> Store:
        """The store, for tools that look after it."""
        return self._store

    async def open(self) -> None:
        """Open the store and begin to work.

        Raises:
            StoreUnavailable: It cannot be opened; the message says why.
        """
        if self._store.path is not None and self._store.path.parent.name == HOME:
            self._store.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            await self._store.open()
            await self._worker.open()
            if self._retention is not None:
                self._pruning = asyncio.create_task(keep_pruning(self._engine, self._retention), name="collegium-prune")
        except BaseException:  # cancelled, say: nobody would close what is open by now
            await self.close(drain_s=0)
            raise

    async def close(self, *, drain_s: float = 5.0) -> None:
        """Let runs come to the end of their present step, put them back into the queue, close the store.

        Args:
            drain_s: Seconds given to the steps at work; then they are cancelled and repeated at resume. A caller
                that is cancelled meanwhile gives them no more, and hears of it when everything is closed.
        """
        await to_the_end(self._close(drain_s), hurry=self._worker.hurry)

    async def _close(self, drain_s: float) -> None:
        if self._pruning is not None:
            self._pruning.cancel()
            await asyncio.wait([self._pruning])
            self._pruning = None
        try:
            await self._worker.close(drain_s)
        finally:  # also when the store could not be told
            if self._owns_store:
                await self._store.close()

    def add(self, graph: AnyGraph, *, changed: bool = False) -> None:
        """Let it run another graph; with `changed`, compile one anew that was added to since."""
        self._engine.registry.add(graph, changed=changed)

    # -- runs ---------------------------------------------------------------------------------

    async def start(
        self,
        graph: AnyGraph | str,
        input: Any,
        *,
        thread_id: str | None = None,
        budget: Budget | None = None,
        on_busy: OnBusy = "reject",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        model: object | None = None,
        policy: Policy | None = None,
        guards: Guards | None = None,
        context: object | None = None,
        target: str | None = None,
        folder: str | None = None,
    ) -> Run[Any]:
        """Admit a run and begin to work on it; once this returns, the run survives a crash.

        Args:
            graph: A graph, or the name of one of the Runner's.
            input: The state, or a mapping of its input fields.
            thread_id: The conversation that the run belongs to; a new one by default.
            budget: Its limits.
            on_busy: What to do while the thread has an unfinished run.
            tags: Words to find the run by: at most 50, of up to 200 characters.
            metadata: JSON values that are kept with the run, at most 16,384 characters in all; text, numbers and
                truth values are found by `runs`.
            timeout_s: Seconds that the run may be at work, without what it waits for people or in the queue; then
                it fails with `RunTimeout`.
            model: For this run: a spec, which is kept with it, or a Model, which is known in this process only.
            policy: For this run, in this process.
            guards: For this run, in this process.
            context: For this run, in this process; as for the Runner.
            target: Where another process can load the graph from (`path.py:name`), and
            folder: the working directory that this counts from.

        Raises:
            InvalidInput: A field, a tag or another argument is unknown, missing or refused.
            ThreadBusy: The thread has an unfinished run, and `on_busy` is `reject`.
            StoreError: The run could not be stored.
            GuardBlocked: A guard does not let the input pass.
        """
        on_busy = checked_on_busy(on_busy)
        await self._store.refuse_unsound()
        known = self._engine.registry.named(graph) if isinstance(graph, str) else self._engine.registry.add(graph)
        thread = thread_id or self._engine.ids(ANONYMOUS)
        values = known.admit(input)
        if guards := guards if guards is not None else self._engine.guards or known.guards:
            values = await admitted(guards, values, await self._placeholders(thread, new=thread_id is None))
        row = self._new_row(
            known,
            values,
            thread,
            model,
            budget=asdict(budget) if budget else None,
            tags=checked_tags(tags),
            metadata=checked_metadata(metadata),
            timeout_s=checked_timeout(timeout_s),
            target=target,
            folder=folder,
        )
        self._engine.services[row.run_id] = Services(model, policy, context, guards)
        stored = await self._admit(row, on_busy, alone=thread_id is None)
        if guards:
            await keep(self._store, row.run_id, self._engine.placeholders_of(thread))
        self._worker.adopt(row.run_id)
        if stored.status != "pending":
            self._worker.spawn(row.run_id, stored if stored.status == "running" else None)
        return self._reader.view(stored, known, None)

    async def _placeholders(self, thread_id: str, *, new: bool) -> Placeholders:
        """What stands behind the placeholders of a thread; numbers begin at 1 where no run had it before."""
        if thread_id not in self._engine.placeholders and (
            new or not await self._store.read(partial(runs.listing, thread_id=thread_id, limit=1))
        ):
            self._engine.placeholders[thread_id] = Placeholders()
        return self._engine.placeholders_of(thread_id)

    async def _admit(self, row: RunRow, on_busy: OnBusy, *, alone: bool) -> RunRow:
        worker_id = self._engine.worker_id

        def admit(conn: Connection) -> RunRow:
            return runs.admit(conn, row, on_busy, worker_id=worker_id)

        begun = runs.begun(row, worker_id)
        if alone and self._store.put_off(lane_of(begun.run_id, begun.epoch), admit, first=True):
            return begun
        try:
            return await self._store.write(admit, full=True)
        except asyncio.CancelledError:  # the job is not taken back: it may be stored, and held by this worker
            self._worker.give_back(row.run_id)
            raise

    async def resume(self, run_id: str) -> Run[Any]:
        """Go on with a run that stopped: after a crash, a drain or a failure. Returns it as it stands.

        A run that waits for a person goes on waiting.

        Raises:
            UnknownRun: There is no such run.
            RunPruned: It had failed, and its state was removed.
            ThreadBusy: It had failed, and its thread has another unfinished run.
            GraphChanged: Its graph has changed, so that it cannot go on.
        """
        await self._store.refuse_unsound()
        now = await self._worker.sweep()
        row = await self._store.read(lambda conn: runs.get(conn, run_id))
        self._engine.registry.named(row.graph)
        if await settle(self._engine, run_id):
            row = await self._store.read(lambda conn: runs.get(conn, run_id))
        if row.status == "failed":
            await self._store.write(lambda conn: runs.reopen(conn, run_id, now=now), full=True)
        self._worker.adopt(run_id)
        if row.status in ("queued", "failed"):
            self._worker.spawn(run_id)
        return await self.get(run_id)

    async def history(self, run_id: str) -> list[Step]:
        """The steps that a run has taken, oldest first, those of graphs inside it included.

        In memory only the last is kept.

        Raises:
            UnknownRun: There is no such run.
            RunPruned: Its steps were removed.
            UnknownTarget: The run's graph is not one of the Runner's.
            GraphChanged: Its graph has another shape than it was started with.
        """
        row = await self._store.read(lambda conn: runs.unpruned(conn, run_id))
        return await steps_of(self._engine, row, self._engine.registry.of(row))

    async def fork(
        self,
        run_id: str,
        *,
        at: str | int,
        values: Mapping[str, Any] | None = None,
        effects: Effects | None = None,
        thread_id: str | None = None,
    ) -> Run[Any]:
        """Begin a run that goes on from a step of another, which stays as it is.

        What ran in that step is taken to have written `values`: routers look at them and choose anew. Questions
        after the step are asked again; a recorded effect that stands for a call needs no approval.

        Args:
            run_id: The parent, at rest or at work.
            at: The path of a step of its `history`: `3`, or `3/answer/1` inside a graph that node `answer` ran.
            values: Fields to change, as whole values.
            effects: What becomes of effects that the parent made after the step: `reuse` takes their recorded
                results where the fork makes the same calls (tool and arguments), each once; `redo` makes them
                anew. Needed only where there are such effects.
            thread_id: The fork's thread; a new one by default.

        Raises:
            UnknownRun: There is no such run.
            RunPruned: Its steps were removed.
            InvalidInput: There is no such step, a value does not fit, effects need a choice, or the store is in memory.
            ThreadBusy: The thread has an unfinished run.
            GraphChanged: The graph has another shape than the parent was started with.
        """
        await self._store.refuse_unsound()
        parent = await self._store.read(lambda conn: runs.unpruned(conn, run_id))
        target = self._engine.registry.of(parent)
        wish = Wish(str(at), dict(values or {}), effects, thread_id or self._engine.ids(ANONYMOUS))
        row = await forked(self._engine, parent, target, wish)
        self._worker.adopt(row.run_id)
        self._worker.spawn(row.run_id, row if row.status == "running" else None)
        return self._reader.view(row, target, None)

    async def cancel(self, run_id: str, reason: str = "") -> Run[Any]:
        """End a run: what waits is withdrawn, its worker is stopped, what was done stays done.

        Raises:
            UnknownRun: There is no such run.
        """
        now, number = self._engine.clock.now(), await self._engine.last_event(run_id) + 1
        event = Event(run_id, number, "run_cancelled", None, now, {"reason": reason})

        def cancel(conn: Connection) -> bool:
            if runs.get(conn, run_id).finished_at is not None:
                return False
            runs.cancel(conn, run_id, effects.with_doubts(conn, run_id, reason or "cancelled"), now=now)
            if self._store.path is not None:
                events.append(conn, run_id, event.kind, event.data, now=now, node=None)
            return True

        if await self._store.write(cancel, full=True):
            self._engine.announce(event)
        await self._worker.stop(run_id)
        await self._worker.take_up()
        return await self.get(run_id)

    async def get(self, run_id: str) -> Run[Any]:
        """The run as it stands.

        Raises:
            UnknownRun: There is no such run.
            CorruptState: A record of it is damaged.
        """
        return await self._reader.get(run_id)

    async def runs(
        self,
        *,
        status: RunStatus | None = None,
        thread_id: str | None = None,
        graph: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Found[Run[None]]:
        """Runs, newest first, without their state; `damaged` of the list says what of the store cannot be read.

        Args:
            status: Only runs in this status.
            thread_id: Only runs of this thread.
            graph: Only runs of the graph of this name.
            tags: Only runs that have all these tags.
            metadata: Only runs whose metadata has these values: text, numbers or truth values.
            before: The last run id of the page before.
            limit: At most so many.

        Raises:
            UnknownRun: There is no run `before`.
            InvalidInput: Runs are not found by such a value.
        """
        flaws = await self._store.flaws()
        page = partial(
            salvage.page if flaws else runs.listing,
            status=status,
            thread_id=thread_id,
            graph=graph,
            tags=checked_tags(tags),
            metadata=wanted_metadata(metadata),
            before=before,
            limit=limit,
        )
        rows = await self._store.read(page)
        return Found([self._reader.view(row, None, None) for row in rows], [*flaws, *rows.damaged, *self._warning])

    async def wait(self, run_id: str, *, timeout_s: float | None = None) -> Run[Any]:
        """The run once it is done, failed, cancelled or waiting for a person, whoever works on it.

        Raises:
            TimeoutError: It was still at work after `timeout_s` seconds; it goes on.
            UnknownRun: There is no such run.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                if task := self._worker.at_work(run_id):
                    await asyncio.wait([task])
                    # What is refused here may be moved by another worker, which has the graph as it was.
                    moved = not task.cancelled() and not isinstance(task.exception(), GraphChanged)
                    outcome = task.result() if moved else Outcome("fenced")
                    if outcome.row is not None and outcome.values is not None:
                        return self._reader.view(outcome.row, self._reader.target(outcome.row), outcome.values)
                run = await self.get(run_id)
                if run.status in AT_REST:
                    return run
                if self._worker.at_work(run_id) is None:
                    await asyncio.sleep(min(self._poll_s, 0.1))

    async def events(self, run_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """What happened in a run since event `after`, then what happens, until it rests.

        Text as it comes (`text_delta`) is seen only in the process that works on the run.
        """
        last = after
        with self._engine.watch.queue(run_id) as queue:
            while True:
                standing = await self._resting(run_id)
                for event in await self._engine.events_after(run_id, last):
                    last = event.seq
                    yield event
                if queue.empty() and standing is not None:
                    if last < tip.last_event(standing):
                        problem = f"its events after number {last} are missing. Restore the store from a copy."
                        raise CorruptState(f"run {run_id}", problem)
                    return
                async for event in arriving(queue, self._poll_s):
                    if event.kind in LIVE_ONLY or event.seq > last:
                        last = max(last, event.seq)
                        yield event

    async def prune(
        self,
        *,
        older_than: timedelta | None = None,
        keep: int | None = None,
        history: Literal["keep", "drop"] = "keep",
        dry_run: bool = False,
    ) -> Pruned:
        """Remove what finished runs no longer need; `Retention` says what each argument means.

        Runs that are not finished stay whole, failed ones until they are older than `older_than`; so does what the
        next run of a thread starts from, as long as any run of that thread stays. Of a pruned run the record, its
        decided approvals and its effects stay. The file becomes shorter when no other worker uses it.

        Raises:
            InvalidInput: Nothing says what to remove.
            StoreError: The store cannot be used; of each run, all is gone that was to go, or nothing.
        """
        await self._worker.sweep()
        await self._store.refuse_unsound()
        wanted = Retention(older_than=older_than, keep=keep, history=history)
        return await prune(self._engine, wanted, dry_run=dry_run, compact=self._worker.is_idle)

    # -- approvals ----------------------------------------------------------------------------

    async def inbox(self, *, run_id: str | None = None, after: str | None = None, limit: int = 1000) -> Found[Approval]:
        """What waits for a person, oldest first; `damaged` of the list says what of the store cannot be read.

        Args:
            run_id: Only approvals of this run.
            after: The last approval id of the page before.
            limit: At most so many.

        Raises:
            UnknownApproval: There is no approval `after`.
        """
        now, flaws = self._engine.clock.now(), await self._store.flaws()
        search = salvage.inbox if flaws else approvals.inbox
        rows = await self._store.read(lambda conn: search(conn, now=now, run_id=run_id, after=after, limit=limit))
        return Found([approval_of(row) for row in rows], [*flaws, *rows.damaged, *self._warning])

    async def approval(self, approval_id: str) -> Approval:
        """One approval, decided or not.

        Raises:
            UnknownApproval: There is none with this id.
        """
        return approval_of(await self._store.read(lambda conn: approvals.get(conn, approval_id)))

    async def answer(self, approval_id: str, decision: Decision, *, digest: str | None = None) -> Run[Any]:
        """Record a decision, the first of which wins, and go on with the run if nothing else waits.

        Args:
            approval_id: Which approval.
            decision: What was decided, and by whom.
            digest: The digest of what was looked at; refused when it is not what waits.

        Returns:
            The run at its next rest; as it stands, when another worker serves it.

        Raises:
            ApprovalError: It was decided before, was withdrawn as its graph has changed, has expired, is unknown, or
                the decision does not fit.
            GraphChanged: The run's graph has changed, so that it cannot go on.
        """
        await self._store.refuse_unsound()
        row = await self._store.read(lambda conn: approvals.get(conn, approval_id))
        run = await self._store.read(lambda conn: runs.get(conn, row.run_id))
        if row.state == "pending" and run.graph in self._engine.registry.names:
            row, run = await self._settled(row, run)
        target = self._reader.target(run)
        if row.state == "pending":
            tool = target.tools.get(str(row.payload.get("tool"))) if target else None
            decision = await self._guarded(run, target, checked(row, decision, tool))
        body, now = decision_to_json(decision), self._engine.clock.now()
        await self._store.write(
            lambda conn: approvals.decide(conn, approval_id, body, by=decision.by, now=now, digest=digest),
            full=True,
        )
        if tape := whole_tape():
            through_now(tape, "decision", {"approval_id": approval_id, "decision": body}, lambda: None)
        return await self._after_answer(row.run_id, target)

    async def _guarded(self, run: RunRow, target: Target | None, decision: Decision) -> Decision:
        """A decision as it may be stored: what a person writes passes the guards for input."""
        guards = self._engine.guards_for(run.run_id, target)
        if not guards or not isinstance(decision, Edit | Respond):
            return decision
        known = self._engine.placeholders_of(run.thread_id)
        known.mapping.update(await kept(self._store, run.run_id))
        said = decision.args if isinstance(decision, Edit) else decision.text
        passed = await RunGuard(guards, known).decided(said)
        await keep(self._store, run.run_id, known)
        return Edit(passed, decision.by) if isinstance(decision, Edit) else Respond(passed, decision.by)

    async def standing(self, run_id: str) -> list[StandingApproval]:
        """The standing approvals of a run, in the order given; those that were revoked, too.

        Raises:
            UnknownRun: There is no such run.
        """
        await self._store.read(lambda conn: runs.get(conn, run_id))
        rows = await self._store.read(lambda conn: approvals.decided_calls(conn, run_id))
        return [given for row in rows if (given := standing_of(row)) is not None]

    async def revoke(self, approval_id: str, *, by: str = "unknown") -> StandingApproval:
        """Take back a standing approval: from here on, calls like it ask again. What was done stays done.

        Raises:
            UnknownApproval: There is no such approval, or it gave leave for one call alone.
        """
        await self._store.refuse_unsound()
        now = self._engine.clock.now()
        row = await self._store.write(lambda conn: approvals.revoke(conn, approval_id, by=by, now=now), full=True)
        return cast("StandingApproval", standing_of(row))

    async def _settled(self, row: ApprovalRow, run: RunRow) -> tuple[ApprovalRow, RunRow]:
        """An open question and its run once the run stands in its graph as that is now."""
        if not await settle(self._engine, run.run_id):
            return row, run
        row = await self._store.read(lambda conn: approvals.get(conn, row.approval_id))
        run = await self._store.read(lambda conn: runs.get(conn, run.run_id))
        if row.state == "cancelled":  # a migration has withdrawn it; what takes its place is asked at once
            await self._after_answer(run.run_id, self._reader.target(run))
        return row, run

    async def _after_answer(self, run_id: str, target: Target | None) -> Run[Any]:
        row = await self._store.read(lambda conn: runs.get(conn, run_id))
        if row.status == "queued" and target is not None and not await self._worker.served_elsewhere(row.graph):
            self._worker.adopt(run_id)
            self._worker.spawn(run_id)
        # This worker may have taken it up between the answer and the look at the run.
        return await self.wait(run_id) if self._worker.at_work(run_id) else await self.get(run_id)

    # -- inside -------------------------------------------------------------------------------

    def _new_row(
        self, known: Target, values: dict[str, Any], thread_id: str, model: object | None, **given: Any
    ) -> RunRow:
        now = self._engine.clock.now()
        return RunRow(
            run_id=self._engine.ids("run"),
            thread_id=thread_id,
            graph=known.name,
            version=known.version,
            fingerprint=known.fingerprint,
            shape=known.shape_text,
            input=known.encode(values),
            model_spec=_spec(model if model is not None else self._engine.model),
            created_at=now,
            updated_at=now,
            **given,
        )

    @property
    def _warning(self) -> list[str]:
        return [self._store.warning] if self._store.warning else []

    async def _resting(self, run_id: str) -> RunRow | None:
        """The run's record, when it rests."""
        row = await self._store.read(lambda conn: runs.get(conn, run_id))
        return row if row.status in AT_REST and self._worker.at_work(run_id) is None else None


def _spec(model: object | None) -> str | None:
    """What is stored of the model that a run was started with."""
    return model if isinstance(model, str) else getattr(model, "spec", None)

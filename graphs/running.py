"""`Graph.run`: a run in the graph's own store, in memory."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..core.errors import RunFailed
from ..core.tape import in_replay
from ..guardrails.guards import Guards
from ..guardrails.policy import Policy
from .state import State

if TYPE_CHECKING:
    from ..runs import Approval, Budget, Decision, Run, Runner
    from .graph import Graph

StateT = TypeVar("StateT", bound=State)
Approver = Callable[["Approval"], Awaitable["Decision"]]


async def run_graph(
    graph: Graph[StateT],
    input: StateT | Mapping[str, Any],
    *,
    thread_id: str | None,
    approver: Approver | None,
    model: Any,
    context: Any,
    policy: Policy | None,
    guards: Guards | None,
    budget: Budget | None,
    timeout_s: float | None,
) -> Run[StateT]:
    """Runs `graph` until it ends, or until a question that no approver answers.

    Raises:
        InvalidInput: The input does not fit the state.
        RunFailed: The run failed; the error carries it.
    """
    runner = await memory_of(graph)
    started = await runner.start(
        graph,
        input,
        thread_id=thread_id,
        budget=budget,
        timeout_s=timeout_s,
        model=model,
        context=context,
        policy=policy,
        guards=guards,
    )
    run = await started.wait()
    while run.status == "waiting" and (decision := await _decided(run.approvals[0], approver)) is not None:
        run = await run.answer(run.approvals[0].id, decision)
    if run.status == "failed":
        raise RunFailed(run.run_id, run.error or "no reason was given", run) from run.cause
    return run


async def _decided(approval: Approval, approver: Approver | None) -> Decision | None:
    """What the approver says, in a replay what a person said then; None leaves the run waiting."""
    if (tape := in_replay()) is not None:
        return cast("Decision | None", tape.decision_on(approval.approval_id))
    return None if approver is None else await approver(approval)


async def memory_of(graph: Graph[Any]) -> Runner:
    """The graph's own Runner in memory, made at first use: threads go on from one `run` to the next."""
    from ..runs import MEMORY, Runner

    if (tape := in_replay()) is not None:  # its ids are those of the recording, which the graph may have used before
        if graph not in tape.held:
            tape.held[graph] = Runner(MEMORY, graphs=[graph])
            await tape.held[graph].open()
            weakref.finalize(graph, tape.held[graph].store.close_now)
        return cast("Runner", tape.held[graph])

    stamp = (len(graph.nodes), len(graph.edges), len(graph.waiting_edges), len(graph.routers), len(graph.loops))
    while graph.memory is None:
        # Two first runs at once, in one thread or in two, must share one store, or a thread_id would have two runs.
        mine: Future[None] = Future()
        if (opening := graph.opening.setdefault("memory", mine)) is not mine:
            await asyncio.wrap_future(opening)
            continue
        mine.set_running_or_notify_cancel()  # who waits and is cancelled does not stop the opening
        try:
            if graph.memory is None:
                runner = Runner(MEMORY, graphs=[graph])
                await runner.open()
                weakref.finalize(graph, runner.store.close_now)
                graph.memory = stamp, runner
        finally:
            del graph.opening["memory"]
            mine.set_result(None)
    if graph.memory[0] != stamp:
        graph.memory = stamp, graph.memory[1]
        graph.memory[1].add(graph, changed=True)
    return graph.memory[1]

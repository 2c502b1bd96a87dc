"""`Graph.run`: a run in the graph's own store, in memory."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from ..core.errors import RunFailed
from ..guardrails.policy import Policy
from .state import State

if TYPE_CHECKING:
    from ..runs import Approval, Budget, Decision, Run
    from ..runs.store import Store
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
    budget: Budget | None,
) -> Run[StateT]:
    """Runs `graph` until it ends, or until a question that no approver answers.

    Raises:
        InvalidInput: The input does not fit the state.
        RunFailed: The run failed; the error carries it.
    """
    from ..runs import Runner

    runner = Runner(memory_of(graph), graphs=[graph], context=context, model=model, policy=policy)
    await runner.open()
    run = await (await runner.start(graph, input, thread_id=thread_id, budget=budget)).wait()
    while approver is not None and run.status == "waiting":
        first = run.approvals[0]
        run = await run.answer(first.id, await approver(first))
    if run.finished:
        await runner.close()
    if run.status == "failed":
        raise RunFailed(run.run_id, run.error or "no reason was given", run) from run.cause
    return run


def memory_of(graph: Graph[Any]) -> Store:
    """The graph's own store, made at first use: threads go on from one `run` to the next, in this process."""
    from ..runs.store import Store

    store = _memories.get(graph)
    if store is None:
        store = _memories[graph] = Store("sqlite://:memory:")
        weakref.finalize(graph, store.close_now)
    return store


_memories: WeakKeyDictionary[Graph[Any], Store] = WeakKeyDictionary()

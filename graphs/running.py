"""`Graph.run`: one run in a store of its own, in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.errors import RunFailed
from ..guardrails.policy import Policy
from .state import State

if TYPE_CHECKING:
    from ..runs import Approval, Budget, Decision, Run
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

    runner = Runner("sqlite://:memory:", graphs=[graph], context=context, model=model, policy=policy)
    async with runner:
        run = await runner.start(graph, input, thread_id=thread_id, budget=budget)
        run = await run.wait()
        while approver is not None and run.status == "waiting":
            for approval in run.approvals:
                run = await run.answer(approval.id, await approver(approval))
            run = await run.wait()
    if run.status == "failed":
        raise RunFailed(run.run_id, run.error or "no reason was given", run)
    return run

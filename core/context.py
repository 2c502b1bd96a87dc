"""The run that the present code belongs to, seen from the rooms below `runs`.

A ContextVar carries it into nodes, tools and model calls, also across tasks and threads that
LangGraph starts. Outside a run it is None, and everything still works: nothing is counted or shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from .messages import Usage


class Permit(Protocol):
    """Leave to call a model, with what the call may use set aside."""

    @property
    def output_tokens(self) -> int | None:
        """Most tokens that the answer may have; None without a limit."""
        ...

    async def again(self) -> None:
        """Ask for leave for the next request of the call; the first has it already."""
        ...

    def release(self) -> None:
        """The call is over."""
        ...


class RunContext(Protocol):
    """What a run offers to models, tools and agents."""

    @property
    def run_id(self) -> str:
        """Id of the run."""
        ...

    @property
    def thread_id(self) -> str:
        """Id of the thread that the run belongs to."""
        ...

    @property
    def model_spec(self) -> object | None:
        """The model that this run was started with (a spec or a Model), or None for the default."""
        ...

    @property
    def deps(self) -> Any:
        """The user's own context object: rebuilt at every resume, never stored."""
        ...

    @property
    def watched(self) -> bool:
        """Whether somebody follows the run live; models stream their text only then."""
        ...

    def emit(self, kind: str, data: Mapping[str, Any], *, node: str | None = None) -> None:
        """Tell whoever watches the run; `kind` is one of `collegium.runs.events.KINDS`."""
        ...

    @property
    def limited(self) -> bool:
        """Whether a budget limits the run's model calls; without one no leave is asked."""
        ...

    async def reserve(
        self, input_tokens: int, output_tokens: int | None, cost_usd: Callable[[int, int], float]
    ) -> Permit:
        """Leave to call a model once what it may use fits into the run's budget; the run parks while it does not.

        Args:
            input_tokens: Of the request, at most.
            output_tokens: Of the answer, at most; None where the caller sets no limit.
            cost_usd: What so many input and output tokens cost; asked only under a budget in US dollars.

        Raises:
            UnknownPrice: The budget is in US dollars, and the model has no price.
        """
        ...

    def spend(self, usage: Usage, model: str) -> None:
        """Count what one model call used."""
        ...


current_run: ContextVar[RunContext | None] = ContextVar("collegium_run", default=None)
"""The run of the present task, or None."""

current_node: ContextVar[str | None] = ContextVar("collegium_node", default=None)
"""Name of the node at work, or None; text deltas and model calls are shown under it."""

node_calls: ContextVar[Iterator[int] | None] = ContextVar("collegium_node_calls", default=None)
"""Counts the tool calls of the node at work from 0; a node's wrapper sets a new one at each attempt."""

unjournaled_effects: ContextVar[bool] = ContextVar("collegium_unjournaled_effects", default=False)
"""Set by `compile(unjournaled_effects=True)`: tools with effects may run outside a run, unprotected."""

"""The run that the present code belongs to, seen from the rooms below `runs`.

A ContextVar carries it into nodes, tools and model calls, also across tasks and threads that
LangGraph starts. Outside a run it is None, and everything still works: nothing is counted or shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from .messages import Usage


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

    def before_model_call(self) -> None:
        """Ask for leave to call a model.

        Raises:
            BudgetExceeded: A limit of the run is spent.
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

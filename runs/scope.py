"""The run that the present code belongs to, as `runs` knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NoReturn

from langchain_core.runnables.config import var_child_runnable_config

from ..core.clock import Clock
from ..core.context import Permit, current_run
from ..core.messages import Usage
from ..core.tape import whole_tape
from ..guardrails.policy import Policy
from . import spending
from .budget import Amounts, Budget, Measure, Purse
from .events import LIVE_ONLY, Event, EventKind
from .guarding import RunGuard
from .spending import Wish
from .store import Store

RUN_KEY = "collegium_run_id"
"""Key of the run id in a checkpoint's metadata."""


@dataclass(slots=True)
class RunScope:
    """One attempt to advance a run: its lease, its services, what it has used. A `core.RunContext`."""

    run_id: str
    thread_id: str
    epoch: int
    """The lease: every write of this attempt carries it."""
    fork: int
    store: Store
    clock: Clock
    policy: Policy
    budget: Budget
    publish: Callable[[Event, int], None]
    """Takes an event and the epoch: stored unless live only, then shown to watchers."""
    model_spec: object | None = None
    deps: Any = None
    guard: RunGuard | None = None
    """What stands between the run and its models, tools and people."""
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    """The model that answered last, as its server names it."""
    tool_calls: int = 0
    reusable: frozenset[tuple[str, str]] = frozenset()
    """Tool and digest of the recorded effects that may stand in for calls of this run."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    """The next event's number; a counter that threads may share."""
    watchers: Callable[[], bool] = bool
    limits: Amounts = field(default_factory=dict[Measure, float])
    """The budget's limits, with what people have added."""
    worked_s: Callable[[], float] = float
    """Seconds that the run has been at work."""
    purse: Purse = field(init=False)

    def __post_init__(self) -> None:
        self.purse = Purse(self.limits, self.amounts)

    @property
    def lane(self) -> str:
        """The lane of the store in which the writes of this lease depend on each other."""
        return lane_of(self.run_id, self.epoch)

    @property
    def watched(self) -> bool:
        """Whether somebody follows the run live."""
        return self.watchers()

    def emit(self, kind: str, data: Mapping[str, Any], *, node: str | None = None) -> None:
        """Publish an event; `kind` is one of `events.KINDS`, anything else becomes `custom`."""
        self.event(_known(kind), data if kind == _known(kind) else {"kind": kind, **data}, node=node)

    def event(self, kind: EventKind, data: Mapping[str, Any], *, node: str | None = None) -> None:
        """Publish an event of a known kind."""
        if kind in LIVE_ONLY:
            if not self.watchers():
                return
            seq = 0
        else:
            seq = next(self.numbers)
        path = node_path() if node is None else node or None
        event = Event(self.run_id, seq, kind, path, self.clock.now(), data)
        for due in (event,) if (tape := whole_tape()) is None else tape.arrange([event]):
            self.publish(due, self.epoch)

    @property
    def limited(self) -> bool:
        """Whether a budget limits the run's model calls."""
        return not self.purse.limits.keys() <= {"tool_calls"}

    async def reserve(
        self, input_tokens: int, output_tokens: int | None, cost_usd: Callable[[int, int], float]
    ) -> Permit:
        """Leave to call a model once what it may use fits into the budget; the run parks while it does not.

        Raises:
            UnknownPrice: The budget is in US dollars, and the model has no price.
        """
        return await spending.leave(self.purse, self._spent, Wish(input_tokens, output_tokens, cost_usd))

    def count_tool_call(self) -> None:
        """Count a tool call that is about to start; the run parks where the budget has none left."""
        if short := self.purse.short_of({"tool_calls": 1}):
            self._spent(short)
        self.tool_calls += 1

    def _spent(self, measure: Measure) -> NoReturn:
        spending.park(self.run_id, node_namespace(), measure, self.purse.limits[measure])

    def amounts(self) -> Amounts:
        """What the run has used, by measure."""
        used = self.usage
        return {
            "tokens": used.input_tokens + used.output_tokens,
            "usd": used.usd,
            "seconds": self.worked_s(),
            "model_calls": used.model_calls,
            "tool_calls": self.tool_calls,
        }

    def spend(self, usage: Usage, model: str) -> None:
        """Count what one model call used."""
        self.usage = self.usage + usage
        self.model = model or self.model


def _known(kind: str) -> EventKind:
    match kind:
        case (
            "text_delta"
            | "reasoning_delta"
            | "model_called"
            | "model_retried"
            | "model_fell_back"
            | "progress"
            | "tool_called"
            | "tool_result"
            | "guard_tripped"
        ):
            return kind
        case _:
            return "custom"


def lane_of(run_id: str, epoch: int) -> str:
    """The lane of the store for one lease of a run."""
    return f"{run_id}/{epoch}"


def run_of(lane: str) -> str:
    """The run whose lane this is."""
    return lane.partition("/")[0]


def current_scope() -> RunScope | None:
    """The run that this code belongs to, or None outside a run."""
    run = current_run.get()
    return run if isinstance(run, RunScope) else None


def node_namespace() -> str:
    """LangGraph's checkpoint namespace of the node at work (`node:task|inner:task`), or an empty text."""
    config = var_child_runnable_config.get()
    return str(config.get("configurable", {}).get("checkpoint_ns", "")) if config else ""


def node_path() -> str | None:
    """Names of the nodes at work, outermost first, joined by `/`; None outside a node."""
    return path_of(node_namespace().split("|")) or None


def path_of(namespace: Iterable[str]) -> str:
    """The node path that checkpoint namespace parts stand for; counters among them are left out."""
    return "/".join(part.partition(":")[0] for part in namespace if not part.isdigit())

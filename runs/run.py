"""A run as its caller sees it: where it stands, what it found, what it waits for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from ..core.errors import InvalidInput, nearest
from ..core.messages import Usage
from ..core.trust import Origin
from .decisions import Approval, Decision
from .events import Event
from .steps import Step

StateT = TypeVar("StateT")

RunStatus = Literal["pending", "queued", "running", "waiting", "done", "failed", "cancelled"]
"""pending waits for its thread, queued for a worker, waiting for a person."""

AT_REST: frozenset[RunStatus] = frozenset({"waiting", "done", "failed", "cancelled"})


class RunHost(Protocol):
    """What a Run asks of the Runner that it came from."""

    async def wait(self, run_id: str, *, timeout_s: float | None = None) -> Run[Any]:
        """The run once it is at rest."""
        ...

    async def get(self, run_id: str) -> Run[Any]:
        """The run as it stands."""
        ...

    async def answer(self, approval_id: str, decision: Decision, *, digest: str | None = None) -> Run[Any]:
        """Record a decision; the run after it."""
        ...

    async def resume(self, run_id: str) -> Run[Any]:
        """Go on with the run."""
        ...

    async def cancel(self, run_id: str, reason: str = "") -> Run[Any]:
        """End the run."""
        ...

    async def history(self, run_id: str) -> list[Step]:
        """The steps of the run."""
        ...

    async def fork(
        self,
        run_id: str,
        *,
        at: str | int,
        values: Mapping[str, Any] | None = None,
        effects: Literal["reuse", "redo"] | None = None,
        thread_id: str | None = None,
    ) -> Run[Any]:
        """A run that goes on from a step of the run."""
        ...

    def events(self, run_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """The run's events."""
        ...


@dataclass(frozen=True, slots=True)
class Run(Generic[StateT]):
    """A run at one moment. Its methods return the run as it stands after them."""

    run_id: str
    thread_id: str
    graph: str
    status: RunStatus
    state: StateT
    """Typed for a Collegium graph, a dict for a plain LangGraph graph; so far as the run has come."""
    labels: Mapping[str, frozenset[Origin]] = field(default_factory=dict[str, "frozenset[Origin]"])
    """Where the values of the fields came from; see `origins`."""
    approvals: tuple[Approval, ...] = ()
    """What waits for a person; empty unless the run waits."""
    redacted: Mapping[str, str | int] = field(default_factory=dict[str, "str | int"], repr=False)
    """What the thread's placeholders stand for, as far as this process knows: `restore(run.state.answer, run.redacted)`
    puts it back."""
    usage: Usage = Usage()
    model: str | None = None
    """The model that answered last, as its server names it."""
    error: str | None = None
    """What went wrong, or why the run was cancelled, in one line."""
    created_at: datetime | None = None
    finished_at: datetime | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    timeout_s: float | None = None
    """Seconds that it may be at work; None is no limit."""
    worked_s: float = 0.0
    """Seconds that it has been at work up to its last rest, since it was started or last resumed after a failure."""
    pruned_at: datetime | None = None
    """When its state and events were removed; None while they are there."""
    parent_run_id: str | None = None
    """The run that this one was forked from, and"""
    forked_at: str | None = None
    """the step of it from which it went on."""
    warning: str = ""
    """Why this may be an earlier state of the run: the store's log is missing, say. Empty for a whole store."""
    host: RunHost | None = field(default=None, repr=False, compare=False)
    cause: BaseException | None = field(default=None, repr=False, compare=False)
    """The exception behind `error`, in the process in which it happened."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("done", "failed", "cancelled")

    def origins(self, field: str) -> frozenset[Origin]:
        """Where the value of a field came from, by all that had a part in it; empty for one that nothing wrote.

        A value with one of `retrieval`, `tool`, `file`, `web` and `mcp` among them is untrusted.

        Raises:
            InvalidInput: The state has no such field.
        """
        if field not in self.labels:
            names = tuple(getattr(type(self.state), "model_fields", {}))
            if field not in names:
                raise InvalidInput(field, f"the state has no such field. {nearest(field, names)}")
        return self.labels.get(field, frozenset())

    def _host(self) -> RunHost:
        if self.host is None:
            raise RuntimeError("This run was not read from a Runner.")
        return self.host

    async def wait(self, *, timeout_s: float | None = None) -> Run[StateT]:
        """The run once it is done, failed, cancelled or waiting for a person.

        Raises:
            TimeoutError: It was still at work after `timeout_s` seconds; it goes on.
        """
        return await self._host().wait(self.run_id, timeout_s=timeout_s)

    async def refresh(self) -> Run[StateT]:
        """The run as it stands."""
        return await self._host().get(self.run_id)

    async def answer(self, approval_id: str, decision: Decision, *, digest: str | None = None) -> Run[StateT]:
        """Decide one approval; returns the run at its next rest.

        Args:
            approval_id: One of `approvals`.
            decision: Approve, Edit, Reject, Respond, or for an effect in doubt Happened, NotHappened, Retry.
            digest: The digest of what was looked at; refused when it is not what waits.

        Raises:
            ApprovalError: It was decided before, has expired, is unknown, or the decision does not fit.
        """
        return await self._host().answer(approval_id, decision, digest=digest)

    async def resume(self) -> Run[StateT]:
        """Go on after a failure, a drain or a crash; returns the run as it stands, `wait` waits for it."""
        return await self._host().resume(self.run_id)

    async def cancel(self, reason: str = "") -> Run[StateT]:
        """End the run; what waits is withdrawn, what was done stays done."""
        return await self._host().cancel(self.run_id, reason)

    def events(self, *, after: int = 0) -> AsyncIterator[Event]:
        """What happened since event `after`, then what happens, until the run rests."""
        return self._host().events(self.run_id, after=after)

    async def history(self) -> list[Step]:
        """The steps that the run has taken, oldest first; see `Runner.history`."""
        return await self._host().history(self.run_id)

    async def fork(
        self,
        *,
        at: str | int,
        values: Mapping[str, Any] | None = None,
        effects: Literal["reuse", "redo"] | None = None,
        thread_id: str | None = None,
    ) -> Run[StateT]:
        """Begin a run that goes on from a step of this one; see `Runner.fork`."""
        return await self._host().fork(self.run_id, at=at, values=values, effects=effects, thread_id=thread_id)

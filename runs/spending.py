"""Leave to call a model under a budget, and the question to a person when the budget is spent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn, cast

from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt

from .budget import OUTPUT_TOKENS, Amounts, Measure, Purse
from .decisions import MARK, Decision, DecisionWord, Extend, Question, decision_from_json, question
from .store import ApprovalRow

_LOOK_S = 0.02
"""Seconds between looks at what calls under way have left over. Calls of one run may come from several event loops."""

Cost = Callable[[int, int], float]
Spent = Callable[[Measure], NoReturn]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a model call may use at most."""

    input_tokens: int
    output_tokens: int | None
    """None: as many as there may be."""
    cost_usd: Cost


class CallPermit:
    """Leave to call a model; what the call may use is set aside until it is released."""

    def __init__(self, purse: Purse, spent: Spent, need: Amounts, output: int) -> None:
        self.output_tokens = output
        self._purse, self._spent, self._need = purse, spent, need
        self._held: int | None = purse.set_aside(need)
        self._first = True

    async def again(self) -> None:
        """Ask for leave for the next request of the call; the first has it already."""
        if self._first:
            self._first = False
            return
        self.release()
        await _room_for(self._purse, self._spent, lambda: self._need)
        self._held = self._purse.set_aside(self._need)

    def release(self) -> None:
        """The call is over."""
        if self._held is not None:
            self._purse.release(self._held)
            self._held = None


async def leave(purse: Purse, spent: Spent, wish: Wish) -> CallPermit:
    """A permit, once the call fits beside those under way; `spent` is called when it never will."""
    need = await _room_for(purse, spent, lambda: _need(purse, wish))
    return CallPermit(purse, spent, need, int(need["tokens"]) - wish.input_tokens)


async def _room_for(purse: Purse, spent: Spent, need: Callable[[], Amounts]) -> Amounts:
    while (short := purse.short_of(wanted := need())) is not None:
        if not purse.calls_under_way:
            spent(short)
        await asyncio.sleep(_LOOK_S)
    return wanted


def _need(purse: Purse, wish: Wish) -> Amounts:
    output = OUTPUT_TOKENS if wish.output_tokens is None else wish.output_tokens
    if wish.output_tokens is None and (left := purse.left("tokens")) is not None:
        output = max(1, min(output, int(left) - wish.input_tokens))
    cost = 0.0
    if (usd := purse.left("usd")) is not None:
        cost, output = _within(usd, wish, output)
    return {"tokens": wish.input_tokens + output, "usd": cost, "model_calls": 1}


def _within(usd: float, wish: Wish, output: int) -> tuple[float, int]:
    """What the call costs at most, and the output that it may have for what is left."""
    fixed, whole = wish.cost_usd(wish.input_tokens, 0), wish.cost_usd(wish.input_tokens, output)
    if whole > usd and wish.output_tokens is None and whole > fixed:
        output = max(1, int(output * (usd - fixed) / (whole - fixed)))
        whole = wish.cost_usd(wish.input_tokens, output)
    return whole, output


def park(run_id: str, namespace: str, measure: Measure, limit: float) -> NoReturn:
    """Let the node at work stop until a person has extended the budget; branches beside it come to their end.

    The question is the same for all branches. It takes no place among those that the node asks itself.
    """
    words: tuple[DecisionWord, ...] = ("extend", "reject")
    asked = question(f"{run_id}/budget/{measure}/{limit!r}", "budget", {"measure": measure, "limit": limit}, words)
    raise GraphInterrupt((Interrupt.from_ns({MARK: [asked]}, namespace),))


def extended(limits: Amounts, rows: Iterable[ApprovalRow]) -> dict[Measure, float]:
    """The limits with what people have added to them."""
    raised = dict(limits)
    for row in rows:
        decision = _decision(row)
        if isinstance(decision, Extend):
            measure = cast(Measure, row.payload["measure"])
            raised[measure] = raised.get(measure, 0) + decision.amount
    return raised


def is_budget(asked: Iterable[Question]) -> bool:
    """Whether an interrupt asks for more budget; it gets no answer, as the node runs again under the new limits."""
    return any(one["kind"] == "budget" for one in asked)


def _decision(row: ApprovalRow) -> Decision | None:
    return decision_from_json(row.decision) if row.kind == "budget" and row.decision is not None else None

"""Limits on what one run may use, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..core.errors import InvalidInput

DEFAULT_STEPS = 200
"""Super-steps after which a run without a budget counts as endless."""

OUTPUT_TOKENS = 4096
"""Output tokens set aside for a call that names no limit of its own, where the budget has as many left."""

Measure = Literal["tokens", "usd", "seconds", "model_calls", "tool_calls"]
MEASURES: tuple[Measure, ...] = ("tokens", "usd", "seconds", "model_calls", "tool_calls")

Amounts = Mapping[Measure, float]


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one run, with all that its sub-graphs and parallel branches do; None is no limit.

    What a call may use at most is set aside before it starts, so no limit is passed. Once the next call does not fit,
    the run waits for a person, who may extend the budget.

    Raises:
        InvalidInput: A limit is negative.
    """

    tokens: int | None = None
    """Input and output tokens together."""
    usd: float | None = None
    """US dollars; a model whose price is not known is not called."""
    seconds: float | None = None
    """Time at work; what the run waits does not count. Looked at before each call."""
    model_calls: int | None = None
    tool_calls: int | None = None
    steps: int = DEFAULT_STEPS
    """Super-steps of the graph without a rest. The run fails beyond them: such a loop is a mistake."""

    def __post_init__(self) -> None:
        for name in (*MEASURES, "steps"):
            limit: float | None = getattr(self, name)
            if limit is not None and limit < 0:
                raise InvalidInput(f"budget.{name}", f"{limit!r} is negative.")

    @property
    def limits(self) -> dict[Measure, float]:
        """The limits that there are."""
        return {name: limit for name in MEASURES if (limit := getattr(self, name)) is not None}


class Purse:
    """What a run may still use: its limits, less what it has used and what calls under way may come to use."""

    def __init__(self, limits: Amounts, used: Callable[[], Amounts]) -> None:
        """Hold calls to these limits; `used` tells what has been used so far."""
        self.limits, self._used = limits, used
        self._held: dict[int, Amounts] = {}
        self._next = 0

    @property
    def calls_under_way(self) -> bool:
        """Whether something is set aside that may yet come free."""
        return bool(self._held)

    def left(self, name: Measure) -> float | None:
        """What is left of one measure; None where it has no limit."""
        if name not in self.limits:
            return None
        held = sum(amounts.get(name, 0) for amounts in self._held.values())
        return self.limits[name] - self._used().get(name, 0) - held

    def short_of(self, need: Amounts) -> Measure | None:
        """The first limit that a call with this need would pass; None when it fits."""
        for name in self.limits:
            left = self.left(name)
            if left is not None and (need.get(name, 0) > left or (name == "seconds" and left <= 0)):
                return name
        return None

    def set_aside(self, need: Amounts) -> int:
        """Keep this much for a call that is about to start; returns what `release` takes."""
        self._next += 1
        self._held[self._next] = need
        return self._next

    def release(self, held: int) -> None:
        """The call is over; what it used is counted elsewhere."""
        self._held.pop(held, None)

    def used(self, name: Measure) -> float:
        """What has been used of one measure."""
        return self._used().get(name, 0)

"""Bounded loops: a conditional edge that goes back at most so many times."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig

from ..core.errors import GraphSetupError
from .channels import reader, write_channel
from .guard import Targets
from .routers import Choice


@dataclass(frozen=True, slots=True)
class Loop:
    """What `add_loop` was told."""

    name: str
    back_to: str
    at_most: int
    then: str
    otherwise: str

    @property
    def counter(self) -> str:
        """The hidden channel that counts how often the loop went back."""
        return f"__loop__{self.name}"

    @property
    def branch(self) -> str:
        """Name of the conditional edge."""
        return f"loop at {self.name}"


class LoopRouter(Runnable[Any, Any]):
    """Leaves the loop when its condition holds or its bound is reached, else goes back.

    Leaving resets the counter, so that a loop inside another has its full bound each time it is entered.
    """

    def __init__(self, loop: Loop, until: Choice, targets: Targets) -> None:
        self.name = loop.branch
        self.loop, self.until, self.targets = loop, until, targets

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The next node."""
        with self.until.reading(config):
            done = self.until(input, config)
        if inspect.isawaitable(done):
            if inspect.iscoroutine(done):
                done.close()
            raise GraphSetupError(f"The condition of {self.name!r} is async; use ainvoke instead of invoke.")
        return self._next(bool(done), config)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The next node."""
        with self.until.reading(config):
            done = self.until(input, config)
            done = await done if inspect.isawaitable(done) else done
        return self._next(bool(done), config)

    def _next(self, done: bool, config: RunnableConfig | None) -> str:
        read = reader(config)
        times = (read(self.loop.counter) or 0) if read else 0
        again = not done and times < self.loop.at_most
        if config is not None:
            write_channel(config, self.loop.counter, times + 1 if again else 0)
        if again:
            return self.loop.back_to
        return self.loop.then if done else self.loop.otherwise

"""Conditional edges: a function of the state that chooses the next node, and whose choice is checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.types import Send

from ..core.errors import GraphSetupError, UndeclaredTarget
from ..core.trust import current_reading
from .guard import Targets
from .labels import Labeller, led_by
from .nodes import Inputs

PathMap = dict[Hashable, str]


class Choice:
    """A predicate or router with its arguments taken from the state."""

    def __init__(self, function: Callable[..., Any] | Runnable[Any, Any], inputs: Inputs) -> None:
        self.function, self.inputs = function, inputs
        self._labeller = Labeller(inputs.fields, inputs.reads)

    @contextmanager
    def reading(self, config: RunnableConfig | None) -> Generator[None]:
        """Around a choice: what it reads is noted as what leads the run from here."""
        seen = self._labeller.begin(config, after=True)
        outer = current_reading.set(seen)
        try:
            yield
        finally:
            current_reading.reset(outer)
        led_by(seen, config)

    def __call__(self, values: Mapping[str, Any], config: RunnableConfig | None) -> Any:
        """What it says now; an awaitable if it is async."""
        function: Any = self.function
        if isinstance(function, Runnable):
            return cast(Any, function).invoke(self.inputs.state(values), config)
        arguments = self.inputs.arguments(values, config)
        ordered = [arguments.pop(name) for name in self.inputs.positional if name in arguments]
        return function(*ordered, **arguments)


class Router(Runnable[Any, Any]):
    """The path function of a conditional edge."""

    def __init__(self, name: str, source: str, choice: Choice, targets: Targets, path_map: PathMap | None) -> None:
        self.name = name
        self.source, self.choice, self.targets, self.path_map = source, choice, targets, path_map

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The next nodes.

        Raises:
            GraphSetupError: The router is async; the graph must be run with `ainvoke`.
            UndeclaredTarget: It chose what is not there.
        """
        with self.choice.reading(config):
            chosen = self.choice(input, config)
        if inspect.isawaitable(chosen):
            if inspect.iscoroutine(chosen):
                chosen.close()
            raise GraphSetupError(f"The router {self.name!r} is async; use ainvoke instead of invoke.")
        return self.checked(chosen)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The next nodes. A sync function is called here and not in a thread: it only looks at the state."""
        with self.choice.reading(config):
            chosen = self.choice(input, config)
            chosen = await chosen if inspect.isawaitable(chosen) else chosen
        return self.checked(chosen)

    def checked(self, chosen: Any) -> Any:
        """What was chosen, as LangGraph takes it."""
        if isinstance(chosen, (list, tuple)):
            return [self._one(part) for part in cast("Iterable[Any]", chosen)]
        return self._one(chosen)

    def _one(self, chosen: Any) -> Any:
        if isinstance(chosen, Send) or self.path_map is None:
            return self.targets.check(self.source, chosen)
        if chosen not in self.path_map:
            raise UndeclaredTarget(self.source, str(chosen), tuple(map(str, self.path_map)))
        return chosen

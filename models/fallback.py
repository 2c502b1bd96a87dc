"""Several models behind one: the next is asked when one gives no usable answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from ..core.errors import BackendError, InvalidInput, OutputRefused, UnsupportedParameter
from .backend import Backend, Call, answer_of, events_of, tell
from .base import Capabilities, Completion, Model, StreamEvent

_KEPT = (OutputRefused, UnsupportedParameter)
"""Errors that another model must not hide: a refusal is a decision, and a wrong setting a mistake."""


class Fallback(Backend):
    """Asks its models in turn until one answers; `model("SPEC|SPEC")` makes one.

    Each has an equal share of what is left of the deadline, if the call has one. A model that parses no tool calls is
    left out where there are tools. A refusal to answer is an answer: no other model is asked.

    Args:
        models: The first is the one wanted.

    Raises:
        InvalidInput: There is none.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        if not models:
            raise InvalidInput("models", "a fallback needs at least one model.")
        self._models = tuple(models)

    @property
    def spec(self) -> str:
        """The specs of all, in order, with `|` between."""
        return "|".join(model.spec for model in self._models)

    async def capabilities(self) -> Capabilities:
        """Those of the first model that can be reached.

        Raises:
            BackendError: None can.
        """
        for model in self._models[:-1]:
            try:
                return await model.capabilities()
            except BackendError:
                continue
        return await self._models[-1].capabilities()

    async def answer(self, call: Call) -> Completion[Any]:
        """The answer of the first model that gives one.

        Raises:
            BackendError: The last model's, with the requests of all.
        """
        turn = _Turn(self._models, call)
        async for model, share in turn.shares():
            try:
                completion = await answer_of(model, share)
            except BackendError as error:
                turn.pass_on(model, error)
            else:
                return replace(completion, requests=completion.requests + turn.requests)
        raise turn.blamed()

    async def answer_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The stream of the first model that begins one; a stream that breaks off is not gone on with by another.

        Raises:
            BackendError: As `answer`.
        """
        turn = _Turn(self._models, call)
        async for model, share in turn.shares():
            begun = False
            try:
                async with aclosing(events_of(model, share)) as events:
                    async for event in events:
                        begun = True
                        if isinstance(event, Completion):
                            event = replace(event, requests=event.requests + turn.requests)
                        yield event
            except BackendError as error:
                if begun:
                    raise
                turn.pass_on(model, error)
            else:
                return
        raise turn.blamed()

    async def aclose(self) -> None:
        """Close the connections of all."""
        for model in self._models:
            await model.aclose()


class _Turn:
    """One call on its way from model to model."""

    def __init__(self, models: Sequence[Model], call: Call) -> None:
        self._models, self._call = models, call
        self._until = None if call.timeout_s is None else asyncio.get_running_loop().time() + call.timeout_s
        self._failed: tuple[Model, BackendError] | None = None
        self.requests = 0
        """Sent in vain so far."""

    async def shares(self) -> AsyncGenerator[tuple[Model, Call], None]:
        """Each model that fits, with its share of the time."""
        for number, model in enumerate(self._models):
            if self._failed is not None:
                if not await self._fits(model):
                    continue
                before, error = self._failed
                tell("model_fell_back", {"spec": before.spec, "to": model.spec, "error": str(error)})
            yield model, replace(self._call, timeout_s=self._share_s(len(self._models) - number))

    def pass_on(self, model: Model, error: BackendError) -> None:
        """Let the next model try, unless the error is an answer in itself.

        Raises:
            BackendError: It is.
        """
        self.requests += error.requests
        error.requests = self.requests
        if isinstance(error, _KEPT):
            raise error
        self._failed = (model, error)

    def blamed(self) -> BackendError:
        """The last error."""
        assert self._failed is not None
        return self._failed[1]

    async def _fits(self, model: Model) -> bool:
        if not self._call.tools:
            return True
        try:
            return (await model.capabilities()).tools
        except BackendError:
            return False

    def _share_s(self, left: int) -> float | None:
        if self._until is None:
            return None
        return max(0.0, self._until - asyncio.get_running_loop().time()) / left

"""One of several routes, chosen for a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, create_model

from ..core.errors import GraphSetupError, InvalidOutput
from ..knowledge.words import terms
from ..models import Model
from ..models import model as resolve
from ._agent import Agent
from ._choices import one_of
from ._prompts import Prompt
from ._words import origins_of, text_of
from .values import Answer, Step


class Router(Agent):
    """Chooses a route for a text: the model may say nothing but one of the names.

    For a tiny model the program chooses: the route whose name and description share most words with the
    text, the first one when they share none.

    Args:
        model: The model, or its spec; None takes that of the run.
        routes: Name to when it is taken. The names are nodes when it stands on a conditional edge.
        on: The field that it reads on a conditional edge.
        otherwise: The route when the model gives no valid name; None raises.
        prompt: Instructions in place of our own, as text or as a file.
    """

    def __init__(
        self,
        model: Model | str | None,
        routes: Mapping[str, str],
        *,
        on: str = "text",
        otherwise: str | None = None,
        prompt: str | Path | None = None,
    ) -> None:
        if len(routes) < 2:
            raise GraphSetupError(f"A Router needs two routes or more; it has {list(routes)}.")
        if otherwise is not None and otherwise not in routes:
            raise GraphSetupError(f"otherwise={otherwise!r} is not a route: {', '.join(routes)}.")
        self.model = resolve(model)
        self.routes = dict(routes)
        self.reads = {"text": on}
        self.targets = tuple(self.routes)
        self._otherwise = otherwise
        self._prompt = Prompt("router", prompt)
        self._choice: type[BaseModel] = create_model("Choice", route=(one_of(self.routes), ...))

    async def __call__(self, text: str | Step | Answer) -> str:
        """The name of the route.

        Raises:
            InvalidOutput: The model named no route, and there is no `otherwise`.
            BackendError: The model cannot be used.
        """
        if (await self.model.capabilities()).level == "tiny":
            return self._by_words(text_of(text))
        lines = "\n".join(f"- {name}: {when}" for name, when in self.routes.items())
        messages = self._prompt.messages(origins=origins_of(text), routes=lines, text=text_of(text))
        try:
            said = await self.model.complete(messages, output=self._choice)
        except InvalidOutput:
            if self._otherwise is None:
                raise
            return self._otherwise
        return str(getattr(said.output, "route"))  # noqa: B009  (the type is made at run time)

    def _by_words(self, text: str) -> str:
        words = set(terms(text))
        shared: dict[str, int] = {name: len(words & set(terms(f"{name} {when}"))) for name, when in self.routes.items()}
        best = max(shared, key=lambda name: shared[name])
        return self._otherwise if self._otherwise and not shared[best] else best

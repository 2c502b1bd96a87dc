"""A model under the full probe: requests go out as they are, with no ladder and no adaptation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ..asking import count_tokens
from ..backend import Call
from ..base import Completion, StreamEvent
from ..decoding import Names
from ..profiles import Profile
from .effort import Effort
from .exchange import Exchange
from .failures import Transient
from .request import build_request
from .response import Reader


class Bare:
    """One model on one server, without what `CompatibleModel` does to get along with it.

    Args:
        name: The model's name at the server.
        profile: The server's row of the table.
        exchange: Carries requests and answers.
        reader: Reads the answers.
        limit_s: Deadline of one answer.
    """

    def __init__(self, name: str, profile: Profile, exchange: Exchange, reader: Reader, limit_s: float) -> None:
        self._name, self._profile, self._exchange, self._reader = name, profile, exchange, reader
        self._limit_s = limit_s

    @property
    def settings(self) -> Names:
        """The decoding settings that it takes."""
        return self._profile.settings(self._name)

    async def ask(self, call: Call, form: Mapping[str, Any] | None = None) -> Completion[None]:
        """One whole answer, with this `response_format`."""
        try:
            return await self._exchange.ask(self._body(call, response_format=form), call, self._effort())
        except Transient as failure:
            raise failure.error from failure

    async def fetch(self, call: Call) -> dict[str, Any]:
        """One whole answer as the server's JSON."""
        try:
            return self._reader.loads((await self._exchange.transport.post(self._body(call))).data)
        except Transient as failure:
            raise failure.error from failure

    async def stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes."""

        def build(count: bool) -> dict[str, Any]:
            return self._body(call, stream=True, count=count)

        try:
            async for event in self._exchange.events(build, call, self._effort()):
                yield event
        except Transient as failure:
            raise failure.error from failure

    async def count(self, text: str) -> int | None:
        """Tokens of a text by the server's own tokenizer, if it has one."""
        return await count_tokens(self._exchange.transport, self._profile, self._name, text)

    def _body(self, call: Call, **form: Any) -> dict[str, Any]:
        return build_request(self._name, call, names=self.settings, spec=self._reader.model, **form)

    def _effort(self) -> Effort:
        return Effort.of(self._limit_s)

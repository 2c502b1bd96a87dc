"""Structured output: down a ladder of what servers can hold to, then a bounded repair."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from ..core.errors import BackendRejected, InvalidOutput, OutputTruncated
from ..core.messages import Message, ToolSpec, Usage, assistant, user
from .backend import Call
from .base import Completion, FinishReason, Level, Params, Rung
from .schemas import NARROW, ROOMY, WIDE, Bounds, Schema, problems, schema_of

RUNGS: Final[tuple[Rung, ...]] = ("json_schema", "tool", "json_object", "prompt")
REPAIRS = 2
"""How often a model is shown what is wrong with its answer."""
_QUOTED_BACK = 4000
"""Characters of a bad answer that the model sees again."""
_PENALTY = 1.2
"""Without it a model of 135 million parameters repeats its first list item, or a sentence, up to the limit."""

Ask = Callable[[Call, Mapping[str, Any] | None], Awaitable[Completion[None]]]
"""Sends one call with a `response_format`."""


class FormatRefused(BackendRejected):
    """The server refused the form of the request; a lower rung of the ladder may hold."""


class Ladder:
    """Structured output of one model on one server; learns which rung holds.

    Args:
        spec: How the model is named in errors.
        hosted: A paid service, whose models need no limits on strings and lists.
        penalised: The server takes a repetition penalty.
        lowered: Told when a rung turned out not to hold in general.
    """

    def __init__(
        self,
        spec: str,
        *,
        hosted: bool,
        penalised: bool = False,
        lowered: Callable[[Rung], None] = lambda _: None,
    ) -> None:
        self._spec, self._hosted, self._penalised, self._lowered = spec, hosted, penalised, lowered
        self._held: dict[str, Rung] = {}

    async def descend(self, call: Call, start: Rung, level: Level, ask: Ask) -> Completion[Any]:
        """A completion whose `output` is a valid value of `call.output`.

        Args:
            call: What to ask.
            start: The highest rung that is believed to hold.
            level: Tiny models get narrow limits.
            ask: Sends a call.

        Raises:
            InvalidOutput: No valid value came, also after repair.
            OutputTruncated: The answer was cut at the token limit.
            BackendError: As `ask`.
        """
        bounds = None if self._hosted else NARROW if level == "tiny" else WIDE
        schema = schema_of(call.output, bounds)
        first = self._held.get(schema.digest, start)
        for rung in RUNGS[RUNGS.index(first) :]:
            try:
                completion = await _Attempt(self._spec, schema, rung, call, ask, penalised=self._penalised).run()
            except FormatRefused:
                if rung == RUNGS[-1]:
                    raise
                continue
            self._note(schema, start, rung)
            return completion
        raise AssertionError("the last rung returns or raises")

    def _note(self, schema: Schema, start: Rung, rung: Rung) -> None:
        """Keep which rung held; two different schemas refused mean that the server knows none."""
        if rung == start or self._held.get(schema.digest) == rung:
            return
        self._held[schema.digest] = rung
        if len(self._held) == 2:
            self._lowered(min(self._held.values(), key=RUNGS.index))


class _Attempt:
    """One rung: the first answer, its repairs, and what they used."""

    def __init__(self, spec: str, schema: Schema, rung: Rung, call: Call, ask: Ask, *, penalised: bool) -> None:
        self._spec, self._schema, self._rung, self._call, self._ask = spec, schema, rung, call, ask
        self._tiny, self._penalised = schema.bounds == NARROW, penalised
        self._wanders = False
        self._tries = 0
        self._usage = Usage()
        self._max_tokens = call.params.max_tokens or _first_limit(schema)
        self._grown = call.params.max_tokens is not None
        self._notes: tuple[Message, ...] = ()

    async def run(self) -> Completion[Any]:
        problem, cut_one = "", None
        for self._tries in range(1 + REPAIRS):
            completion, text = await self._answer()
            try:
                value = self._schema.parse(text)
            except ValidationError as error:
                problem = problems(error)
            else:
                done = self._done(completion, text, value)
                if done.finish_reason == "stop":
                    return done
                cut_one = cut_one or done
                self._widen()
                continue
            if completion.finish_reason == "length":
                self._make_room(cut_one)
            else:
                self._notes = (assistant(text[:_QUOTED_BACK]), user(self._complaint(problem)))
        if cut_one is not None:
            return replace(cut_one, usage=self._usage)
        raise InvalidOutput(
            self._spec,
            f"no valid {self._schema.name} in {1 + REPAIRS} answers; the last: {problem}. "
            "Simplify the type, or use a more capable model.",
        )

    async def _answer(self) -> tuple[Completion[None], str]:
        completion = await self._ask(self._step(), self._form())
        self._usage += completion.usage
        named = [c.arguments for c in completion.tool_calls if c.name == self._schema.name]
        return completion, named[0] if named else completion.text

    def _done(self, completion: Completion[None], text: str, value: Any) -> Completion[Any]:
        reason: FinishReason = "length" if self._schema.is_cut(text) else "stop"
        return replace(
            completion,
            text=text,
            output=value,
            tool_calls=(),
            usage=self._usage,
            finish_reason=reason,
            rung=self._rung,
        )

    def _step(self) -> Call:
        call = self._call
        messages = (*call.messages, *self._notes)
        if self._rung in ("json_object", "prompt") and not self._notes:
            messages = _with_instruction(call.messages, self._schema)
        tools: tuple[ToolSpec, ...] = ()
        if self._rung == "tool":
            tools = (
                {
                    "name": self._schema.name,
                    "description": "Give the answer.",
                    "parameters": self._schema.wire,
                },
            )
        return replace(
            call,
            messages=messages,
            output=None,
            tools=tools,
            tool_choice=self._schema.name if tools else "auto",
            params=self._params(),
        )

    def _params(self) -> Params:
        """The caller's, and against a tiny model's loops a penalty; after a cut some chance, too."""
        params = replace(self._call.params, max_tokens=self._max_tokens)
        if not self._tiny:
            return params
        if self._penalised and params.repetition_penalty is None:
            params = replace(params, repetition_penalty=_PENALTY)
        if self._wanders:
            params = replace(params, temperature=max(params.temperature or 0.0, 0.7), seed=self._tries)
        return params

    def _form(self) -> dict[str, Any] | None:
        schema = self._schema
        if self._rung == "json_schema":
            named = {"name": schema.name, "strict": schema.strict, "schema": schema.wire}
            return {"type": "json_schema", "json_schema": named}
        return {"type": "json_object"} if self._rung == "json_object" else None

    def _widen(self) -> None:
        """Lift the limits that a text or a list reached; a tiny model rambles, and gets others in their place."""
        self._wanders = self._tiny
        if self._tiny and not self._grown and self._max_tokens is not None:
            self._grown, self._max_tokens = True, self._max_tokens * 2
        self._schema = schema_of(self._call.output, ROOMY if self._tiny else None)

    def _make_room(self, cut_one: Completion[Any] | None) -> None:
        """Allow more tokens, once.

        Raises:
            OutputTruncated: That is not for us to do, and no whole answer is there.
        """
        if not self._grown and self._max_tokens is not None:
            self._grown, self._max_tokens = True, self._max_tokens * 2
        elif self._tiny:
            self._wanders = True
        elif cut_one is None:
            raise OutputTruncated(
                self._spec,
                f"the answer was cut at {self._max_tokens or 'the server’s limit of'} tokens before it was "
                f"a whole {self._schema.name}; raise max_tokens or ask for less.",
            )

    def _complaint(self, problem: str) -> str:
        return (
            f"That is not a valid answer: {problem}. Answer again, with nothing but JSON that fits this "
            f"JSON Schema:\n{json.dumps(self._schema.wire, ensure_ascii=False)}"
        )


def _first_limit(schema: Schema) -> int | None:
    """Tokens for the first try, where a model may run on: room for the limits of the schema."""
    bounds: Bounds | None = schema.bounds
    if bounds is None:
        return None
    return 700 if bounds == NARROW else 4096


def _with_instruction(messages: tuple[Message, ...], schema: Schema) -> tuple[Message, ...]:
    text = f"Answer with nothing but JSON that fits this JSON Schema:\n{json.dumps(schema.wire, ensure_ascii=False)}"
    last = messages[-1]
    if last.role == "user":
        return (*messages[:-1], replace(last, content=f"{last.content}\n\n{text}"))
    return (*messages, user(text))

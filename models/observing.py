"""The full probe: what a server does, seen from outside in some fifteen short requests.

Each question is put so that a model without the feature would answer in another way: prose is asked for
under a schema, a greeting where a tool is required, one tool where another would fit. None stands for
"not seen": the model never called a tool at all, say, so nothing can be told of two calls at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from ..core.errors import BackendError
from ..core.messages import ToolSpec, user
from ._json import as_list, as_object
from .asking import Said
from .backend import Call
from .base import Behaviour, Completion, StreamEvent
from .decoding import Names, Params, without_untaken

T = TypeVar("T")

LIMIT_S: Final = 120.0
"""How long one answer may take."""
DEFAULT_WINDOW: Final = 4096
"""What servers that cut in silence have by default."""
_GREEDY: Final = Params(temperature=0.0, max_tokens=80, seed=7)
_COLOURS: Final = ("teal", "ochre")
_COLOUR: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": list(_COLOURS)}},
    "required": ["colour"],
    "additionalProperties": False,
}
_FORM: Final[Mapping[str, Any]] = {
    "type": "json_schema",
    "json_schema": {"name": "colour", "strict": True, "schema": _COLOUR},
}


def _tool(name: str, description: str) -> ToolSpec:
    parameters = {
        "type": "object",
        "properties": {"time": {"type": "string", "description": "HH:MM"}},
        "required": ["time"],
        "additionalProperties": False,
    }
    return {"name": name, "description": description, "parameters": parameters}


_ALARM: Final = _tool("set_alarm", "Set an alarm at a time of day.")
_FERRY: Final = _tool("find_ferry", "Find the ferry that leaves at a time of day.")
_WAKE: Final = user("Use the tool set_alarm: wake me at 06:30.")


class Subject(Protocol):
    """A model on a server, asked without any of the adaptations that hide what it does."""

    @property
    def settings(self) -> Names:
        """The decoding settings that it takes."""
        ...

    async def ask(self, call: Call, form: Mapping[str, Any] | None = None) -> Completion[None]:
        """One whole answer, with this `response_format`."""
        ...

    async def fetch(self, call: Call) -> dict[str, Any]:
        """One whole answer as the server's JSON."""
        ...

    def stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes."""
        ...

    async def count(self, text: str) -> int | None:
        """Tokens of a text by the server's own tokenizer, if it has one."""
        ...


async def observe(subject: Subject, said: Said, *, context_tokens: int | None, tools: bool) -> Behaviour:
    """What the server does.

    Args:
        subject: Whom to ask.
        said: What the server tells of itself.
        context_tokens: The window that its listing tells.
        tools: Whether its documentation promises tool calls; else none are tried.

    Raises:
        BackendError: The server does not answer.
    """
    probe = _Probe(subject)
    await probe.greet()
    window = said.context_tokens or context_tokens
    seen = _Tools() if not tools else await probe.tools()
    return Behaviour(
        version=said.version,
        schema_enforced=await probe.schema_enforced(),
        schema_with_tools=await probe.schema_with_tools() if seen.called else None,
        tool_required=seen.required,
        tool_named=seen.named,
        parallel_calls=seen.parallel,
        stream_tools=seen.streamed,
        reasoning_field=await probe.reasoning_field(),
        window_reported=window,
        window_found=await probe.window_found(window),
        logprobs=await probe.logprobs(),
        seed=await probe.seed(),
        tokenizer=await subject.count("How many tokens are these?") is not None,
    )


@dataclass(frozen=True, slots=True)
class _Tools:
    called: bool = False
    required: bool | None = None
    named: bool | None = None
    parallel: bool | None = None
    streamed: bool | None = None


class _Probe:
    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._greedy = without_untaken(_GREEDY, subject.settings)

    def _call(self, text: str, *tools: ToolSpec, choice: str = "auto", **params: Any) -> Call:
        decoding = without_untaken(Params(**{**self._greedy.given(), **params}), self._subject.settings)
        return Call((user(text),), tools=tools, tool_choice=choice, params=decoding)

    async def _ask(self, call: Call, form: Mapping[str, Any] | None = None) -> Completion[None] | None:
        return await _tried(self._subject.ask(call, form))

    async def greet(self) -> None:
        """Nothing that follows is worth asking where this is not answered."""
        await self._subject.ask(self._call("Say yes.", max_tokens=8))

    async def schema_enforced(self) -> bool:
        """Prose is asked for; only a constraint makes JSON of it."""
        asked = "Write one sentence about the sea, in plain words. Do not write JSON."
        done = await self._ask(self._call(asked), _FORM)
        if done is None or done.finish_reason != "length":
            return done is not None and _is_colour(done.text)
        return _begins_colour(done.text)

    async def schema_with_tools(self) -> bool | None:
        """Whether the tool that was called without a schema is called beside one, too."""
        done = await self._ask(self._call(_WAKE.content, _ALARM), _FORM)
        if done is None:
            return False
        return True if done.tool_calls else False if _is_colour(done.text) else None

    async def tools(self) -> _Tools:
        """What becomes of tools and `tool_choice`."""
        plain = await self._ask(self._call(_WAKE.content, _ALARM))
        called = plain is not None and bool(plain.tool_calls)
        return _Tools(
            called=called,
            required=await self._required(),
            named=await self._named(),
            parallel=await self._parallel() if called else None,
            streamed=await self._streamed() if called else None,
        )

    async def _required(self) -> bool:
        done = await self._ask(self._call("Say hello to Ada.", _ALARM, choice="required"))
        return done is not None and bool(done.tool_calls)

    async def _named(self) -> bool:
        done = await self._ask(self._call(_WAKE.content, _ALARM, _FERRY, choice="find_ferry"))
        return done is not None and {call.name for call in done.tool_calls} == {"find_ferry"}

    async def _parallel(self) -> bool | None:
        asked = "Use the tool set_alarm twice, both calls at once: wake me at 06:30 and again at 07:45."
        done = await self._ask(self._call(asked, _ALARM, max_tokens=160))
        return len(done.tool_calls) > 1 if done is not None and done.tool_calls else None

    async def _streamed(self) -> bool:
        async def last() -> Completion[None] | None:
            events = self._subject.stream(self._call(_WAKE.content, _ALARM))
            found: Completion[None] | None = None
            async for event in events:
                found = event if isinstance(event, Completion) else found
            return found

        done = await _tried(last())
        return done is not None and any(_is_whole(call.arguments) for call in done.tool_calls)

    async def reasoning_field(self) -> str | None:
        """The field of the message that holds reasoning, or `tags`."""
        data = await _tried(self._subject.fetch(self._call("What is 17 times 3? Think first.", max_tokens=200)))
        choice = as_object(next(iter(as_list((data or {}).get("choices"))), None))
        message = as_object(choice.get("message"))
        if field := next((name for name in ("reasoning", "reasoning_content") if message.get(name)), None):
            return field
        return "tags" if str(message.get("content") or "").lstrip().startswith("<think") else None

    async def window_found(self, reported: int | None) -> int | None:
        """Tokens that a server counted of a prompt longer than that; None where it cut nothing or refused.

        Asked only where that costs seconds: up to a fifth over the default of servers that cut.
        """
        window = min(reported or DEFAULT_WINDOW, DEFAULT_WINDOW)
        short, long = await self._counted(200), await self._counted(window + window // 5)
        if short is None or long is None:
            return None
        expected = short / 200 * (window + window // 5)
        return long if long < 0.85 * expected else None

    async def _counted(self, words: int) -> int | None:
        call = self._call("Say yes.\n" + "apple " * words, max_tokens=1)
        data = await _tried(self._subject.fetch(call))
        count = as_object((data or {}).get("usage")).get("prompt_tokens")
        return count if isinstance(count, int) else None

    async def logprobs(self) -> bool:
        """Whether they come when they are asked for."""
        call = self._call("Say yes.", max_tokens=3)
        extra = {"logprobs": True, "top_logprobs": 2}
        asked = Call(call.messages, params=Params(**call.params.given(), extra=extra))
        done = await self._ask(asked)
        return done is not None and bool(done.logprobs)

    async def seed(self) -> bool | None:
        """Whether a seed repeats a text that another seed changes; None where both give the same."""
        if not {"seed", "temperature"} <= self._subject.settings.keys():
            return None
        first, again, other = [await self._drawn(seed) for seed in (11, 11, 12)]
        if first is None or again is None or other is None or first == again == other:
            return None
        return first == again

    async def _drawn(self, seed: int) -> str | None:
        done = await self._ask(self._call("Invent a name for a ship.", temperature=1.0, max_tokens=24, seed=seed))
        return done.text if done else None


async def _tried(asked: Awaitable[T]) -> T | None:
    """The answer, or None where the server refuses or the answer is of no use."""
    try:
        async with asyncio.timeout(LIMIT_S):
            return await asked
    except (BackendError, TimeoutError):
        return None


def _is_colour(text: str) -> bool:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and as_object(value).get("colour") in _COLOURS and len(as_object(value)) == 1


def _begins_colour(text: str) -> bool:
    """Whether an answer that was cut keeps to the schema so far: weak models fill it up with blanks."""
    so_far = "".join(text.split())
    return so_far != "" and any(f'{{"colour":"{colour}"}}'.startswith(so_far) for colour in _COLOURS)


def _is_whole(arguments: str) -> bool:
    try:
        return "06:30" in str(as_object(json.loads(arguments)).get("time"))
    except ValueError:
        return False

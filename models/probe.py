"""A small quiz that tells how far a local model can be trusted, in a handful of short calls.

Three stages, each only when the one before was passed: answers copied from a text under a schema (tiny
or better), one tool call, then pairs of answers judged in both orders (small models name the first).
The quiz is fixed, decoding is greedy, and the shots before the questions are the same each time, so a
server with a prefix cache reads them once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Protocol

from pydantic import BaseModel, Field

from ..core.errors import (
    BackendRejected,
    BackendTimeout,
    InvalidOutput,
    OutputRefused,
    OutputTruncated,
)
from ..core.messages import Message, ToolSpec, assistant, system, user
from .base import Capabilities, Completion, Level, Model, Params, Rung

GREEDY = Params(temperature=0.0, max_tokens=60, seed=7)
"""How the quiz wants its answers."""
_ANSWER_TIMEOUT_S = 120.0
_WRONG_ALLOWED = 1
_FAILS = (InvalidOutput, OutputTruncated, OutputRefused, BackendRejected, BackendTimeout)
"""A wrong answer, as opposed to a server that is not there."""


class _Short(BaseModel):
    answer: Annotated[str, Field(max_length=80)]


class _Choice(BaseModel):
    better: Literal["A", "B"]


class _Item(NamedTuple):
    text: str
    question: str
    gold: str


class _Pair(NamedTuple):
    question: str
    right: str
    wrong: str


_SHOTS = (
    _Item("The lamp was lit in 1888 by Helen Tarr, its first keeper.", "Who lit the lamp?", "Helen Tarr"),
    _Item("The choir has 34 singers. It meets on Mondays.", "How many singers has the choir?", "34"),
    _Item("Worn belts are sent back. Cracked rims are melted down.", "What is melted down?", "Cracked rims"),
)
_QUIZ = (
    _Item(
        "The ferry Aster leaves Pier 4 at 06:40. The ferry Borea leaves Pier 9 at 07:15.",
        "When does the Borea leave?",
        "07:15",
    ),
    _Item(
        "Glaze the tiles twice. The first coat needs 9 hours to dry, the second needs only 4.",
        "How long does the second coat need to dry?",
        "4",
    ),
    _Item(
        "Before the merger Okafor led sales and Lindqvist led research. Afterwards Okafor led both.",
        "Who led research before the merger?",
        "Lindqvist",
    ),
    _Item(
        "Version 3 writes its logs to a file. Version 2 wrote them to a socket and had no colours.",
        "Where did version 2 write its logs?",
        "socket",
    ),
    _Item(
        "The museum charges adults 12 crowns and students 7 crowns; children under six enter free.",
        "What do students pay?",
        "7 crowns",
    ),
    _Item(
        "Rye was sown in the north field, barley in the south field, and the east field lay fallow.",
        "What was sown in the south field?",
        "barley",
    ),
)
_PAIRS = (
    _Pair("What is 17 times 3?", "51", "54"),
    _Pair(
        "A train leaves at 14:50 and rides for 35 minutes. When does it arrive?",
        "It arrives at 15:25.",
        "It arrives at 15:35.",
    ),
    _Pair(
        "All clerks have keys. Mira has no key. Is Mira a clerk?",
        "No: a clerk would have a key.",
        "Yes: nothing says that she is not.",
    ),
)
_ADD: ToolSpec = {
    "name": "set_alarm",
    "description": "Set an alarm at a time of day.",
    "parameters": {
        "type": "object",
        "properties": {"time": {"type": "string", "description": "HH:MM"}},
        "required": ["time"],
        "additionalProperties": False,
    },
}


class Declared(Protocol):
    """What a provider's documentation says."""

    @property
    def structured(self) -> Rung:
        """The highest rung."""
        ...

    @property
    def tools(self) -> bool:
        """Whether tool calls are parsed."""
        ...


async def measure(model: Model, declared: Declared, params: Params = GREEDY) -> Capabilities:
    """What the model can do, by the quiz.

    Args:
        model: Asked two to thirteen short questions, greedily.
        declared: What its server is documented to do; the quiz may only lower it.
        params: How to decode; greedily, as far as the server takes that.

    Raises:
        BackendUnavailable: The server does not answer.
    """
    rungs: list[Rung | None] = []
    wrong = 0
    for item in _QUIZ:
        done = await _extract(model, item, params)
        rungs.append(done.rung if done else None)
        wrong += not _is_right(item, done)
        if wrong > _WRONG_ALLOWED:
            return Capabilities("tiny", _lowest(rungs, declared.structured), tools=False)
    structured = _lowest(rungs, declared.structured)
    tools = declared.tools and await _calls_tool(model, params)
    level: Level = "capable" if await _judges(model, params) else "small"
    return Capabilities(level, structured, tools)


async def _extract(model: Model, item: _Item, params: Params) -> Completion[_Short] | None:
    shots = [m for shot in _SHOTS for m in (_ask(shot), assistant(f'{{"answer": "{shot.gold}"}}'))]
    try:
        return await model.complete([*shots, _ask(item)], output=_Short, params=params, timeout_s=_ANSWER_TIMEOUT_S)
    except _FAILS:
        return None


def _ask(item: _Item) -> Message:
    text = item.text.replace(". ", ".\n")
    return user(f"{text}\n\nQuestion: {item.question}\nAnswer in the fewest words, copied from the text, as JSON.")


def _is_right(item: _Item, done: Completion[_Short] | None) -> bool:
    """Whether the answer stands in the text word for word, holds the gold, and is not the whole text."""
    if done is None:
        return False
    answer = done.output.answer.strip().rstrip(".").lower()
    short = len(answer) <= 2 * len(item.gold) + 12
    return short and answer in item.text.lower() and item.gold.lower() in answer


async def _calls_tool(model: Model, params: Params) -> bool:
    asked = [system("Use the tool when it helps."), user("Wake me at 06:30.")]
    try:
        done = await model.complete(asked, tools=[_ADD], params=params, timeout_s=_ANSWER_TIMEOUT_S)
    except _FAILS:
        return False
    return any(call.name == _ADD["name"] and "6:30" in call.arguments for call in done.tool_calls)


async def _judges(model: Model, params: Params) -> bool:
    """Whether every pair is judged rightly in both orders."""
    for pair in _PAIRS:
        verdicts = await asyncio.gather(*(_verdict(model, pair, right, params) for right in ("A", "B")))
        if not all(verdicts):
            return False
    return True


async def _verdict(model: Model, pair: _Pair, right: str, params: Params) -> bool:
    shown: Sequence[str] = (pair.right, pair.wrong) if right == "A" else (pair.wrong, pair.right)
    asked = user(f"Question: {pair.question}\nAnswer A: {shown[0]}\nAnswer B: {shown[1]}\nWhich is right?")
    try:
        done = await model.complete([asked], output=_Choice, params=params, timeout_s=_ANSWER_TIMEOUT_S)
    except _FAILS:
        return False
    return done.output.better == right


def _lowest(held: Sequence[Rung | None], declared: Rung) -> Rung:
    """The lowest rung that was needed; `prompt` where nothing held."""
    order: tuple[Rung, ...] = ("json_schema", "tool", "json_object", "prompt")
    used = [rung for rung in held if rung is not None]
    return max([*used, declared], key=order.index) if used else "prompt"

"""How a question is put to a search: alone where it stands in a conversation, and differently the second time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import InvalidOutput, OutputRefused, OutputTruncated
from ..core.trust import Origin
from ..knowledge import Passage
from ..knowledge.words import terms
from ..models import Model, Params
from ._prompts import Prompt

TURNS = 6
"""Of a conversation, how many of the last ones are looked at."""
_TURN_CHARACTERS = 600
_FOUND_CHARACTERS = 200
_FOUND = 8
_SHORT = Params(max_tokens=160)
_CONVERSATION: frozenset[Origin] = frozenset({"retrieval", "user"})

_REFERS = re.compile(
    r"\b(?:it|its|itself|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those|there|then|one|ones"
    r"|former|latter|same|other|others|another)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"\W*(?:and|but|or|so|also|what about|how about|why not|what else|who else|how so)\b", re.IGNORECASE
)
_COMMAND = re.compile(
    r"\W*(?:please )?(?:(?:find|search|look|look up|search for|look for|retrieve|get|fetch|gather|collect|identify"
    r"|determine|check|research|locate)\b(?: (?:out|up|for|in|information|details|facts|passages|documents|evidence"
    r"|the (?:documents|sources|index|handbook|passages)|about|on|whether|that|all|any)\b)*)[\s:,]+",
    re.IGNORECASE,
)


class Standalone(BaseModel):
    """What a model makes of a question that stands in a conversation."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=3, max_length=400)


class OtherQueries(BaseModel):
    """What a model would look for when a first search was not enough."""

    model_config = ConfigDict(extra="forbid")

    queries: list[Annotated[str, Field(min_length=3, max_length=200)]] = Field(min_length=1, max_length=3)


class Turn(BaseModel):
    """One turn of a conversation, whatever class it came in."""

    role: str
    text: str


def bare(goal: str) -> str:
    """The goal of a step without the words that only say that something is to be looked for."""
    rest = _COMMAND.sub("", goal, count=1) if _COMMAND.match(goal) else goal
    return rest if len(terms(rest)) > 1 else goal


def turns_of(messages: Sequence[Any], query: str) -> list[Turn]:
    """The last turns of user and assistant with a text, without the query itself."""
    turns = [turn for message in messages if (turn := _turn(message)) is not None]
    while turns and turns[-1].text == query.strip():
        turns.pop()
    return turns[-TURNS:]


def refers_back(query: str) -> bool:
    """Whether a query seems to need the conversation before it: "And when was it built?"."""
    return bool(_REFERS.search(query) or _GOES_ON.match(query)) or len(terms(query)) < 2


def joined(query: str, turns: Sequence[Turn]) -> str:
    """The query behind the last question that stands alone, by rule."""
    asked = [turn.text for turn in turns if turn.role == "user"]
    lead = next((text for text in reversed(asked) if not refers_back(text)), asked[-1] if asked else "")
    return f"{lead[-_TURN_CHARACTERS:]}\n{query}" if lead else query


async def standalone(query: str, turns: Sequence[Turn], model: Model | None, prompt: Prompt) -> str:
    """The query so that it can be looked up alone; by rule where no model is at hand or it says nothing of use."""
    if not turns or not refers_back(query):
        return query
    if model is None or (await model.capabilities()).level == "tiny":
        return joined(query, turns)
    history = "\n".join(f"{turn.role}: {turn.text[:_TURN_CHARACTERS]}" for turn in turns)
    messages = prompt.messages(origins=_CONVERSATION, history=history, question=query)
    try:
        said = (await model.complete(messages, output=Standalone, params=_SHORT)).output.question
    except (InvalidOutput, OutputTruncated, OutputRefused):
        return joined(query, turns)
    known = set(terms(" ".join([query, *(turn.text for turn in turns)])))
    return said if known & set(terms(said)) else joined(query, turns)


async def others(query: str, found: Sequence[Passage], feedback: str, model: Model | None, prompt: Prompt) -> list[str]:
    """Other queries for what is missing; none where no model is at hand or it says nothing of use."""
    if model is None or (await model.capabilities()).level == "tiny":
        return []
    best = sorted(found, key=lambda passage: -passage.score)[:_FOUND]
    lines = "\n".join(f"- {' '.join(passage.text.split())[:_FOUND_CHARACTERS]}" for passage in best) or "(nothing)"
    messages = prompt.messages(origins=_CONVERSATION, question=query, found=lines, feedback=feedback or "not said")
    try:
        said = (await model.complete(messages, output=OtherQueries, params=_SHORT)).output.queries
    except (InvalidOutput, OutputTruncated, OutputRefused):
        return []
    return [text for text in dict.fromkeys(said) if terms(text) and text != query]


def _turn(message: Any) -> Turn | None:
    """A message of LangChain, of ours, a mapping of role and content, or a text, which is the user's."""
    if isinstance(message, str):
        return Turn(role="user", text=message.strip()) if message.strip() else None
    if isinstance(message, Mapping):
        fields = cast("Mapping[str, Any]", message)
        role, content = fields.get("role") or fields.get("type"), fields.get("content")
    else:
        role = getattr(message, "role", None) or getattr(message, "type", None)
        content = getattr(message, "content", None)
    role = {"human": "user", "ai": "assistant"}.get(str(role), str(role))
    if role not in ("user", "assistant") or not isinstance(content, str) or not content.strip():
        return None
    return Turn(role=role, text=content.strip())

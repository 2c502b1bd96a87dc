"""About how many tokens a text has, by the family of the model; servers with a tokenizer are asked for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

from ..core.messages import Message, ToolSpec

_FAMILIES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), letters)
    for pattern, letters in (
        (r"gpt-(4o|4\.1|5|oss)|(^|/)o\d", 4.6),
        (r"gpt-|text-embedding", 4.3),
        (r"claude", 3.6),
        (r"llama-?[34]|hermes", 4.4),
        (r"llama|mistral|mixtral|codestral|phi", 3.7),
        (r"qwen|deepseek|gemma|glm|kimi", 4.3),
        (r"smollm", 4.1),
    )
)
"""Letters of English prose in one token, about."""
_OTHERS = 4.0
_TURN = 4
"""Tokens around each message: its role and its end."""
_WIDE = re.compile(r"[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_LETTERS = re.compile(r"[A-Za-z ]")
_SURE = 0.7
"""The share of an estimate that a prompt has for certain; prose scatters by less, by family and by language."""


def estimate_tokens(text: str, model: str = "") -> int:
    """About how many tokens a text has; within a third for prose, further off for code and tables.

    Args:
        text: Any text.
        model: Name of the model, whose family decides; else a middling one.
    """
    letters = next((found for pattern, found in _FAMILIES if pattern.search(model)), _OTHERS)
    if text.isascii():
        return round(len(text) / letters)
    plain = sum(map(str.isascii, text))
    wide = len(_WIDE.findall(text))
    return round(plain / letters + wide * 0.9 + (len(text) - plain - wide) * 0.5)


def estimate_prompt(messages: Iterable[Message], tools: Iterable[ToolSpec] = (), model: str = "") -> int:
    """About how many tokens a request has: its messages, their calls, and the tools it offers."""
    turns = list(messages)
    return estimate_tokens(prompt_text(turns, tools), model) + _TURN * len(turns)


def prompt_text(messages: Iterable[Message], tools: Iterable[ToolSpec] = ()) -> str:
    """What a server reads of a request, as one text."""
    parts = [part for message in messages for part in (message.content, *(c.arguments for c in message.tool_calls))]
    return "\n".join([*parts, *(_shown(tool) for tool in tools)])


def prompt_bound(messages: Iterable[Message], tools: Iterable[ToolSpec] = ()) -> int:
    """Most tokens that a request has, whatever the tokenizer: what is set aside for it under a budget.

    Two letters or blanks come to one token at most (prose has four or five), any other character to one, one beyond
    ASCII to as many as it has bytes; and around each message there are some more.
    """
    turns = list(messages)
    text = prompt_text(turns, tools)
    words = len(_LETTERS.findall(text))
    return words // 2 + len(text.encode(errors="replace")) - words + 16 * (len(turns) + 1)


def surely(tokens: int) -> int:
    """How many tokens there are at least, where so many were estimated."""
    return int(tokens * _SURE)


def _shown(tool: Any) -> str:
    return orjson.dumps(tool).decode()

"""Messages, calls and usage, from LangChain's types to ours and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

from ...core.errors import InvalidInput
from ...core.messages import Message, ToolCall, Usage
from ..base import FinishReason

_FINISHES: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
}


def to_langchain(messages: Sequence[Message]) -> list[BaseMessage]:
    """Our messages as LangChain's; calls whose arguments are no JSON object go as invalid ones."""
    return [_to_langchain(message) for message in messages]


def _to_langchain(message: Message) -> BaseMessage:
    match message.role:
        case "system":
            return SystemMessage(message.content)
        case "user":
            return HumanMessage(message.content)
        case "tool":
            return ToolMessage(message.content, tool_call_id=message.tool_call_id or "")
        case "assistant":
            return ai_message(message.content, message.tool_calls)


def ai_message(text: str, calls: Sequence[ToolCall], **more: Any) -> AIMessage:
    """An assistant turn as LangChain has it."""
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for call in calls:
        arguments = _arguments(call)
        if arguments is None:
            problem = "the arguments are no JSON object"
            bad.append({"id": call.call_id, "name": call.name, "args": call.arguments, "error": problem})
        else:
            good.append({"id": call.call_id, "name": call.name, "args": arguments})
    return AIMessage(content=text, tool_calls=cast(Any, good), invalid_tool_calls=cast(Any, bad), **more)


def from_langchain_messages(messages: Sequence[BaseMessage]) -> list[Message]:
    """LangChain's messages as ours.

    Raises:
        InvalidInput: One holds something else than text, or is of another kind.
    """
    return [_from_langchain(message) for message in messages]


def _from_langchain(message: BaseMessage) -> Message:
    text = text_of(message)
    match message:
        case SystemMessage():
            return Message("system", text)
        case HumanMessage():
            return Message("user", text)
        case ToolMessage(tool_call_id=call_id):
            return Message("tool", text, tool_call_id=call_id, origins=frozenset({"tool"}))
        case AIMessage():
            return Message("assistant", text, calls_of(message))
        case _:
            raise InvalidInput("messages", f"a {type(message).__name__} has no place in a conversation with a model.")


def text_of(message: BaseMessage) -> str:
    """The text of a message; reasoning and calls among its blocks are left out.

    Raises:
        InvalidInput: It holds something else, such as an image.
    """
    content = cast("str | list[Any]", message.content)
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for block in content:
        kind = "text" if isinstance(block, str) else str(block.get("type"))
        if kind == "text":
            texts.append(block if isinstance(block, str) else str(block.get("text", "")))
        elif kind not in ("thinking", "reasoning", "redacted_thinking", "tool_use", "tool_call", "input_json_delta"):
            raise InvalidInput("messages", f"a block of type {kind!r} cannot be sent; models here take text.")
    return "".join(texts)


def calls_of(message: AIMessage) -> tuple[ToolCall, ...]:
    """The proposed calls, those with bad arguments included."""
    good = [
        ToolCall(call.get("id") or "", call["name"], json.dumps(call["args"], ensure_ascii=False))
        for call in message.tool_calls
    ]
    bad = [
        ToolCall(call.get("id") or "", call.get("name") or "", call.get("args") or "")
        for call in message.invalid_tool_calls
    ]
    return (*good, *bad)


def usage_of(message: AIMessage) -> Usage:
    """What LangChain counted; zero where the provider told nothing."""
    told: Any = message.usage_metadata or {}
    inputs: dict[str, int] = told.get("input_token_details") or {}
    outputs: dict[str, int] = told.get("output_token_details") or {}
    cached, reasoning = inputs.get("cache_read") or 0, outputs.get("reasoning") or 0
    return Usage(told.get("input_tokens", 0), told.get("output_tokens", 0), cached, reasoning, model_calls=1)


def usage_metadata(usage: Usage) -> UsageMetadata:
    """Our usage as LangChain's."""
    return UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        input_token_details=InputTokenDetails(cache_read=usage.cached_tokens),
        output_token_details=OutputTokenDetails(reasoning=usage.reasoning_tokens),
    )


def finish_of(message: AIMessage) -> FinishReason:
    """Why the answer ended."""
    told: dict[str, Any] = message.response_metadata
    word = told.get("finish_reason") or told.get("stop_reason") or told.get("done_reason")
    if word is None:
        return "tool_calls" if message.tool_calls or message.invalid_tool_calls else "stop"
    return _FINISHES.get(str(word).lower(), "other")


def _arguments(call: ToolCall) -> dict[str, Any] | None:
    try:
        value = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None

"""From Anthropic's messages back to a chat completion, whole or as events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from .._json import as_list, as_object

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def completion_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A whole answer; fields of another shape are handed on for the reader to judge."""
    if answer.get("type") == "error" or "content" not in answer:
        return {"error": answer.get("error") or "the answer has no content"}
    blocks = [as_object(block) for block in as_list(answer["content"])]
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": _joined(blocks, "text"),
        **({"reasoning": thought} if (thought := _joined(blocks, "thinking")) else {}),
        **({"tool_calls": calls} if calls else {}),
    }
    choice = {"index": 0, "message": message, "finish_reason": finish_of(answer.get("stop_reason"))}
    return {"model": answer.get("model"), "choices": [choice], "usage": usage_of(as_object(answer.get("usage")))}


def finish_of(reason: Any) -> Any:
    """The finish reason in the words of chat completions."""
    return _FINISH.get(reason, reason) if isinstance(reason, str) else None


def usage_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The counts; Anthropic's `input_tokens` leave out what was read from or written to the cache."""
    read, written = (_number(usage.get(f"cache_{what}_input_tokens")) for what in ("read", "creation"))
    details = as_object(usage.get("output_tokens_details"))
    return {
        "prompt_tokens": _number(usage.get("input_tokens")) + read + written,
        "completion_tokens": _number(usage.get("output_tokens")),
        "prompt_tokens_details": {"cached_tokens": read},
        "completion_tokens_details": {"reasoning_tokens": _number(details.get("thinking_tokens"))},
    }


class Events:
    """Turns the events of one stream into those of a chat completion."""

    def __init__(self) -> None:
        self._usage: dict[str, Any] = {}
        self._model: Any = None

    def event(self, event: Mapping[str, Any]) -> bytes:
        """One event as bytes of the other stream; nothing for events that carry nothing."""
        match event.get("type"):
            case "error":
                return _sent({"error": event.get("error") or "without a message"})
            case "message_start":
                message = as_object(event.get("message"))
                self._model, self._usage = message.get("model"), dict(as_object(message.get("usage")))
                return b""
            case "content_block_start" | "content_block_delta":
                return self._delta(event)
            case "message_delta":
                self._usage |= as_object(event.get("usage"))
                reason = finish_of(as_object(event.get("delta")).get("stop_reason"))
                return self._choice({}, reason) if reason else b""
            case "message_stop":
                return b"data: [DONE]\n\n"
            case _:
                return b""

    def _delta(self, event: Mapping[str, Any]) -> bytes:
        given = as_object(event.get("delta") or event.get("content_block"))
        match given.get("type"):
            case "text_delta" | "text":
                return self._choice({"content": given.get("text")})
            case "thinking_delta" | "thinking":
                return self._choice({"reasoning": given.get("thinking")})
            case "tool_use":
                begun = {"id": given.get("id"), "function": {"name": given.get("name"), "arguments": ""}}
            case "input_json_delta":
                begun = {"function": {"arguments": given.get("partial_json")}}
            case _:
                return b""
        return self._choice({"tool_calls": [{"index": event.get("index"), **begun}]})

    def _choice(self, delta: dict[str, Any], finish: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        counted = {"usage": usage_of(self._usage)} if finish else {}
        return _sent({"model": self._model, "choices": [choice], **counted})


def _sent(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _call(block: dict[str, Any]) -> dict[str, Any]:
    return {"id": block.get("id"), "function": {"name": block.get("name"), "arguments": block.get("input")}}


def _joined(blocks: list[dict[str, Any]], kind: str) -> str:
    return "".join(str(block.get(kind) or "") for block in blocks if block.get("type") == kind)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0

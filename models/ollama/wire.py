"""Between a chat completion and Ollama's own `/api/chat`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from .._json import as_list, as_object

_TOP: Final = frozenset({"keep_alive", "format", "think", "truncate", "shift", "logprobs", "top_logprobs"})
"""Fields of the request itself; any other one beside messages and tools is an option of the model."""
_KNOWN: Final = frozenset(
    {"model", "messages", "tools", "tool_choice", "response_format", "stream", "stream_options", "reasoning_effort"}
)


def native_request(body: Mapping[str, Any], num_ctx: int) -> dict[str, Any]:
    """The request in Ollama's shape.

    Args:
        body: A chat completion.
        num_ctx: Window to ask for, in tokens, unless the body names one.
    """
    options = {"num_ctx": num_ctx, **{k: v for k, v in body.items() if k not in _KNOWN and k not in _TOP}}
    native: dict[str, Any] = {
        "model": body["model"],
        "messages": _messages(body["messages"]),
        "stream": bool(body.get("stream")),
        "truncate": False,  # an error in place of a prompt cut in silence, where the server is new enough
        "shift": False,
        "options": options,
        **{name: body[name] for name in _TOP if name in body},
    }
    if body.get("tools"):
        native["tools"] = body["tools"]
    if form := _format(as_object(body.get("response_format"))):
        native["format"] = form
    if effort := body.get("reasoning_effort"):
        native["think"] = {"none": False, "minimal": "low"}.get(effort, effort)
    return native


def _messages(messages: Any) -> list[dict[str, Any]]:
    names: dict[str, str] = {}
    made: list[dict[str, Any]] = []
    for message in as_list(messages):
        turn: dict[str, Any] = {"role": message["role"], "content": message.get("content") or ""}
        if calls := as_list(message.get("tool_calls")):
            names |= {call["id"]: call["function"]["name"] for call in calls}
            turn["tool_calls"] = [{"function": _function(as_object(call["function"]))} for call in calls]
        if call_id := message.get("tool_call_id"):
            turn["tool_name"] = names.get(call_id, "")
        made.append(turn)
    return made


def _function(function: dict[str, Any]) -> dict[str, Any]:
    return {"name": function["name"], "arguments": _loaded(function["arguments"])}


def _loaded(arguments: str) -> dict[str, Any]:
    """The arguments as Ollama wants them, an object; what a model botched goes back as its text."""
    try:
        value: Any = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return {"text": arguments}
    return as_object(value)


def _format(form: dict[str, Any]) -> Any:
    if form.get("type") == "json_schema":
        return as_object(form.get("json_schema")).get("schema")
    return "json" if form else None


def completion_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A whole answer as a chat completion; fields of another shape are handed on for the reader to judge."""
    if "error" in answer:
        return {"error": answer["error"]}
    fields = as_object(answer.get("message"))
    message = {"role": "assistant", "content": fields.get("content"), **_more(fields, 0)}
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    return {"model": answer.get("model"), "choices": [choice], "usage": _usage(answer)}


class Chunks:
    """Turns the lines of a stream into events; calls are numbered through the whole stream."""

    def __init__(self) -> None:
        self._calls = 0

    def event(self, answer: Mapping[str, Any]) -> bytes:
        """One line as an event, with the end mark after the last."""
        if "error" in answer:
            return _event({"error": answer["error"]})
        fields = as_object(answer.get("message"))
        delta = {"content": fields.get("content"), **_more(fields, self._calls)}
        self._calls += len(as_list(fields.get("tool_calls")))
        done = bool(answer.get("done"))
        choice = {"index": 0, "delta": delta, "finish_reason": _finish(answer) if done else None}
        made = _event(
            {"model": answer.get("model"), "choices": [choice], **({"usage": _usage(answer)} if done else {})}
        )
        return made + b"data: [DONE]\n\n" if done else made


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _more(fields: dict[str, Any], first: int) -> dict[str, Any]:
    """Reasoning and calls of a message."""
    found: dict[str, Any] = {}
    if fields.get("thinking"):
        found["reasoning"] = fields["thinking"]
    if calls := as_list(fields.get("tool_calls")):
        found["tool_calls"] = [
            {"index": first + n, "function": as_object(call).get("function")} for n, call in enumerate(calls)
        ]
    return found


def _finish(answer: Mapping[str, Any]) -> str:
    return str(answer.get("done_reason") or ("stop" if answer.get("done") else ""))


def _usage(answer: Mapping[str, Any]) -> dict[str, Any]:
    counted = {"prompt_tokens": answer.get("prompt_eval_count"), "completion_tokens": answer.get("eval_count")}
    return {name: count for name, count in counted.items() if count}

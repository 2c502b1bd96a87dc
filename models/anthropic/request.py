"""From a chat completion to a request in the shape of Anthropic's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from .._json import as_list, as_object

_HANDLED: Final = frozenset(
    {"model", "messages", "tools", "tool_choice", "response_format", "stream", "stream_options", "reasoning_effort"}
)
_EFFORT: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}


def native_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request as messages; fields of Anthropic's own, given as extra, stay as they are."""
    messages = as_list(body["messages"])
    told = [message["content"] for message in messages if message["role"] == "system"]
    native: dict[str, Any] = {
        "model": body["model"],
        "messages": _turns([message for message in messages if message["role"] != "system"]),
        **{name: value for name, value in body.items() if name not in _HANDLED},
    }
    if told:
        native["system"] = "\n\n".join(told)
    if tools := as_list(body.get("tools")):
        native["tools"] = [_tool(as_object(tool["function"])) for tool in tools]
        if choice := body.get("tool_choice"):
            native["tool_choice"] = _choice(choice)
    if body.get("stream"):
        native["stream"] = True
    return _with_output(native, body)


def _with_output(native: dict[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Add schema and effort; where there is no schema mode the instruction in the prompt has to do."""
    config = dict(as_object(native.get("output_config")))
    form = as_object(body.get("response_format"))
    if form.get("type") == "json_schema":
        config["format"] = {"type": "json_schema", "schema": as_object(form.get("json_schema")).get("schema")}
    effort = body.get("reasoning_effort")
    if effort in _EFFORT:
        config["effort"] = _EFFORT[effort]
        native.setdefault("thinking", {"type": "adaptive"})
    elif effort == "none":
        native.setdefault("thinking", {"type": "disabled"})
    return {**native, "output_config": config} if config else native


def _turns(messages: list[Any]) -> list[dict[str, Any]]:
    """Turns of user and assistant; the results of one turn's tools stand together in one turn of the user."""
    made: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _blocks(as_object(message))
        if made and made[-1]["role"] == role:
            made[-1]["content"] += blocks
        else:
            made.append({"role": role, "content": blocks})
    return made


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    text = message.get("content") or ""
    if message["role"] == "tool":
        return [{"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": text}]
    calls = [_call(as_object(call)) for call in as_list(message.get("tool_calls"))]
    said = [{"type": "text", "text": text}] if text.strip() else []  # an empty block is refused
    return [*said, *calls] or [{"type": "text", "text": "(nothing)"}]


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = as_object(call.get("function"))
    try:
        given: Any = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        given = {"text": function.get("arguments")}
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": as_object(given)}


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": function["name"],
        "description": function.get("description", ""),
        "input_schema": function["parameters"],
    }


def _choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, str):
        return {"type": {"required": "any"}.get(choice, choice)}
    return {"type": "tool", "name": choice["function"]["name"]}

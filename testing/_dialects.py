"""Reading requests and writing answers in the three dialects that providers speak."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from ..models._json import as_list, as_object
from ._parrot import Asked, Said, last_text
from .quirks import Dialect, Quirks
from .serving import chunk, completion, stream, wire_call


def prompt_size(body: Mapping[str, Any]) -> int:
    """Tokens of the prompt: its words."""
    return sum(len(last_text([message]).split()) for message in as_list(body.get("messages")))


def _read_completion(body: Mapping[str, Any]) -> Asked:
    tools = [as_object(as_object(tool).get("function")) for tool in as_list(body.get("tools"))]
    choice = body.get("tool_choice") or "auto"
    form = as_object(body.get("response_format"))
    return Asked(
        last_text(as_list(body.get("messages"))),
        tuple((tool["name"], tool["parameters"]) for tool in tools),
        choice if isinstance(choice, str) else choice["function"]["name"],
        as_object(form.get("json_schema")).get("schema"),
        body.get("seed"),
        _is_result(body),
    )


def _read_ollama(body: Mapping[str, Any]) -> Asked:
    form = body.get("format")
    seed = as_object(body.get("options")).get("seed")
    return replace(_read_completion(body), schema=form if isinstance(form, dict) else None, seed=seed)


def _read_messages(body: Mapping[str, Any]) -> Asked:
    tools = [as_object(tool) for tool in as_list(body.get("tools"))]
    choice = as_object(body.get("tool_choice"))
    return Asked(
        last_text(as_list(body.get("messages"))),
        tuple((tool["name"], tool["input_schema"]) for tool in tools),
        str(choice.get("name") or {"any": "required"}.get(choice.get("type", ""), choice.get("type") or "auto")),
        as_object(as_object(body.get("output_config")).get("format")).get("schema"),
        answered=_is_result(body),
    )


READERS: Mapping[Dialect, Callable[[Mapping[str, Any]], Asked]] = {
    "completions": _read_completion,
    "ollama": _read_ollama,
    "messages": _read_messages,
}


def _is_result(body: Mapping[str, Any]) -> bool:
    last = as_object(as_list(body["messages"])[-1])
    blocks = [as_object(block).get("type") for block in as_list(last.get("content"))]
    return last.get("role") == "tool" or "tool_result" in blocks


def _completions(quirks: Quirks, body: Mapping[str, Any], said: Said, prompt: int) -> web.Response:
    text = f"<think>Hm.</think>{said.text}" if quirks.reasoning == "tags" else said.text
    thought = {quirks.reasoning: "Hm."} if quirks.reasoning not in (None, "tags") else {}
    calls = [wire_call(name, arguments, f"call_{n}") for n, (name, arguments) in enumerate(said.calls)]
    finish = "tool_calls" if calls else "stop"
    usage = {"prompt_tokens": prompt, "completion_tokens": len(text.split()) or 1}
    if body.get("stream"):
        lost = not quirks.streams_tools
        pieces = [
            {**call, "index": n, "function": {**call["function"], **({"arguments": ""} if lost else {})}}
            for n, call in enumerate(calls)
        ]
        events = [chunk({word: "Hm."}) for word in thought] + [chunk({"content": word}) for word in _words(text)]
        events += [chunk({"tool_calls": [piece]}) for piece in pieces]
        data = stream(*events, chunk({}, finish), {"model": "m", "choices": [], "usage": usage}, "[DONE]")
        return web.Response(body=data, content_type="text/event-stream")
    made = {**completion(text or None, finish=finish, **thought, **({"tool_calls": calls} if calls else {}))}
    if quirks.logprobs and body.get("logprobs"):
        made["choices"][0]["logprobs"] = {"content": [{"token": word, "logprob": -0.1} for word in _words(text)]}
    return web.json_response({**made, "usage": usage})


def _ollama(quirks: Quirks, body: Mapping[str, Any], said: Said, prompt: int) -> web.Response:
    calls = [{"function": {"name": name, "arguments": json.loads(arguments)}} for name, arguments in said.calls]
    thought = {"thinking": "Hm."} if quirks.reasoning else {}
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": prompt, "eval_count": 3}
    head = {"model": "m", "done": False}
    if not body.get("stream"):
        message = {"role": "assistant", "content": said.text, **thought, **({"tool_calls": calls} if calls else {})}
        return web.json_response({**head, "message": message, **end})
    messages: list[dict[str, Any]] = [{"content": "", **thought}] if thought else []
    messages += [{"content": word} for word in _words(said.text)]
    messages += [{"content": "", "tool_calls": [call]} for call in calls]
    lines = [{**head, "message": {"role": "assistant", **message}} for message in messages]
    data = "".join(json.dumps(line) + "\n" for line in [*lines, {**head, "message": {"content": ""}, **end}])
    return web.Response(text=data, content_type="application/x-ndjson")


def _messages(quirks: Quirks, body: Mapping[str, Any], said: Said, prompt: int) -> web.Response:
    calls = [
        {"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": json.loads(arguments)}
        for n, (name, arguments) in enumerate(said.calls)
    ]
    thought = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}] if body.get("thinking") else []
    blocks = [*thought, *([{"type": "text", "text": said.text}] if said.text else []), *calls]
    reason = "tool_use" if calls else "end_turn"
    usage = {"input_tokens": prompt - 1, "cache_read_input_tokens": 1, "output_tokens": 3}
    head = {"type": "message", "role": "assistant", "model": "m", "usage": usage}
    if not body.get("stream"):
        return web.json_response({**head, "content": blocks, "stop_reason": reason})
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**head, "content": []}}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        events += [{**event, "index": index} for event in _block_events(block)]
    events += [
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    data = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return web.Response(text=data, content_type="text/event-stream")


def _block_events(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    match block["type"]:
        case "text":
            empty: dict[str, Any] = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": word} for word in _words(block["text"])]
        case "thinking":
            empty, deltas = {"type": "thinking", "thinking": ""}, [{"type": "thinking_delta", "thinking": "Hm."}]
        case _:
            empty = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    begun = {"type": "content_block_start", "content_block": empty}
    return [
        begun,
        *({"type": "content_block_delta", "delta": delta} for delta in deltas),
        {"type": "content_block_stop"},
    ]


def _words(text: str) -> list[str]:
    first, *rest = text.split(" ")
    return [word for word in (first, *(f" {word}" for word in rest)) if word]


WRITERS: Mapping[Dialect, Callable[[Quirks, Mapping[str, Any], Said, int], web.Response]] = {
    "completions": _completions,
    "ollama": _ollama,
    "messages": _messages,
}
"""Each writes what was said, whole or as a stream; the number is the tokens of the prompt."""

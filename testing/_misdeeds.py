"""What a `FaultServer` does for each fault: good answers, and the ways in which it spoils them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final, Protocol

from ..models._json import as_list, as_object
from .faults import FAULTS, bites


class Wire(Protocol):
    """One response, byte by byte."""

    async def head(self, status: int, headers: Mapping[str, Any]) -> None: ...
    async def send(self, data: bytes) -> None: ...
    async def part(self, data: bytes) -> None: ...
    async def whole(self, status: int, body: Any, kind: str = "application/json", **headers: Any) -> None: ...
    async def pause(self, seconds: float) -> None: ...
    def cut(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Scene:
    """One request and the means to answer it."""

    wire: Wire
    body: Mapping[str, Any]
    retry_after_s: float
    stall_s: float
    embeds: bool

    @property
    def streamed(self) -> bool:
        """Whether events are asked for."""
        return self.body.get("stream") is True


STREAM: Final = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
JSON_PARTS: Final = {"content-type": "application/json", "transfer-encoding": "chunked"}


async def do(fault: str, scene: Scene) -> None:
    """Answer with this fault, or well where the request cannot meet it."""
    if not scene.embeds and not bites(FAULTS[fault], streamed=scene.streamed):
        fault = "ok"
    if fault in _STATUSES:
        status, body, kind = _STATUSES[fault]
        await scene.wire.whole(status, body, kind, **_waits(fault, scene.retry_after_s))
    elif fault in _ACTS:
        await _ACTS[fault](scene)
    elif fault in _BODIES:
        await scene.wire.whole(200, _BODIES[fault](_raw(good(scene))))
    elif scene.embeds:
        await scene.wire.whole(200, _vectors(scene.body, fault))
    else:
        await _say(fault, scene)


def error(message: str, code: str = "server_error") -> dict[str, Any]:
    """An error as OpenAI words it."""
    return {"error": {"message": message, "type": code, "code": code}}


def good(scene: Scene) -> dict[str, Any]:
    """What a server that works would answer."""
    return _vectors(scene.body, "ok") if scene.embeds else completion(scene.body, *answer(scene.body))


def answer(body: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Message and finish reason: a call while a tool was not called yet, else text that fits what is asked for."""
    messages = as_list(body.get("messages"))
    last = as_object(messages[-1]) if messages else {}
    tools = [as_object(as_object(tool).get("function")) for tool in as_list(body.get("tools"))]
    if tools and last.get("role") != "tool":
        return {"role": "assistant", "content": None, "tool_calls": [_call(tools[0])]}, "tool_calls"
    form = as_object(body.get("response_format"))
    if form.get("type") == "json_schema":
        schema = as_object(as_object(form.get("json_schema")).get("schema"))
        return {"role": "assistant", "content": json.dumps(sample(schema, schema))}, "stop"
    return {"role": "assistant", "content": f"Said: {str(last.get('content'))[:80]} – grüße, 世界 🙂"}, "stop"


def completion(body: Mapping[str, Any], message: Mapping[str, Any], finish: str = "stop") -> dict[str, Any]:
    """A chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": body.get("model"),
        "choices": [{"index": 0, "message": dict(message), "finish_reason": finish}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 10},
    }


def sample(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """A value that fits a JSON Schema of the kinds that go over the wire."""
    if "$ref" in schema:
        return sample(as_object(as_object(root.get("$defs")).get(str(schema["$ref"]).rpartition("/")[2])), root)
    for key in ("enum", "anyOf", "oneOf"):
        if options := as_list(schema.get(key)):
            return options[0] if key == "enum" else sample(as_object(options[0]), root)
    match schema.get("type"):
        case "object":
            return {name: sample(as_object(kind), root) for name, kind in as_object(schema.get("properties")).items()}
        case "array":
            return [sample(as_object(schema.get("items")), root)] * max(1, int(schema.get("minItems", 1)))
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "word".ljust(int(schema.get("minLength", 0)), "s")


def _raw(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _call(tool: Mapping[str, Any], call_id: str = "call_1", arguments: Any = None) -> dict[str, Any]:
    if arguments is None:
        schema = as_object(tool.get("parameters"))
        arguments = json.dumps(sample(schema, schema))
    return {"id": call_id, "type": "function", "function": {"name": tool.get("name"), "arguments": arguments}}


# --- answers with a status of failure

_BUSY: Final = error("Too many requests.", "rate_limit_exceeded")
_STATUSES: Final[Mapping[str, tuple[int, Any, str]]] = {
    name: (status, body, "text/html" if isinstance(body, bytes) else "application/json")
    for name, status, body in (
        ("429", 429, _BUSY),
        ("429_date", 429, _BUSY),
        ("429_ms", 429, _BUSY),
        ("429_no_header", 429, _BUSY),
        ("429_quota", 429, error("Nothing is left to spend.", "insufficient_quota")),
        ("500", 500, error("It broke.")),
        ("502_html", 502, b"<html><body><h1>Bad gateway</h1></body></html>"),
        ("503", 503, error("The model is being loaded.")),
        ("529", 529, error("Overloaded.", "overloaded")),
        ("400", 400, error("This request is wrong.", "invalid_request")),
        ("400_context", 400, error("The prompt is longer than the window.", "context_length_exceeded")),
        ("401", 401, error("This key is not known.", "invalid_api_key")),
        ("404_model", 404, error("There is no such model.", "model_not_found")),
        ("redirect", 302, b""),
    )
}


def _waits(fault: str, wait_s: float) -> dict[str, Any]:
    match fault:
        case "429" | "503":
            return {"retry_after": f"{wait_s:g}"}
        case "429_date":
            return {"retry_after": formatdate(time.time() + max(1.0, wait_s), usegmt=True)}
        case "429_ms":
            return {"retry_after_ms": int(wait_s * 1000)}
        case "redirect":
            return {"location": "http://127.0.0.2:9/v1/elsewhere"}
        case _:
            return {}


# --- bodies that are no good as bytes or as JSON

_BODIES: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "truncated_json": lambda raw: raw[: len(raw) // 2],
    "not_json": lambda _: b"no healthy upstream",
    "empty_body": lambda _: b"",
    "wrong_type": lambda raw: b"[" + raw + b"]",
    "wrong_schema": lambda _: {"answer": "hello", "choices": {"first": "hello"}},
    "error_200": lambda _: error("It failed further up."),
    "bad_utf8": lambda raw: raw[:30] + b"\xc3\xff\xfe" + raw[30:],
    "deep_json": lambda _: b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


# --- what goes wrong with time and connection


async def _late(scene: Scene) -> None:
    await scene.wire.pause(scene.stall_s)
    await scene.wire.whole(200, good(scene))


async def _hang(scene: Scene) -> None:
    await scene.wire.pause(scene.stall_s)
    scene.wire.cut()


async def _reset(scene: Scene) -> None:
    scene.wire.cut()


async def _reset_body(scene: Scene) -> None:
    raw = _raw(good(scene))
    await scene.wire.head(200, {"content-type": "application/json", "content-length": len(raw)})
    await scene.wire.send(raw[: len(raw) // 2])
    scene.wire.cut()


async def _drip(scene: Scene) -> None:
    raw = _raw(good(scene))
    await scene.wire.head(200, {"content-type": "application/json", "content-length": len(raw)})
    for start in range(0, len(raw), 8):
        if start:
            await scene.wire.pause(0.05)
        await scene.wire.send(raw[start : start + 8])


async def _huge(scene: Scene) -> None:
    await scene.wire.head(200, JSON_PARTS)
    await scene.wire.part(b'{"choices": [{"message": {"content": "')
    for _ in range(1024):
        await scene.wire.part(b"a" * 65_536)
    await scene.wire.part(b'"}}]}')
    await scene.wire.part(b"")


async def _declined(scene: Scene) -> None:
    said = completion(scene.body, {"role": "assistant", "content": None, "refusal": "I would rather not."})
    await (_stream("refusal", scene, said) if scene.streamed else scene.wire.whole(200, said))


async def _mislabelled(scene: Scene) -> None:
    await scene.wire.whole(200, good(scene), "text/plain")


_ACTS: Final[Mapping[str, Callable[[Scene], Awaitable[None]]]] = {
    "timeout": _late,
    "hang": _hang,
    "reset": _reset,
    "reset_body": _reset_body,
    "slow_drip": _drip,
    "huge": _huge,
    "wrong_ctype": _mislabelled,
    "refusal": _declined,
}


# --- what goes wrong with the message


async def _say(fault: str, scene: Scene) -> None:
    said = _spoilt(fault, scene.body)
    streamed = scene.streamed and fault not in ("json_not_stream",)
    if streamed or (fault == "stream_not_json" and not scene.streamed):
        await _stream(fault, scene, said)
    else:
        await scene.wire.whole(200, said)


def _spoilt(fault: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The completion, with the fault in it if it is one of the message."""
    if fault in _TEXTS:
        text, finish = _TEXTS[fault]
        return completion(body, {"role": "assistant", "content": text}, finish)
    if fault in _CALLS:
        tools = as_list(body.get("tools"))
        tool = as_object(as_object(tools[0]).get("function")) if tools else {"name": "nothing"}
        calls = _CALLS[fault](tool)
        return completion(body, {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls")
    if fault in _WORDS:
        return completion(body, {"role": "assistant", "content": _WORDS[fault](body)})
    said = completion(body, *answer(body))
    if fault == "no_usage":
        del said["usage"]
    if fault == "unknown_finish":
        said["choices"][0]["finish_reason"] = "end_of_story"
    return {**said, **_EXTRAS.get(fault, {})}


def _fenced(body: Mapping[str, Any]) -> str:
    schema = as_object(as_object(as_object(body.get("response_format")).get("json_schema")).get("schema"))
    value = sample(schema, schema) if schema else {"ok": True}
    return f"Gladly:\n```json\n{json.dumps(value)}\n```\nAnything else?"


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "prompt_echo": lambda body: json.dumps(body.get("messages")),
    "think_tags": lambda body: f'<think>{{"no": "answer"}}</think>\n{answer(body)[0]["content"] or "yes"}',
    "markdown_json": _fenced,
}
_TEXTS: Final[Mapping[str, tuple[str | None, str]]] = {
    "null_content": (None, "stop"),
    "empty_content": ("", "stop"),
    "length": ('{"half', "length"),
    "content_filter": ("", "content_filter"),
    "schema_violation": ('{"surprise": [1, null]}', "stop"),
}
_EXTRAS: Final[Mapping[str, dict[str, Any]]] = {
    "bad_usage": {"usage": {"prompt_tokens": -3, "completion_tokens": "some"}},
    "empty_choices": {"choices": []},
    "extra_fields": {"mood": {"today": [None, 1]}, "service_tier": "worst"},
}
_CALLS: Final[Mapping[str, Callable[[Mapping[str, Any]], list[dict[str, Any]]]]] = {
    "tool_bad_json": lambda tool: [_call(tool, arguments='{"path": "/et')],
    "tool_wrong_type": lambda tool: [_call(tool, arguments=json.dumps(_wrong(tool)))],
    "tool_unknown": lambda _: [_call({"name": "erase_everything"}, arguments='{"path": "/"}')],
    "tool_no_id": lambda tool: [_call(tool, "")],
    "tool_dup_id": lambda tool: [_call(tool, "call_same"), _call(tool, "call_same")],
    "tool_args_object": lambda tool: [_call(tool, arguments=json.loads(_call(tool)["function"]["arguments"]))],
    "tool_args_empty": lambda tool: [_call(tool, arguments="")],
    "tool_huge_args": lambda tool: [_call(tool, arguments=json.dumps({"blob": "a" * 4_000_000}))],
    "tool_flood": lambda tool: [_call(tool, f"call_{n}") for n in range(300)],
    "tool_loop": lambda tool: [_call(tool)],
    "interleaved_tools": lambda tool: [_call(tool, "call_1"), _call(tool, "call_2")],
}


def _wrong(tool: Mapping[str, Any]) -> dict[str, Any]:
    fields = as_object(as_object(tool.get("parameters")).get("properties"))
    return {**{name: [None, "wrong"] for name in fields}, "more": 1}


# --- what goes wrong with a stream


async def _stream(fault: str, scene: Scene, said: dict[str, Any]) -> None:
    wire, events = scene.wire, _events(said, mixed=fault == "interleaved_tools")
    await wire.head(200, STREAM)
    for number, event in enumerate(events):
        if number == max(1, len(events) // 2) and await _broke(fault, scene, events):
            return
        data = _event(event)
        if fault == "crlf_comments":
            data = b": still here\r\n\r\n" + data.replace(b"\n", b"\r\n")
        for piece in [data[at : at + 3] for at in range(0, len(data), 3)] if fault == "split_utf8" else [data]:
            await wire.part(piece)
    if fault != "no_done":
        await wire.part(b"data: [DONE]\n\n")
    await wire.part(b"")


async def _broke(fault: str, scene: Scene, events: list[dict[str, Any]]) -> bool:
    """Do what the fault does in the middle of a stream; whether that ended it."""
    wire = scene.wire
    match fault:
        case "reset_stream":
            wire.cut()
        case "stall_stream":
            await wire.pause(scene.stall_s)
            wire.cut()
        case "error_in_stream":
            await wire.part(_event(error("The model fell over.")))
        case "early_done":
            pass
        case "endless_stream":
            while True:
                await wire.part(_event(events[1]))
                await wire.pause(0.001)
        case "bad_chunk":
            await wire.part(b'data: {"choices": [{"delta": {"content": "ha\n\n')
            return False
        case "dup_chunk":
            await wire.part(_event(events[1]))
            return False
        case _:
            return False
    await wire.part(b"data: [DONE]\n\n")
    await wire.part(b"")
    return True


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + _raw(data) + b"\n\n"


def _events(said: Mapping[str, Any], *, mixed: bool) -> list[dict[str, Any]]:
    """The same answer in pieces; `mixed` interleaves those of several calls."""
    if not said["choices"]:
        return [{"choices": []}]
    choice = as_object(said["choices"][0])
    message = as_object(choice["message"])
    text = str(message.get("content") or "")
    step = max(1, len(text) // 8)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[at : at + step]} for at in range(0, len(text), step)]
    if refusal := message.get("refusal"):
        deltas.append({"refusal": refusal})
    calls = [_call_pieces(index, as_object(call)) for index, call in enumerate(as_list(message.get("tool_calls")))]
    rows = zip(*calls, strict=False) if mixed else calls
    pieces = [piece for row in rows for piece in row]
    deltas += [{"tool_calls": [piece]} for piece in pieces]
    events = [_chunk(said, delta) for delta in deltas] + [_chunk(said, {}, choice["finish_reason"])]
    return [*events, {"choices": [], "usage": said["usage"]}] if "usage" in said else events


def _chunk(said: Mapping[str, Any], delta: Mapping[str, Any], finish: Any = None) -> dict[str, Any]:
    return {"model": said["model"], "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _call_pieces(index: int, call: Mapping[str, Any]) -> list[dict[str, Any]]:
    function = as_object(call["function"])
    arguments = function["arguments"]
    first = {"index": index, "id": call["id"], "function": {"name": function["name"], "arguments": ""}}
    if not isinstance(arguments, str):
        return [first, {"index": index, "function": {"arguments": arguments}}]
    step = max(1, len(arguments) // 4)
    parts = [arguments[at : at + step] for at in range(0, len(arguments), step)]
    return [first, *({"index": index, "function": {"arguments": part}} for part in parts)]


# --- vectors


def _vectors(body: Mapping[str, Any], fault: str) -> dict[str, Any]:
    given = body.get("input")
    texts = as_list(given) or [given]
    rows = [{"object": "embedding", "index": n, "embedding": _vector(str(text))} for n, text in enumerate(texts)]
    match fault:
        case "emb_wrong_dim":
            rows[-1]["embedding"] = [*_vector("longer"), 0.5]
        case "emb_nan":
            rows[0]["embedding"] = [float("nan"), *_vector("nan")[1:]]
        case "emb_missing":
            rows.pop()
        case "emb_shuffled":
            rows.reverse()
        case "emb_zero":
            rows[0]["embedding"] = [0.0] * 16
        case _:
            pass
    return {"object": "list", "data": rows, "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)}}


def _vector(text: str) -> list[float]:
    draw = random.Random(text)
    return [draw.uniform(-1.0, 1.0) for _ in range(16)]

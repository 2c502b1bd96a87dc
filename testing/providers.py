"""Servers that behave as providers are documented to, oddities included.

    async with ProviderServer("ollama") as server:
        llm = model(f"ollama:m@{server.url}")

The model inside is a parrot, but what its server lets through, ignores, cuts or refuses is the
provider's own. A `ChatServer` is simpler where the answers themselves matter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from aiohttp import web

from ..models._json import as_list, as_object
from ..models.profiles import PROFILES
from .parrot import Asked, Said, last_text, speak
from .serving import chunk, completion, stream, wire_call

Dialect = Literal["completions", "ollama", "messages"]


@dataclass(frozen=True, slots=True)
class Quirks:
    """How one provider's servers behave."""

    dialect: Dialect = "completions"
    schema: Literal["enforced", "ignored", "refused"] = "enforced"
    tools: bool = True
    schema_beats_tools: bool = False
    """Whether nothing is called in a request that has a schema."""
    tool_choice: bool = True
    parallel: bool = True
    streams_tools: bool = True
    """False: the arguments of a streamed call get lost."""
    reasoning: str | None = None
    """Field of a message that carries it; `tags` puts it into the text."""
    window: int = 32_768
    overlong: Literal["refused", "cut"] = "refused"
    logprobs: bool = False
    seed: bool = True
    refused: frozenset[str] = frozenset()
    """Fields of a request that are answered with status 400."""
    listed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """More fields of the model's entry in the listing."""
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Paths from the root and the JSON that they answer with."""
    paths: tuple[str, ...] = ("/v1",)
    """Where chat completions and embeddings lie."""
    wants_key: bool = False


_LLAMA = Quirks(
    reasoning="reasoning_content",
    parallel=False,
    logprobs=True,
    listed={"owned_by": "llamacpp", "meta": {"n_ctx_train": 32_768}},
    answers={
        "/props": {"build_info": "b7000", "default_generation_settings": {"n_ctx": 8192}, "total_slots": 4},
        "/tokenize": {"tokens": [1, 2, 3]},
    },
    window=8192,
)
_SAMPLING = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs"})

_KEYS = frozenset({"authorization", "x-api-key", "api-key"})

QUIRKS: Mapping[str, Quirks] = {
    "openai": Quirks(refused=frozenset({"top_k", "min_p", "repetition_penalty", "max_tokens"}), wants_key=True),
    "azure": Quirks(
        refused=frozenset({"top_k", "min_p", "repetition_penalty", "max_tokens"}),
        paths=("/openai/deployments/m", "/openai/v1"),
        wants_key=True,
    ),
    "anthropic": Quirks(
        "messages",
        refused=_SAMPLING | {"response_format"},
        listed={"max_input_tokens": 200_000},
        answers={"/v1/messages/count_tokens": {"input_tokens": 7}},
        window=200_000,
        seed=False,
        wants_key=True,
    ),
    "vllm": Quirks(
        reasoning="reasoning",
        streams_tools=False,
        logprobs=True,
        listed={"owned_by": "vllm", "max_model_len": 32_768},
        answers={"/version": {"version": "0.33.0"}, "/tokenize": {"count": 6, "tokens": [1, 2, 3, 4, 5, 6]}},
    ),
    "ollama": Quirks(
        "ollama",
        tool_choice=False,
        schema_beats_tools=True,
        reasoning="thinking",
        overlong="cut",
        window=16_384,
        listed={"owned_by": "library"},
        answers={"/api/version": {"version": "0.30.1"}, "/api/show": {"model_info": {"qwen3.context_length": 16_384}}},
    ),
    "llamacpp": _LLAMA,
    "lmstudio": Quirks(reasoning="reasoning_content", tool_choice=False, parallel=False),
    "tgi": Quirks(
        schema="refused",
        parallel=False,
        logprobs=True,
        answers={"/info": {"version": "3.3.4", "max_total_tokens": 4096}, "/tokenize": [{"id": 1}, {"id": 2}]},
        window=4096,
    ),
    "llamafile": replace(_LLAMA, listed={"owned_by": "llamafile"}, answers={}),
    "jan": replace(_LLAMA, listed={}, answers={}, wants_key=True),
    "gpt4all": Quirks(schema="ignored", tools=False, seed=False, overlong="cut", window=2048),
    "litgpt": Quirks(schema="ignored", tools=False, seed=False, window=2048),
    "openai-compatible": Quirks(schema="ignored", reasoning="tags", overlong="cut", window=4096),
}


class ProviderServer:
    """A provider's server on a free loopback port, with one model named `m`.

    Args:
        provider: A row of the table of providers.
        quirks: How it behaves; default: as documented.
    """

    def __init__(self, provider: str, quirks: Quirks | None = None) -> None:
        self.quirks = quirks or QUIRKS[provider]
        self._profile = PROFILES[provider]
        self._runner: web.AppRunner | None = None
        self.url = ""
        """Base address, `/v1` included."""
        self.requests: list[dict[str, Any]] = []
        """Bodies of the requests for an answer, in order."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        own = {"ollama": "/api/chat", "messages": "/v1/messages"}.get(self.quirks.dialect)
        for path in [own] if own else [f"{base}/chat/completions" for base in self.quirks.paths]:
            app.router.add_post(path, self._chat)
        if self._profile.listing:
            app.router.add_get("/v1/models", self._list)
        for base in self.quirks.paths if self._profile.embeddings else ():
            app.router.add_post(f"{base}/embeddings", self._embed)
        for path in self.quirks.answers:
            app.router.add_route("*", path, self._tell)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model", **self.quirks.listed}]})

    async def _tell(self, request: web.Request) -> web.Response:
        return web.json_response(self.quirks.answers[request.path])

    async def _embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [{"index": n, "embedding": [float(len(text)), 1.0, 2.0]} for n, text in enumerate(texts)]
        return web.json_response({"data": vectors[::-1], "model": "m", "usage": {"prompt_tokens": len(texts)}})

    async def _chat(self, request: web.Request) -> web.Response:
        body = as_object(await request.json())
        self.requests.append(body)
        quirks = self.quirks
        if quirks.wants_key and not _KEYS & {name.lower() for name in request.headers}:
            return _refusal(401, "no key")
        if named := sorted(quirks.refused & body.keys()):
            return _refusal(400, f"unsupported parameter: {named[0]}")
        if quirks.schema == "refused" and "response_format" in body:
            return _refusal(422, "response_format is not supported")
        prompt = _size(body)
        window = int(as_object(body.get("options")).get("num_ctx") or quirks.window)
        if prompt > window and quirks.overlong == "refused":
            return _refusal(400, f"the prompt has {prompt} tokens, more than the context length of {window}")
        said = self._said(body)
        writers = {"completions": _completions, "ollama": _ollama, "messages": _messages}
        return writers[quirks.dialect](quirks, body, said, min(prompt, window))

    def _said(self, body: Mapping[str, Any]) -> Said:
        quirks = self.quirks
        asked = _READERS[quirks.dialect](body)
        if quirks.schema != "enforced":
            asked = replace(asked, schema=None)
        if not quirks.tools or (asked.schema is not None and quirks.schema_beats_tools):
            asked = replace(asked, tools=())
        if not quirks.tool_choice:
            asked = replace(asked, choice="auto")
        if not quirks.seed:
            asked = replace(asked, seed=None)
        if asked.schema is not None and speak(replace(asked, schema=None), parallel=False).calls:
            asked = replace(asked, schema=None)  # a call is not bound by the answer's schema
        return speak(asked, parallel=quirks.parallel)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status)


def _size(body: Mapping[str, Any]) -> int:
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


_READERS: Mapping[Dialect, Callable[[Mapping[str, Any]], Asked]] = {
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

"""The client against a real HTTP server: requests, retries, deadlines, streams, and what a run is told."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from collegium.core.context import current_node, current_run
from collegium.core.errors import (
    BackendError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    InvalidInput,
)
from collegium.core.messages import ToolSpec, Usage, assistant, user
from collegium.models import Completion, Params, TextDelta, model
from collegium.models.compatible.backend import CompatibleModel
from collegium.models.compatible.transport import AiohttpTransport
from collegium.models.profiles import PROFILES
from collegium.testing.serving import ChatServer, chunk, completion, failure, stream, wire_call

ASK = [user("hello")]
ADD: ToolSpec = {"name": "add", "description": "Add.", "parameters": {"type": "object"}}


class Watcher:
    """A run that keeps what models tell it."""

    run_id, thread_id, model_spec, deps = "run-1", "t-1", None, None

    def __init__(self, watched: bool = True) -> None:
        self.watched = watched
        self.events: list[tuple[str, dict[str, Any], str | None]] = []
        self.spent = Usage()

    def emit(self, kind: str, data: Mapping[str, Any], *, node: str | None = None) -> None:
        self.events.append((kind, dict(data), node))

    limited = False

    async def reserve(self, input_tokens: int, output_tokens: int | None, cost_usd: Any) -> Any:
        raise AssertionError("a run without limits is asked for no leave")

    def spend(self, usage: Usage, model: str) -> None:
        self.spent += usage


class Naps:
    """Keeps the waits that were asked for and waits for none."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def client(server: ChatServer, provider: str = "vllm", naps: Naps | None = None) -> CompatibleModel:
    profile = PROFILES[provider]
    spec = f"{provider}:m@{server.url}"
    transport = AiohttpTransport(spec, server.url, profile)
    return CompatibleModel(spec, "m", profile, transport, sleep=naps or Naps())


async def test_a_request_carries_messages_tools_decoding_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sk-1")
    async with ChatServer(completion(None, tool_calls=[wire_call()])) as server:
        params = Params(temperature=0.0, max_tokens=5, seed=1, stop=("x",), extra={"top_k": 3})
        done = await client(server).complete([*ASK, assistant("a")], tools=[ADD], tool_choice="add", params=params)
    assert done.tool_calls[0].name == "add"
    assert server.requests == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "a"}],
            "tools": [{"type": "function", "function": ADD}],
            "tool_choice": {"type": "function", "function": {"name": "add"}},
            "temperature": 0.0,
            "max_tokens": 5,
            "seed": 1,
            "stop": ["x"],
            "top_k": 3,
        }
    ]
    assert server.headers[0]["authorization"] == "Bearer sk-1"


async def test_a_server_with_a_header_of_its_own_gets_the_bare_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIT_SERVER_API_KEY", "k")
    async with ChatServer(completion()) as server:
        await client(server, "litgpt").complete(ASK)
    assert server.headers[0]["x-api-key"] == "k"
    assert "authorization" not in server.headers[0]


async def test_text_that_is_no_valid_unicode_still_goes_out() -> None:
    async with ChatServer(completion("ok")) as server:
        assert (await client(server).complete([user("half \ud83d a pair")])).text == "ok"


@pytest.mark.parametrize("key", ["sk-secret\nX: y", "sk-secret-\u20ac"])
async def test_a_key_that_no_header_can_carry_is_refused_unseen(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", key)
    async with ChatServer(completion()) as server:
        with pytest.raises(BackendUnavailable, match="cannot carry") as caught:
            await client(server).complete(ASK)
    assert "secret" not in str(caught.value)


async def test_a_passing_failure_is_tried_again_after_the_wait_asked_for() -> None:
    naps = Naps()
    async with ChatServer(failure(429, retry_after="2"), failure(503), completion("done")) as server:
        assert (await client(server, naps=naps).complete(ASK)).text == "done"
    assert len(server.requests) == 3
    assert 2.0 <= naps.seconds[0] <= 3.0
    assert 0.0 <= naps.seconds[1] <= 20.0


async def test_tries_are_bounded_and_the_last_failure_is_told() -> None:
    async with ChatServer(failure(500, "it broke")) as server:
        with pytest.raises(BackendUnavailable, match="HTTP 500: it broke"):
            await client(server).complete(ASK)
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_a_refused_request_is_not_repeated(status: int) -> None:
    async with ChatServer(failure(status, "no")) as server:
        with pytest.raises(BackendError):
            await client(server).complete(ASK)
    assert len(server.requests) == 1


async def test_a_used_up_quota_is_not_tried_again() -> None:
    async with ChatServer(failure(429, "no money", "insufficient_quota")) as server:
        with pytest.raises(BackendRejected, match="quota is used up"):
            await client(server).complete(ASK)
    assert len(server.requests) == 1


async def test_a_wait_past_the_deadline_is_not_begun() -> None:
    naps = Naps()
    async with ChatServer(failure(429, retry_after="900")) as server:
        with pytest.raises(BackendUnavailable, match="asks to wait 900 s, which is past the deadline"):
            await client(server, naps=naps).complete(ASK, timeout_s=30)
    assert naps.seconds == []


async def test_a_server_that_never_answers_ends_at_the_deadline() -> None:
    gone = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await gone.wait()
        return web.Response()

    async with ChatServer(hang) as server:
        model = client(server)
        with pytest.raises(BackendTimeout, match="within 0.1 s"):
            await model.complete(ASK, timeout_s=0.1)
        with pytest.raises(BackendTimeout):
            await anext(model.stream(ASK, timeout_s=0.1))
        gone.set()


async def test_a_redirect_is_not_followed_and_the_key_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sk-secret")
    async with ChatServer(completion()) as other:
        away = web.Response(status=302, headers={"location": f"{other.url}/chat/completions"})
        async with ChatServer(away) as server:
            with pytest.raises(BackendUnavailable, match="redirects to 127.0.0.1") as caught:
                await client(server).complete(ASK)
        assert other.requests == []
    assert "sk-secret" not in str(caught.value)


async def test_a_body_without_end_is_refused_by_its_size() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 1_000_000)
        except ConnectionError:
            return response

    async with ChatServer(endless) as server:
        with pytest.raises(BackendUnavailable, match="larger than 8000000 bytes"):
            await client(server).complete(ASK)


async def test_nothing_at_the_address_is_one_line_that_names_it() -> None:
    async with ChatServer() as server:
        url = server.url
    silent = model(f"llamacpp:m@{url}")
    with pytest.raises(BackendUnavailable, match="nothing answers at http://127.0.0.1:.* Is the server running?"):
        await silent.complete(ASK, timeout_s=3)


async def test_a_conversation_without_messages_is_refused_here() -> None:
    async with ChatServer(completion()) as server:
        with pytest.raises(InvalidInput):
            await client(server).complete([])
    assert server.requests == []


async def test_a_stream_gives_deltas_and_ends_with_the_whole_answer() -> None:
    data = stream(chunk({"content": "a "}), chunk({"content": "b"}), chunk({}, "stop"), "[DONE]")
    async with ChatServer(data) as server:
        events = [event async for event in client(server).stream(ASK)]
    assert events[:-1] == [TextDelta("a "), TextDelta("b")]
    assert isinstance(events[-1], Completion) and events[-1].text == "a b"
    assert server.requests[0]["stream_options"] == {"include_usage": True}


async def test_a_server_that_counts_no_tokens_in_streams_is_asked_without() -> None:
    whole = stream(chunk({"content": "a"}), chunk({}, "stop"))
    async with ChatServer(failure(400, "unknown field stream_options"), whole) as server:
        events = [event async for event in client(server).stream(ASK)]
    assert isinstance(events[-1], Completion) and events[-1].usage.output_tokens == 1
    assert ["stream_options" in request for request in server.requests] == [True, False]


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_in_the_other_form_is_read_all_the_same(streamed: bool) -> None:
    data = stream(chunk({"content": "a"}), chunk({}, "stop"), "[DONE]")
    async with ChatServer(completion("a") if streamed else data) as server:
        model = client(server)
        done = [e async for e in model.stream(ASK)][-1] if streamed else await model.complete(ASK)
    assert isinstance(done, Completion) and done.text == "a"


async def test_a_stream_is_begun_again_only_while_nothing_was_handed_on() -> None:
    whole = stream(chunk({"content": "whole"}), chunk({}, "stop"))
    async with ChatServer(failure(503), stream(), whole) as server:
        events = [event async for event in client(server).stream(ASK)]
        assert isinstance(events[-1], Completion) and events[-1].text == "whole"
    async with ChatServer(stream(chunk({"content": "half"})), whole) as server:
        seen: list[Any] = []
        with pytest.raises(BackendUnavailable, match="ended before"):
            async for event in client(server).stream(ASK):
                seen.append(event)
    assert seen == [TextDelta("half")]
    assert len(server.requests) == 1


async def test_a_watched_run_sees_text_as_it_comes_and_an_unwatched_one_costs_no_stream() -> None:
    data = stream(chunk({"content": "a "}), chunk({"content": "b"}), chunk({}, "stop"), "[DONE]")
    run = Watcher()
    async with ChatServer(data, completion("a b")) as server:
        model = client(server)
        tokens = current_run.set(run), current_node.set("writer")
        assert (await model.complete(ASK)).text == "a b"
        run.watched = False
        assert (await model.complete(ASK)).text == "a b"
        current_run.reset(tokens[0])
        current_node.reset(tokens[1])
    assert [kind for kind, _, _ in run.events] == ["text_delta", "text_delta", "model_called", "model_called"]
    assert {node for _, _, node in run.events} == {"writer"}
    assert [r.get("stream", False) for r in server.requests] == [True, False]
    assert run.spent.model_calls == 2


async def test_a_watched_stream_that_breaks_is_asked_for_whole() -> None:
    run = Watcher()
    async with ChatServer(stream(chunk({"content": "ha"})), completion("half and half")) as server:
        token = current_run.set(run)
        done = await client(server).complete(ASK)
        current_run.reset(token)
    assert done.text == "half and half"
    assert run.spent.model_calls == 1


async def test_five_hundred_calls_at_once_are_served() -> None:
    async with ChatServer(completion("x")) as server:
        model = client(server)
        done = await asyncio.gather(*(model.complete(ASK) for _ in range(500)))
        await model.aclose()
    assert len(done) == len(server.requests) == 500


def test_one_model_serves_one_event_loop_after_another() -> None:
    async def twice(spec: str | None, made: Any) -> Any:
        async with ChatServer(completion("x")) as server:
            shared = made or client(server)
            if made:  # the first loop's server is gone; only the session must be a new one
                with pytest.raises(BackendUnavailable, match="nothing answers"):
                    await shared.complete(ASK, timeout_s=0.2)
            else:
                await shared.complete(ASK)
            return shared

    asyncio.run(twice(None, asyncio.run(twice(None, None))))


async def test_the_default_model_is_the_one_of_the_run_then_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lazy = model()
    assert lazy.spec == "embedded"
    async with ChatServer(completion("x")) as server:
        monkeypatch.setenv("COLLEGIUM_MODEL", f"vllm:m@{server.url}")
        assert (await lazy.complete(ASK)).text == "x"
        run = Watcher(watched=False)
        run.model_spec = model(f"vllm:other@{server.url}")  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        token = current_run.set(run)
        assert lazy.spec == f"vllm:other@{server.url}"
        await lazy.complete(ASK)
        current_run.reset(token)
    assert [r["model"] for r in server.requests] == ["m", "other"]


async def test_a_run_is_told_of_each_failure_that_is_tried_again() -> None:
    run = Watcher(watched=False)
    async with ChatServer(failure(503, "loading", retry_after="2"), completion("done")) as server:
        token = current_run.set(run)
        await client(server).complete(ASK)
        current_run.reset(token)
    kind, told, _ = run.events[0]
    assert (kind, told["requests"]) == ("model_retried", 1)
    assert told["error"].endswith("HTTP 503: loading") and told["wait_s"] >= 2.0

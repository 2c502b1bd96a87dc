"""Ollama by its own API: the window that is asked for, prompts that are cut, calls, thoughts and streams."""

import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

from collegium.core.errors import BackendError, BackendRejected, PromptTooLong
from collegium.core.messages import Message, ToolCall, ToolSpec, assistant, system, user
from collegium.models import Completion, Model, Params, ReasoningDelta, TextDelta, model
from collegium.models.ollama.wire import Chunks, completion_of, native_request
from collegium.testing.providers import QUIRKS, ProviderServer

ASK = [user("hello")]
ALARM: ToolSpec = {
    "name": "set_alarm",
    "description": "Set an alarm.",
    "parameters": {"type": "object", "properties": {"time": {"type": "string"}}, "required": ["time"]},
}


class Fact(BaseModel):
    name: str
    year: int


def ollama(server: ProviderServer) -> Model:
    return model(f"ollama:m@{server.url}")


async def test_a_schema_settings_and_a_window_go_by_ollamas_names() -> None:
    async with ProviderServer("ollama") as server:
        params = Params(temperature=0.1, max_tokens=50, repetition_penalty=1.1, reasoning_effort="low")
        params = replace(params, extra={"keep_alive": "5m", "num_gpu": 1})
        done = await ollama(server).complete(ASK, output=Fact, params=params)
        await ollama(server).aclose()
    (sent,) = server.requests
    assert done.output == Fact(name="x", year=0)
    assert (done.rung, done.reasoning) == ("json_schema", "Hm.")
    assert sent["format"]["required"] == ["name", "year"]
    assert sent["options"] == {
        "num_ctx": 4096,
        "temperature": 0.1,
        "num_predict": 50,
        "repeat_penalty": 1.1,
        "num_gpu": 1,
    }
    assert (sent["keep_alive"], sent["think"], sent["stream"], sent["truncate"]) == ("5m", "low", False, False)
    assert "response_format" not in sent and "tool_choice" not in sent


async def test_the_window_grows_with_the_prompt_and_never_shrinks() -> None:
    async with ProviderServer("ollama") as server:
        llm = ollama(server)
        for words in (10, 4000, 10):
            await llm.complete([user("apple " * words)])
        await llm.complete(ASK, params=Params(extra={"num_ctx": 1234}))
        await llm.aclose()
    assert [sent["options"]["num_ctx"] for sent in server.requests] == [4096, 16_384, 16_384, 1234]


async def test_no_window_is_asked_for_that_the_model_was_not_made_for() -> None:
    quirks = replace(QUIRKS["ollama"], answers={"/api/show": {"model_info": {"phi.context_length": 6000}}})
    async with ProviderServer("ollama", quirks) as server:
        llm = ollama(server)
        await llm.complete([user("apple " * 3000)])
        await llm.aclose()
    assert server.requests[0]["options"]["num_ctx"] == 6000


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_to_a_prompt_that_was_cut_is_refused(streamed: bool) -> None:
    async with ProviderServer("ollama", replace(QUIRKS["ollama"], answers={})) as server:
        llm = ollama(server)
        params = Params(extra={"num_ctx": 512})
        with pytest.raises(PromptTooLong, match="512"):
            if streamed:
                _ = [event async for event in llm.stream([user("apple " * 600)], params=params)]
            else:
                await llm.complete([user("apple " * 600)], params=params)
        await llm.aclose()


async def test_calls_and_thoughts_come_through_whole_and_streamed() -> None:
    asked = [user("Use set_alarm at 06:30 and 07:45.")]
    async with ProviderServer("ollama") as server:
        llm = ollama(server)
        whole = await llm.complete(asked, tools=[ALARM])
        events = [event async for event in llm.stream(asked, tools=[ALARM])]
        said = [event async for event in llm.stream(ASK)]
        await llm.aclose()
    last = events[-1]
    assert isinstance(last, Completion)
    for done in (whole, last):
        assert [call.parsed() for call in done.tool_calls] == [{"time": "06:30"}, {"time": "07:45"}]
        assert len({call.call_id for call in done.tool_calls}) == 2
        assert (done.reasoning, done.finish_reason, done.usage.output_tokens) == ("Hm.", "tool_calls", 3)
    assert said[0] == ReasoningDelta("Hm.")
    assert "".join(e.text for e in said if isinstance(e, TextDelta)) == "The gull is at sea."


async def test_the_result_of_a_tool_goes_back_by_the_tools_name() -> None:
    turns = [
        system("Be brief."),
        user("Wake me."),
        assistant("", [ToolCall("call_1", "set_alarm", '{"time": "06:30"}'), ToolCall("call_2", "x", "{bad")]),
        Message("tool", "done", tool_call_id="call_1"),
    ]
    async with ProviderServer("ollama") as server:
        llm = ollama(server)
        assert (await llm.complete(turns, tools=[ALARM])).text
        await llm.aclose()
    sent = server.requests[0]["messages"]
    assert sent[2]["tool_calls"][0] == {"function": {"name": "set_alarm", "arguments": {"time": "06:30"}}}
    assert sent[2]["tool_calls"][1] == {"function": {"name": "x", "arguments": {"text": "{bad"}}}
    assert sent[3] == {"role": "tool", "content": "done", "tool_name": "set_alarm"}


def test_json_without_a_schema_is_asked_for_in_its_own_word() -> None:
    body: dict[str, Any] = {
        "model": "m",
        "messages": [],
        "response_format": {"type": "json_object"},
        "reasoning_effort": "none",
    }
    native = native_request(body, 4096)
    assert (native["format"], native["think"]) == ("json", False)


@pytest.mark.parametrize(
    "answer",
    [{}, {"message": "odd"}, {"message": {"content": 3}}, {"message": {"tool_calls": "odd"}}, {"error": {"a": 1}}],
)
def test_answers_of_another_shape_are_left_to_the_reader(answer: dict[str, Any]) -> None:
    assert json.dumps(completion_of(answer))
    assert Chunks().event(answer).startswith(b"data: ")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, '{"error": "model \\"m\\" not found, try pulling it first"}', "model"),
        (400, '{"error": "the input length exceeds the context length"}', "context length"),
        (200, '{"error": "llama runner process has terminated"}', "terminated"),
        (200, "not json", "not JSON"),
        (200, "", "empty"),
    ],
)
async def test_failures_of_ollama_are_our_own_errors(status: int, body: str, error: str) -> None:
    async with _saying(status, body) as url:
        llm = model(f"ollama:m@{url}")
        with pytest.raises(BackendError, match=error):
            await llm.complete(ASK, timeout_s=2)
        await llm.aclose()


async def test_a_stream_that_ends_too_early_is_no_answer() -> None:
    line = json.dumps({"model": "m", "message": {"content": "half"}, "done": False})
    async with _saying(200, line + "\n") as url:
        llm = model(f"ollama:m@{url}")
        with pytest.raises(BackendError, match="ended before") as caught:
            _ = [event async for event in llm.stream(ASK, timeout_s=2)]
        assert not isinstance(caught.value, BackendRejected)
        await llm.aclose()


class _saying:
    """A server whose every answer is the same."""

    def __init__(self, status: int, body: str) -> None:
        self._status, self._body = status, body

    async def __aenter__(self) -> str:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(status=self._status, text=self._body, content_type="application/json")

        app = web.Application()
        app.router.add_route("*", "/api/{name}", answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

"""Structured output: the ladder, repairs, cuts, and what is remembered."""

from typing import Any, Literal

import pytest
from aiohttp import web
from pydantic import BaseModel

from collegium.core.errors import BackendRejected, InvalidOutput, OutputTruncated
from collegium.core.messages import user
from collegium.models import Capabilities, Params, model
from collegium.models.schemas import NARROW, ROOMY
from collegium.testing.serving import ChatServer, Reply, completion, failure, wire_call

ASK = [user("Who?")]
GOOD = '{"name": "Ada", "year": 1843}'
NO_FORMAT = failure(400, "response_format json_schema is not supported")


class Fact(BaseModel):
    name: str
    year: int


class Other(BaseModel):
    word: Literal["a", "b"]


async def fill(server: ChatServer, output: Any = Fact, provider: str = "openai-compatible", **more: Any) -> Any:
    return await model(f"{provider}:m@{server.url}").complete(ASK, output=output, **more)


async def test_the_schema_goes_along_and_the_answer_is_an_object() -> None:
    async with ChatServer(completion(GOOD)) as server:
        done = await fill(server)
    assert done.output == Fact(name="Ada", year=1843)
    assert (done.rung, done.finish_reason) == ("json_schema", "stop")
    form = server.requests[0]["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["schema"]["required"] == ["name", "year"]


async def test_a_server_that_knows_no_schema_is_asked_one_rung_lower_and_that_is_remembered() -> None:
    called = completion(None, finish="tool_calls", tool_calls=[wire_call("Fact", GOOD)])
    async with ChatServer(NO_FORMAT, called) as server:
        shared = model(f"openai-compatible:m@{server.url}")
        for _ in range(2):
            done = await shared.complete(ASK, output=Fact)
            assert (done.output.year, done.rung, done.tool_calls) == (1843, "tool", ())
    assert len(server.requests) == 3
    assert server.requests[1]["tool_choice"]["function"]["name"] == "Fact"


async def test_the_ladder_ends_at_the_prompt() -> None:
    no_tools, no_json = failure(422, "tools unsupported"), failure(400, "unknown parameter response_format")
    async with ChatServer(NO_FORMAT, no_tools, no_json, completion(f"```json\n{GOOD}\n```")) as server:
        done = await fill(server)
    assert (done.output.name, done.rung) == ("Ada", "prompt")
    assert "JSON Schema" in server.requests[3]["messages"][-1]["content"]
    assert "response_format" not in server.requests[3]


async def test_two_schemas_refused_lower_the_start_for_good_also_for_the_next_process() -> None:
    async def picky(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if body.get("response_format"):
            return web.json_response({"error": {"message": "no json_schema here"}}, status=400)
        answers = {"Fact": GOOD, "Other": '{"word": "a"}'}
        name = body["tools"][0]["function"]["name"]
        return web.json_response(completion(None, tool_calls=[wire_call(name, answers[name])]))

    async with ChatServer(picky) as server:
        shared = model(f"openai-compatible:m@{server.url}")
        await shared.complete(ASK, output=Fact)
        await shared.complete(ASK, output=Other)
        before = len(server.requests)
        await fill(server, Other)
    assert before == 4
    assert len(server.requests) == 5


async def test_a_request_refused_for_another_reason_is_not_sent_again_in_another_form() -> None:
    async with ChatServer(failure(400, "maximum context length is 4096 tokens")) as server:
        with pytest.raises(BackendRejected, match="context length"):
            await fill(server)
    assert len(server.requests) == 1


async def test_an_invalid_answer_is_repaired_with_what_is_wrong() -> None:
    async with ChatServer(completion('{"name": "Ada", "year": "soon"}'), completion(GOOD)) as server:
        done = await fill(server)
    assert done.output.year == 1843
    assert done.usage.model_calls == 2
    told = server.requests[1]["messages"]
    assert told[1] == {"role": "assistant", "content": '{"name": "Ada", "year": "soon"}'}
    assert "year: Input should be a valid integer" in told[2]["content"]


@pytest.mark.parametrize("reply", [completion("I do not know."), completion(None), completion('{"x": 1}')])
async def test_repairs_are_bounded(reply: Reply) -> None:
    async with ChatServer(reply) as server:
        with pytest.raises(InvalidOutput, match="no valid Fact in 3 answers"):
            await fill(server)
    assert len(server.requests) == 3


async def test_an_answer_cut_at_the_limit_gets_more_room_once() -> None:
    cut = completion('{"name": "A', finish="length")
    async with ChatServer(cut, completion(GOOD)) as server:
        assert (await fill(server)).output.name == "Ada"
    assert server.requests[1]["max_tokens"] == 2 * server.requests[0]["max_tokens"]
    async with ChatServer(cut) as server:
        with pytest.raises(OutputTruncated, match="cut at 8192 tokens"):
            await fill(server)
    assert len(server.requests) == 2


async def test_a_limit_of_the_callers_own_is_kept() -> None:
    async with ChatServer(completion('{"name": "A', finish="length")) as server:
        with pytest.raises(OutputTruncated, match="cut at 20 tokens"):
            await fill(server, params=Params(max_tokens=20))
    assert [r["max_tokens"] for r in server.requests] == [20]


TINY = Capabilities(level="tiny")


def named(length: int) -> dict[str, Any]:
    return completion('{"name": "%s", "year": 1}' % ("a" * length))


async def test_a_tiny_models_string_that_reaches_its_limit_is_asked_for_again_with_more_room() -> None:
    async with ChatServer(named(NARROW.text), named(NARROW.text)) as server:
        done = await model(f"vllm:m@{server.url}", capabilities=TINY).complete(ASK, output=Fact)
    assert (len(done.output.name), done.finish_reason, done.requests) == (NARROW.text, "stop", 2)
    first, second = server.requests
    assert (first["repetition_penalty"], first.get("temperature")) == (1.2, None)
    assert (second["temperature"], second["seed"], second["max_tokens"]) == (0.7, 1, 2 * first["max_tokens"])


async def test_a_tiny_models_string_that_reaches_every_limit_is_valid_and_marked() -> None:
    async with ChatServer(named(NARROW.text), named(ROOMY.text), named(ROOMY.text)) as server:
        done = await model(f"vllm:m@{server.url}", capabilities=TINY).complete(ASK, output=Fact)
    assert (len(done.output.name), done.finish_reason) == (NARROW.text, "length")
    assert done.usage.model_calls == 3


async def test_a_penalty_of_the_callers_own_is_kept_and_none_sent_where_none_is_taken() -> None:
    async with ChatServer(named(5)) as server:
        params = Params(repetition_penalty=1.05)
        await model(f"vllm:m@{server.url}", capabilities=TINY).complete(ASK, output=Fact, params=params)
        await model(f"gpt4all:m@{server.url}", capabilities=TINY).complete(ASK, output=Fact)
    assert [r.get("repetition_penalty") for r in server.requests] == [1.05, None]


async def test_another_models_string_that_reaches_the_limit_is_asked_for_without_it() -> None:
    long = completion('{"name": "%s", "year": 1}' % ("a" * 2000))
    async with ChatServer(long, completion('{"name": "%s", "year": 1}' % ("a" * 3000))) as server:
        done = await fill(server)
    assert (len(done.output.name), done.finish_reason) == (3000, "stop")
    assert "maxLength" in str(server.requests[0])
    assert "maxLength" not in str(server.requests[1])


async def test_fences_talk_and_thoughts_around_the_answer_are_stripped() -> None:
    text = f'<think>{{"name": "no"}}</think>Sure!\n```json\n{GOOD}\n```\nMore?'
    async with ChatServer(completion(text)) as server:
        assert (await fill(server)).output.name == "Ada"
    assert len(server.requests) == 1

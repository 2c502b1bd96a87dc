"""The openai SDK as the transport: hosted specs and a client handed over, read as strictly as our own."""

import asyncio

import openai
import pytest
from pydantic import BaseModel

from collegium.core.errors import BackendError, BackendRejected, BackendUnavailable
from collegium.core.messages import user
from collegium.models import Completion, Params, TextDelta, embedder, model
from collegium.testing.providers import ProviderServer
from collegium.testing.serving import ChatServer, chunk, completion, failure, stream

ASK = [user("hello")]


class Fact(BaseModel):
    name: str


async def test_openai_goes_through_the_sdk_with_the_usual_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    async with ChatServer(completion("hi")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        hosted = model("openai:gpt-x")
        done = await hosted.complete(ASK, params=Params(max_tokens=5, extra={"service_tier": "flex"}))
        await hosted.aclose()
    assert (done.text, done.usage.input_tokens) == ("hi", 9)
    assert server.requests[0] == {
        "model": "gpt-x",
        "messages": [{"role": "user", "content": "hello"}],
        "max_completion_tokens": 5,
        "service_tier": "flex",
    }
    assert server.headers[0]["authorization"] == "Bearer sk-1"
    assert (await hosted.capabilities()).level == "capable"


async def test_a_missing_key_is_one_line() -> None:
    with pytest.raises(BackendUnavailable, match="OPENAI_API_KEY") as caught:
        await model("openai:gpt-x").complete(ASK)
    assert "\n" not in str(caught.value)


async def test_a_client_handed_over_is_used_and_left_open() -> None:
    async with ChatServer(completion('{"name": "Ada"}')) as server:
        client = openai.AsyncOpenAI(base_url=server.url, api_key="sk-own")
        hosted = model("openai:gpt-x", client=client)
        assert (await hosted.complete(ASK, output=Fact)).output == Fact(name="Ada")
        await hosted.aclose()
        assert not client.is_closed()
        await client.close()
    assert server.headers[0]["authorization"] == "Bearer sk-own"
    assert "maxLength" not in str(server.requests[0])


@pytest.mark.parametrize("path", ["", "/openai/v1"])
async def test_azure_answers_at_its_deployment_and_at_its_newer_address(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    async with ProviderServer("azure") as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url.removesuffix("/v1") + path)
        hosted = model("azure:m")
        done = await hosted.complete(ASK, output=Fact, params=Params(max_tokens=50))
        events = [event async for event in hosted.stream(ASK)]
        vectors = await asyncio.to_thread(embedder("azure:m").embed, ["a"])
        await hosted.aclose()
    assert (done.output, done.rung) == (Fact(name="x"), "json_schema")
    assert server.requests[0]["max_completion_tokens"] == 50
    assert isinstance(events[-1], Completion) and events[-1].text == "The gull is at sea."
    assert len(vectors[0]) == 3


async def test_azure_without_an_address_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    for ask in (model("azure:mine").complete(ASK), asyncio.to_thread(embedder("azure:mine").embed, ["a"])):
        with pytest.raises(BackendUnavailable, match="AZURE_OPENAI_ENDPOINT"):
            await ask


async def test_failures_of_the_service_are_our_own_errors() -> None:
    async with ChatServer(failure(429, "none left", "insufficient_quota")) as server:
        client = openai.AsyncOpenAI(base_url=server.url, api_key="sk-own")
        with pytest.raises(BackendRejected, match="quota"):
            await model("openai:m", client=client).complete(ASK)
        await client.close()
    assert len(server.requests) == 1
    gone = openai.AsyncOpenAI(base_url=server.url, api_key="sk-own")
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        await model("openai:m", client=gone).complete(ASK, timeout_s=0.3)
    await gone.close()


async def test_a_stream_is_read_by_the_same_rules() -> None:
    data = stream(chunk({"content": "a"}), chunk({"content": "b"}), chunk({}, "stop"), "[DONE]")
    async with ChatServer(data, stream(chunk({"content": "half"}))) as server:
        client = openai.AsyncOpenAI(base_url=server.url, api_key="sk-own")
        hosted = model("openai:m", client=client)
        events = [event async for event in hosted.stream(ASK)]
        assert events[:2] == [TextDelta("a"), TextDelta("b")]
        assert isinstance(events[-1], Completion)
        with pytest.raises(BackendError, match="ended before"):
            _ = [event async for event in hosted.stream(ASK)]
        await client.close()

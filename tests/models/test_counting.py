"""How long a prompt is, and what is refused before it is sent."""

import pytest
from aiohttp import web

from collegium.core.errors import BackendRejected, PromptTooLong
from collegium.core.messages import ToolCall, ToolSpec, assistant, user
from collegium.models import Capabilities, estimate_prompt, estimate_tokens, model
from collegium.testing.serving import ChatServer, completion, failure

PROSE = "The ferry leaves the pier at seven and returns before the lamps are lit. " * 40
WINDOW = Capabilities(context_tokens=200)


def test_an_estimate_follows_the_family_and_the_script() -> None:
    assert estimate_tokens(PROSE, "gpt-5-mini") < estimate_tokens(PROSE) < estimate_tokens(PROSE, "claude-opus")
    assert 500 < estimate_tokens(PROSE, "qwen2.5") < 900
    assert estimate_tokens("\u4e16\u754c" * 100) > 150
    assert estimate_tokens("") == 0


def test_calls_and_tools_count_too() -> None:
    tool: ToolSpec = {"name": "add", "description": PROSE, "parameters": {"type": "object"}}
    call = ToolCall("1", "add", PROSE)
    assert estimate_prompt([assistant("", [call])], [tool]) > 2 * estimate_tokens(PROSE)


async def test_a_prompt_that_cannot_fit_is_refused_unsent() -> None:
    async with ChatServer(completion("x")) as server:
        llm = model(f"openai-compatible:m@{server.url}", capabilities=WINDOW)
        with pytest.raises(PromptTooLong, match="window 200") as caught:
            await llm.complete([user(PROSE)])
        with pytest.raises(PromptTooLong):
            await anext(llm.stream([user(PROSE)]))
        assert (await llm.complete([user("short")])).text == "x"
    assert len(server.requests) == 1
    assert (caught.value.window, caught.value.requests) == (200, 0)


@pytest.mark.parametrize(("tokens", "sent"), [(150, 1), (250, 0)])
async def test_a_servers_own_tokenizer_decides_where_there_is_one(tokens: int, sent: int) -> None:
    asked: list[str] = []

    async def tokenize(request: web.Request) -> web.StreamResponse:
        asked.append((await request.json())["content"])
        return web.json_response({"tokens": list(range(tokens))})

    async with ChatServer(completion("x"), routes={"/tokenize": tokenize}) as server:
        llm = model(f"llamacpp:m@{server.url}", capabilities=WINDOW)
        if sent:
            await llm.complete([user("word " * 150)])
        else:
            with pytest.raises(PromptTooLong, match="has 250 tokens"):
                await llm.complete([user("word " * 150)])
    assert (len(server.requests), len(asked)) == (sent, 1)


@pytest.mark.parametrize(
    "reply",
    [
        failure(400, "This model's maximum context length is 4096 tokens."),
        failure(400, "no", "context_length_exceeded"),
        failure(500, "the request exceeds the available context size, try increasing it"),
    ],
)
async def test_a_prompt_that_the_server_finds_too_long_is_not_sent_again(reply: web.Response) -> None:
    async with ChatServer(reply) as server:
        with pytest.raises(PromptTooLong) as caught:
            await model(f"vllm:m@{server.url}").complete([user("x")])
    assert len(server.requests) == 1
    assert isinstance(caught.value, BackendRejected)

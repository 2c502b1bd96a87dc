"""Several models behind one: who is asked, with how much time, and what is told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from collegium.core.context import current_run
from collegium.core.errors import (
    BackendError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    InvalidInput,
    OutputRefused,
    UnknownModel,
)
from collegium.core.messages import ToolSpec, user
from collegium.models import Capabilities, Completion, Fallback, Limits, Model, TextDelta, model
from collegium.testing import ScriptedModel
from collegium.testing.serving import ChatServer, chunk, completion, failure, stream

ASK = [user("hello")]
ADD: ToolSpec = {"name": "add", "description": "Add.", "parameters": {"type": "object"}}


def down(spec: str = "down", error: BackendError | None = None) -> ScriptedModel:
    return ScriptedModel([error or BackendUnavailable(spec, "down")] * 3, spec=spec)


async def test_the_next_model_answers_where_one_is_down_and_the_run_is_told() -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    class Run:
        run_id, thread_id, model_spec, deps, watched = "r", "t", None, None, False

        def emit(self, kind: str, data: Any, *, node: str | None = None) -> None:
            told.append((kind, dict(data)))

        limited = False

        async def reserve(self, input_tokens: int, output_tokens: int | None, cost_usd: Any) -> Any:
            raise AssertionError("a run without limits is asked for no leave")

        def spend(self, usage: Any, model: str) -> None: ...

    token = current_run.set(Run())
    said = await Fallback([down("a"), ScriptedModel(["hi"], spec="b")]).complete(ASK)
    current_run.reset(token)
    assert said.text == "hi"
    assert told[0] == ("model_fell_back", {"spec": "a", "to": "b", "error": "a: down"})
    assert told[1][0] == "model_called" and told[1][1]["spec"] == "b"


async def test_a_spec_with_bars_names_a_chain_and_requests_add_up() -> None:
    async with ChatServer(failure(500)) as bad, ChatServer(completion("yes")) as good:
        chain = model(f"vllm:m@{bad.url} | vllm:m@{good.url}", limits=Limits(attempts=2))
        done = await chain.complete(ASK)
        await chain.aclose()
    assert chain.spec == f"vllm:m@{bad.url}|vllm:m@{good.url}"
    assert (done.text, done.requests) == ("yes", 3)


def test_each_part_of_a_chain_is_checked_at_once() -> None:
    with pytest.raises(UnknownModel, match="no provider 'nobody'"):
        model("openai:x|nobody:y")
    with pytest.raises(InvalidInput):
        Fallback([])


async def test_the_last_error_is_raised_when_none_answers() -> None:
    last = BackendRejected("b", "no")
    with pytest.raises(BackendRejected, match="b: no"):
        await Fallback([down("a"), down("b", last)]).complete(ASK)


async def test_a_refusal_is_an_answer_and_no_other_model_is_asked() -> None:
    other = ScriptedModel(["I will!"])
    with pytest.raises(OutputRefused):
        await Fallback([down("a", OutputRefused("a", "the model declined")), other]).complete(ASK)
    assert other.calls == []


async def test_a_model_that_parses_no_calls_is_left_out_where_there_are_tools() -> None:
    deaf = ScriptedModel(["no"], capabilities=Capabilities(tools=False))
    able = ScriptedModel(["yes"])
    assert (await Fallback([down(), deaf, able]).complete(ASK, tools=[ADD])).text == "yes"
    assert deaf.calls == []


async def test_a_hanging_model_leaves_the_others_their_share_of_the_time() -> None:
    forever = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await forever.wait()
        return web.Response()

    async with ChatServer(hang) as silent, ChatServer(completion("yes")) as good:
        chain = model(f"vllm:m@{silent.url}|vllm:m@{good.url}")
        assert (await chain.complete(ASK, timeout_s=2)).text == "yes"
        forever.set()


async def test_a_broken_stream_is_not_gone_on_with_by_another_model() -> None:
    half, whole = stream(chunk({"content": "half"})), stream(chunk({"content": "whole"}), chunk({}, "stop"))
    async with ChatServer(half) as bad, ChatServer(whole) as good:
        chain, seen = model(f"vllm:m@{bad.url}|vllm:m@{good.url}"), list[Any]()
        with pytest.raises(BackendUnavailable, match="ended before"):
            async for event in chain.stream(ASK):
                seen.append(event)
        assert (seen, good.requests) == ([TextDelta("half")], [])
    async with ChatServer(failure(400)) as bad, ChatServer(whole) as good:
        chain = model(f"vllm:m@{bad.url}|vllm:m@{good.url}")
        last = [event async for event in chain.stream(ASK)][-1]
        assert isinstance(last, Completion) and (last.text, last.requests) == ("whole", 2)


async def test_capabilities_are_those_of_the_first_that_can_be_reached() -> None:
    class Away(ScriptedModel):
        async def capabilities(self) -> Capabilities:
            raise BackendUnavailable("away", "down")

    small = ScriptedModel([], capabilities=Capabilities("small"))
    assert (await Fallback([Away([]), small]).capabilities()).level == "small"
    with pytest.raises(BackendUnavailable):
        await Fallback([Away([]), Away([])]).capabilities()


async def test_models_of_ones_own_take_part() -> None:
    class Own:
        spec = "own"

        async def capabilities(self) -> Capabilities:
            return Capabilities()

        async def complete(self, messages: Any, **more: Any) -> Completion[Any]:
            if more.get("output"):
                return Completion("{}", more["output"]())
            raise BackendTimeout("own", "late")

        async def stream(self, messages: Any, **more: Any) -> AsyncIterator[Any]:
            yield Completion("own", None)

        async def aclose(self) -> None: ...

    own: Any = Own()
    assert isinstance(own, Model)
    chain = Fallback([own, ScriptedModel(["other"])])
    assert (await chain.complete(ASK, output=dict)).text == "{}"
    assert (await chain.complete(ASK)).text == "other"
    assert [e async for e in chain.stream(ASK)] == [Completion("own", None)]

"""Anthropic's messages through its own SDK, against a server that speaks them."""

import json
import sys
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from collegium.core.errors import BackendUnavailable, MissingExtra, OutputRefused, UnsupportedParameter
from collegium.core.messages import Message, ToolCall, ToolSpec, assistant, system, user
from collegium.models import Completion, Params, ReasoningDelta, TextDelta, model
from collegium.models.anthropic.request import native_request
from collegium.models.anthropic.response import Events, completion_of
from collegium.models.compatible.response import Reader
from collegium.models.resolving import NamedModel
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


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")


async def test_text_settings_and_usage() -> None:
    async with ProviderServer("anthropic") as server:
        llm = model(f"anthropic:m@{server.url}")
        params = Params(max_tokens=50, stop=("END",), extra={"service_tier": "auto"})
        done = await llm.complete([system("Be brief."), *ASK, system("In English.")], params=params)
        await llm.aclose()
    assert (done.text, done.usage.cached_tokens, done.usage.output_tokens) == ("The gull is at sea.", 1, 3)
    assert server.requests == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
            "system": "Be brief.\n\nIn English.",
            "max_tokens": 50,
            "stop_sequences": ["END"],
            "service_tier": "auto",
        }
    ]


async def test_a_schema_is_enforced_by_the_service_and_else_by_one_forced_tool() -> None:
    async with ProviderServer("anthropic") as server:
        llm = model(f"anthropic:m@{server.url}")
        done = await llm.complete(ASK, output=Fact)
        await llm.aclose()
    assert (done.output, done.rung) == (Fact(name="x", year=0), "json_schema")
    assert server.requests[0]["output_config"]["format"]["type"] == "json_schema"
    quirks = replace(QUIRKS["anthropic"], refused=frozenset({"output_config"}))
    async with ProviderServer("anthropic", quirks) as server:
        llm = model(f"anthropic:m@{server.url}")
        done = await llm.complete(ASK, output=Fact)
        await llm.aclose()
    assert (done.output, done.rung) == (Fact(name="x", year=0), "tool")
    assert server.requests[1]["tool_choice"] == {"type": "tool", "name": "Fact"}


async def test_calls_and_reasoning_come_through_whole_and_streamed() -> None:
    asked, params = [user("Use set_alarm at 06:30 and 07:45.")], Params(reasoning_effort="minimal")
    async with ProviderServer("anthropic") as server:
        llm = model(f"anthropic:m@{server.url}")
        whole = await llm.complete(asked, tools=[ALARM], params=params)
        events = [event async for event in llm.stream(asked, tools=[ALARM], params=params)]
        said = [event async for event in llm.stream(ASK)]
        await llm.aclose()
    last = events[-1]
    assert isinstance(last, Completion)
    for done in (whole, last):
        assert [call.parsed() for call in done.tool_calls] == [{"time": "06:30"}, {"time": "07:45"}]
        assert [call.call_id for call in done.tool_calls] == ["toolu_0", "toolu_1"]
        assert (done.reasoning, done.finish_reason) == ("Hm.", "tool_calls")
    assert events[0] == ReasoningDelta("Hm.")
    assert "".join(e.text for e in said if isinstance(e, TextDelta)) == "The gull is at sea."
    assert server.requests[0]["thinking"] == {"type": "adaptive"}
    assert server.requests[0]["output_config"] == {"effort": "low"}
    assert "thinking" not in server.requests[2]


def test_results_of_one_turns_tools_stand_in_one_turn() -> None:
    turns = [
        user("Wake me."),
        assistant("Surely.", [ToolCall("a", "set_alarm", '{"time": "1"}'), ToolCall("b", "set_alarm", "{bad")]),
        Message("tool", "done", tool_call_id="a"),
        Message("tool", "failed", tool_call_id="b"),
        user(""),
    ]
    sent = native_request({"model": "m", "messages": [turn.to_wire() for turn in turns]})["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    assert [block["type"] for block in sent[1]["content"]] == ["text", "tool_use", "tool_use"]
    assert sent[1]["content"][2]["input"] == {"text": "{bad"}
    assert [block.get("tool_use_id") for block in sent[2]["content"]] == ["a", "b", None]
    assert sent[2]["content"][2]["text"] == "(nothing)"


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "x"}}, {"type": "tool", "name": "x"}),
    ],
)
def test_a_choice_of_tools_goes_by_anthropics_words(choice: Any, sent: dict[str, Any]) -> None:
    tools = [{"type": "function", "function": ALARM}]
    body = {"model": "m", "messages": ASK[0].to_wire() and [ASK[0].to_wire()], "tools": tools, "tool_choice": choice}
    assert native_request(body)["tool_choice"] == sent


def test_a_refusal_is_a_refusal_and_a_full_window_a_cut() -> None:
    reader = Reader("anthropic:m")
    answer: dict[str, Any] = {"content": [], "stop_reason": "refusal", "usage": {"input_tokens": 1, "output_tokens": 1}}
    with pytest.raises(OutputRefused):
        reader.read(completion_of(answer), 1)
    cut = {"content": [{"type": "text", "text": "a"}], "stop_reason": "model_context_window_exceeded"}
    assert reader.read(completion_of(cut), 1).finish_reason == "length"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"content": "odd"},
        {"content": [3, {"type": "text"}]},
        {"content": [{"type": "tool_use"}]},
        {"type": "error"},
    ],
)
def test_answers_of_another_shape_are_left_to_the_reader(answer: dict[str, Any]) -> None:
    assert json.dumps(completion_of(answer))


@pytest.mark.parametrize(
    "event",
    [{}, {"type": "ping"}, {"type": "content_block_delta"}, {"type": "message_delta"}, {"type": "content_block_stop"}],
)
def test_events_that_carry_nothing_are_left_out(event: dict[str, Any]) -> None:
    assert Events().event(event) == b""


async def test_sampling_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedParameter, match="'temperature' is not taken here"):
        await model("anthropic:m@http://127.0.0.1:9").complete(ASK, params=Params(temperature=0.0))


async def test_a_missing_key_and_a_refused_one_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ProviderServer("anthropic", replace(QUIRKS["anthropic"], refused=frozenset({"model"}))) as server:
        llm = model(f"anthropic:m@{server.url}")
        with pytest.raises(Exception, match="unsupported parameter: model") as caught:
            await llm.complete(ASK)
        assert "sk-secret" not in str(caught.value)
        await llm.aclose()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(BackendUnavailable, match="Set ANTHROPIC_API_KEY"):
        await model("anthropic:m").complete(ASK)


async def test_a_service_that_is_not_there_is_our_own_error() -> None:
    llm = model("anthropic:m@http://127.0.0.1:9")
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        await llm.complete(ASK, timeout_s=30)
    await llm.aclose()


async def test_a_probe_counts_with_the_services_own_tokenizer() -> None:
    async with ProviderServer("anthropic") as server:
        llm = model(f"anthropic:m@{server.url}")
        assert isinstance(llm, NamedModel)
        found = await llm.probe()
        await llm.aclose()
    assert (found.context_tokens, found.behaviour.tokenizer) == (200_000, True)


async def test_a_missing_sdk_is_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    monkeypatch.delitem(sys.modules, "collegium.models.anthropic.transport", raising=False)
    with pytest.raises(MissingExtra, match=r'pip install "collegium\[anthropic\]"'):
        await model("anthropic:m").complete(ASK)

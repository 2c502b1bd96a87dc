"""The full probe, against servers that behave as providers are documented to."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collegium.core.errors import BackendUnavailable, UnsupportedParameter
from collegium.core.messages import ToolSpec, user
from collegium.models import Behaviour, Capabilities, Completion, Params, model
from collegium.models.memory import Memory
from collegium.models.resolving import NamedModel
from collegium.testing.providers import QUIRKS, ProviderServer, Quirks
from collegium.testing.serving import ChatServer, completion

ALARM: ToolSpec = {
    "name": "set_alarm",
    "description": "Set an alarm.",
    "parameters": {"type": "object", "properties": {"time": {"type": "string"}}, "required": ["time"]},
}
FERRY: ToolSpec = {**ALARM, "name": "find_ferry"}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")


async def probed(provider: str, quirks: Quirks | None = None) -> Capabilities:
    async with ProviderServer(provider, quirks) as server:
        named = model(f"{provider}:m@{server.url}")
        assert isinstance(named, NamedModel)
        found = await named.probe()
        await named.aclose()
    return found


async def test_a_server_is_seen_as_it_behaves() -> None:
    seen = (await probed("vllm")).behaviour
    assert seen == Behaviour(
        version="0.33.0",
        schema_enforced=True,
        schema_with_tools=True,
        tool_required=True,
        tool_named=True,
        parallel_calls=True,
        stream_tools=False,
        reasoning_field="reasoning",
        window_reported=32_768,
        window_found=None,
        logprobs=True,
        seed=True,
        tokenizer=True,
    )


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({"schema": "ignored"}, "schema_enforced", False),
        ({"schema": "refused"}, "schema_enforced", False),
        ({"schema_beats_tools": True}, "schema_with_tools", False),
        ({"tool_choice": False}, "tool_required", False),
        ({"tool_choice": False}, "tool_named", False),
        ({"parallel": False}, "parallel_calls", False),
        ({"streams_tools": True}, "stream_tools", True),
        ({"tools": False}, "parallel_calls", None),
        ({"reasoning": "tags"}, "reasoning_field", "tags"),
        ({"reasoning": None}, "reasoning_field", None),
        ({"window": 3000, "overlong": "cut"}, "window_found", 3000),
        ({"window": 3000, "overlong": "refused"}, "window_found", None),
        ({"logprobs": False}, "logprobs", False),
        ({"seed": False}, "seed", None),
        ({"answers": {}}, "tokenizer", False),
    ],
)
async def test_each_quirk_is_told_from_the_usual(change: dict[str, Any], name: str, value: object) -> None:
    seen = (await probed("vllm", replace(QUIRKS["vllm"], **change))).behaviour
    assert getattr(seen, name) == value


@pytest.mark.parametrize(
    ("text", "finish", "enforced"),
    [
        ('{"colour": "ochre"}', "stop", True),
        ('{   "col', "length", True),
        ('{"answer', "length", False),
        ("", "length", False),
        ('{"colour": "red"}', "stop", False),
        ('Here: {"colour": "teal"}', "stop", False),
        ("The sea is", "length", False),
    ],
)
async def test_a_schema_is_enforced_when_prose_cannot_come(text: str, finish: str, enforced: bool) -> None:
    async with ChatServer(completion(text, finish=finish)) as server:
        named = model(f"vllm:m@{server.url}")
        assert isinstance(named, NamedModel)
        assert (await named.probe()).behaviour.schema_enforced is enforced
        await named.aclose()


async def test_a_schema_that_is_ignored_is_not_relied_upon() -> None:
    assert (await probed("vllm", replace(QUIRKS["vllm"], schema="ignored"))).structured == "json_object"


async def test_the_window_is_the_one_in_use_not_the_one_trained_for() -> None:
    assert (await probed("llamacpp")).context_tokens == 8192
    assert (await probed("openai-compatible")).context_tokens == 4096
    assert (await probed("ollama")).context_tokens == 16_384


async def test_what_was_seen_is_remembered_for_this_server_model_and_version(tmp_path: Path) -> None:
    async with ProviderServer("llamacpp") as server:
        first = model(f"llamacpp:m@{server.url}")
        assert isinstance(first, NamedModel)
        found = await first.probe()
        asked = len(server.requests)
        assert await model(first.spec).capabilities() == found
        assert len(server.requests) == asked
        server.quirks = replace(server.quirks, answers={**server.quirks.answers, "/props": {"build_info": "b7001"}})
        assert (await model(first.spec).capabilities()).behaviour == Behaviour()
        assert len(server.requests) > asked
        await first.aclose()


def test_a_damaged_memory_of_what_was_seen_is_left_out(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.remember(Capabilities(behaviour=Behaviour(version="1", seed=True, window_found=9)), "k")
    (file,) = tmp_path.iterdir()
    data = json.loads(file.read_text("utf-8"))
    data["behaviour"] |= {"seed": "yes", "window_found": 7.5, "new": 1}
    file.write_text(json.dumps(data), "utf-8")
    found = memory.recall("k")
    assert found is not None
    assert found.behaviour == Behaviour(version="1")


async def test_calls_that_break_in_a_stream_are_asked_for_whole() -> None:
    async with ProviderServer("vllm") as server:
        named = model(f"vllm:m@{server.url}")
        assert isinstance(named, NamedModel)
        await named.probe()
        events = [e async for e in named.stream([user("Use set_alarm at 06:30.")], tools=[ALARM])]
        assert isinstance(events[-1], Completion)
        assert [call.parsed() for call in events[-1].tool_calls] == [{"time": "06:30"}]
        assert "stream" not in server.requests[-1]
        _ = [e async for e in named.stream([user("Hello.")])]
        assert server.requests[-1]["stream"] is True
        await named.aclose()


async def test_logprobs_that_never_come_are_refused_by_name() -> None:
    async with ProviderServer("openai-compatible") as server:
        named = model(f"openai-compatible:m@{server.url}")
        assert isinstance(named, NamedModel)
        await named.probe()
        with pytest.raises(UnsupportedParameter, match="'logprobs' is not taken"):
            await named.complete([user("Hello.")], params=Params(logprobs=1))
        await named.aclose()


async def test_where_tool_choice_is_not_read_only_the_named_tool_is_offered() -> None:
    async with ProviderServer("ollama") as server:
        named = model(f"ollama:m@{server.url}")
        asked = [user("Use set_alarm or find_ferry at 06:30.")]
        done = await named.complete(asked, tools=[ALARM, FERRY], tool_choice="find_ferry")
        none = await named.complete(asked, tools=[ALARM, FERRY], tool_choice="none")
        await named.aclose()
    assert [call.name for call in done.tool_calls] == ["find_ferry"]
    assert none.tool_calls == ()
    assert "tools" not in server.requests[-1]


async def test_a_server_that_is_not_there_is_not_remembered() -> None:
    named = model("vllm:m@http://127.0.0.1:9/v1")
    assert isinstance(named, NamedModel)
    with pytest.raises(BackendUnavailable, match="nothing answers"):
        await named.probe()
    await named.aclose()

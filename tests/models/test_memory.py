"""Capabilities: declared, measured by the quiz, remembered on disk."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from collegium.core.errors import BackendUnavailable
from collegium.models import Capabilities, model
from collegium.models.memory import Memory
from collegium.models.probe import measure
from collegium.models.profiles import PROFILES
from collegium.testing import FunctionModel, ModelCall
from collegium.testing.scripted import Reply
from collegium.testing.serving import ChatServer, completion

GOLD = ["07:15", "4", "Lindqvist", "socket", "7 crowns", "barley"]
ASKED = ["Borea", "second coat", "research before", "version 2", "students", "south field"]
RIGHT = ["51", "15:25", "No: a clerk"]


class Pupil:
    """Answers the quiz: so many questions rightly, the pairs by their place or by what is right."""

    def __init__(self, right: int, *, judge: bool) -> None:
        self._right, self._judge = right, judge
        self.asked = 0

    def __call__(self, call: ModelCall) -> Reply:
        self.asked += 1
        last = call.messages[-1].content
        if call.output is None:
            return "I cannot"
        if "Which is right?" in last:
            first = last.split("Answer B")[0]
            is_a = any(f"Answer A: {word}" in first or word in first.split("Answer A")[1] for word in RIGHT)
            return json.dumps({"better": "A" if is_a or not self._judge else "B"})
        question = last.partition("Question: ")[2]
        number = next(n for n, word in enumerate(ASKED) if word in question)
        return json.dumps({"answer": GOLD[number] if number < self._right else "something else"})


@pytest.mark.parametrize(
    ("right", "judge", "level", "most"),
    [
        (6, True, "capable", 13),
        (5, True, "capable", 13),
        (6, False, "small", 9),
        (4, True, "tiny", 6),
        (0, True, "tiny", 2),
    ],
)
async def test_the_quiz_tells_three_levels_in_few_calls(right: int, judge: bool, level: str, most: int) -> None:
    pupil = Pupil(right, judge=judge)
    found = await measure(FunctionModel(pupil), PROFILES["vllm"])
    assert found.level == level
    assert found.tools is False
    assert pupil.asked <= most


async def test_a_local_model_is_measured_once_and_remembered_for_the_next_process() -> None:
    async with ChatServer(completion('{"answer": "no"}'), models=[{"id": "m", "max_model_len": 512}]) as server:
        spec = f"vllm:m@{server.url}"
        first = await model(spec).capabilities()
        asked = len(server.requests)
        assert first == Capabilities("tiny", "json_schema", tools=False, context_tokens=512)
        assert await model(spec).capabilities() == first
        assert len(server.requests) == asked == 2


async def test_another_model_under_the_same_name_is_measured_anew() -> None:
    models: list[dict[str, Any]] = [{"id": "m", "root": "one", "created": 1}]
    async with ChatServer(completion('{"answer": "no"}'), models=models) as server:
        spec = f"vllm:m@{server.url}"
        await model(spec).capabilities()
        models[0]["created"] = 2
        await model(spec).capabilities()
        assert len(server.requests) == 2
        models[0]["root"] = "two"
        await model(spec).capabilities()
        assert len(server.requests) == 4


async def test_a_server_that_ignores_schemas_is_found_out() -> None:
    async with ChatServer(completion("I think it is seven.")) as server:
        found = await model(f"llamacpp:m@{server.url}").capabilities()
    assert found == Capabilities("tiny", "prompt", tools=False)


async def test_an_unknown_compatible_server_is_believed_until_it_is_probed() -> None:
    async with ChatServer(completion("x")) as server:
        assert await model(f"openai-compatible:m@{server.url}").capabilities() == Capabilities()
    assert server.requests == []


async def test_a_server_that_is_not_there_is_an_error_and_no_level() -> None:
    async with ChatServer() as server:
        spec = f"vllm:m@{server.url}"
    with pytest.raises(BackendUnavailable):
        await model(spec).capabilities()


async def test_given_capabilities_are_not_measured() -> None:
    given = Capabilities("small", "tool", tools=False)
    assert await model("vllm:m@http://127.0.0.1:9", capabilities=given).capabilities() == given


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"level": "huge"}', '{"level": "tiny", "structured": "x"}'])
def test_a_damaged_measurement_is_simply_missing(tmp_path: Path, damage: str) -> None:
    memory = Memory(tmp_path)
    memory.remember(Capabilities("small", "tool", tools=False, context_tokens=9), "a", "b")
    assert memory.recall("a", "b") == Capabilities("small", "tool", tools=False, context_tokens=9)
    assert memory.recall("a", "c") is None
    next(tmp_path.iterdir()).write_text(damage)
    assert memory.recall("a", "b") is None


async def test_a_cache_that_cannot_be_written_does_not_stop_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLLEGIUM_CACHE", str(tmp_path / "file"))
    async with ChatServer(completion('{"answer": "no"}')) as server:
        assert (await model(f"vllm:m@{server.url}").capabilities()).level == "tiny"


async def test_a_listing_of_another_shape_is_no_obstacle() -> None:
    async def odd(request: web.Request) -> web.StreamResponse:
        return web.json_response(completion('{"answer": "no"}'))

    models: Any = [1, {"id": None}, {"id": "x", "context_length": -3}]
    async with ChatServer(odd, models=models) as server:
        assert (await model(f"vllm:m@{server.url}").capabilities()).context_tokens is None

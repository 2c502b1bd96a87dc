"""Answers kept on disk: an identical request is not sent twice, and costs nothing."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from collegium import END, START, Graph, State, model
from collegium.core.errors import BackendRejected
from collegium.core.messages import user
from collegium.models import Params, TextDelta
from collegium.testing.serving import ChatServer, completion, failure


class Page(State):
    text: str = ""


class Title(BaseModel):
    title: str


async def test_an_identical_request_is_answered_from_disk_and_another_is_sent(tmp_path: Path) -> None:
    async with ChatServer(completion("one"), completion("two"), completion("three")) as server:
        spec = f"openai-compatible:m@{server.url}"
        first, again = model(spec, cache=tmp_path), model(spec, cache=tmp_path)

        assert (await first.complete([user("Hi")])).text == "one"
        said = await again.complete([user("Hi")])
        assert (said.text, said.usage.input_tokens, said.requests) == ("one", 0, 0)
        assert (await again.complete([user("Ho")])).text == "two"
        assert (await again.complete([user("Hi")], params=Params(temperature=1.0))).text == "three"
        assert len(server.requests) == 3
        await first.aclose()
        await again.aclose()


async def test_the_environment_turns_it_on_and_a_run_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = model()

    async def ask() -> str:
        return (await llm.complete([user("Hi")])).text

    graph = Graph(Page, name="page")
    graph.add_node("ask", ask, writes="text")
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    monkeypatch.setenv("COLLEGIUM_RESPONSE_CACHE", str(tmp_path))
    async with ChatServer(completion("one")) as server:
        handed = model(f"openai-compatible:m@{server.url}")
        await graph.run({}, model=handed)
        run = await graph.run({}, model=handed)
        await handed.aclose()

    called = [event.data async for event in run.events() if event.kind == "model_called"]
    assert run.state.text == "one"
    assert [(data["cached"], data["input_tokens"]) for data in called] == [(True, 0)]
    assert (run.usage.model_calls, run.usage.output_tokens) == (0, 0)


async def test_objects_and_streams_are_kept_and_errors_are_not(tmp_path: Path) -> None:
    replies: list[Any] = [failure(400, "no"), completion('{"title": "Rye"}'), completion('{"title": "Oats"}')]
    async with ChatServer(*replies) as server:
        llm = model(f"openai-compatible:m@{server.url}", cache=tmp_path)
        with pytest.raises(BackendRejected):
            await llm.complete([user("Hi")])
        for _ in range(2):
            assert (await llm.complete([user("Name it")], output=Title)).output == Title(title="Rye")
        assert (await llm.complete([user("Hi")])).text == '{"title": "Oats"}'
        pieces = [event.text async for event in llm.stream([user("Hi")]) if isinstance(event, TextDelta)]
        assert pieces == ['{"title": "Oats"}']
        await llm.aclose()


async def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    async with ChatServer(completion("one"), completion("two")) as server:
        llm = model(f"openai-compatible:m@{server.url}", cache=tmp_path)
        await llm.complete([user("Hi")])
        for path in tmp_path.rglob("*.json"):  # noqa: ASYNC240 (two files)
            path.write_text("{")
        assert (await llm.complete([user("Hi")])).text == "two"
        await llm.aclose()

"""Vectors from a server, read strictly, and an index made with them."""

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from collegium.core.errors import BackendError, BackendUnavailable, UnknownModel
from collegium.knowledge import Embedder, Index
from collegium.models import embedder
from collegium.testing.providers import ProviderServer


async def test_vectors_come_in_the_order_of_the_texts_with_length_one() -> None:
    async with ProviderServer("ollama") as server:
        maker: Embedder = embedder(f"ollama:m@{server.url}", batch=2)
        vectors = await asyncio.to_thread(maker.embed, ["a", "bbb", ""])
        assert await asyncio.to_thread(lambda: maker.dimension) == 3
    assert maker.name == "ollama:m"
    assert [round(vector[0] / vector[1]) for vector in vectors] == [1, 3, 1]
    assert all(math.isclose(math.hypot(*vector), 1.0) for vector in vectors)


async def test_an_index_is_made_and_searched_with_them(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The harbour was built in 1888.\n\nThe choir meets on Mondays.")
    async with ProviderServer("vllm") as server:
        index = Index("notes", folder=tmp_path / "indexes", embedder=embedder(f"vllm:m@{server.url}"))
        await index.ingest(tmp_path / "a.md")
        found = await index.search("When was the harbour built?")
    assert any("1888" in passage.text for passage in found)


ANSWERS: list[tuple[Any, str]] = [
    ({"data": []}, "has 0 vectors for 1 texts"),
    ({"data": [{"index": 7, "embedding": [1.0]}]}, "which vector belongs to which text"),
    ({"data": [{"index": 0, "embedding": []}]}, "a vector that is none"),
    ({"data": [{"index": 0, "embedding": ["x"]}]}, "a vector that is none"),
    ({"data": "odd"}, "has 0 vectors"),
    ([], "has 0 vectors"),
]


@pytest.mark.parametrize(("data", "says"), ANSWERS)
async def test_an_answer_without_vectors_is_one_error(data: Any, says: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(data)

    app = web.Application()
    app.router.add_post("/v1/embeddings", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    with pytest.raises(BackendUnavailable, match=says):
        await asyncio.to_thread(embedder(f"vllm:m@http://{host}:{port}").embed, ["a"])
    await runner.cleanup()


async def test_a_server_that_makes_none_or_is_not_there_is_our_own_error() -> None:
    async with ProviderServer("litgpt") as server:
        with pytest.raises(BackendError, match="404"):
            await asyncio.to_thread(embedder(f"vllm:m@{server.url}").embed, ["a"])
    with pytest.raises(BackendUnavailable, match="no vectors came"):
        await asyncio.to_thread(embedder("vllm:m@http://127.0.0.1:9").embed, ["a"])
    with pytest.raises(BackendUnavailable, match="OPENAI_API_KEY"):
        embedder("openai:text-embedding-3-small").embed(["a"])


@pytest.mark.parametrize("spec", ["litgpt:m", "anthropic:m", "embedded", "scripted"])
def test_a_provider_without_vectors_is_refused_when_it_is_named(spec: str) -> None:
    with pytest.raises(UnknownModel, match="makes no vectors"):
        embedder(spec)

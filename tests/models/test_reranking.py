"""Scores from a reranking server, read strictly, and a search ordered by them."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from collegium.core.errors import BackendError, BackendUnavailable, KnowledgeError, UnknownModel
from collegium.knowledge import Index, Reranker
from collegium.models import reranker


@asynccontextmanager
async def serving(answer: Callable[[dict[str, Any]], Any]) -> AsyncGenerator[str]:
    """A server whose `/v1/rerank` answers what a function makes of the request."""

    async def handle(request: web.Request) -> web.Response:
        return web.json_response(answer(await request.json()))

    app = web.Application()
    app.router.add_post("/v1/rerank", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"vllm:m@http://{host}:{port}"
    finally:
        await runner.cleanup()


def by_length(asked: dict[str, Any]) -> dict[str, Any]:
    """The longest text is the best; results come best first, as servers give them."""
    rows = [{"index": n, "relevance_score": len(text) / 1000} for n, text in enumerate(asked["documents"])]
    return {"model": asked["model"], "results": sorted(rows, key=lambda row: -row["relevance_score"])}


async def test_scores_come_in_the_order_of_the_texts() -> None:
    async with serving(by_length) as spec:
        made: Reranker = reranker(spec)
        assert await made.scores("q", ["aa", "a", "aaa"]) == [0.002, 0.001, 0.003]
        assert await made.scores("q", []) == []


async def test_logits_become_scores_from_0_to_1() -> None:
    async with serving(lambda _: {"results": [{"index": n, "score": s} for n, s in enumerate((-9, 0, 9e9))]}) as spec:
        scores = await reranker(spec).scores("q", ["a", "b", "c"])

    assert scores[0] < 0.001 < scores[1] == 0.5 < 0.999 < scores[2] <= 1


async def test_a_search_is_ordered_anew(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("The berth costs forty crowns.", "utf-8")
    (folder / "b.md").write_text("A berth lies to the east, where the fishermen wait for the tide.", "utf-8")
    async with serving(by_length) as spec:
        index = Index("docs", folder=tmp_path / "index", keyword_only=True, reranker=reranker(spec))
        await index.ingest(folder)
        found = await index.explain("What costs the berth?", k=1)
        plainly = await Index("docs", folder=tmp_path / "index", keyword_only=True).explain(
            "What costs the berth?", k=1
        )

    assert Path(plainly[0].passage.source).name == "a.md"
    assert plainly[0].reranked is None
    assert Path(found[0].passage.source).name == "b.md"
    assert found[0].reranked is not None and found[0].reranked.rank == 1
    assert found[0].passage.score == found[0].reranked.score
    assert found[0].keyword is not None and found[0].keyword.rank == 2


ODD: list[tuple[Any, str]] = [
    ({"results": []}, "one score for each of 2 texts"),
    ({"results": [{"index": 0, "relevance_score": 1}] * 2}, "one score for each of 2 texts"),
    ({"results": [{"index": 0, "relevance_score": 1}, {"index": 1}]}, "a score that is none"),
    ([], "one score for each of 2 texts"),
]


@pytest.mark.parametrize(("answer", "says"), ODD)
async def test_an_answer_without_scores_is_one_error(answer: Any, says: str) -> None:
    async with serving(lambda _: answer) as spec:
        with pytest.raises(BackendUnavailable, match=says):
            await reranker(spec).scores("q", ["a", "b"])


async def test_a_server_that_is_not_there_or_does_not_rerank_is_our_own_error() -> None:
    with pytest.raises(BackendUnavailable, match="no scores came"):
        await reranker("vllm:m@http://127.0.0.1:9").scores("q", ["a"])
    async with serving(by_length) as spec:
        with pytest.raises(BackendError, match="404"):
            await reranker(f"{spec}/elsewhere/v1").scores("q", ["a"])


@pytest.mark.parametrize("spec", ["embedded", "scripted", "anthropic:m"])
def test_a_provider_that_does_not_rerank_is_refused_when_it_is_named(spec: str) -> None:
    with pytest.raises(UnknownModel, match="does not re-rank"):
        reranker(spec)


async def test_a_reranker_that_miscounts_is_named(tmp_path: Path) -> None:
    class Odd:
        async def scores(self, query: str, texts: object) -> list[float]:
            return [0.5, 0.5]

    (tmp_path / "a.md").write_text("The berth costs forty crowns.", "utf-8")
    index = Index("docs", folder=tmp_path / "index", keyword_only=True, reranker=Odd())
    await index.ingest(tmp_path / "a.md")

    with pytest.raises(KnowledgeError, match="reranker Odd"):
        await index.search("berth")

"""Knowledge search as a tool."""

from pathlib import Path
from typing import Any

from collegium.knowledge import HashEmbedder, Index
from collegium.tools import IdempotencyKey, Tool, ToolContext, knowledge_search

CONTEXT: ToolContext[Any] = ToolContext(None, "run-1", "thread-1", "call-1", IdempotencyKey("key-1"))


async def test_search_returns_passages_with_ids_labelled_as_retrieved(tmp_path: Path) -> None:
    (tmp_path / "lamps.txt").write_text("A red lamp marks the port side.")
    index = Index("lamps", folder=tmp_path / "index", embedder=HashEmbedder())
    await index.ingest(tmp_path / "lamps.txt")
    search = knowledge_search(index)

    assert isinstance(search, Tool)
    assert (search.effect, search.risk, search.origin) == ("read", "low", "retrieval")
    assert "'lamps'" in search.description
    assert search.validate({"query": "lamp"}) == {"query": "lamp", "passages": 5}
    found: Any = await search.execute(search.validate({"query": "lamp"}), CONTEXT)

    assert found[0]["text"] == "A red lamp marks the port side."
    assert found[0]["passage_id"] == (await index.search("lamp", k=1))[0].passage_id

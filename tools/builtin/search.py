"""Knowledge search as a tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ...knowledge.passages import Passage
from ..function import FunctionTool

MAX_PASSAGES = 20


class Searchable(Protocol):
    """Whatever finds passages: an `Index`, or something of the user's own."""

    @property
    def name(self) -> str:
        """What the collection is called."""
        ...

    async def search(self, query: str, k: int = 10) -> Sequence[Passage]:
        """The best passages for `query`, best first."""
        ...


def knowledge_search(index: Searchable, *, name: str = "knowledge_search", k: int = 5) -> FunctionTool[..., Any]:
    """A tool that searches `index` and returns passages with their ids.

    Args:
        index: What is searched.
        name: What the model calls the tool; give each its own when there are several.
        k: How many passages come back when the model does not say.
    """

    async def search(query: str, passages: int = k) -> list[dict[str, Any]]:
        """Search the documents.

        Args:
            query: What to look for: a question or keywords.
            passages: How many passages to return, at most 20.
        """
        found = await index.search(query, k=max(1, min(passages, MAX_PASSAGES)))
        return [passage.model_dump(mode="json") for passage in found]

    return FunctionTool(
        search,
        name=name,
        description=f"Search the documents of {index.name!r} and return the passages that fit best.",
        effect="read",
        risk="low",
        origin="retrieval",
    )

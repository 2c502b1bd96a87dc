"""From a question, or a step of a plan, to passages."""

from __future__ import annotations

from typing import Protocol

from ..core.context import current_node, current_run
from ..core.errors import GraphSetupError
from ..core.tape import tape_in_use, through
from ..core.trust import met
from ..knowledge.passages import PASSAGES, Passage
from ..runs import guarded
from ._agent import Agent
from .values import Step


class Searchable(Protocol):
    """Finds passages for a query; `knowledge.Index` does."""

    async def search(self, query: str, k: int = 10) -> list[Passage]:
        """The best passages, best first, at most `k`."""
        ...


class Retriever(Agent):
    """Looks a query up in an index.

    In `add_map` over `plan.steps` each step is looked up by its own goal.

    Args:
        index: What to search.
        k: Most passages of one look-up.
    """

    def __init__(self, index: Searchable, *, k: int = 6) -> None:
        if k < 1:
            raise GraphSetupError(f"k is {k!r}; a retriever hands on at least 1 passage.")
        self.index = index
        self.k = k

    async def __call__(self, query: str | Step) -> list[Passage]:
        """The best passages for the query, best first.

        Raises:
            KnowledgeError: The index cannot be used.
        """
        text = query.goal if isinstance(query, Step) else query

        async def search() -> list[Passage]:
            return await guarded("retrieval", await self.index.search(text, self.k))

        if (tape := tape_in_use()) is None:
            found = await search()
        else:
            found = await through(tape, "search", {"query": text, "k": self.k}, search, PASSAGES, cleaned=True)
        met("retrieval")
        if run := current_run.get():
            told = {"text": f"{len(found)} passages for {text!r:.80}", "done": 1, "total": 1}
            run.emit("progress", told, node=current_node.get())
        return found

"""From a question, or a step of a plan, to passages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from ..core.context import current_node, current_run
from ..core.errors import GraphSetupError
from ..core.tape import tape_in_use, through
from ..core.trust import met
from ..knowledge.passages import PASSAGES, Passage
from ..knowledge.relevance import RELEVANT
from ..models import Model
from ..models import model as resolve
from ..runs import guarded
from ._agent import Agent
from ._asking import bare, others, standalone, turns_of
from ._prompts import Prompt
from .values import Step, Verdict


class Searchable(Protocol):
    """Finds passages for a query; `knowledge.Index` does."""

    async def search(self, query: str, k: int = 10) -> list[Passage]:
        """The best passages, best first, at most `k`."""
        ...


class Retriever(Agent):
    """Looks a query up in an index.

    In `add_map` over `plan.steps` each step is looked up by its own goal, all of them at once. A question that
    refers to the conversation before it is made to stand alone first. When no passage is relevant, none is
    handed on, and the run is told. Behind a failed verdict it looks for what was not found yet: a model
    words the question differently, and without one the next best passages come.

    Args:
        index: What to search.
        k: Most passages of one look-up.
        min_relevance: From which `Passage.relevance` the best passage counts as relevant; 0 hands all on. Passages
            without a relevance are always handed on.
        rewriter: The model, or its spec, that words queries; None does it by rule.
    """

    def __init__(
        self,
        index: Searchable,
        *,
        k: int = 6,
        min_relevance: float = RELEVANT,
        rewriter: Model | str | None = None,
    ) -> None:
        if k < 1:
            raise GraphSetupError(f"k is {k!r}; a retriever hands on at least 1 passage.")
        if not 0 <= min_relevance <= 1:
            raise GraphSetupError(f"min_relevance is {min_relevance!r}; use a number from 0 to 1.")
        self.index = index
        self.k = k
        self.min_relevance = min_relevance
        self.rewriter = None if rewriter is None else resolve(rewriter)
        self._alone, self._again = Prompt("retriever"), Prompt("retriever_again")

    async def __call__(
        self,
        query: str | Step,
        messages: list[Any] | None = None,
        passages: list[Passage] | None = None,
        verdict: Verdict | None = None,
    ) -> list[Passage]:
        """The best passages for the query, best first; none when nothing relevant was found.

        Args:
            query: What to look for.
            messages: The conversation that it stands in: messages of LangChain, of ours, or texts of the user.
            passages: What was found before; behind a failed verdict these do not come back.
            verdict: What a judge found wrong with the answer.

        Raises:
            KnowledgeError: The index cannot be used.
            BackendError: The rewriting model cannot be used.
        """
        asked = bare(query.goal) if isinstance(query, Step) else query
        text = await standalone(asked, turns_of(messages or [], asked), self.rewriter, self._alone)
        failed = verdict is not None and not verdict.passed
        known = passages or [] if failed else []
        queries = [text]
        if verdict is not None and failed:
            queries += await others(text, known, verdict.feedback, self.rewriter, self._again)
        found = await self._search(queries, known)
        met("retrieval")
        _tell(found, queries)
        return found

    async def _search(self, queries: Sequence[str], known: Sequence[Passage]) -> list[Passage]:
        """The best of all queries that is not known, or nothing when none of it is relevant."""
        old = {passage.passage_id for passage in known}
        looks = await asyncio.gather(*(self._look(query, self.k + len(old)) for query in queries))
        best: dict[str, Passage] = {}
        for passage in (passage for look in looks for passage in look if passage.passage_id not in old):
            if passage.passage_id not in best or best[passage.passage_id].score < passage.score:
                best[passage.passage_id] = passage
        found = sorted(best.values(), key=lambda passage: -passage.score)[: self.k]
        sure = [1.0 if passage.relevance is None else passage.relevance for passage in found]
        return found if max(sure, default=0.0) >= self.min_relevance else []

    async def _look(self, query: str, k: int) -> list[Passage]:
        async def search() -> list[Passage]:
            return await guarded("retrieval", await self.index.search(query, k))

        if (tape := tape_in_use()) is None:
            return await search()
        return await through(tape, "search", {"query": query, "k": k}, search, PASSAGES, cleaned=True)


def _tell(found: Sequence[Passage], queries: Sequence[str]) -> None:
    if run := current_run.get():
        asked = f"{' | '.join(queries)!r:.120}"
        text = f"{len(found)} passages for {asked}" if found else f"nothing relevant for {asked}"
        run.emit("progress", {"text": text, "done": 1, "total": 1}, node=current_node.get())

"""Answers from passages, with citations that the program makes and nobody can invent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import InvalidOutput, OutputTruncated
from ..knowledge.embedding import Embedder
from ..knowledge.passages import Citation, Passage
from ..knowledge.quoting import Quotes, ScoredSentence, best_sentences, locate
from ..models.base import Model, Params
from ..models import model as resolve
from ._agent import Agent
from ._prompts import Prompt
from ._words import RETRIEVED, numbered
from .values import Answer, Confidence, Verdict

QUOTING = "quoting"
"""What an answer names in place of a model when the program quoted without one."""
NOTHING = "The sources at hand do not answer the question."

_SHORT = Params(max_tokens=60)


class ShortAnswer(BaseModel):
    """What a small model is asked for."""

    model_config = ConfigDict(extra="forbid")

    answer: str = Field(max_length=80)


class Statement(BaseModel):
    """One sentence of an answer, and the words of a passage that it rests on."""

    model_config = ConfigDict(extra="forbid")

    statement: str = Field(min_length=1, max_length=600)
    quote: str = Field(min_length=1, max_length=600)


class Statements(BaseModel):
    """What a capable model is asked for; empty when the passages do not answer."""

    model_config = ConfigDict(extra="forbid")

    statements: list[Statement] = Field(max_length=12)


class Writer(Agent):
    """Answers a question from passages.

    The program finds each quote in the passages and cites the place where it stands; a statement whose quote
    is not there is left out. A capable model gives statements with quotes. A small one gives the answer in
    the fewest words, which is looked for in the three best sentences. For a tiny one, and wherever nothing
    was found, the best sentences are quoted: one to three by the margin between them, which also says how
    sure the answer is.

    Args:
        model: The model, or its spec; None takes that of the run.
        embedder: Compares question and sentences; by default MiniLM where its weights are. None: words only.
        prompt: Instructions in place of our own, as text or as a file.
    """

    def __init__(
        self,
        model: Model | str | None = None,
        *,
        embedder: Embedder | None | Literal["default"] = "default",
        prompt: str | Path | None = None,
    ) -> None:
        self.model = resolve(model)
        self._embedder = embedder
        self._prompt = Prompt("writer", prompt)
        self._small_prompt = Prompt("writer_small", prompt)

    async def __call__(self, question: str, passages: list[Passage], verdict: Verdict | None = None) -> Answer:
        """The answer, or the best sentences in its place.

        Args:
            question: What is asked.
            passages: The only material; without any, the answer says that there is nothing.
            verdict: What a judge found wrong with the last answer, if one failed.

        Raises:
            BackendError: The model cannot be used.
        """
        if not passages:
            return Answer(text=NOTHING, confidence="uncertain", model=QUOTING)
        level = (await self.model.capabilities()).level
        quotes = await best_sentences(question, passages, embedder=self._embedder)
        failed = verdict is not None and not verdict.passed
        if level == "tiny":
            return _quoted(quotes, widen=failed)
        try:
            if level == "small":
                return await self._short(question, quotes) or _quoted(quotes, widen=failed)
            feedback = f"\nThe last answer was not good enough: {verdict.feedback}" if verdict and failed else ""
            return await self._stated(question, passages, feedback) or _quoted(quotes, widen=failed)
        except (InvalidOutput, OutputTruncated):
            return _quoted(quotes, widen=failed)

    async def _short(self, question: str, quotes: Quotes) -> Answer | None:
        """The fewest words, found in the three best sentences; None when they are not there."""
        best = quotes.ranked[:3]
        reading = sorted(best, key=lambda sentence: (sentence.source, sentence.start))
        lines = "\n".join(" ".join(sentence.text.split()) for sentence in reading)
        messages = self._small_prompt.messages(origins=RETRIEVED, passages=lines, question=question)
        said = await self.model.complete(messages, output=ShortAnswer, params=_SHORT)
        text = said.output.answer.strip()
        if _repeats(text, question) or (found := _sentence_with(text, best)) is None:
            return None
        confidence: Confidence = "uncertain"
        if found == best[0]:
            confidence = "likely" if quotes.confidence == "uncertain" else "confident"
        model = said.model or self.model.spec
        return Answer(text=text, citations=[found.citation()], confidence=confidence, model=model)

    async def _stated(self, question: str, passages: Sequence[Passage], feedback: str) -> Answer | None:
        """The statements whose quotes stand in the passages; None when none does."""
        messages = self._prompt.messages(
            origins=RETRIEVED, passages=numbered(passages), question=question, feedback=feedback
        )
        said = await self.model.complete(messages, output=Statements)
        stated = said.output.statements
        model = said.model or self.model.spec
        if not stated:
            return Answer(text=NOTHING, confidence="uncertain", model=model)
        cited = [(one, citation) for one in stated if (citation := cite(one.quote, passages))]
        if not cited:
            return None
        confidence: Confidence = "confident" if len(cited) == len(stated) else "likely"
        citations = list(dict.fromkeys(citation for _, citation in cited))
        text = " ".join(one.statement for one, _ in cited)
        return Answer(text=text, citations=citations, confidence=confidence, model=model)

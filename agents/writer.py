"""Answers from passages, with citations that the program makes and nobody can invent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import GraphSetupError, InvalidOutput, OutputTruncated, UnsupportedParameter
from ..knowledge import Citation, Embedder, Passage, Quotes, ScoredSentence, best_sentences, locate
from ..knowledge.quoting import Confidence
from ..knowledge.structure import read_units
from ..knowledge.words import terms
from ..models import Completion, Model, Params
from ..models import model as resolve
from ._agent import Agent
from ._prompts import Prompt
from ._support import Sentence, Unsupported, checked, joined, split
from ._words import RETRIEVED, best_once, numbered
from .values import Answer, SentenceSupport, Verdict

QUOTING = "quoting"
"""What an answer names in place of a model when the program quoted without one."""
NOTHING = "The sources at hand do not answer the question."

_VERBATIM = "quoted word for word"
_SHORT = Params(max_tokens=60)
_GREEDY = Params(max_tokens=60, temperature=0.0)
"""Copying is no place for chance; servers of small models take this, adapters of other libraries may not."""
_BEFORE_NUMBER = re.compile(r"(?:[<>]=?|[=!~]=|[≤≥±]|[$€£¥]|(?<!\S)[−+-])\s?$")
_AFTER_NUMBER = re.compile(r"(?:\s?[%‰€£¥]|°[CF]?|\+)")


class ShortAnswer(BaseModel):
    """What a small model is asked for."""

    model_config = ConfigDict(extra="forbid")

    answer: str = Field(max_length=80)


class Statement(BaseModel):
    """One sentence of an answer, and the words of a passage that it rests on."""

    model_config = ConfigDict(extra="forbid")

    statement: str = Field(min_length=1, max_length=1000)
    quote: str = Field(min_length=1, max_length=1000)


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
    sure the answer is; a tiny model only points at words in the first of them.

    Each sentence of the answer is marked as supported, partly supported or unsupported by the passages
    (`Answer.support`): what is quoted is supported; a capable model's sentences are checked by program, and
    by `checker` where there is one.

    Args:
        model: The model, or its spec; None takes that of the run.
        max_passages: How many passages it looks at, the best by score; repeats do not count.
        embedder: Compares question and sentences; by default MiniLM where its weights are. None: words only.
        unsupported: What becomes of sentences that the passages do not support. `show`: they stay, and are
            marked. `remove`: they are left out. `rewrite`: the model is told of them and writes once more;
            what is still unsupported is left out. When nothing is left, the best sentences are quoted.
        checker: A capable model, or its spec, that is asked too how far the passages support each sentence;
            the lower mark counts.
        prompt: Instructions in place of our own, as text or as a file.
    """

    def __init__(
        self,
        model: Model | str | None = None,
        *,
        max_passages: int = 12,
        embedder: Embedder | None | Literal["default"] = "default",
        unsupported: Unsupported = "show",
        checker: Model | str | None = None,
        prompt: str | Path | None = None,
    ) -> None:
        if max_passages < 1:
            raise GraphSetupError(f"max_passages is {max_passages!r}; a writer needs at least 1.")
        if unsupported not in get_args(Unsupported):
            raise GraphSetupError(f"unsupported is {unsupported!r}; it can be: {', '.join(get_args(Unsupported))}.")
        self.model = resolve(model)
        self.max_passages = max_passages
        self.unsupported: Unsupported = unsupported
        self._checker = None if checker is None else resolve(checker)
        self._embedder: Embedder | None | Literal["default"] = embedder
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
        passages = best_once(passages, self.max_passages)
        level = (await self.model.capabilities()).level
        quotes = await best_sentences(question, passages, embedder=self._embedder)
        failed = verdict is not None and not verdict.passed
        if level == "tiny":
            return await self._highlighted(question, quotes, _quoted(quotes, widen=failed))
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
        said = await self._say_short(question, best)
        place = None if _repeats(said.output.answer, question) else locate(said.output.answer, best)
        if place is None:
            return None
        found = _sentence_around(place, best)
        confidence = quotes.confidence if found == best[0] else "uncertain"
        model = said.model or self.model.spec
        text = _in_full(place, found)
        mark = SentenceSupport(start=0, end=len(text), support="supported", reason=_VERBATIM, citations=[0])
        return Answer(text=text, citations=[found.citation()], confidence=confidence, model=model, support=[mark])

    async def _highlighted(self, question: str, quotes: Quotes, answer: Answer) -> Answer:
        """The quoted answer with the words in it that a tiny model points at, if it points at any.

        Pointing is all that such a model is asked for: it is right in about a third of the cases.
        """
        if not answer.citations:
            return answer
        try:
            said = await self._say_short(question, quotes.ranked[:1])
        except (InvalidOutput, OutputTruncated):
            return answer.model_copy(update={"model": self.model.spec})
        place = locate(said.output.answer, quotes.ranked[:1])
        known = place is not None and not _repeats(said.output.answer, question)
        words = place.quote if place is not None and known else None
        return answer.model_copy(update={"highlight": words, "model": said.model or self.model.spec})

    async def _say_short(self, question: str, sentences: Sequence[ScoredSentence]) -> Completion[ShortAnswer]:
        reading = sorted(sentences, key=lambda sentence: (sentence.source, sentence.start))
        lines = "\n".join(" ".join(sentence.text.split()) for sentence in reading)
        messages = self._small_prompt.messages(origins=RETRIEVED, passages=lines, question=question)
        try:
            return await self.model.complete(messages, output=ShortAnswer, params=_GREEDY)
        except UnsupportedParameter:
            return await self.model.complete(messages, output=ShortAnswer, params=_SHORT)

    async def _stated(self, question: str, passages: Sequence[Passage], feedback: str) -> Answer | None:
        """The statements whose quotes stand in the passages; None when none does, or none is left."""
        drafted = await self._drafted(question, passages, feedback)
        weak = [one.text.strip() for one in drafted.sentences if one.support == "unsupported"]
        if weak and self.unsupported == "rewrite":
            named = "\n".join(f"- {text}" for text in weak)
            told = f"{feedback}\nNo passage says the following; say only what the passages say:\n{named}"
            drafted = await self._drafted(question, passages, told)
        if drafted.stated == 0:
            return Answer(text=NOTHING, confidence="uncertain", model=drafted.model)
        kept = [one for one in drafted.sentences if self.unsupported == "show" or one.support != "unsupported"]
        if not kept:
            return None
        text, citations, support = joined(kept)
        confidence = _confidence(kept, whole=drafted.cited == drafted.stated and len(kept) == len(drafted.sentences))
        return Answer(text=text, citations=citations, confidence=confidence, model=drafted.model, support=support)

    async def _drafted(self, question: str, passages: Sequence[Passage], feedback: str) -> _Draft:
        """What a capable model says, sentence by sentence, each checked."""
        messages = self._prompt.messages(
            origins=RETRIEVED, passages=numbered(passages), question=question, feedback=feedback
        )
        said = await self.model.complete(messages, output=Statements)
        stated = said.output.statements
        cited = [
            (one.statement, citation) for one in stated if one.statement.strip() and (citation := _cited(one, passages))
        ]
        sentences = [one for text, citation in cited for one in split(text, citation, passages)]
        if self._checker is not None:
            sentences = await checked(sentences, passages, self._checker)
        return _Draft(sentences, len(stated), len(cited), said.model or self.model.spec)


class _Draft(NamedTuple):
    """A capable model's answer before the policy on it."""

    sentences: list[Sentence]
    """Of the statements whose quote was found."""
    stated: int
    cited: int
    model: str


def _confidence(sentences: Sequence[Sentence], *, whole: bool) -> Confidence:
    """`confident` when every quote was found and every sentence is supported; one that is not is never sure."""
    marks = {one.support for one in sentences}
    if "unsupported" in marks:
        return "uncertain"
    return "confident" if whole and marks == {"supported"} else "likely"


def _quoted(quotes: Quotes, *, widen: bool) -> Answer:
    """The best sentences as the answer; `widen` quotes three, for a second try."""
    chosen = quotes.ranked[:3] if widen else quotes.sentences
    if not chosen:
        return Answer(text=NOTHING, confidence="uncertain", model=QUOTING)
    reading = sorted(chosen, key=lambda sentence: (sentence.source, sentence.start))
    text = ""
    marks: list[SentenceSupport] = []
    for number, sentence in enumerate(reading):
        start = len(text) + bool(text)
        text = f"{text}\n{sentence.text}" if text else sentence.text
        mark = SentenceSupport(start=start, end=len(text), support="supported", reason=_VERBATIM, citations=[number])
        marks.append(mark)
    citations = [sentence.citation() for sentence in reading]
    return Answer(text=text, citations=citations, confidence=quotes.confidence, model=QUOTING, support=marks)


def _sentence_around(place: Citation, best: Sequence[ScoredSentence]) -> ScoredSentence:
    """The best sentence that a place lies in."""
    return next(one for one in best if one.source == place.source and one.start <= place.start and place.end <= one.end)


def _in_full(place: Citation, sentence: ScoredSentence) -> str:
    """The words of a place, with the signs that belong to a number: `>=3.9`, `$5`, `12 %`."""
    words = place.quote
    before = _BEFORE_NUMBER.search(sentence.text[: place.start - sentence.start])
    after = _AFTER_NUMBER.match(sentence.text, place.end - sentence.start)
    if before and words[0].isdigit():
        words = before[0] + words
    return words + after[0] if after and words[-1].isdigit() else words


def _cited(stated: Statement, passages: Sequence[Passage]) -> Citation | None:
    """The sentences in which the quote stands; None when it is nowhere, or is too little to rest on."""
    words = terms(stated.quote)
    if not words or (len(words) == 1 and words[0] not in terms(stated.statement)):
        return None
    for passage in passages:
        if place := locate(stated.quote, [passage]):
            return _widened(place, passage)
    return None


def _widened(place: Citation, passage: Passage) -> Citation:
    """The whole sentences around a place in a passage."""
    start, end = place.start - passage.start, place.end - passage.start
    around = [unit for unit in read_units(passage.text) if unit.start < end and start < unit.end]
    start = min([start, *(unit.start for unit in around)])
    end = max([end, *(unit.end for unit in around)])
    return Citation(
        passage_id=passage.passage_id,
        source=passage.source,
        start=passage.start + start,
        end=passage.start + end,
        quote=passage.text[start:end],
        page=passage.page,
    )


def _repeats(text: str, question: str) -> bool:
    """Whether the answer only says the question again."""
    words = terms(text)
    return bool(words) and len(words) > 2 and set(words) >= set(terms(question))

"""How far each sentence of an answer rests on the passages: by program, and by a model where one is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import InvalidOutput, OutputRefused, OutputTruncated
from ..knowledge import Citation, Passage, check_grounding
from ..knowledge.grounding import Support
from ..models import Model
from ._prompts import Prompt
from ._words import RETRIEVED, numbered
from .values import Answer, SentenceSupport

Unsupported = Literal["show", "remove", "rewrite"]
"""What becomes of sentences that the passages do not support: shown and marked, left out, or written anew once and
then left out."""

_ORDER: tuple[Support, ...] = ("unsupported", "partly", "supported")
_PROMPT = Prompt("support")


class Check(BaseModel):
    """What a checking model says of one sentence."""

    model_config = ConfigDict(extra="forbid")

    sentence: int
    reason: str = Field(max_length=300)
    support: Support


class Checks(BaseModel):
    """What a checking model is asked for."""

    model_config = ConfigDict(extra="forbid")

    checks: list[Check] = Field(max_length=64)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer, with the white space before it."""

    text: str
    citation: Citation
    support: Support
    reason: str


def split(statement: str, citation: Citation, passages: Sequence[Passage]) -> list[Sentence]:
    """The sentences of a statement, each checked by program; together they are the statement."""
    found = check_grounding(statement, [passage.text for passage in passages]).sentences
    if not found:  # a heading, or marks alone: nothing is claimed
        return [Sentence(statement, citation, "supported", "it states nothing")]
    cuts = [0, *(one.end for one in found[:-1]), len(statement)]
    return [
        Sentence(statement[start:end], citation, one.support, one.reason)
        for one, start, end in zip(found, cuts, cuts[1:], strict=False)
    ]


async def checked(sentences: Sequence[Sentence], passages: Sequence[Passage], model: Model) -> list[Sentence]:
    """The sentences with what a capable model says of them; the lower of the two counts.

    A smaller model is not asked, as it does no better than the program; an answer that is not valid changes
    nothing.
    """
    if not sentences or (await model.capabilities()).level != "capable":
        return list(sentences)
    lines = "\n".join(f"[{i}] {' '.join(one.text.split())}" for i, one in enumerate(sentences, 1))
    messages = _PROMPT.messages(origins=RETRIEVED, passages=numbered(passages), sentences=lines)
    try:
        said = (await model.complete(messages, output=Checks)).output.checks
    except (InvalidOutput, OutputTruncated, OutputRefused):
        return list(sentences)
    by_number = {check.sentence: check for check in said}
    return [_lower(one, by_number.get(i)) for i, one in enumerate(sentences, 1)]


def _lower(sentence: Sentence, check: Check | None) -> Sentence:
    if check is None or _ORDER.index(check.support) >= _ORDER.index(sentence.support):
        return sentence
    return replace(sentence, support=check.support, reason=check.reason)


def joined(sentences: Iterable[Sentence]) -> tuple[str, list[Citation], list[SentenceSupport]]:
    """The text of the sentences, their citations without repeats, and the mark of each sentence."""
    text = ""
    citations: list[Citation] = []
    marks: list[SentenceSupport] = []
    for sentence in sentences:
        text += " " if text and not sentence.text[:1].isspace() else ""
        body = sentence.text if text else sentence.text.lstrip()
        start = len(text) + len(body) - len(body.lstrip())
        text += body
        if sentence.citation not in citations:
            citations.append(sentence.citation)
        number = citations.index(sentence.citation)
        marks.append(
            SentenceSupport(
                start=start,
                end=len(text.rstrip()),
                support=sentence.support,
                reason=sentence.reason,
                citations=[number],
            )
        )
    return text.rstrip(), citations, marks


def edited(answer: Answer, was: Answer, by: str) -> Answer:
    """An answer as a person has edited it: it is theirs, and its sentences are checked anew.

    Citations are kept as they were or left out: nothing here could tell whether another quote stands in its source.
    The program checks the sentences against those that stay, and is confident of no more than it was.

    Args:
        answer: As edited.
        was: As it was shown.
        by: Who edited it.
    """
    citations = [citation for citation in answer.citations if citation in was.citations]
    if answer.text == was.text and citations == was.citations:
        return answer
    quotes = [citation.quote for citation in citations]
    marks = [
        SentenceSupport(
            start=one.start,
            end=one.end,
            support=one.support,
            reason=one.reason,
            citations=[i for i, quote in enumerate(quotes) if check_grounding(one.sentence, [quote]).grounded],
        )
        for one in check_grounding(answer.text, quotes).sentences
    ]
    sure = citations == was.citations and all(mark.support == "supported" for mark in marks)
    confidence = was.confidence if sure else "uncertain"
    return Answer(text=answer.text, citations=citations, confidence=confidence, model=by or "a person", support=marks)

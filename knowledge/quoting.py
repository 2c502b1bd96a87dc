"""Answers in the sources' own words: which sentences answer a question, and where an answer stands.

No model takes part. A sentence's score is the sum of three parts, each about 0 to 1:

    cosine of question and sentence  +  share of the question's words in it  +  score of its passage

Words count by how rare they are among the candidate sentences. What stands above a sentence (title and
headings) lends its words too, at `CONTEXT_WEIGHT`: "License: MIT" does not name its package, its title does.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .embedding import Embedder, default_embedder
from .passages import Citation, Passage
from .questions import Question, has_number
from .structure import Unit, read_units
from .words import searchable, terms

Confidence = Literal["confident", "likely", "uncertain"]

CONFIDENT_MARGIN = 0.4
"""From here the best sentence is right in about 95 of 100 questions."""
LIKELY_MARGIN = 0.2
"""From here in about 8 of 10; below, in about every second."""
CONTEXT_WEIGHT = 0.9
DEFINITION_BONUS = 0.4
NOTHING_NEW_MALUS = 0.5
NO_NUMBER_MALUS = 0.3
"""For a sentence without a number where a number, an age or a time is asked for."""
OTHER_FIELD_MALUS = 0.4
"""For a field that has only its document's name in common with the question: all of them have that."""
CODE_MALUS = 0.3
COMMAND_BONUS = 0.2
"""For a line of code where the question asks how something is done."""


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence (or field, table row, line of code) of a passage, with its exact place in the source."""

    passage_id: str
    source: str
    start: int
    end: int
    text: str
    score: float
    page: int | None = None

    def citation(self) -> Citation:
        """The sentence as a citation."""
        return Citation(
            passage_id=self.passage_id,
            source=self.source,
            start=self.start,
            end=self.end,
            quote=self.text,
            page=self.page,
        )


@dataclass(frozen=True, slots=True)
class Quotes:
    """The sentences that answer a question best."""

    sentences: tuple[ScoredSentence, ...]
    """One when the margin is wide, two or three when it is not; best first. Empty without passages."""
    margin: float
    """Score of the best minus score of the second; 0 when there is none."""
    confidence: Confidence
    ranked: tuple[ScoredSentence, ...] = ()
    """The ten best, best first."""

    @property
    def text(self) -> str:
        """The chosen sentences, in the order in which they are read, one a line."""
        return "\n".join(s.text for s in sorted(self.sentences, key=lambda s: (s.source, s.start)))


@dataclass(frozen=True, slots=True)
class _Candidate:
    passage: Passage
    unit: Unit
    text: str
    searched: str
    words: frozenset[str]
    context: frozenset[str]
    """Words of the title and the headings above it."""


async def best_sentences(
    question: str,
    passages: Sequence[Passage],
    *,
    embedder: Embedder | None | Literal["default"] = "default",
    at_most: int = 3,
) -> Quotes:
    """The sentences of `passages` that answer `question` best, and how sure that is.

    On 563 questions over encyclopedia paragraphs the chosen sentences hold the answer in 93 of 100, with 47
    words on average (`benchmarks/retrieval.py`).

    Args:
        question: What is asked.
        passages: Where to look, with their scores from the search; four are enough.
        embedder: For the cosine; by default MiniLM where its weights are, else none. None: words only.
        at_most: How many sentences are quoted when the margin is small.
    """
    chosen = default_embedder() if embedder == "default" else embedder
    asked = Question.read(question)
    candidates = [candidate for passage in passages for candidate in _candidates(passage)]
    if not candidates:
        return Quotes((), 0.0, "uncertain")
    cosines = await asyncio.to_thread(_cosines, asked, candidates, chosen)
    shares = _shares(asked, candidates)
    scored = [
        _scored(candidate, cosine + share + candidate.passage.score + _fit(asked, candidate))
        for candidate, cosine, share in zip(candidates, cosines, shares, strict=True)
    ]
    return _quotes(_distinct(sorted(scored, key=lambda one: -one.score)), at_most)


def _candidates(passage: Passage) -> list[_Candidate]:
    found: list[_Candidate] = []
    above: list[Unit] = []
    columns = ""
    for unit in read_units(passage.text):
        text = passage.text[unit.start : unit.end]
        if unit.kind == "heading":
            above = [*(one for one in above if one.level < unit.level), unit]
        elif unit.kind == "columns":
            columns = searchable(text)
        elif unit.kind != "noise":
            searched = searchable(text)
            columns = columns if unit.kind == "row" else ""
            context = frozenset(terms(" ".join([passage.heading, *(one.title for one in above), columns])))
            found.append(_Candidate(passage, unit, text, searched, frozenset(terms(searched)), context))
    return found


def _cosines(asked: Question, candidates: Sequence[_Candidate], embedder: Embedder | None) -> list[float]:
    if embedder is None:
        return [0.0] * len(candidates)
    first, *vectors = embedder.embed([asked.text, *(_with_subject(asked, one) for one in candidates)])
    return [sum(a * b for a, b in zip(first, vector, strict=True)) for vector in vectors]


def _with_subject(asked: Question, candidate: _Candidate) -> str:
    """The sentence, with the title of its document before it when the question names that and it does not."""
    title = candidate.passage.title
    words = frozenset(terms(title))
    if words and words <= asked.words and not words <= candidate.words:
        return f"{title}: {candidate.searched}"
    return candidate.searched


def _shares(asked: Question, candidates: Sequence[_Candidate]) -> list[float]:
    """Share of the question's words that each sentence has, weighted by rarity among the sentences."""
    counts = Counter(word for candidate in candidates for word in candidate.words)
    weights = {word: _rarity(counts[word], len(candidates)) for word in sorted(asked.words)}
    total = sum(weights.values())
    return [_share(candidate, weights) / total if total else 0.0 for candidate in candidates]


def _share(candidate: _Candidate, weights: Mapping[str, float]) -> float:
    own = sum(weight for word, weight in weights.items() if word in candidate.words)
    lent = candidate.context - candidate.words
    return own + CONTEXT_WEIGHT * sum(weight for word, weight in weights.items() if word in lent)


def _fit(asked: Question, candidate: _Candidate) -> float:
    """What the forms of question and sentence add: a definition is wanted, nothing new is said, code."""
    fit = 0.0
    if asked.subject and asked.is_defined_by(candidate.searched, candidate.passage.title):
        fit += DEFINITION_BONUS
    value = candidate.text.partition(":")[2] if candidate.unit.kind == "field" else candidate.searched
    if frozenset(terms(value)) <= asked.words:
        fit -= NOTHING_NEW_MALUS
    if asked.wants_number and not has_number(candidate.searched):
        fit -= NO_NUMBER_MALUS
    if candidate.unit.kind == "field" and _is_other_field(asked, candidate):
        fit -= OTHER_FIELD_MALUS
    if candidate.unit.kind == "code":
        fit += COMMAND_BONUS if asked.asks_how else -CODE_MALUS * (not asked.wants_code)
    return fit


def _is_other_field(asked: Question, candidate: _Candidate) -> bool:
    rest = asked.words - candidate.context
    return bool(rest) and not rest & candidate.words


def _rarity(count: int, of: int) -> float:
    """Inverse document frequency as in BM25 (Robertson and Zaragoza 2009, equation 3.3, plus 1)."""
    return math.log(1 + (of - count + 0.5) / (count + 0.5))


def _scored(candidate: _Candidate, score: float) -> ScoredSentence:
    passage, unit = candidate.passage, candidate.unit
    return ScoredSentence(
        passage_id=passage.passage_id,
        source=passage.source,
        start=passage.start + unit.start,
        end=passage.start + unit.end,
        text=candidate.text,
        score=score,
        page=passage.page,
    )


def _distinct(ranked: Sequence[ScoredSentence]) -> list[ScoredSentence]:
    """Without later sentences of the same words: they would only narrow the margin."""
    seen: dict[str, ScoredSentence] = {}
    for sentence in ranked:
        seen.setdefault(" ".join(sentence.text.lower().split()), sentence)
    return list(seen.values())


def _quotes(ranked: Sequence[ScoredSentence], at_most: int) -> Quotes:
    margin = ranked[0].score - ranked[1].score if len(ranked) > 1 else CONFIDENT_MARGIN
    confidence, count = _band(margin)
    return Quotes(tuple(ranked[: min(count, at_most)]), margin, confidence, tuple(ranked[:10]))


def _band(margin: float) -> tuple[Confidence, int]:
    if margin >= CONFIDENT_MARGIN:
        return "confident", 1
    return ("likely", 2) if margin >= LIKELY_MARGIN else ("uncertain", 3)

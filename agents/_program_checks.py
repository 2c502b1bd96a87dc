"""What the program itself can say about an answer, without asking a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..knowledge import Citation, Passage, check_grounding
from ..knowledge.quoting import Confidence
from ._words import text_of
from .values import Answer, Criterion, CriterionScore

_RIGHT: dict[Confidence, float] = {"confident": 0.95, "likely": 0.78, "uncertain": 0.49}
"""Share of 563 questions whose best sentence was the right one, by the band of its margin."""


class Work(NamedTuple):
    """What is judged, and what it is held against."""

    answer: Any
    question: str | None
    passages: Sequence[Passage]


def program_scores(work: Work, criteria: Sequence[Criterion], *, model_judges: bool) -> dict[str, CriterionScore]:
    """Criterion to score, for the criteria that the program can score.

    Args:
        work: The work.
        criteria: Of the rubric.
        model_judges: Whether a capable model judges as well; then the program checks grounding alone.
    """
    scores: dict[str, CriterionScore] = {}
    for criterion in criteria:
        name = criterion.name.lower()
        if name.startswith(("ground", "faithful")):
            scores[criterion.name] = _grounded(work, criterion.name)
        elif not model_judges and "answer" in name and isinstance(work.answer, Answer):
            scores[criterion.name] = _answers(work.answer, criterion.name)
    return scores


def holds(citation: Citation, passages: Sequence[Passage]) -> bool:
    """Whether one of the passages has exactly this quote at exactly this place."""
    return any(
        passage.source == citation.source
        and passage.start <= citation.start
        and passage.text[citation.start - passage.start : citation.end - passage.start] == citation.quote
        for passage in passages
    )


def _grounded(work: Work, name: str) -> CriterionScore:
    """1 when each sentence is supported by the passages; 0 as soon as one citation does not hold."""
    answer = work.answer
    if isinstance(answer, Answer):
        broken = [citation for citation in answer.citations if not holds(citation, work.passages)]
        if broken:
            reason = f"program: the quote {broken[0].quote!r:.120} is not in {broken[0].source!r}."
            return CriterionScore(criterion=name, reason=reason, score=0.0)
    found = check_grounding(text_of(answer), [passage.text for passage in work.passages])
    weak = [
        f"{one.sentence!r:.80} is {one.support} ({one.reason})" for one in found.sentences if one.support != "supported"
    ]
    reason = "; ".join(weak) or "each sentence stands in the passages."
    if not found.sentences:
        reason = "there is no statement to check."
    return CriterionScore(criterion=name, reason=f"program: {reason}", score=found.score)


def _answers(answer: Answer, name: str) -> CriterionScore:
    if not answer.citations:
        reason = "program: nothing in the sources was found to answer with."
        return CriterionScore(criterion=name, reason=reason, score=0.0)
    score = _RIGHT[answer.confidence]
    reason = f"program: {answer.confidence}, by the margin; such quotes held the answer in {score:.0%} of a test."
    return CriterionScore(criterion=name, reason=reason, score=score)

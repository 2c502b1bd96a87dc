"""Scores work against a rubric, or says that it cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from pydantic import BaseModel, Field

from ..core.errors import InvalidOutput, OutputRefused, OutputTruncated
from ..core.messages import assistant, user
from ..knowledge.passages import Passage
from ..models import Model
from ..models import model as resolve
from ._agent import Agent
from ._program_checks import Work, program_scores
from ._prompts import Prompt
from ._words import RETRIEVED, best_once, numbered, text_of
from .values import Answer, Criterion, CriterionScore, Rubric, Scores, Verdict

PROGRAM = "program"
"""What a verdict names in place of a model when no model was asked."""
REPAIRS = 1
"""How often a capable model may add a criterion that it left out."""
SHOWN = 24
"""Most passages that a judging model reads."""


class YesNo(BaseModel):
    """What a small model is asked about one criterion."""

    reason: str = Field(max_length=300)
    met: Literal["yes", "no"]


class _Scored(NamedTuple):
    scores: dict[str, CriterionScore]
    model: str


class Judge(Agent):
    """Gives each criterion a score with a reason; the weighted mean passes from the pass mark.

    A capable model scores everything. Whether the work is grounded in the passages is always checked by
    program too, and the lower score counts. With a small model the program scores what it can, and the
    model says yes or no to the rest; with a tiny one the program scores what it can and abstains if that is
    not all. An answer of the model that is not valid, or leaves a criterion out, makes the judge abstain.

    How often work goes back is the graph's to say: `graph.add_loop(…, at_most=2)`.

    Args:
        model: The model, or its spec; None takes that of the run.
        rubric: What to look at; by default whether the work is grounded and answers the question.
        prompt: Instructions in place of our own, as text or as a file.
    """

    judges: ClassVar[bool] = True

    def __init__(
        self,
        model: Model | str | None = None,
        rubric: Rubric | None = None,
        *,
        prompt: str | Path | None = None,
    ) -> None:
        self.model = resolve(model)
        self.rubric = rubric or Rubric("grounded", "answers the question")
        self._prompt = Prompt("judge", prompt)
        self._small_prompt = Prompt("judge_small", prompt)

    async def __call__(
        self,
        answer: Answer | str | BaseModel,
        question: str | None = None,
        passages: list[Passage] | None = None,
    ) -> Verdict:
        """The verdict on the work.

        Args:
            answer: The work: an answer, a text, or any value with a JSON form.
            question: What it should answer.
            passages: What it may rest on.

        Raises:
            BackendError: The model cannot be used.
        """
        work = Work(answer, question, passages or [])
        level = (await self.model.capabilities()).level
        program = program_scores(work, self.rubric.criteria, model_judges=level == "capable")
        open_ones = [c for c in self.rubric.criteria if level == "capable" or c.name not in program]
        if not open_ones:
            return self._verdict(program, {}, PROGRAM)
        if level == "tiny":
            names = ", ".join(repr(criterion.name) for criterion in open_ones)
            return _abstained(f"{names} needs a larger model than {self.model.spec}.", program, PROGRAM)
        try:
            scored = await (self._ask(work) if level == "capable" else self._yes_no(work, open_ones))
        except (InvalidOutput, OutputTruncated, OutputRefused) as error:
            return _abstained(f"no valid judgement: {error.problem}", program, self.model.spec)
        return self._verdict(program, scored.scores, scored.model)

    async def _ask(self, work: Work) -> _Scored:
        """A capable model's score for each criterion; one more try when it leaves one out."""
        messages = self._prompt.messages(
            origins=RETRIEVED,
            criteria="\n".join(_line(criterion) for criterion in self.rubric.criteria),
            question=_asked(work),
            passages=numbered(best_once(work.passages, SHOWN)),
            answer=text_of(work.answer),
        )
        problem = ""
        for _ in range(REPAIRS + 1):
            said = await self.model.complete(messages, output=Scores)
            scores = _by_name(said.output.scores)
            missing = [c.name for c in self.rubric.criteria if _plain(c.name) not in scores]
            if not missing:
                named = {c.name: _renamed(scores[_plain(c.name)], c.name) for c in self.rubric.criteria}
                return _Scored(named, said.model or self.model.spec)
            problem = f"no score for {', '.join(map(repr, missing))}"
            messages += [assistant(said.text), user(f"There is {problem}. Score each criterion once, by its name.")]
        raise InvalidOutput(self.model.spec, problem)

    async def _yes_no(self, work: Work, criteria: Sequence[Criterion]) -> _Scored:
        """A small model's yes or no to each criterion."""
        scores: dict[str, CriterionScore] = {}
        judge = self.model.spec
        for criterion in criteria:
            messages = self._small_prompt.messages(
                origins=RETRIEVED,
                criteria=criterion.description or criterion.name,
                question=_asked(work),
                answer=text_of(work.answer),
            )
            said = await self.model.complete(messages, output=YesNo)
            score = 1.0 if said.output.met == "yes" else 0.0
            scores[criterion.name] = CriterionScore(criterion=criterion.name, reason=said.output.reason, score=score)
            judge = said.model or judge
        return _Scored(scores, judge)

    def _verdict(
        self, program: Mapping[str, CriterionScore], model: Mapping[str, CriterionScore], judge: str
    ) -> Verdict:
        """The verdict where each criterion counts with the lower of its scores."""
        scores: list[CriterionScore] = []
        for criterion in self.rubric.criteria:
            given = [said[criterion.name] for said in (program, model) if criterion.name in said]
            scores.append(min(given, key=lambda one: one.score))
        score, mark = self.rubric.score(scores), self.rubric.pass_mark
        weak = [f"{one.criterion} ({one.score:.2f}): {one.reason}" for one in scores if one.score < mark]
        return Verdict(passed=score >= mark - 1e-9, score=score, scores=scores, feedback="\n".join(weak), model=judge)


def _abstained(why: str, program: Mapping[str, CriterionScore], judge: str) -> Verdict:
    return Verdict(
        passed=False, abstained=True, scores=list(program.values()), feedback=f"No verdict: {why}", model=judge
    )


def _line(criterion: Criterion) -> str:
    return f"- {criterion.name}: {criterion.description}" if criterion.description else f"- {criterion.name}"


def _asked(work: Work) -> str:
    return f"Question: {work.question}\n" if work.question else ""


def _by_name(scores: Sequence[CriterionScore]) -> dict[str, CriterionScore]:
    return {_plain(score.criterion): score for score in scores}


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())


def _renamed(score: CriterionScore, name: str) -> CriterionScore:
    return score.model_copy(update={"criterion": name})

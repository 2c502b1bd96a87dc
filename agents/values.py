"""What agents hand to one another: plans, answers, rubrics, verdicts. All are JSON-like and frozen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from ..knowledge.grounding import Support
from ..knowledge.passages import Citation, Passage
from ..knowledge.quoting import Confidence

StepStatus = Literal["ok", "error", "skipped"]

_VALUE = ConfigDict(frozen=True, extra="forbid")
_REASON = 600


class Step(BaseModel):
    """One thing to do on the way to a goal, by one tool or one agent."""

    model_config = _VALUE

    id: str = Field(min_length=1, max_length=40)
    """Short and unique within the plan."""
    goal: str = Field(min_length=1, max_length=1000)
    """What this step shall find out or do, in words that stand alone."""
    tool: str | None = None
    """Name of the tool that does it."""
    agent: str | None = None
    """Name of the agent that does it."""
    depends_on: list[str] = Field(default_factory=list, max_length=32)
    """Ids of the steps whose results it needs."""

    @model_validator(mode="after")
    def _one_hand(self) -> Self:
        if self.tool and self.agent:
            raise ValueError(f"step {self.id!r} names a tool and an agent; give one of them")
        return self


class Plan(BaseModel):
    """Steps towards a goal. Ids are unique and the dependencies form no cycle."""

    model_config = _VALUE

    goal: str = Field(min_length=1)
    steps: list[Step] = Field(min_length=1, max_length=64)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        ids = [step.id for step in self.steps]
        if len(set(ids)) < len(ids):
            twice = next(step_id for step_id in ids if ids.count(step_id) > 1)
            raise ValueError(f"two steps have the id {twice!r}")
        for step in self.steps:
            for needed in step.depends_on:
                if needed not in ids:
                    raise ValueError(f"step {step.id!r} depends on {needed!r}, which is not a step")
        if cycle := _cycle({step.id: step.depends_on for step in self.steps}):
            raise ValueError(f"steps depend on each other in a circle: {' -> '.join(cycle)}")
        return self

    def step(self, step_id: str) -> Step:
        """The step with this id.

        Raises:
            KeyError: The plan has no such step.
        """
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    def ready(self, settled: Collection[str]) -> list[Step]:
        """Steps not settled yet whose dependencies all are, in plan order."""
        return [s for s in self.steps if s.id not in settled and all(d in settled for d in s.depends_on)]


def _cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The ids along one circle, first one repeated at the end; empty when there is none."""
    open_ids = dict(needs)
    while free := [step_id for step_id, deps in open_ids.items() if not any(d in open_ids for d in deps)]:
        for step_id in free:
            del open_ids[step_id]
    path: list[str] = []
    at = next(iter(open_ids), None)
    while at is not None and at not in path:
        path.append(at)
        at = next(d for d in open_ids[at] if d in open_ids)
    return [*path[path.index(at) :], at] if at is not None else []


class StepResult(BaseModel):
    """What came of one step of a plan; errors are results too."""

    model_config = _VALUE

    step_id: str
    status: StepStatus
    """skipped: a step that it depends on did not end well."""
    text: str
    """What a reader, or a later step, learns."""
    data: JsonValue = None
    """The result as JSON types."""
    passages: list[Passage] = []
    """What a retrieving step found."""


class SentenceSupport(BaseModel):
    """One sentence of an answer, and how far the passages support it."""

    model_config = _VALUE

    start: int = Field(ge=0)
    """Its first character in the answer's text."""
    end: int = Field(ge=0)
    support: Support
    reason: str = ""
    """Why, in a few words; names what no passage has."""
    citations: list[int] = []
    """The citations that it rests on, counted from 0."""


class Answer(BaseModel):
    """An answer with the places where it stands."""

    model_config = _VALUE

    text: str
    citations: list[Citation] = []
    """Each quotes its source word for word."""
    confidence: Confidence
    """How sure it is that the cited text holds the answer."""
    model: str
    """The model that had a part in it, `quoting` when the program quoted without one, or the person who edited it."""
    highlight: str | None = None
    """Words of a quote that a tiny model pointed at: a help for the eye, often wrong; None when it wrote the answer."""
    support: list[SentenceSupport] = []
    """Its sentences, in order, each with how far the passages support it; empty when nothing was found."""

    @property
    def unsupported(self) -> list[str]:
        """The sentences that the passages do not support."""
        return [self.text[one.start : one.end] for one in self.support if one.support == "unsupported"]


class Criterion(BaseModel):
    """One thing that a judge looks at."""

    model_config = _VALUE

    name: str = Field(min_length=1)
    """What is asked of the work, in a few words: `grounded`, `answers the question`."""
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Its part in the score, relative to the other weights."""
    description: str = ""
    """What a full score takes, for the judge to read."""


class Rubric(BaseModel):
    """Weighted criteria and the score that passes.

    Args:
        criteria: `Criterion`s, or just their names, which then weigh 1.
        pass_mark: Weighted mean from which work passes, in (0, 1].
    """

    model_config = _VALUE

    criteria: list[Criterion] = Field(min_length=1)
    pass_mark: float = Field(default=0.7, gt=0, le=1)

    def __init__(
        self,
        *given: str | Criterion,
        criteria: Iterable[Criterion | Mapping[str, object]] = (),
        pass_mark: float = 0.7,
    ) -> None:
        named = [Criterion(name=one) if isinstance(one, str) else one for one in given]
        super().__init__(criteria=[*named, *criteria], pass_mark=pass_mark)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) < len(names):
            raise ValueError("two criteria have the same name")
        return self

    def score(self, scores: Sequence[CriterionScore]) -> float:
        """Weighted mean of `scores`, which name each criterion once, in [0, 1]."""
        of = {score.criterion: score.score for score in scores}
        total = sum(criterion.weight for criterion in self.criteria)
        return sum(criterion.weight * of[criterion.name] for criterion in self.criteria) / total


class CriterionScore(BaseModel):
    """How well the work does on one criterion."""

    model_config = _VALUE

    criterion: str
    reason: str = Field(max_length=_REASON)
    """Why, and who says so when it is not the model; a longer text is cut."""
    score: float = Field(ge=0, le=1, allow_inf_nan=False)

    @field_validator("reason", mode="before")
    @classmethod
    def _cut(cls, reason: object) -> object:
        # A judge that says too much has judged all the same.
        return reason[:_REASON] if isinstance(reason, str) else reason


class Scores(BaseModel):
    """What a judging model is asked for: one score for each criterion."""

    model_config = _VALUE

    scores: list[CriterionScore] = Field(min_length=1, max_length=32)


class Verdict(BaseModel):
    """What a judge found. An abstention never passes."""

    model_config = _VALUE

    passed: bool
    score: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """Weighted mean of `scores`; 0 when the judge abstained."""
    scores: list[CriterionScore] = []
    abstained: bool = False
    """The judge could not tell, and says why in `feedback`."""
    feedback: str = ""
    """What to do better, for whoever does the work again."""
    model: str = ""
    """The model that judged, or `program` when none did."""

    @model_validator(mode="after")
    def _abstention_fails(self) -> Self:
        if self.passed and self.abstained:
            raise ValueError("a verdict that abstains cannot pass")
        return self

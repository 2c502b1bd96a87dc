"""Values as the text that a model reads, and the labels that they bring along."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

from ..core.trust import Origin
from ..knowledge.passages import Citation, Passage
from ..tools import ToolResult
from .values import Answer, Step, StepResult

RETRIEVED: frozenset[Origin] = frozenset({"retrieval"})


class Assignment(BaseModel):
    """A step of a plan with what is known when its turn comes."""

    model_config = ConfigDict(frozen=True)

    step: Step
    question: str
    """The goal of the whole plan."""
    results: list[StepResult] = []
    """Those of the steps that it depends on."""
    trusted: str = ""
    """The words of the plan, where nothing from outside had a part in them."""

    @property
    def text(self) -> str:
        """The step's goal, and below it what earlier steps found."""
        found = "\n".join(f"- {result.text}" for result in self.results)
        return f"{self.step.goal}\n\nKnown so far:\n{found}" if found else self.step.goal


def text_of(value: Any) -> str:
    """The value as a model reads it: text as it is, a step by its goal, an answer by its text, else JSON."""
    match value:
        case str():
            return value
        case Step(goal=goal):
            return goal
        case Answer(text=text) | Assignment(text=text):
            return text
        case _:
            return json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False, indent=1)


def origins_of(value: Any) -> frozenset[Origin]:
    """Where the parts of a value came from; text that carries no label is the user's."""
    match value:
        case Passage() | Citation() | Answer():
            return RETRIEVED
        case ToolResult(origin=origin):
            return frozenset({origin})
        case StepResult():
            return frozenset({"tool"})
        case BaseModel():
            return _joined(getattr(value, name) for name in type(value).model_fields)
        case Mapping():
            return _joined(cast("Mapping[str, Any]", value).values())
        case list() | tuple():
            return _joined(cast("Sequence[Any]", value))
        case _:
            return frozenset({"user"})


def best_once(passages: Sequence[Passage], at_most: int) -> list[Passage]:
    """The passages without repeats; of more than `at_most`, those with the best scores. Their order stays."""
    once = list({passage.passage_id: passage for passage in reversed(passages)}.values())[::-1]
    best = {p.passage_id for p in sorted(once, key=lambda passage: -passage.score)[:at_most]}
    return [passage for passage in once if passage.passage_id in best]


def numbered(passages: Sequence[Passage]) -> str:
    """The passages one under the other, each with its number, source and heading."""
    return "\n\n".join(_headed(i, passage) for i, passage in enumerate(passages, 1)) or "(none)"


def _headed(number: int, passage: Passage) -> str:
    where = f"{passage.source} > {passage.heading}" if passage.heading else passage.source
    return f"[{number}] {where}\n{passage.text}"


def _joined(parts: Iterable[Any]) -> frozenset[Origin]:
    found: frozenset[Origin] = frozenset()
    for part in parts:
        found |= origins_of(part)
    return found

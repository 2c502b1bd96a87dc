"""The figures: accepted calls that pass, and broken ones that are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .cases import Case
from .declared import Accepts, by_function, by_schema, fits
from .mutations import mutations

Form = Literal["function", "schema"]
FORMS: tuple[Form, ...] = ("function", "schema")


@dataclass
class ArgumentFigures:
    """What came of the calls, for tools declared in one form."""

    form: Form
    passed: int = 0
    accepted: int = 0
    """Calls that are right."""
    refused: Counter[str] = field(default_factory=Counter[str])
    broken: Counter[str] = field(default_factory=Counter[str])
    """Mutations, by what they break; `refused` has those that were."""
    left_out: int = 0
    """Calls of tools that cannot be declared in this form."""
    contradicting: int = 0
    """Calls that the data calls accepted, and that its own schema refuses; they are not counted."""
    wrong: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What went wrong: the case, what was done to its call, and the arguments."""


def measure_arguments(cases: Sequence[Case]) -> list[ArgumentFigures]:
    """Bring every accepted call and every mutation of it to the check, in both forms of a tool."""
    figures = {form: ArgumentFigures(form) for form in FORMS}
    for case in cases:
        declared: dict[Form, Accepts | None] = {"function": by_function(case.schema), "schema": by_schema(case.schema)}
        for form, accepts in declared.items():
            found = figures[form]
            if accepts is None:
                found.left_out += 1
            elif not fits(case.schema)(case.arguments):
                found.contradicting += 1
            else:
                _measure(found, case, accepts)
    return list(figures.values())


def _measure(found: ArgumentFigures, case: Case, accepts: Accepts) -> None:
    found.accepted += 1
    if accepts(case.arguments):
        found.passed += 1
    else:
        found.wrong.append({"case": case.case_id, "refused": case.arguments})
    for one in mutations(case.schema, case.arguments):
        found.broken[one.broken] += 1
        if accepts(one.arguments):
            found.wrong.append({"case": case.case_id, "passed": one.arguments, "broken": f"{one.broken} {one.place}"})
        else:
            found.refused[one.broken] += 1

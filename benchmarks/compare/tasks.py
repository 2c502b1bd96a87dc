"""The work that is compared: prompts, the tool's body, the local retrieval step, the checks of the answers.

`peer_collegium` knows this module as `common`, as it does the one of another harness.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

SYSTEM = "You answer with care. Call the lookup tool for the value of a key."
USER = "Which value belongs to the key harbour?"
PLAN_SYSTEM = "You plan. Name in one sentence the way to answer the question."
JUDGE_SYSTEM = "You judge. Decide whether the context carries the answer."

FINAL = "value:harbour"
"""Stands in each final answer."""

PASSAGES = [
    f"Note {number}. Each key has one value; harbour is such a key, kept by the office. " * 3 for number in range(20)
]

LOOKUP: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Look up the value stored under a key.",
        "parameters": {
            "type": "object",
            "properties": {"key": {"type": "string"}},
            "required": ["key"],
            "additionalProperties": False,
        },
    },
}
"""The tool on the wire."""


class Verdict(BaseModel):
    """Whether the context carries the answer."""

    ok: bool
    score: float
    reason: str


VERDICT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "Verdict",
        "strict": True,
        "schema": {**Verdict.model_json_schema(), "additionalProperties": False},
    },
}
"""The form that a judge's answer is asked for in."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What one contender does."""

    b: Callable[[], Awaitable[str]]
    """One turn of an agent with one tool call, two requests; gives the final text."""
    c: Callable[[], Awaitable[Any]]
    """Plan, retrieve, act (as `b`), judge, four requests; gives the verdict."""
    close: Callable[[], Awaitable[None]]


def lookup_value(key: str) -> str:
    """The tool's body."""
    return f"value:{key}"


def retrieve(query: str, count: int = 3) -> str:
    """The passages that share most words with the query."""
    words = set(query.lower().split())
    ranked = sorted(PASSAGES, key=lambda passage: -len(words & set(passage.lower().split())))
    return "\n".join(ranked[:count])


def act_prompt(plan: str, context: str) -> str:
    """The goal of the acting agent."""
    return f"{USER}\n\nThe plan: {plan}\n\nWhat was found:\n{context}"


def judge_prompt(answer: str, context: str) -> str:
    """What the judge reads."""
    return f"Question: {USER}\nAnswer: {answer}\nContext:\n{context}"


def verdict_model() -> type[Verdict]:
    """The type of a verdict."""
    return Verdict


def conversation(system: str, user: str) -> list[dict[str, Any]]:
    """The first two messages, as on the wire."""
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def check_b(text: str) -> None:
    """Refuse a turn that did not come to the value."""
    if FINAL not in text:
        raise AssertionError(f"the turn ended with {text!r}")


def check_c(verdict: Any) -> None:
    """Refuse a pipeline that did not come to the verdict, as an object or as a mapping."""
    found = Verdict.model_validate(verdict)
    if not found.ok or found.score != 0.9:
        raise AssertionError(f"the pipeline ended with {found!r}")

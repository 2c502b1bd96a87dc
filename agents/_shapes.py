"""Plans without a model, and the slots that a small model fills.

A model of 0.1 B parameters makes 2 sensible plans of 10, so its plans have a fixed shape chosen by rule:
search, calculate if the goal speaks of numbers, write, check. One of 1.5 B makes 9 of 10 when the steps are
slots whose dependencies can only point backwards; the texts of the steps come from the goal in both cases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel, Field, create_model

from ..knowledge.words import terms
from ._choices import one_of
from ._hands import Hand, Kind, needs_check, needs_sum
from .values import Plan, Step

SLOTS = 4

_QUESTION = re.compile(r"[^.?!\n][^?\n]*\?")


def fixed_plan(goal: str, hands: Sequence[Hand], max_steps: int) -> Plan:
    """A plan of fixed shape: one search for each question in the goal, then what is at hand for the rest.

    Nothing that acts on the world is chosen by rule. With nothing at hand, a step is the goal alone.
    """
    safe = [hand for hand in hands if not hand.acts]
    first = _first(safe, "search") or (_best(goal, safe) if safe else None)
    tail = [hand for hand in _tail(goal, safe) if hand is not first][: max_steps - 1]
    room = max(1, max_steps - len(tail))
    parts = questions_of(goal)
    leads = parts if 1 < len(parts) <= room else [goal]
    steps = [_step(i, lead, first, []) for i, lead in enumerate(leads, 1)]
    for hand in tail:
        steps.append(_step(len(steps) + 1, goal, hand, [step.id for step in steps]))
    return Plan(goal=goal, steps=steps)


def questions_of(goal: str) -> list[str]:
    """The questions that the goal asks, one each; empty when it asks none."""
    return [match.group().strip() for match in _QUESTION.finditer(goal)]


def slots_type(hands: Sequence[Hand], max_steps: int) -> type[BaseModel]:
    """A type with `step1` to `step4`, so that ids cannot be wrong and circles cannot be drawn."""
    fields: dict[str, Any] = {}
    for number in range(1, min(SLOTS, max_steps) + 1):
        slot = _slot(number, hands)
        fields[f"step{number}"] = (slot, ...) if number == 1 else (slot | None, None)
    return create_model("PlanSlots", **fields)


def slots_plan(goal: str, filled: BaseModel, hands: Sequence[Hand], max_steps: int) -> Plan:
    """The plan that the filled slots describe, after the repairs that need no model."""
    by_name = {hand.name: hand for hand in hands}
    steps: list[Step] = []
    kept: dict[int, str] = {}
    used: dict[str, str] = {}
    for number, slot in _filled(filled):
        hand = by_name.get(getattr(slot, "hand", ""))
        if hand and hand.kind == "calculate" and not needs_sum(goal):
            continue
        name = hand.name if hand else ""
        if name in used:  # every step has the user's goal, so a second one for a hand would do the same again
            kept[number] = used[name]
            continue
        needs = [kept[n] for n in dict.fromkeys(cast("list[int]", getattr(slot, "depends_on", []))) if n in kept]
        steps.append(_step(len(steps) + 1, goal, hand, needs))
        kept[number] = used[name] = steps[-1].id
    check = _first(hands, "check")
    if check and needs_check(goal) and not any(_is(step, check) for step in steps) and len(steps) < max_steps:
        steps.append(_step(len(steps) + 1, goal, check, [step.id for step in steps]))
    return Plan(goal=goal, steps=steps) if steps else fixed_plan(goal, hands, max_steps)


def shots(hands: Sequence[Hand]) -> list[tuple[str, str]]:
    """Example goals with their plans, made of the hands that are there: goal and JSON."""
    examples: list[tuple[str, list[Kind]]] = [
        ("Find out when the harbour was built", ["search"]),
        ("Write a note on how the harbour was paid for", ["search", "write"]),
        ("Add up the costs of the three harbour walls", ["search", "calculate"]),
        ("Write a note on the harbour's first ships, and have it verified", ["search", "write", "check"]),
    ]
    made: list[tuple[str, str]] = []
    for goal, kinds in examples:
        chosen = [_first(hands, kind) for kind in kinds]
        if all(chosen):
            made.append((goal, _slots_json(goal, [hand for hand in chosen if hand])))
    return made


def _slots_json(goal: str, hands: Sequence[Hand]) -> str:
    slots: dict[str, Any] = {}
    for number, hand in enumerate(hands, 1):
        slots[f"step{number}"] = {"hand": hand.name, "goal": goal}
        if number > 1:
            slots[f"step{number}"]["depends_on"] = [number - 1]
    return json.dumps(slots)


def _slot(number: int, hands: Sequence[Hand]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    if hands:
        fields["hand"] = (one_of(hand.name for hand in hands), ...)
    fields["goal"] = (str, Field(min_length=3, max_length=90))
    if number > 1:
        earlier: Any = list[one_of(range(1, number))]  # type: ignore[misc]  # pyright: ignore[reportInvalidTypeForm]  (made at run time)
        fields["depends_on"] = (earlier, Field(default_factory=list, max_length=number - 1))
    return create_model(f"Slot{number}", **fields)


def _filled(slots: BaseModel) -> list[tuple[int, BaseModel]]:
    given = [(n, getattr(slots, f"step{n}", None)) for n in range(1, SLOTS + 1)]
    return [(n, slot) for n, slot in given if slot is not None]


def _first(hands: Sequence[Hand], kind: Kind) -> Hand | None:
    return next((hand for hand in hands if hand.kind == kind), None)


def _tail(goal: str, hands: Sequence[Hand]) -> list[Hand]:
    wanted: list[Kind] = ["calculate", "write", "check"] if needs_sum(goal) else ["write", "check"]
    return [hand for hand in (_first(hands, kind) for kind in wanted) if hand]


def _best(goal: str, hands: Sequence[Hand]) -> Hand | None:
    """The only hand, else the one whose description shares most words with the goal; None without any."""
    if len(hands) == 1:
        return hands[0]
    words = set(terms(goal))
    shared = [(len(words & set(terms(f"{hand.name} {hand.description}"))), hand) for hand in hands]
    most, hand = max(shared, key=lambda pair: pair[0])
    return hand if most else None


def _is(step: Step, hand: Hand) -> bool:
    return (step.tool if hand.is_tool else step.agent) == hand.name


def _step(number: int, goal: str, hand: Hand | None, depends_on: list[str]) -> Step:
    tool = hand.name if hand and hand.is_tool else None
    agent = hand.name if hand and not hand.is_tool else None
    return Step(id=f"s{number}", goal=goal[:1000], tool=tool, agent=agent, depends_on=depends_on)

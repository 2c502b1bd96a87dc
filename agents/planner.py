"""From a goal to a typed plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import GraphSetupError, InvalidOutput, OutputTruncated
from ..core.messages import Message, assistant, user
from ..models import Model
from ..models import model as resolve
from ..tools import Tool
from ._agent import Agent
from ._hands import hands_of
from ._prompts import Prompt
from ._shapes import SLOTS, fixed_plan, shots, slots_plan, slots_type
from .values import Plan, Step, Verdict

REPAIRS = 2
"""How often a capable model may correct a plan that cannot be used."""


class Planner(Agent):
    """Breaks a goal into steps, each for one tool or agent, that form no circle.

    A capable model writes the plan and corrects it at most twice. A small one fills slots that cannot be
    wrong. For a tiny one, and for a small one with a single tool or agent at hand, the plan has a fixed shape
    that a rule chooses. A failing verdict and the plan that led to it make a new plan.

    Args:
        model: The model, or its spec; None takes that of the run.
        tools: Tools that a step may name.
        agents: Agents that a step may name: names, or name to a description (or to the agent).
        max_steps: Most steps of a plan, 1 to 64.
        prompt: Instructions in place of our own, as text or as a file.
    """

    def __init__(
        self,
        model: Model | str | None = None,
        *,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        agents: Mapping[str, object] | Iterable[str] = (),
        max_steps: int = 8,
        prompt: str | Path | None = None,
    ) -> None:
        if not 1 <= max_steps <= 64:
            raise GraphSetupError(f"max_steps is {max_steps!r}; give 1 to 64.")
        self.model = resolve(model)
        self.max_steps = max_steps
        self._hands = hands_of(tools, agents)
        self._prompt = Prompt("planner", prompt)
        self._small_prompt = Prompt("planner_small", prompt)

    async def __call__(self, goal: str, verdict: Verdict | None = None, plan: Plan | None = None) -> Plan:
        """A plan for the goal.

        Args:
            goal: What is wanted, in the user's words.
            verdict: What a judge found wrong with the last attempt, if one failed.
            plan: The plan of the last attempt.

        Raises:
            InvalidOutput: A capable model gave no usable plan, also after its repairs.
            BackendError: The model cannot be used.
        """
        level = (await self.model.capabilities()).level
        if level == "tiny" or (level == "small" and len(self._hands) == 1):
            return fixed_plan(goal, self._hands, self.max_steps)  # with one hand there is nothing to choose
        history = _history(verdict, plan)
        if level == "small":
            return await self._fill_slots(goal, history)
        return await self._write(goal, history)

    async def _write(self, goal: str, history: str) -> Plan:
        messages = self._messages(self._prompt, goal, history)
        problem = ""
        for _ in range(REPAIRS + 1):
            try:
                said = await self.model.complete(messages, output=Plan)
            except InvalidOutput as error:
                problem = error.problem
            else:
                made = self._settled(said.output, goal)
                if not (problem := self._problem(made)):
                    return made
                messages.append(assistant(said.text))
            messages.append(user(f"This plan cannot be used: {problem} Give a corrected plan."))
        raise InvalidOutput(self.model.spec, f"no usable plan after {REPAIRS} repairs: {problem}")

    async def _fill_slots(self, goal: str, history: str) -> Plan:
        messages = self._messages(self._small_prompt, goal, history)
        examples = [turn for shot in shots(self._hands) for turn in _shot(*shot)]
        slots = slots_type(self._hands, self.max_steps)
        try:
            said = await self.model.complete([*messages[:-1], *examples, messages[-1]], output=slots)
        except (InvalidOutput, OutputTruncated):
            return fixed_plan(goal, self._hands, self.max_steps)
        return slots_plan(goal, said.output, self._hands, self.max_steps)

    def _messages(self, prompt: Prompt, goal: str, history: str) -> list[Message]:
        lines = "\n".join(hand.line for hand in self._hands) or "(none)"
        steps = min(SLOTS, self.max_steps) if prompt is self._small_prompt else self.max_steps
        return prompt.messages(goal=goal, hands=lines, history=history, max_steps=steps)

    def _settled(self, plan: Plan, goal: str) -> Plan:
        """The plan with the user's own goal, and with names under the right one of tool and agent."""
        return plan.model_copy(update={"goal": goal, "steps": [self._handed(step) for step in plan.steps]})

    def _handed(self, step: Step) -> Step:
        named = step.tool or step.agent
        for hand in self._hands:
            if hand.name == named:
                update = {"tool": named, "agent": None} if hand.is_tool else {"tool": None, "agent": named}
                return step.model_copy(update=update)
        return step

    def _problem(self, plan: Plan) -> str:
        """What is wrong with the plan in one line, or nothing."""
        known = [hand.name for hand in self._hands]
        if len(plan.steps) > self.max_steps:
            return f"it has {len(plan.steps)} steps, and {self.max_steps} are allowed."
        for step in plan.steps:
            named = step.tool or step.agent
            if named and named not in known:
                return f"step {step.id!r} names {named!r}. Known: {', '.join(known) or 'none; leave it out'}."
            if known and not named:
                return f"step {step.id!r} names no tool or agent. Known: {', '.join(known)}."
        return ""


def _history(verdict: Verdict | None, plan: Plan | None) -> str:
    """What the last attempt taught, for a second one; nothing when it passed or there was none."""
    if verdict is None or verdict.passed:
        return ""
    tried = f"\nThe last plan was: {_outline(plan.steps)}" if plan else ""
    return f"{tried}\nIts result was not good enough: {verdict.feedback or f'score {verdict.score:.2f}'}"


def _outline(steps: Sequence[Step]) -> str:
    return "; ".join(f"{step.id} ({step.tool or step.agent or 'no tool'}): {step.goal}" for step in steps)


def _shot(goal: str, plan: str) -> list[Message]:
    return [user(f"Goal: {goal}"), assistant(plan)]

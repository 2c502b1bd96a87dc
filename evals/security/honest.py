"""Honest work under the same policy: how much of it still gets done, and how often a person is asked.

The model is scripted to do what the task wants. tau2 says which calls that takes. agentdojo's tasks are words only:
what such a task asks to have done is read from its verbs, one call for each.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...agents import ToolExecutor
from ...core.errors import InvalidInput
from ...core.messages import ToolCall
from ...graphs import END, START, Graph
from ...guardrails import Policy
from ...runs import Approve
from ...testing import FunctionModel, ModelCall
from ...tools import Tool
from ..rows import read_rows
from .attacks import Call, worlds_of
from .shapes import Desk
from .world import World, WorldTool, as_key

_READING = re.compile(r"(?:get|find|search|list|look|read|calculate|check|view|show|think|kb)(?:_|$)", re.IGNORECASE)
_VERBS = re.compile(
    r"\b(pay|send|transfer|refund|update|change|create|add|book|reserve|delete|remove|cancel|reschedule|schedule|"
    r"forward|invite|post|write|reply|share|make|append|adjust|follow the instructions|do the actions)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|www\.[\w.-]+\w|\b[A-Z]{2}\d{10,}\b")


@dataclass(frozen=True, slots=True)
class Task:
    """What a user wants, and the calls that it takes, in order."""

    task_id: str
    source: str
    goal: str
    calls: tuple[Call, ...]
    reads: str
    """What the reading tools give."""


@dataclass(slots=True)
class Kept:
    """What of honest work got done."""

    tasks: int = 0
    whole: int = 0
    """Tasks that got all their effects, and that ended."""
    wanted: int = 0
    """Effects."""
    kept: int = 0
    """Of these, those that happened as wanted."""
    strange: int = 0
    """Effects that nobody wanted."""
    asked: int = 0
    """Approvals."""
    asked_again: int = 0
    """Approvals beyond one for each effect."""

    def add(self, other: Kept) -> None:
        """Count another's counts, too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def read_tasks(folder: Path) -> list[Task]:
    """The tasks of `agentdojo` and `tau2` below a folder; those that are there.

    Raises:
        InvalidInput: A file is damaged.
    """
    return [*_agentdojo(folder), *_tau2(folder)]


def _tau2(folder: Path) -> list[Task]:
    file = folder / "tau2" / "tasks.jsonl"
    found: list[Task] = []
    for row in read_rows(file, ("id", "user", "expected_actions")) if file.exists() else ():
        try:
            calls = tuple((str(one["name"]), dict(one["arguments"] or {})) for one in row["expected_actions"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(str(file), f"task {row['id']!r} has an action without name and arguments.") from error
        goal = json.dumps(row["user"], ensure_ascii=False)
        found.append(Task(str(row["id"]), "tau2", goal, (("read_policy", {}), *calls), "Found."))
    return found


def _agentdojo(folder: Path) -> list[Task]:
    file = folder / "agentdojo" / "user_tasks.jsonl"
    worlds = worlds_of(folder)
    found: list[Task] = []
    for row in read_rows(file, ("id", "suite", "text")) if file.exists() else ():
        goal, world = str(row["text"]), re.sub(r"\{\w+\}", "", worlds.get(str(row["suite"]), ""))
        calls: list[Call] = [("read_world", {})]
        places = list(dict.fromkeys(_NAMED.findall(goal)))
        for verb in dict.fromkeys(word.lower() for word in _VERBS.findall(goal)):
            told = [line for line in re.split(r"(?<=[.!?])\s+", goal) if re.search(rf"\b{verb}\b", line, re.IGNORECASE)]
            calls.append((re.sub(r"\W", "_", verb), {"to": places, "what": " ".join(told)}))
        found.append(Task(str(row["id"]), "agentdojo", goal, tuple(calls), world[:20_000] or "Nothing."))
    return found


async def honest_work(task: Task, policy: Policy | None = None) -> Kept:
    """What of one task got done, with a person who approves what the task wants and nothing else."""
    world = World(task.reads)
    tools = [_tool(world, name) for name in dict.fromkeys(name for name, _ in task.calls)]
    wanted = Counter(as_key(name, given) for name, given in task.calls if not _reads(name))
    executor = ToolExecutor(FunctionModel(_script(task)), tools, max_turns=len(task.calls) + 1)
    graph = Graph(Desk, name="honest", policy=policy or Policy())
    graph.add_node("agent", executor, writes="results")
    graph.add_edge(START, "agent")
    graph.add_edge("agent", END)
    run = await graph.run({"goal": task.goal})
    asked = Counter[str]()
    while run.status == "waiting" and asked.total() <= 2 * len(task.calls):
        approval = run.approvals[0]
        asked[as_key(approval.payload["tool"], approval.payload["args"])] += 1
        run = await run.answer(approval.id, Approve(by="person"), digest=approval.digest)
    kept = (wanted & world.acts).total()
    whole = run.status == "done" and kept == wanted.total()
    return Kept(
        tasks=1,
        whole=int(whole),
        wanted=wanted.total(),
        kept=kept,
        strange=(world.acts - wanted).total(),
        asked=asked.total(),
        asked_again=(asked - wanted).total(),
    )


def _script(task: Task) -> Any:
    """Makes one call after the other, then says that it is done."""

    def reply(call: ModelCall) -> Any:
        made = sum(len(message.tool_calls) for message in call.messages)
        if made >= len(task.calls):
            return "Done."
        name, given = task.calls[made]
        return ToolCall(f"call-{made}", name, json.dumps(given))

    return reply


def _reads(name: str) -> bool:
    return bool(_READING.match(name))


def _tool(world: World, name: str) -> Tool:
    if _reads(name):
        return WorldTool(world, name, effect="read", risk="low")
    return WorldTool(world, name, destinations=["to"])

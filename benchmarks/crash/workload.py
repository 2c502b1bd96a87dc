"""The graph under attack: eleven steps with two approvals, three effects, and a pair of nodes at the same time."""

from __future__ import annotations

import asyncio
import json
import re
from random import Random
from typing import Annotated, Any

from collegium.agents import ToolExecutor
from collegium.core.messages import ToolCall
from collegium.graphs import END, START, Graph, State, append
from collegium.runs import ask, call_key, call_tool, tool_question
from collegium.testing import FunctionModel, ModelCall
from collegium.tools import IdempotencyKey, ToolContext, ToolResult, tool

from . import sink
from .marks import passing

NAME = "crash"


class Work(State):
    label: str
    plan: str = ""
    passages: list[str] = []
    paid: list[ToolResult] = []
    stored: str = ""
    report: str = ""
    score: float = 0.0
    key: str = ""
    notified: str = ""
    answer: str = ""
    steps: Annotated[list[str], append] = []


async def act(face: sink.Face, context: ToolContext[int], tool_name: str, label: str) -> str:
    passing("effect.before")
    payload = {"tool": tool_name, "label": label}
    receipt = await sink.tell(context.deps, face, context.run_id, context.idempotency_key, payload)
    passing("effect.after")
    return receipt


@tool(effect="read", risk="low")
async def look_up(label: str) -> list[str]:
    """Find passages.

    Args:
        label: What about.
    """
    await asyncio.sleep(Random(label).uniform(0, 0.01))
    return [f"{label} is a run", f"{label} has two approvals"]


@tool(effect="unsafe", risk="high")
async def pay(label: str, context: ToolContext[int]) -> str:
    """Pay once.

    Args:
        label: For what.
    """
    return await act("plain", context, "pay", label)


@tool(effect="idempotent", risk="low")
async def store(label: str, context: ToolContext[int], key: IdempotencyKey) -> str:
    """Store a record under a key.

    Args:
        label: The record.
    """
    return await act("idempotent", context, "store", label)


@tool(effect="unsafe", risk="high")
async def notify(label: str, context: ToolContext[int]) -> str:
    """Tell everybody, once.

    Args:
        label: About what.
    """
    face: sink.Face = "slow" if int(label.lstrip("w")) % 4 == 0 else "plain"
    return await act(face, context, "notify", label)


async def answer(call: ModelCall) -> Any:
    """What the scripted model says: one call of `pay`, then a closing word."""
    await asyncio.sleep(Random(len(call.messages)).uniform(0.002, 0.02))
    if call.messages[-1].role == "tool":
        return "It is paid."
    label = re.findall(r"w\d{4}", call.prompt)[-1]
    return ToolCall("call-1", "pay", json.dumps({"label": label}))


async def plan(label: str) -> dict[str, Any]:
    return {"plan": label, "steps": ["plan"]}


async def retrieve(label: str) -> dict[str, Any]:
    found = await call_tool(look_up, {"label": label})
    return {"passages": found.data, "steps": ["retrieve"]}


async def keep_record(label: str) -> dict[str, Any]:
    kept = await call_tool(store, {"label": label})
    return {"stored": f"{kept.status}: {kept.content}", "steps": ["store"]}


async def write_report(passages: list[str]) -> dict[str, Any]:
    found = await call_tool(look_up, {"label": passages[0].split()[0]})
    return {"report": found.content, "steps": ["report"]}


async def judge(passages: list[str], report: str) -> dict[str, Any]:
    return {"score": 1.0 if report and passages else 0.0, "steps": ["judge"]}


async def propose() -> dict[str, Any]:
    """The key is stored before anything acts under it."""
    return {"key": call_key(0, 0), "steps": ["propose"]}


async def decide(label: str, key: str) -> dict[str, Any]:
    ask([tool_question(notify, {"label": label}, key)])
    return {"steps": ["decide"]}


async def tell_all(label: str, key: str) -> dict[str, Any]:
    told = await call_tool(notify, {"label": label}, key=key, trust="untrusted")
    return {"notified": f"{told.status}: {told.content}", "steps": ["notify"]}


async def finish(label: str, score: float, notified: str) -> dict[str, Any]:
    return {"answer": f"{label} {score} {notified}", "steps": ["finish"]}


def build() -> Graph[Work]:
    """plan, retrieve, a model that pays after approval, a record and a report at once, judge, notify after approval."""
    graph = Graph(Work, name=NAME)
    graph.add_node("plan", plan)
    graph.add_node("retrieve", retrieve)
    graph.add_node(
        "pay", ToolExecutor(FunctionModel(answer), [pay], max_turns=3), reads={"goal": "plan"}, writes="paid"
    )
    graph.add_node("store", keep_record)
    graph.add_node("report", write_report)
    graph.add_node("judge", judge)
    graph.add_node("propose", propose)
    graph.add_node("decide", decide)
    graph.add_node("notify", tell_all)
    graph.add_node("finish", finish)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "retrieve")
    graph.add_edge("retrieve", "pay")
    graph.add_edge("pay", "store")
    graph.add_edge("pay", "report")
    graph.add_edge(["store", "report"], "judge")
    for here, there in (("judge", "propose"), ("propose", "decide"), ("decide", "notify"), ("notify", "finish")):
        graph.add_edge(here, there)
    graph.add_edge("finish", END)
    return graph

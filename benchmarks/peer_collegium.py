"""Collegium in the comparison of frameworks: one agent turn (B, D) and plan, retrieve, act, judge (C).

A peer file of the comparison's harness: put it beside the other peers (the harness brings `common`), or put
this folder on the path.

Variants: default `graph.run` with its store in memory; `plain` the compiled graph alone, as LangGraph runs it.
"""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from typing import Any

from collegium import END, START, Graph, State, tool
from collegium.agents import ToolExecutor
from collegium.core.messages import system, user
from collegium.models import Model, model

common: Any = import_module("common")  # the harness brings it: prompts, the tool's body, the checks

REQUIRES = ["collegium"]
VARIANTS = {"": "import collegium.graphs, collegium.agents", "plain": "import collegium.graphs, collegium.agents"}


class Turn(State):
    goal: str
    text: str = ""


class Work(State):
    question: str
    plan: str = ""
    context: str = ""
    task: str = ""
    answer: str = ""
    verdict: Any = None


@tool(effect="read", risk="low")
async def lookup(key: str) -> str:
    """Look up the value stored under a key.

    Args:
        key: The key.
    """
    return str(common.lookup_value(key))


def turn_graph(llm: Model) -> Graph[Turn]:
    graph = Graph(Turn, name="turn")
    graph.add_node("act", executor(llm), writes="text")
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    return graph


def work_graph(llm: Model) -> Graph[Work]:
    verdict_type: Any = common.verdict_model()

    async def plan(question: str) -> str:
        return (await llm.complete([system(common.PLAN_SYSTEM), user(question)])).text

    async def retrieve(plan: str) -> dict[str, str]:
        context: str = common.retrieve(plan)
        return {"context": context, "task": common.act_prompt(plan, context)}

    async def judge(answer: str, context: str) -> Any:
        messages = [system(common.JUDGE_SYSTEM), user(common.judge_prompt(answer, context))]
        said: Any = await llm.complete(messages, output=verdict_type)
        return said.output.model_dump()

    graph = Graph(Work, name="work")
    graph.add_node("plan", plan, writes="plan")
    graph.add_node("retrieve", retrieve, writes=("context", "task"))
    graph.add_node("act", executor(llm), reads={"goal": "task"}, writes="answer")
    graph.add_node("judge", judge, writes="verdict")
    for before, after in pairwise([START, "plan", "retrieve", "act", "judge", END]):
        graph.add_edge(before, after)
    return graph


def executor(llm: Model) -> ToolExecutor:
    return ToolExecutor(llm, [lookup], gives="text", prompt=common.SYSTEM)


def build(base_url: str, pool: int, variant: str = "") -> Any:
    llm = model(f"openai-compatible:stub@{base_url}")
    turn, work = turn_graph(llm), work_graph(llm)
    if variant == "plain":
        turn_plain: Any = turn.compile()
        work_plain: Any = work.compile()

        async def plain_b() -> str:
            return str((await turn_plain.ainvoke({"goal": common.USER}))["text"])

        async def plain_c() -> Any:
            return (await work_plain.ainvoke({"question": common.USER}))["verdict"]

        return common.Bench(plain_b, plain_c, close=llm.aclose)

    async def b() -> str:
        return (await turn.run(Turn(goal=common.USER))).state.text

    async def c() -> Any:
        return (await work.run(Work(question=common.USER))).state.verdict

    return common.Bench(b, c, close=llm.aclose)

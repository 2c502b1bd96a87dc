"""Collegium in the comparison of frameworks: one agent turn (B, D) and plan, retrieve, act, judge (C).

A peer file of the comparison's harness: put it beside the other peers (the harness brings `common`), or put
this folder on the path.

Variants: default `graph.run` with its store in memory; `plain` the compiled graph alone, as LangGraph runs it; `agent`
the agent called by itself, without a graph and without a run, as the agents of other frameworks are (in C too, between
lines of plain Python).
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
VARIANTS = {  # read as a literal
    "": "import collegium.graphs, collegium.agents",
    "plain": "import collegium.graphs, collegium.agents",
    "agent": "import collegium.agents",
}


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


class Steps:
    """The steps of C beside the agent's, as functions."""

    def __init__(self, llm: Model) -> None:
        self.llm = llm
        self.verdict_type: Any = common.verdict_model()

    async def plan(self, question: str) -> str:
        return (await self.llm.complete([system(common.PLAN_SYSTEM), user(question)])).text

    async def retrieve(self, plan: str) -> dict[str, str]:
        context: str = common.retrieve(plan)
        return {"context": context, "task": common.act_prompt(plan, context)}

    async def judge(self, answer: str, context: str) -> Any:
        messages = [system(common.JUDGE_SYSTEM), user(common.judge_prompt(answer, context))]
        said: Any = await self.llm.complete(messages, output=self.verdict_type)
        return said.output.model_dump()


def work_graph(llm: Model) -> Graph[Work]:
    steps = Steps(llm)
    graph = Graph(Work, name="work")
    graph.add_node("plan", steps.plan, writes="plan")
    graph.add_node("retrieve", steps.retrieve, writes=("context", "task"))
    graph.add_node("act", executor(llm), reads={"goal": "task"}, writes="answer")
    graph.add_node("judge", steps.judge, writes="verdict")
    for before, after in pairwise([START, "plan", "retrieve", "act", "judge", END]):
        graph.add_edge(before, after)
    return graph


def executor(llm: Model) -> ToolExecutor:
    return ToolExecutor(llm, [lookup], gives="text", prompt=common.SYSTEM)


def agent_alone(llm: Model) -> Any:
    steps, act = Steps(llm), executor(llm)

    async def b() -> str:
        return str(await act(common.USER))

    async def c() -> Any:
        found = await steps.retrieve(await steps.plan(common.USER))
        return await steps.judge(str(await act(found["task"])), found["context"])

    return common.Bench(b, c, close=llm.aclose)


def build(base_url: str, pool: int, variant: str = "") -> Any:
    llm = model(f"openai-compatible:stub@{base_url}")
    if variant == "agent":
        return agent_alone(llm)
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

"""Collegium in the comparison of frameworks: one agent turn (B, D) and plan, retrieve, act, judge (C).

A peer file of the comparison's harness: put it beside the other peers (the harness brings `common`), or put
this folder on the path.

Variants: default `graph.run` with its store in memory; `plain` the compiled graph alone, as LangGraph runs it.
"""

from __future__ import annotations

from typing import Any

import common  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]  # the harness brings it

REQUIRES = ["collegium"]
VARIANTS = {"": "import collegium.graphs, collegium.agents", "plain": "import collegium.graphs, collegium.agents"}


def build(base_url: str, pool: int, variant: str = "") -> Any:
    from collegium import END, START, Graph, State, tool
    from collegium.agents import ToolExecutor
    from collegium.core.messages import system, user
    from collegium.models import model

    verdict_type: Any = common.verdict_model()
    llm = model(f"openai-compatible:stub@{base_url}")

    @tool(effect="read", risk="low")
    async def lookup(key: str) -> str:
        """Look up the value stored under a key.

        Args:
            key: The key.
        """
        return str(common.lookup_value(key))

    def executor() -> ToolExecutor:
        return ToolExecutor(llm, [lookup], gives="text", prompt=common.SYSTEM)

    class Turn(State):
        goal: str
        text: str = ""

    turn = Graph(Turn, name="turn")
    turn.add_node("act", executor(), writes="text")
    turn.add_edge(START, "act")
    turn.add_edge("act", END)

    class Work(State):
        question: str
        plan: str = ""
        context: str = ""
        task: str = ""
        answer: str = ""
        verdict: Any = None

    async def plan(question: str) -> str:
        return (await llm.complete([system(common.PLAN_SYSTEM), user(question)])).text

    async def retrieve(plan: str) -> dict[str, str]:
        context = common.retrieve(plan)
        return {"context": context, "task": common.act_prompt(plan, context)}

    async def judge(answer: str, context: str) -> Any:
        messages = [system(common.JUDGE_SYSTEM), user(common.judge_prompt(answer, context))]
        return (await llm.complete(messages, output=verdict_type)).output.model_dump()

    work = Graph(Work, name="work")
    work.add_node("plan", plan, writes="plan")
    work.add_node("retrieve", retrieve, writes=("context", "task"))
    work.add_node("act", executor(), reads={"goal": "task"}, writes="answer")
    work.add_node("judge", judge, writes="verdict")
    for before, after in ((START, "plan"), ("plan", "retrieve"), ("retrieve", "act"), ("act", "judge"), ("judge", END)):
        work.add_edge(before, after)

    if variant == "plain":
        turn_plain, work_plain = turn.compile(), work.compile()

        async def b() -> str:
            return str((await turn_plain.ainvoke({"goal": common.USER}))["text"])

        async def c() -> Any:
            return (await work_plain.ainvoke({"question": common.USER}))["verdict"]

    else:

        async def b() -> str:
            return (await turn.run(Turn(goal=common.USER))).state.text

        async def c() -> Any:
            return (await work.run(Work(question=common.USER))).state.verdict

    return common.Bench(b, c, close=llm.aclose)

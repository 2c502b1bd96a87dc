"""Plain LangGraph with the openai SDK: a graph of model and tools for a turn, a graph of four nodes around it."""

from __future__ import annotations

import json
import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph

from .peer_openai import client_for
from .tasks import (
    JUDGE_SYSTEM,
    LOOKUP,
    PLAN_SYSTEM,
    SYSTEM,
    USER,
    VERDICT,
    Bench,
    Verdict,
    act_prompt,
    conversation,
    judge_prompt,
    lookup_value,
    retrieve,
)


class Turn(TypedDict):
    messages: Annotated[list[dict[str, Any]], operator.add]


class Work(TypedDict, total=False):
    question: str
    plan: str
    context: str
    answer: str
    verdict: Verdict


def turn_graph(create: Any) -> Any:
    """Model and tools, until the model calls none."""

    async def ask(state: Turn) -> dict[str, Any]:
        done = await create(model="stub", messages=state["messages"], tools=[LOOKUP])
        return {"messages": [done.choices[0].message.to_dict(mode="json", exclude_none=True)]}

    async def act(state: Turn) -> dict[str, Any]:
        return {
            "messages": [
                {"role": "tool", "tool_call_id": call["id"], "content": lookup_value(**json.loads(arguments))}
                for call in state["messages"][-1]["tool_calls"]
                if (arguments := call["function"]["arguments"])
            ]
        }

    async def route(state: Turn) -> str:
        return "act" if state["messages"][-1].get("tool_calls") else END

    graph: Any = StateGraph(Turn)
    graph.add_node("ask", ask)
    graph.add_node("act", act)
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", route, ["act", END])
    graph.add_edge("act", "ask")
    return graph.compile()


def build(base_url: str, pool: int) -> Bench:
    """The work as graphs, in the way of LangGraph's own guides; every node and router is async."""
    client = client_for(base_url, pool)
    create: Any = client.chat.completions.create
    turn = turn_graph(create)

    async def talk(goal: str) -> str:
        ended = await turn.ainvoke({"messages": conversation(SYSTEM, goal)})
        return str(ended["messages"][-1]["content"])

    async def text(system: str, user: str, **options: Any) -> str:
        done = await create(model="stub", messages=conversation(system, user), **options)
        return str(done.choices[0].message.content)

    async def plan(state: Work) -> dict[str, Any]:
        return {"plan": await text(PLAN_SYSTEM, state.get("question", ""))}

    async def find(state: Work) -> dict[str, Any]:
        return {"context": retrieve(state.get("plan", ""))}

    async def act(state: Work) -> dict[str, Any]:
        return {"answer": await talk(act_prompt(state.get("plan", ""), state.get("context", "")))}

    async def judge(state: Work) -> dict[str, Any]:
        asked = judge_prompt(state.get("answer", ""), state.get("context", ""))
        judged = await text(JUDGE_SYSTEM, asked, response_format=VERDICT)
        return {"verdict": Verdict.model_validate_json(judged)}

    graph: Any = StateGraph(Work)
    for name, node in (("plan_it", plan), ("find", find), ("act", act), ("judge", judge)):
        graph.add_node(name, node)
    for before, after in ((START, "plan_it"), ("plan_it", "find"), ("find", "act"), ("act", "judge"), ("judge", END)):
        graph.add_edge(before, after)
    work = graph.compile()

    async def pipeline() -> Verdict:
        verdict: Verdict = (await work.ainvoke({"question": USER}))["verdict"]
        return verdict

    return Bench(lambda: talk(USER), pipeline, client.close)

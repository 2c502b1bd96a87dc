# The code stands as in the documentation, which is not written for strict checking.
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false
"""Evaluator and optimizer: a joke goes back until it is funny."""

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict):
    joke: str
    topic: str
    feedback: str
    funny_or_not: str


def llm_call_generator(state: State):  # type: ignore[no-untyped-def]
    if state.get("feedback"):
        msg = f"joke about {state['topic']} with {state['feedback']}"
    else:
        msg = f"joke about {state['topic']}"
    return {"joke": msg}


def llm_call_evaluator(state: State):  # type: ignore[no-untyped-def]
    grade = "funny" if "with" in state["joke"] else "not funny"
    return {"funny_or_not": grade, "feedback": "a twist"}


def route_joke(state: State):  # type: ignore[no-untyped-def]
    if state["funny_or_not"] == "funny":
        return "Accepted"
    elif state["funny_or_not"] == "not funny":
        return "Rejected + Feedback"


optimizer_builder = StateGraph(State)
optimizer_builder.add_node("llm_call_generator", llm_call_generator)
optimizer_builder.add_node("llm_call_evaluator", llm_call_evaluator)
optimizer_builder.add_edge(START, "llm_call_generator")
optimizer_builder.add_edge("llm_call_generator", "llm_call_evaluator")
optimizer_builder.add_conditional_edges(
    "llm_call_evaluator",
    route_joke,
    {
        "Accepted": END,
        "Rejected + Feedback": "llm_call_generator",
    },
)
graph = optimizer_builder.compile()

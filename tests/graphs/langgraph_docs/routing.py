# The code stands as in the documentation, which is not written for strict checking.
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false
"""Routing: a classifier picks one of three writers (LangGraph documentation, workflows and agents)."""

from typing import Literal

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict):
    input: str
    decision: str
    output: str


def llm_call_1(state: State):  # type: ignore[no-untyped-def]
    """Write a story."""
    return {"output": f"story about {state['input']}"}


def llm_call_2(state: State):  # type: ignore[no-untyped-def]
    """Write a joke."""
    return {"output": f"joke about {state['input']}"}


def llm_call_3(state: State):  # type: ignore[no-untyped-def]
    """Write a poem."""
    return {"output": f"poem about {state['input']}"}


def classify(text: str) -> Literal["poem", "story", "joke"]:
    return "joke" if "joke" in text else "poem"


def llm_call_router(state: State):  # type: ignore[no-untyped-def]
    """Route the input to the appropriate node."""
    decision = classify(state["input"])
    return {"decision": decision}


def route_decision(state: State):  # type: ignore[no-untyped-def]
    if state["decision"] == "story":
        return "llm_call_1"
    elif state["decision"] == "joke":
        return "llm_call_2"
    elif state["decision"] == "poem":
        return "llm_call_3"


router_builder = StateGraph(State)
router_builder.add_node("llm_call_1", llm_call_1)
router_builder.add_node("llm_call_2", llm_call_2)
router_builder.add_node("llm_call_3", llm_call_3)
router_builder.add_node("llm_call_router", llm_call_router)
router_builder.add_edge(START, "llm_call_router")
router_builder.add_conditional_edges(
    "llm_call_router",
    route_decision,
    {
        "llm_call_1": "llm_call_1",
        "llm_call_2": "llm_call_2",
        "llm_call_3": "llm_call_3",
    },
)
router_builder.add_edge("llm_call_1", END)
router_builder.add_edge("llm_call_2", END)
router_builder.add_edge("llm_call_3", END)
graph = router_builder.compile()

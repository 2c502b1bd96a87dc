# The code stands as in the documentation, which is not written for strict checking.
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false
"""Human in the loop: an interrupt decides by `Command` where to go."""

from typing import Literal

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict


class ApprovalState(TypedDict):
    action_details: str
    status: Literal["pending", "approved", "rejected"] | None


def approval_node(state: ApprovalState) -> Command[Literal["proceed", "cancel"]]:
    decision = interrupt({"question": "Approve this action?", "details": state["action_details"]})
    return Command(goto="proceed" if decision else "cancel")


def proceed_node(state: ApprovalState):  # type: ignore[no-untyped-def]
    return {"status": "approved"}


def cancel_node(state: ApprovalState):  # type: ignore[no-untyped-def]
    return {"status": "rejected"}


builder = StateGraph(ApprovalState)
builder.add_node("approval", approval_node)
builder.add_node("proceed", proceed_node)
builder.add_node("cancel", cancel_node)
builder.add_edge(START, "approval")
builder.add_edge("proceed", END)
builder.add_edge("cancel", END)
graph = builder.compile(checkpointer=InMemorySaver())

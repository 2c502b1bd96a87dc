# The code stands as in the documentation, which is not written for strict checking.
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false
"""Control flow and updates in one: nodes that return `Command`, without static edges."""

import random
from typing import Literal

from langgraph.graph import START, StateGraph
from langgraph.types import Command
from typing_extensions import TypedDict


class State(TypedDict):
    foo: str


def node_a(state: State) -> Command[Literal["node_b", "node_c"]]:
    value = random.choice(["b", "c"])
    if value == "b":
        goto = "node_b"
    else:
        goto = "node_c"
    return Command(update={"foo": value}, goto=goto)  # type: ignore[arg-type]


def node_b(state: State):  # type: ignore[no-untyped-def]
    return {"foo": state["foo"] + "b"}


def node_c(state: State):  # type: ignore[no-untyped-def]
    return {"foo": state["foo"] + "c"}


builder = StateGraph(State)
builder.add_edge(START, "node_a")
builder.add_node(node_a)
builder.add_node(node_b)
builder.add_node(node_c)
graph = builder.compile()

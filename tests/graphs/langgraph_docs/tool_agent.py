# The code stands as in the documentation, which is not written for strict checking.
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false
"""A tool-calling agent: the model node and the tool node take turns."""

import operator
from typing import Annotated, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


@tool
def multiply(a: int, b: int) -> int:
    """Multiply `a` and `b`."""
    return a * b


tools = [multiply]
tools_by_name = {tool.name: tool for tool in tools}


class MessagesState(TypedDict):
    messages: Annotated[list[AnyMessage], operator.add]
    llm_calls: int


def model_invoke(messages: list[AnyMessage]) -> AIMessage:
    if isinstance(messages[-1], HumanMessage):
        call = {"name": "multiply", "args": {"a": 3, "b": 4}, "id": "c1", "type": "tool_call"}
        return AIMessage(content="", tool_calls=[call])
    return AIMessage(content=f"It is {messages[-1].content}")


def llm_call(state: dict):  # type: ignore[no-untyped-def,type-arg]
    """LLM decides whether to call a tool or not."""
    return {
        "messages": [model_invoke([SystemMessage(content="You do arithmetic.")] + state["messages"])],
        "llm_calls": state.get("llm_calls", 0) + 1,
    }


def tool_node(state: dict):  # type: ignore[no-untyped-def,type-arg]
    """Performs the tool call."""
    result = []
    for tool_call in state["messages"][-1].tool_calls:
        tool = tools_by_name[tool_call["name"]]
        observation = tool.invoke(tool_call["args"])
        result.append(ToolMessage(content=observation, tool_call_id=tool_call["id"]))
    return {"messages": result}


def should_continue(state: MessagesState) -> Literal["tool_node", END]:  # type: ignore[valid-type]
    """Decide if we should continue the loop or stop based upon whether the LLM made a tool call."""
    messages = state["messages"]
    last_message = messages[-1]
    if last_message.tool_calls:  # type: ignore[union-attr]
        return "tool_node"
    return END


agent_builder = StateGraph(MessagesState)
agent_builder.add_node("llm_call", llm_call)  # type: ignore[type-var]
agent_builder.add_node("tool_node", tool_node)  # type: ignore[type-var]
agent_builder.add_edge(START, "llm_call")
agent_builder.add_conditional_edges("llm_call", should_continue, ["tool_node", END])
agent_builder.add_edge("tool_node", "llm_call")
graph = agent_builder.compile()

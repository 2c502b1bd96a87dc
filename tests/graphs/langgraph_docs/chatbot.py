# The code stands as in the documentation, which is not written for strict checking.
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false
"""A chatbot with the prebuilt tool node, and messages that the reducer merges."""

from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It's always sunny in {city}!"


def chatbot(state: MessagesState):  # type: ignore[no-untyped-def]
    last = state["messages"][-1]
    if last.type == "tool":
        return {"messages": [AIMessage(content=str(last.content))]}
    call = {"name": "get_weather", "args": {"city": "sf"}, "id": "1", "type": "tool_call"}
    return {"messages": [AIMessage(content="", tool_calls=[call])]}


graph_builder = StateGraph(MessagesState)
graph_builder.add_node("chatbot", chatbot)
graph_builder.add_node("tools", ToolNode(tools=[get_weather]))
graph_builder.add_conditional_edges("chatbot", tools_condition)
graph_builder.add_edge("tools", "chatbot")
graph_builder.add_edge(START, "chatbot")
graph = graph_builder.compile()

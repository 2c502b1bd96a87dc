"""The graph that odd input is brought to: it takes values of several types, asks a person, and acts."""

from typing import Any, Literal

from pydantic import BaseModel

from collegium import END, START, Graph, State, tool
from collegium.agents import Review
from collegium.runs import call_tool
from collegium.tools import ToolResult


class Part(BaseModel):
    name: str
    weight: float = 1.0


class Order(State):
    text: str
    count: int = 1
    ratio: float = 1.0
    kind: Literal["a", "b"] = "a"
    words: list[str] = []
    part: Part | None = None
    extra: dict[str, Any] = {}
    receipt: ToolResult | None = None


FIELDS = tuple(Order.model_fields)


@tool(effect="unsafe", risk="high")
def pay(to: str, amount: float, words: list[str]) -> str:
    """Pay.

    Args:
        to: Whom.
        amount: How much.
        words: Why.
    """
    return f"paid {to}"


@tool(effect="read", risk="low")
def find(title: str, count: int = 1, part: Part | None = None, kind: Literal["a", "b"] = "a") -> str:
    """Find a book.

    Args:
        title: Of the book.
        count: How many.
        part: Of it.
        kind: Of book.
    """
    return title


async def keep(text: str) -> None:
    """Nothing but a step."""


async def act(text: str) -> ToolResult:
    return await call_tool(pay, {"to": "ada", "amount": 1.0, "words": []})


def keeping() -> Graph[Order]:
    """Ends at once."""
    built = Graph(Order, name="keeping")
    built.add_node("keep", keep, writes=())
    built.add_edge(START, "keep")
    built.add_edge("keep", END)
    return built


def asking() -> Graph[Order]:
    """Asks to review `words`, then to make a call."""
    built = Graph(Order, name="asking")
    built.add_node("review", Review("words"))
    built.add_node("act", act, writes="receipt")
    built.add_edge(START, "review")
    built.add_edge("review", "act")
    built.add_edge("act", END)
    return built


graph = keeping()

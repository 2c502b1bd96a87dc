"""Answer a customer: look the order up, sort the ticket, refund once a person agrees, reply.

    collegium run support "My lamp from order A-1001 arrived broken. I want my money back."

The refund is a call that a person approves, edits (another amount) or rejects. It happens once, also when the
process is killed in the middle: then the person is asked whether it happened. What is no refund and no
question about delivery goes to a person, who writes the reply.
"""

import json
import re
from pathlib import Path

from pydantic import BaseModel

from collegium import END, START, Graph, State, tool
from collegium.agents import Ask, Router
from collegium.runs import call_tool
from collegium.tools import ToolResult

ORDERS = Path(__file__).parent / "orders.json"
PAID = Path("refunds.jsonl")


class Order(BaseModel):
    order_id: str
    item: str
    paid: float
    delivered: bool


class Ticket(State):
    ticket: str
    order: Order | None = None
    refund: ToolResult | None = None
    reply: str = ""


@tool(effect="read", risk="low")
def find_order(order_id: str) -> dict[str, str | float | bool]:
    """Look an order up.

    Args:
        order_id: The number on the invoice, such as A-1001.
    """
    orders = json.loads(ORDERS.read_text(encoding="utf-8"))
    if order_id not in orders:
        raise LookupError(f"there is no order {order_id}")
    return {"order_id": order_id, **orders[order_id]}


@tool(effect="unsafe", risk="high", timeout_s=20)
def pay_refund(order_id: str, amount: float) -> str:
    """Pay money back to the customer.

    Args:
        order_id: The order that was paid.
        amount: In euros.
    """
    with PAID.open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps({"order_id": order_id, "amount": amount}) + "\n")
    return f"{amount:.2f} euros for order {order_id}"


async def look_up(ticket: str) -> Order | None:
    named = re.search(r"\b[A-Z]-\d{4}\b", ticket)
    if named is None:
        return None
    found = await call_tool(find_order, {"order_id": named.group()})
    return Order.model_validate(found.data) if found.status == "ok" else None


triage = Router(
    None,
    {
        "refund": "the customer wants money back for something broken, wrong or late",
        "delivery": "the customer asks where an order or a parcel is, or when the delivery comes",
        "person": "anything else",
    },
    otherwise="person",
)


async def route(ticket: str, order: Order | None) -> str:
    return await triage(ticket) if order else "person"


async def refund(order: Order) -> ToolResult:
    # The ticket came from outside, so what follows from it is untrusted: the policy asks a person.
    call = {"order_id": order.order_id, "amount": order.paid}
    return await call_tool(pay_refund, call, trust="untrusted")


def confirm(refund: ToolResult) -> str:
    if refund.status == "ok":
        return f"We are sorry. We have paid back {refund.content}."
    return f"We are sorry, but we cannot pay this back. {refund.content}"


def delivery(order: Order) -> str:
    where = "was delivered" if order.delivered else "is on its way"
    return f"Your {order.item} (order {order.order_id}) {where}."


graph = Graph(Ticket, name="support")
graph.add_node("look_up", look_up, writes="order")
graph.add_node("refund", refund, writes="refund")
graph.add_node("confirm", confirm, writes="reply")
graph.add_node("delivery", delivery, writes="reply")
graph.add_node("person", Ask("What shall we reply to this ticket?", into="reply"))
graph.add_edge(START, "look_up")
graph.add_conditional_edges("look_up", route, ["refund", "delivery", "person"])
graph.add_edge("refund", "confirm")
for last in ("confirm", "delivery", "person"):
    graph.add_edge(last, END)

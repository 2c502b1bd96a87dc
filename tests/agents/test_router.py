import pytest

from collegium import END, START, Graph, State
from collegium.agents.router import Router
from collegium.core.errors import GraphSetupError, InvalidOutput
from collegium.models.base import Capabilities
from collegium.testing import ScriptedModel

ROUTES = {"billing": "Invoices, refunds and payments.", "technical": "Errors, crashes and outages."}


async def test_the_model_may_say_nothing_but_a_route() -> None:
    model = ScriptedModel(['{"route": "billing"}'])

    assert await Router(model, ROUTES)("My invoice is wrong") == "billing"
    assert "- technical: Errors" in model.calls[0].prompt


async def test_an_invalid_choice_takes_the_declared_way_out_or_raises() -> None:
    model = ScriptedModel(['{"route": "sales"}', '{"route": "sales"}'])

    assert await Router(model, ROUTES, otherwise="technical")("?") == "technical"
    with pytest.raises(InvalidOutput):
        await Router(model, ROUTES)("?")


async def test_with_a_tiny_model_the_words_decide() -> None:
    router = Router(ScriptedModel([], capabilities=Capabilities(level="tiny")), ROUTES, otherwise="billing")

    assert await router("The app crashes with an error") == "technical"
    assert await router("Hello") == "billing"


@pytest.mark.parametrize(("routes", "otherwise"), [({"one": "only"}, None), (ROUTES, "sales")])
def test_a_router_without_a_choice_or_with_an_unknown_way_out_is_refused(
    routes: dict[str, str], otherwise: str | None
) -> None:
    with pytest.raises(GraphSetupError):
        Router(ScriptedModel([]), routes, otherwise=otherwise)


class Ticket(State):
    question: str
    route: str = ""
    answer: str = ""


async def test_a_router_stands_on_a_conditional_edge_and_reads_the_field_it_was_given() -> None:
    graph = Graph(Ticket)
    graph.add_node("billing", lambda: "paid", writes="answer")
    graph.add_node("technical", lambda: "fixed", writes="answer")
    graph.add_conditional_edges(START, Router(ScriptedModel(['{"route": "technical"}']), ROUTES, on="question"))
    graph.add_edge("billing", END)
    graph.add_edge("technical", END)

    run = await graph.run({"question": "It crashes"})

    assert run.state.answer == "fixed"


async def test_a_router_stands_in_a_graph_as_a_node() -> None:
    graph = Graph(Ticket)
    router = Router(ScriptedModel(['{"route": "billing"}']), ROUTES)
    graph.add_node("route", router, reads={"text": "question"}, writes="route")
    graph.add_edge(START, "route")
    graph.add_edge("route", END)

    run = await graph.run({"question": "Refund"})

    assert run.state.route == "billing"

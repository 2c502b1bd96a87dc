# Lambdas and LangGraph's own methods have types that strict checking cannot know.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false

import xml.etree.ElementTree as ElementTree
from typing import Annotated, Literal

from collegium.graphs import END, START, Graph, State, append, draw


class Work(State):
    goal: str
    items: list[str] = []
    done: Annotated[list[str], append] = []


def listed(goal: str) -> list[str]:
    return goal.split()


def did(item: str) -> str:
    return item


def route(state: Work) -> Literal["left", "right"]:
    return "left"


def work() -> Graph[Work]:
    inner = Graph(Work)
    inner.add_node("list", listed, writes="items")
    inner.add_edge(START, "list")
    inner.add_edge("list", END)
    graph = Graph(Work, name='the "work"')
    graph.add_node("inner", inner)
    graph.add_map("each", did, over="items", writes="done")
    graph.add_node("left", lambda state: {"done": "l"})
    graph.add_node("right", lambda state: {"done": "r"})
    graph.add_edge(START, "inner")
    graph.add_edge("inner", "each")
    graph.add_conditional_edges("each", route)
    graph.add_edge("right", END)
    graph.add_loop("left", back_to="each", until=lambda state: True, at_most=2)
    return graph


def test_the_text_shows_each_node_once_and_the_loops_bound() -> None:
    text = draw.text(work())
    rows, notes = text.split("\n\n")
    for label in ("start", "inner (graph)", "each × items", "left", "right", "end"):
        assert rows.count(f" {label} ") == 1
    assert notes == "↺ left → each, at most 2\n"
    assert rows.index("inner") < rows.index("each") < rows.index("left") < rows.index("end")


def test_a_chain_is_drawn_straight() -> None:
    graph = Graph(Work)
    graph.add_node("a", listed, writes="items")
    graph.add_node("b", lambda items: {"done": items})
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    graph.add_edge("b", END)
    columns = {line.index("▼") for line in draw.text(graph).splitlines() if "▼" in line}
    assert len(columns) == 1


def test_mermaid_names_each_box_and_labels_the_way_back() -> None:
    text = draw.mermaid(work())
    assert text.startswith("flowchart TD\n")
    assert '[["each × items"]]' in text
    assert '-.->|"at most 2"| ' in text


def test_the_svg_is_well_formed_and_holds_each_label() -> None:
    root = ElementTree.fromstring(draw.svg(work()))
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"start", "inner (graph)", "each × items", "left", "right", "end", "at most 2"} <= texts
    assert root.get("aria-label") == 'the "work"'


def test_a_graph_without_nodes_and_one_that_never_ends_are_drawn() -> None:
    empty = Graph(Work)
    assert "start" in draw.text(empty) and "start" in draw.svg(empty)
    empty.add_node("a", listed, writes="items")
    empty.add_edge(START, "a")
    empty.add_edge("a", "a")
    assert "↺ a → a" in draw.text(empty)

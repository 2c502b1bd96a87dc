# LangGraph's own methods have types that strict checking cannot know.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false

"""Spellings that users really write, in which a mistake must be found or nothing may be complained about."""

import operator
import threading
from typing import Annotated, Any, Literal

import pytest
from langgraph.graph import StateGraph
from typing_extensions import TypedDict

from collegium.agents import Judge, Plan, Review, ToolExecutor, Verdict
from collegium.core.errors import UnknownField
from collegium.graphs import END, START, Command, Finding, Graph, Send, State, append, check, collecting
from collegium.guardrails import Policy
from collegium.tools import ToolResult, tool


class Text(TypedDict, total=False):
    question: str
    answer: str
    notes: Annotated[list[str], operator.add]


class Doc(State):
    question: str
    answer: str | None = None
    verdict: Verdict | None = None
    plan: Plan | None = None
    results: Annotated[list[ToolResult], append] = []


def plain(node: Any, name: str = "n") -> Any:
    graph: Any = StateGraph(Text)
    graph.add_node(name, node)
    graph.add_edge(START, name)
    graph.add_edge(name, END)
    return graph


def found(graph: Any, severity: str | None = None) -> set[tuple[str, str | None, str | None]]:
    some: list[Finding] = check(graph)
    return {(one.code, one.node, one.field) for one in some if severity in (None, one.severity)}


# A result that was put into a variable


def test_keys_of_a_mapping_in_a_variable_are_read() -> None:
    def reply(state: Text) -> dict[str, Any]:
        result = {"anwser": state.get("question")}
        result["note"] = "x"
        return result

    assert {("unknown_field", "n", "anwser"), ("unknown_field", "n", "note")} <= found(plain(reply), "error")


def test_a_mapping_that_somebody_else_may_fill_is_not_guessed_at() -> None:
    def fill(result: dict[str, Any]) -> None: ...

    def reply(state: Text) -> dict[str, Any]:
        result: dict[str, Any] = {"unheard": state.get("question")}
        fill(result)
        return result

    assert found(plain(reply), "error") == set()


def test_asking_for_a_field_that_is_never_there_is_a_warning() -> None:
    def reply(state: Text) -> dict[str, Any]:
        return {"answer": state.get("qestion", "")}

    assert ("unknown_field", "n", "qestion") in found(plain(reply), "warning")


# Send and Command


def test_what_a_node_reads_that_is_sent_to_comes_with_the_send() -> None:
    graph: Any = StateGraph(Text)
    graph.add_node("work", lambda state: {"notes": [state["topic"]]})
    graph.add_conditional_edges(START, lambda state: [Send("work", {"topic": t}) for t in state["notes"]])
    graph.add_edge("work", END)
    assert found(graph, "error") == set()


class Topics(State):
    topics: list[str]
    topic: str = ""
    found: Annotated[list[str], append] = []


async def test_a_port_of_a_node_that_is_sent_to_counts_as_written() -> None:
    def fan(topics: list[str]) -> list[Send]:
        return [Send("work", {"topic": topic}) for topic in topics]

    def work(topic: str) -> list[str]:
        return [topic.upper()]

    graph = Graph(Topics)
    graph.add_node("work", work, writes="found")
    graph.add_conditional_edges(START, fan, ["work"])
    graph.add_edge("work", END)
    assert found(graph, "error") == set()
    assert (await graph.run({"topics": ["a", "b"]})).state.found == ["A", "B"]


def test_nodes_that_one_command_goes_to_run_in_one_step() -> None:
    def split(state: Doc) -> Command[Literal["a", "b"]]:
        return Command(goto=["a", "b"])

    def write(question: str) -> str:
        return question

    graph = Graph(Doc)
    graph.add_node("split", split)
    graph.add_edge(START, "split")
    for name in ("a", "b"):
        graph.add_node(name, write, writes="answer")
        graph.add_edge(name, END)
    assert ("parallel_write", "a", "answer") in found(graph, "error")


def around(inner_node: Any) -> Any:
    inner: Any = StateGraph(Text)
    inner.add_node("one", inner_node)
    inner.add_edge(START, "one")
    graph: Any = StateGraph(Text)
    graph.add_node("inner", inner.compile())
    graph.add_node("after", lambda state: {"answer": "x"})
    graph.add_edge(START, "inner")
    return graph.compile()


def to_parent(state: Text) -> Any:
    return Command(goto="after", graph=Command.PARENT)


def somewhere(state: Text) -> Any:
    return Command(goto=state.get("answer", ""), graph=Command.PARENT)


@pytest.mark.parametrize("node", [to_parent, somewhere])
def test_a_command_of_a_sub_graph_may_lead_into_the_graph_around_it(node: Any) -> None:
    assert found(around(node), "error") == set()


def test_a_command_that_leads_nowhere_in_the_graph_around_is_found_there() -> None:
    def astray(state: Text) -> Any:
        return Command(goto="nowhere", graph=Command.PARENT)

    assert ("unknown_target", "inner", None) in found(around(astray), "error")


def test_a_target_that_is_missing_is_not_an_endless_loop_besides() -> None:
    graph: Any = StateGraph(Text)
    graph.add_node("n", lambda state: {"answer": "x"})
    graph.add_edge(START, "n")
    graph.add_conditional_edges("n", lambda state: "again", {"again": "n", "stop": "ende"})
    assert {code for code, _, _ in found(graph, "error")} == {"unknown_target"}


# Agents


def test_an_agent_that_refuses_the_state_is_a_finding_among_others_and_an_error_otherwise() -> None:
    with collecting():
        graph = Graph(Doc)
        graph.add_node("review", Review("plans"))
        graph.add_edge(START, "reviwe")
        graph.add_edge("review", END)
    codes = found(graph, "error")
    assert ("unknown_field", "review", "plans") in codes
    assert ("unknown_target", None, None) in codes
    with pytest.raises(UnknownField, match="'plans'"):
        Graph(Doc).add_node("review", Review("plans"))


@tool(effect="unsafe", risk="high")
async def delete_user(name: str) -> str:
    """Delete a user.

    Args:
        name: Who.
    """
    return name


def acting(policy: Policy | None) -> Graph[Doc]:
    graph = Graph(Doc, policy=policy)
    graph.add_node("act", ToolExecutor(tools=[delete_user]), reads={"goal": "question"}, writes="results")
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    return graph


@pytest.mark.parametrize("rule", ["delete_user", "delete_*", "*"])
def test_a_rule_that_allows_a_high_risk_is_found_also_around_the_graph_that_holds_the_tool(rule: str) -> None:
    graph = Graph(Doc, policy=Policy({rule: "allow"}))
    graph.add_node("inner", acting(None))
    graph.add_edge(START, "inner")
    graph.add_edge("inner", END)
    assert "effect_without_approval" in {code for code, _, _ in found(graph, "error")}


def test_an_exact_rule_that_asks_wins_over_a_pattern_that_allows() -> None:
    assert found(acting(Policy({"delete_*": "allow", "delete_user": "ask"})), "error") == set()


def test_a_judge_inside_a_sub_graph_needs_a_bound_around_it() -> None:
    inner = Graph(Doc)
    inner.add_node("judge", Judge(), writes="verdict")
    inner.add_edge(START, "judge")
    inner.add_edge("judge", END)

    def write(question: str) -> str:
        return question

    def again(verdict: Verdict | None) -> Literal["write", "__end__"]:
        return "write" if verdict is None else "__end__"

    graph = Graph(Doc)
    graph.add_node("write", write, writes="answer")
    graph.add_node("judging", inner)
    graph.add_edge(START, "write")
    graph.add_edge("write", "judging")
    graph.add_conditional_edges("judging", again)
    assert ("unbounded_judge", "judging", None) in found(graph, "error")


# Types and maps


def test_a_function_that_stands_where_a_type_should_is_named() -> None:
    fields: Any = {"question": str, "lock": threading.Lock}  # before Python 3.13 Lock is a function
    schema: Any = TypedDict("Locked", fields)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    graph: Any = StateGraph(schema)
    graph.add_node("n", lambda state: {"question": "x"})
    graph.add_edge(START, "n")
    assert ("unserialisable_type", None, "lock") in found(graph, "error")


@pytest.mark.parametrize("param", ["file", ""])
async def test_the_only_parameter_of_a_lambda_in_a_map_is_the_item(param: str) -> None:
    class Files(State):
        files: list[str]
        found: Annotated[list[str], append] = []

    graph = Graph(Files)
    graph.add_map("read", lambda file: [file.upper()], over="files", item=param, writes="found")
    graph.add_edge(START, "read")
    graph.add_edge("read", END)
    assert (await graph.run({"files": ["a", "b"]})).state.found == ["A", "B"]

# Lambdas and LangGraph's own methods have types that strict checking cannot know.
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportMissingParameterType=false

"""Seeded mistakes: each must be found, in Collegium's graphs and, where it can be known, in plain ones."""

import operator
import socket
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

import pytest
from langgraph.graph import StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict

from collegium.agents import ToolExecutor
from collegium.core.errors import CheckFailed
from collegium.graphs import END, START, Command, Finding, Graph, Send, State, append, check, collecting
from collegium.graphs.findings import Code
from collegium.guardrails import Policy, Rule
from collegium.tools import tool


class Doc(State):
    question: str
    draft: str | None = None
    notes: Annotated[list[str], append] = []
    names: list[str] = []
    verdict: bool = False
    tone: str = "plain"


class Text(TypedDict):
    question: str
    draft: str
    notes: Annotated[list[str], operator.add]
    score: int


def research(question: str) -> str:
    return question


def improve(question: str, draft: str | None) -> str:
    return f"{question} {draft}"


def plain(state: Text) -> dict[str, Any]:
    return {"draft": state["question"]}


def doc(*edges: tuple[Any, str], **nodes: Any) -> Graph[Doc]:
    graph = Graph(Doc)
    for name, action in nodes.items():
        graph.add_node(name, *(action if isinstance(action, tuple) else (action,)), writes="draft")
    for start, end in edges:
        graph.add_edge(start, end)
    return graph


def text(*edges: tuple[Any, str], **nodes: Any) -> Any:
    graph: Any = StateGraph(Text)
    for name, action in nodes.items():
        graph.add_node(name, action)
    for start, end in edges:
        graph.add_edge(start, end)
    return graph


def codes(graph: Any, severity: str | None = None) -> set[tuple[str, str | None]]:
    return {(found.code, found.node) for found in check(graph) if severity in (None, found.severity)}


SEEDED: dict[str, Callable[[], tuple[Any, str, str | None]]] = {}


def seeded(make: Callable[[], tuple[Any, str, str | None]]) -> Callable[[], tuple[Any, str, str | None]]:
    SEEDED[make.__name__] = make
    return make


@seeded
def orphan() -> Any:
    return doc((START, "a"), ("a", END), ("b", END), a=research, b=research), "unreachable_node", "b"


@seeded
def plain_orphan() -> Any:
    return text((START, "a"), ("a", END), ("b", END), a=plain, b=plain), "unreachable_node", "b"


@seeded
def island() -> Any:
    return (
        doc((START, "a"), ("a", END), ("b", "c"), ("c", "b"), a=research, b=research, c=research),
        "unreachable_node",
        "c",
    )


@seeded
def no_start() -> Any:
    return doc(("a", END), a=research), "unreachable_node", "a"


@seeded
def nothing_follows() -> Any:
    return doc((START, "a"), ("a", "b"), a=research, b=improve), "dead_end", "b"


@seeded
def nothing_follows_plain() -> Any:
    return text((START, "a"), ("a", "b"), a=plain, b=plain), "dead_end", "b"


@seeded
def edge_to_nowhere() -> Any:
    return doc((START, "a"), ("a", "b"), a=research), "unknown_target", "a"


@seeded
def edge_to_nowhere_plain() -> Any:
    return text((START, "a"), ("a", "b"), a=plain), "unknown_target", "a"


@seeded
def path_map_to_nowhere() -> Any:
    graph = doc((START, "a"), a=research)
    graph.add_conditional_edges("a", lambda state: "x", {"x": "zz", "y": END})
    return graph, "unknown_target", "a"


@seeded
def literal_to_nowhere() -> Any:
    def choose(state: Doc) -> Literal["zz", "__end__"]:
        return "zz"

    graph = doc((START, "a"), a=research)
    graph.add_conditional_edges("a", choose)
    return graph, "unknown_target", "a"


@seeded
def router_returns_nowhere_plain() -> Any:
    def choose(state: Text) -> str:
        if state["score"] > 3:
            return END
        return "rewrit"

    graph = text((START, "a"), ("rewrite", END), a=plain, rewrite=plain)
    graph.add_conditional_edges("a", choose)
    return graph, "unknown_target", "a"


@seeded
def router_returns_no_key() -> Any:
    def choose(state: Text) -> str:
        return "maybe" if state["score"] else "yes"

    graph = text((START, "a"), a=plain)
    graph.add_conditional_edges("a", choose, {"yes": END, "no": END})
    return graph, "unknown_target", "a"


@seeded
def goto_nowhere() -> Any:
    def jump(state: Text) -> Any:
        return Command(goto="zz")

    return text((START, "a"), a=jump), "unknown_target", "a"


@seeded
def command_literal_nowhere() -> Any:
    def jump(question: str) -> Command[Literal["zz"]]:
        return Command(goto="zz")

    graph = Graph(Doc)
    graph.add_node("a", jump)
    graph.add_edge(START, "a")
    return graph, "unknown_target", "a"


@seeded
def send_nowhere() -> Any:
    def fan(state: Doc) -> list[Send]:
        return [Send("zz", {"question": name}) for name in state.names]

    graph = doc((START, "a"), a=research)
    graph.add_conditional_edges("a", fan)
    return graph, "unknown_target", "a"


@seeded
def loop_to_nowhere() -> Any:
    graph = doc((START, "a"), a=research)
    graph.add_loop("a", back_to="zz", until=lambda state: True, at_most=1)
    return graph, "unknown_target", "a"


@seeded
def endless_pair() -> Any:
    return doc((START, "a"), ("a", "b"), ("b", "a"), a=research, b=improve), "endless_loop", "a"


@seeded
def endless_pair_plain() -> Any:
    return text((START, "a"), ("a", "b"), ("b", "a"), a=plain, b=plain), "endless_loop", "a"


@seeded
def endless_self() -> Any:
    return doc((START, "a"), ("a", "a"), a=research), "endless_loop", "a"


@seeded
def endless_though_an_edge_ends() -> Any:
    return doc((START, "a"), ("a", "b"), ("b", "a"), ("a", END), a=research, b=improve), "endless_loop", "a"


@seeded
def endless_by_choice() -> Any:
    graph = text((START, "a"), ("b", "a"), ("c", "a"), a=plain, b=plain, c=plain)
    graph.add_conditional_edges("a", lambda state: "b", ["b", "c"])
    return graph, "endless_loop", "a"


@seeded
def endless_by_goto() -> Any:
    def jump(state: Text) -> Command[Literal["b"]]:
        return Command(goto="b")

    return text((START, "a"), ("b", "a"), a=jump, b=plain), "endless_loop", "a"


@seeded
def endless_inside() -> Any:
    inner = doc((START, "a"), ("a", "b"), ("b", "a"), a=research, b=improve)
    graph = Graph(Doc)
    graph.add_node("inner", inner)
    graph.add_edge(START, "inner")
    graph.add_edge("inner", END)
    return graph, "endless_loop", "inner/a"


@seeded
def unknown_key_plain() -> Any:
    return text((START, "a"), ("a", END), a=lambda state: {"drft": "x"}), "unknown_field", "a"


@seeded
def unknown_key_in_command_plain() -> Any:
    def jump(state: Text) -> Any:
        return Command(update={"drft": "x"}, goto=END)

    return text((START, "a"), a=jump), "unknown_field", "a"


@seeded
def unknown_key_of_a_whole_state_node() -> Any:
    def n(state: Doc) -> dict[str, Any]:
        return {"drft": state.question}

    graph = Graph(Doc)
    graph.add_node("a", n)
    graph.add_edge(START, "a")
    graph.add_edge("a", END)
    return graph, "unknown_field", "a"


@seeded
def unknown_attribute() -> Any:
    def n(state: Doc) -> dict[str, Any]:
        return {"draft": state.questoin}  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

    graph = Graph(Doc)
    graph.add_node("a", n)
    graph.add_edge(START, "a")
    graph.add_edge("a", END)
    return graph, "unknown_field", "a"


@seeded
def constant_of_another_type_plain() -> Any:
    return text((START, "a"), ("a", END), a=lambda state: {"score": "three"}), "type_mismatch", "a"


@seeded
def result_of_another_type_plain() -> Any:
    class Part(TypedDict):
        score: str

    def n(state: Text) -> Part:
        return Part(score=state["question"])

    return text((START, "a"), ("a", END), a=n), "type_mismatch", "a"


@seeded
def read_of_what_nobody_writes() -> Any:
    def use(draft: str) -> None: ...

    graph = Graph(Doc)
    graph.add_node("a", use)
    graph.add_edge(START, "a")
    graph.add_edge("a", END)
    return graph, "read_never_written", "a"


@seeded
def read_by_a_whole_state_node() -> Any:
    def use(state: Doc) -> dict[str, Any]:
        return {"notes": state.names}

    graph = Graph(Doc)
    graph.add_node("a", use)
    graph.add_edge(START, "a")
    graph.add_edge("a", END)
    return graph, "read_never_written", "a"


@seeded
def read_by_a_router() -> Any:
    graph = doc((START, "a"), a=research)
    graph.add_conditional_edges("a", lambda names: END, [END])
    return graph, "read_never_written", "a"


@seeded
def read_by_a_map() -> Any:
    def use(name: str) -> str:
        return name

    graph = Graph(Doc)
    graph.add_map("a", use, over="names", writes="notes")
    graph.add_edge(START, "a")
    graph.add_edge("a", END)
    return graph, "read_never_written", "a"


@seeded
def read_behind_a_narrow_input_plain() -> Any:
    class Question(TypedDict):
        question: str

    graph: Any = StateGraph(Text, input_schema=Question)
    graph.add_node("a", lambda state: {"draft": state["notes"]})
    graph.add_edge(START, "a")
    graph.add_edge("a", END)
    return graph, "read_never_written", "a"


@seeded
def read_of_a_later_node_plain() -> Any:
    def use(state: Text) -> dict[str, Any]:
        return {"draft": str(state["score"])}

    return text((START, "a"), ("a", "b"), ("b", END), a=plain, b=use), "read_never_written", "b"


@seeded
def write_that_nobody_reads() -> Any:
    graph = doc((START, "a"), ("a", "b"), ("b", END), b=improve)
    graph.add_node("a", research, writes="notes")
    return graph, "write_never_read", "a"


@seeded
def parallel_twins() -> Any:
    return doc((START, "a"), (START, "b"), ("a", END), ("b", END), a=research, b=research), "parallel_write", "a"


@seeded
def parallel_twins_plain() -> Any:
    return text((START, "a"), (START, "b"), ("a", END), ("b", END), a=plain, b=plain), "parallel_write", "a"


@seeded
def parallel_further_down() -> Any:
    edges = [(START, "a"), (START, "b"), ("a", "c"), ("b", "d"), ("d", "e"), ("c", END), ("e", END)]
    graph = Graph(Doc)
    for name in "abde":
        graph.add_node(name, research, writes="notes" if name != "d" else "draft")
    graph.add_node("c", research, writes="draft")
    for start, end in edges:
        graph.add_edge(start, end)
    return graph, "parallel_write", "c"


@seeded
def parallel_choice_of_several() -> Any:
    def choose(state: Doc) -> list[Literal["b", "c"]]:
        return ["b", "c"]

    graph = doc((START, "a"), ("b", END), ("c", END), a=research, b=research, c=research)
    graph.add_conditional_edges("a", choose)
    return graph, "parallel_write", "b"


@seeded
def parallel_choice_of_several_plain() -> Any:
    def choose(state: Text):  # type: ignore[no-untyped-def]
        return ["b", "c"]

    graph = text((START, "a"), ("b", END), ("c", END), a=plain, b=plain, c=plain)
    graph.add_conditional_edges("a", choose, ["b", "c"])
    return graph, "parallel_write", "b"


@seeded
def parallel_sends() -> Any:
    def fan(state: Text) -> Any:
        return [Send("b", {"question": one}) for one in state["notes"]]

    graph = text((START, "a"), ("b", END), a=plain, b=plain)
    graph.add_conditional_edges("a", fan, ["b"])
    return graph, "parallel_write", "b"


@seeded
def parallel_edge_beside_a_choice() -> Any:
    graph = doc((START, "a"), ("a", "b"), ("b", END), ("c", END), a=research, b=research, c=research)
    graph.add_conditional_edges("a", lambda state: "c", ["c", END])
    return graph, "parallel_write", "b"


@seeded
def parallel_with_a_join_behind() -> Any:
    graph = doc((START, "a"), (START, "b"), (["a", "b"], "c"), ("c", END), a=research, b=research, c=improve)
    return graph, "parallel_write", "a"


@seeded
def edge_and_goto() -> Any:
    def jump(question: str) -> Command[Literal["b"]]:
        return Command(goto="b")

    graph = doc(("b", END), b=research, c=research)
    graph.add_node("a", jump)
    graph.add_edge(START, "a")
    graph.add_edge("a", "c")
    graph.add_edge("c", END)
    return graph, "edge_and_goto", "a"


@seeded
def edge_and_goto_without_annotation() -> Any:
    def jump(state: Text) -> Any:
        return Command(goto="b") if state["score"] else {"draft": "x"}

    return text((START, "a"), ("a", "c"), ("b", END), ("c", END), a=jump, b=plain, c=plain), "edge_and_goto", "a"


@seeded
def untyped() -> Any:
    def n(question):  # type: ignore[no-untyped-def]
        return question

    return doc((START, "a"), ("a", END), a=n), "untyped_node", "a"


@seeded
def untyped_plain() -> Any:
    def n(state):  # type: ignore[no-untyped-def]
        return {"draft": state["question"]}

    return text((START, "a"), ("a", END), a=n), "untyped_node", "a"


@tool(effect="unsafe", risk="high")
async def wire_money(amount: int) -> str:
    """Send money."""
    return "sent"


class Payer:
    """Has a tool of high risk."""

    def __init__(self, judges: bool = False, policy: Policy | None = None) -> None:
        self.tools = [wire_money]
        self.judges = judges
        self.policy = policy

    def __call__(self, question: str) -> str:
        return question


@seeded
def risk_allowed_by_the_graph() -> Any:
    graph = Graph(Doc, policy=Policy({"wire_*": "allow"}))
    graph.add_node("pay", Payer(), writes="draft")
    graph.add_edge(START, "pay")
    graph.add_edge("pay", END)
    return graph, "effect_without_approval", "pay"


@seeded
def risk_allowed_by_the_node() -> Any:
    return (
        doc((START, "pay"), ("pay", END), pay=Payer(policy=Policy({"wire_money": "allow"}))),
        "effect_without_approval",
        "pay",
    )


@tool(effect="read", risk="low")
def read_mail() -> str:
    """Read the mail."""
    return ""


@tool(effect="unsafe", risk="medium", destinations=["to"])
def send(to: str) -> str:
    """Send a mail."""
    return to


def reader_and_sender(policy: Policy) -> Graph[Doc]:
    graph = Graph(Doc, policy=policy)
    executor = ToolExecutor(tools=[read_mail, send], gives="text")
    graph.add_node("agent", executor, reads={"goal": "question"}, writes="draft")
    graph.add_edge(START, "agent")
    graph.add_edge("agent", END)
    return graph


@seeded
def all_three_in_one_agent() -> Any:
    graph = Graph(Doc, policy=Policy({"send": "allow"}))
    graph.add_node(
        "agent", ToolExecutor(tools=[read_mail, send], gives="text"), reads={"goal": "question"}, writes="draft"
    )
    graph.add_edge(START, "agent")
    graph.add_edge("agent", END)
    return graph, "lethal_trifecta", "agent"


@seeded
def all_three_along_a_path() -> Any:
    graph = Graph(Doc, policy=Policy([Rule("allow", tool="se*", trust="untrusted")]))
    graph.add_node("read", ToolExecutor(tools=[read_mail], gives="text"), reads={"goal": "question"}, writes="draft")
    inner = Graph(Doc)
    inner.add_node("hand", ToolExecutor(tools=[send], gives="text"), reads={"goal": "draft"}, writes="tone")
    inner.add_edge(START, "hand")
    inner.add_edge("hand", END)
    graph.add_node("team", inner, writes="tone")
    graph.add_edge(START, "read")
    graph.add_edge("read", "team")
    graph.add_edge("team", END)
    return graph, "lethal_trifecta", "team"


@seeded
def tool_that_its_agent_was_not_granted() -> Any:
    graph = Graph(Doc, policy=Policy(grants={"agent": ["read_*"]}))
    graph.add_node(
        "agent", ToolExecutor(tools=[read_mail, send], gives="text"), reads={"goal": "question"}, writes="draft"
    )
    graph.add_edge(START, "agent")
    graph.add_edge("agent", END)
    return graph, "tool_not_granted", "agent"


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy({"send": "ask"}),
        Policy({"read_mail": "allow"}),
        Policy([Rule("allow", tool="send", destination="known")], destinations=["*.example.org"]),
        Policy({"send": "allow"}, grants={"agent": ["read_mail"]}),
    ],
)
def test_where_a_person_sees_what_leaves_there_are_no_three(policy: Policy) -> None:
    graph = Graph(Doc, policy=policy)
    graph.add_node(
        "agent", ToolExecutor(tools=[read_mail, send], gives="text"), reads={"goal": "question"}, writes="draft"
    )
    graph.add_edge(START, "agent")
    graph.add_edge("agent", END)

    assert "lethal_trifecta" not in {code for code, _ in codes(graph)}


def test_acting_before_anything_is_read_is_no_trifecta() -> None:
    graph = Graph(Doc, policy=Policy({"send": "allow"}))
    graph.add_node("send", ToolExecutor(tools=[send], gives="text"), reads={"goal": "question"}, writes="draft")
    graph.add_node("read", ToolExecutor(tools=[read_mail], gives="text"), reads={"goal": "draft"}, writes="tone")
    graph.add_edge(START, "send")
    graph.add_edge("send", "read")
    graph.add_edge("read", END)

    assert "lethal_trifecta" not in {code for code, _ in codes(graph)}


@seeded
def judge_without_a_bound() -> Any:
    graph = doc((START, "a"), ("a", "judge"), a=improve, judge=Payer(judges=True))
    graph.add_conditional_edges("judge", lambda verdict: END, ["a", END])
    return graph, "unbounded_judge", "judge"


class Box(BaseModel):
    action: Callable[[], int]


@seeded
def function_in_the_state() -> Any:
    class Bad(State):
        question: str
        box: list[Box] = []

    return Graph(Bad), "unserialisable_type", None


@seeded
def socket_in_the_state() -> Any:
    class Bad(State):
        question: str
        line: socket.socket | None = None

    return Graph(Bad), "unserialisable_type", None


@seeded
def local_class_in_the_state() -> Any:
    class Local(BaseModel):
        x: int

    class Bad(State):
        part: Local

    return Graph(Bad), "unserialisable_type", None


@seeded
def socket_in_a_plain_state() -> Any:
    class Bad(TypedDict):
        question: str
        line: socket.socket

    graph: Any = StateGraph(Bad)
    return graph, "unserialisable_type", None


@seeded
def port_of_an_unknown_field() -> Any:
    def n(questoin: str) -> str:
        return questoin

    return doc((START, "a"), ("a", END), a=n), "unknown_field", "a"


@seeded
def write_of_an_unknown_field() -> Any:
    graph = Graph(Doc)
    graph.add_node("a", research, writes="drft")
    return graph, "unknown_field", "a"


@seeded
def read_of_an_unknown_field() -> Any:
    graph = Graph(Doc)
    graph.add_node("a", research, reads={"question": "qestion"}, writes="draft")
    return graph, "unknown_field", "a"


@seeded
def router_of_an_unknown_field() -> Any:
    graph = doc((START, "a"), a=research)

    def choose(verdit: bool) -> str:
        return END

    graph.add_conditional_edges("a", choose, [END])
    return graph, "unknown_field", "a"


@seeded
def port_of_another_type() -> Any:
    def n(question: int) -> str:
        return str(question)

    return doc((START, "a"), ("a", END), a=n), "type_mismatch", "a"


@seeded
def result_of_another_type() -> Any:
    def n(question: str) -> int:
        return 1

    return doc((START, "a"), ("a", END), a=n), "type_mismatch", "a"


@seeded
def map_without_a_reducer() -> Any:
    def n(name: str) -> str:
        return name

    graph = Graph(Doc)
    graph.add_map("a", n, over="names", writes="draft")
    return graph, "parallel_write", "a"


@seeded
def join_of_an_unknown_node() -> Any:
    return doc((START, "a"), (["a", "b"], "c"), a=research), "unknown_target", "b"


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_mistake_is_found(name: str) -> None:
    with collecting():
        graph, code, node = SEEDED[name]()
    assert (code, node) in codes(graph)


@pytest.mark.parametrize("name", SEEDED)
def test_each_finding_says_what_to_do(name: str) -> None:
    with collecting():
        graph, _, _ = SEEDED[name]()
    for finding in check(graph):
        assert isinstance(finding, Finding)
        assert finding.message.endswith((".", "none.")) or finding.message.endswith("?")
        assert finding.fix or "." in finding.message


def test_every_code_has_a_seeded_graph() -> None:
    def code_of(name: str) -> str:
        with collecting():
            return SEEDED[name]()[1]

    of_stored_runs = {"stranded_run"}  # what `check --against` finds; tests/cli/test_commands.py seeds it
    assert {code_of(name) for name in SEEDED} == set(get_args(Code)) - of_stored_runs


def test_compile_raises_the_errors_and_not_the_warnings() -> None:
    with pytest.raises(CheckFailed) as caught:
        doc((START, "a"), ("a", "zz"), a=research).compile()
    assert [str(found).partition(":")[0] for found in caught.value.findings] == ["unknown_target"]
    doc((START, "a"), ("a", END), a=lambda question: question).compile()


def test_collecting_reports_all_mistakes_of_one_graph() -> None:
    def n(questoin: str, tone: int) -> str:
        return questoin

    with collecting():
        graph = Graph(Doc)
        graph.add_node("a", n, writes="drft")
        graph.add_edge(START, "a")
        graph.add_edge("a", END)
    assert [(f.code, f.field) for f in graph.check() if f.severity == "error"] == [
        ("unknown_field", "questoin"),
        ("type_mismatch", "tone"),
        ("unknown_field", "drft"),
    ]
    with pytest.raises(CheckFailed):
        graph.compile()


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_mistake_is_found_in_what_compile_gives_too(name: str) -> None:
    with collecting():
        graph, code, node = SEEDED[name]()
        compiled = graph.compile()
    assert (code, node) in codes(compiled)


def test_a_plain_join_of_an_unknown_node_is_found_and_raised_outside() -> None:
    with collecting():
        graph = text((START, "a"), (["a", "b"], "c"), a=plain)
    assert ("unknown_target", None) in codes(graph)
    with pytest.raises(ValueError, match="add_node"):
        text((START, "a"), (["a", "b"], "c"), a=plain)


def sound_graphs() -> dict[str, Any]:
    def choose(state: Doc) -> Literal["b", "c"]:
        return "b"

    either = doc((START, "a"), ("b", END), ("c", END), a=research, b=improve, c=improve)
    either.add_conditional_edges("a", choose)
    bounded = doc((START, "a"), ("a", "judge"), a=improve, judge=Payer(judges=True))
    bounded.add_loop("judge", back_to="a", until=lambda draft: bool(draft), at_most=2)
    unequal = doc((START, "a"), (START, "b"), ("b", "c"), ("a", END), ("c", END), a=research, c=improve)
    unequal.add_node("b", research, writes="notes")
    options = doc((START, "a"), ("a", END), a=lambda question, tone: f"{tone} {question}")
    asked = Graph(Doc, policy=Policy({"wire_money": "ask"}))
    asked.add_node("pay", Payer(), writes="draft")
    asked.add_edge(START, "pay")
    asked.add_edge("pay", END)
    return {"either": either, "bounded": bounded, "unequal": unequal, "options": options, "asked": asked}


@pytest.mark.parametrize("name", list(sound_graphs()))
def test_a_sound_graph_has_no_errors(name: str) -> None:
    assert codes(sound_graphs()[name], "error") == set()


def test_a_compiled_graph_is_checked_as_the_graph_it_came_from() -> None:
    graph = doc((START, "a"), ("a", END), a=lambda question: question)
    assert check(graph.compile()) == graph.check() != []

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from collegium import END, START, Approve, Edit, Graph, Reject, Respond, State, append
from collegium.agents.tool_executor import ToolExecutor
from collegium.agents.values import Answer
from collegium.core.errors import GraphSetupError
from collegium.core.messages import Message, ToolCall
from collegium.guardrails.policy import Policy
from collegium.models.base import Capabilities
from collegium.runs import Decision
from collegium.testing import FunctionModel, ModelCall, ScriptedApprover, ScriptedModel, approve_all
from collegium.tools import FunctionTool, Tool, ToolResult, tool


class Box(State):
    goal: str
    results: Annotated[list[ToolResult], append] = []
    text: str = ""


def call(name: str, call_id: str = "c1", **arguments: Any) -> ToolCall:
    return ToolCall(call_id, name, json.dumps(arguments))


def graph_of(executor: ToolExecutor) -> Graph[Box]:
    graph = Graph(Box)
    graph.add_node("tools", executor, writes={"results": "results", "text": "text"})
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    return graph


def reader(name: str = "look") -> Tool:
    @tool(effect="read", risk="low", name=name)
    async def look(word: str) -> str:
        """Look a word up."""
        return f"{word}!"

    return look


class Outbox:
    """What left the house, and the tool that sends it."""

    def __init__(self) -> None:
        self.sent: list[str] = []

        @tool(effect="unsafe", risk="high")
        def send(to: str) -> str:
            """Mail it to one person."""
            self.sent.append(to)
            return f"sent to {to}"

        self.send = send


def told(model: ScriptedModel, turn: int) -> list[str]:
    """The tool messages that the model read at a turn."""
    return [message.content for message in model.calls[turn].messages if message.role == "tool"]


async def test_reading_calls_run_side_by_side_and_come_back_in_call_order() -> None:
    started = asyncio.Event()

    @tool(effect="read", risk="low")
    async def first(word: str) -> str:
        """Waits for the other."""
        async with asyncio.timeout(5):
            await started.wait()
        return f"first {word}"

    @tool(effect="read", risk="low")
    async def second(word: str) -> str:
        """Sets the other free."""
        started.set()
        return f"second {word}"

    model = ScriptedModel([[call("first", "a", word="x"), call("second", "b", word="y")], "done"])

    run = await graph_of(ToolExecutor(model, [first, second], gives="both")).run({"goal": "go"})

    assert [(r.call_id, r.content) for r in run.state.results] == [("a", "first x"), ("b", "second y")]
    assert run.state.text == "done"


async def test_an_executor_that_only_reads_is_one_node_and_gives_results_by_default() -> None:
    model = ScriptedModel([call("look", word="a"), "done"])
    executor = ToolExecutor(model, [reader()])

    results = await executor("go")

    assert not hasattr(executor, "build_graph")
    assert [result.content for result in results] == ["a!"]


async def test_a_tool_that_raises_is_a_result_which_the_model_reads() -> None:
    @tool(effect="read", risk="low")
    def broken(word: str) -> str:
        """Never works."""
        raise ValueError(f"no {word} today")

    model = ScriptedModel([call("broken", word="bread"), "gave up"])

    results = await ToolExecutor(model, [broken])("go")

    assert results[0].status == "error"
    assert "no bread today" in told(model, 1)[0]


async def test_unknown_tools_and_bad_arguments_are_results_and_nothing_runs() -> None:
    box = Outbox()
    proposed = [call("sned", "a", to="x"), call("send", "b", too="x"), ToolCall("c", "send", "{broken")]
    model = ScriptedModel([proposed, "sorry"])

    run = await graph_of(ToolExecutor(model, [box.send], gives="both")).run({"goal": "go"})

    assert [result.status for result in run.state.results] == ["error"] * 3
    assert "Did you mean 'send'?" in run.state.results[0].content
    assert box.sent == []
    assert run.status == "done"


async def test_call_ids_that_repeat_or_are_missing_are_made_unique() -> None:
    model = ScriptedModel(
        [[call("look", "", word="a"), call("look", "", word="b")], call("look", "call-0-0", word="c"), "done"]
    )

    results = await ToolExecutor(model, [reader()])("go")

    assert [result.content for result in results] == ["a!", "b!", "c!"]
    assert len({result.call_id for result in results}) == 3


async def test_turns_are_bounded() -> None:
    model = ScriptedModel([call("look", f"c{i}", word="again") for i in range(9)])

    run = await graph_of(ToolExecutor(model, [reader()], gives="both", max_turns=3)).run({"goal": "go"})

    assert len(run.state.results) == 3
    assert run.state.text == "Stopped after 3 turns of tool calls."


async def test_all_calls_of_a_turn_that_ask_are_put_before_the_person_at_once() -> None:
    box = Outbox()
    model = ScriptedModel([[call("send", "a", to="Ada"), call("send", "b", to="Bob")], "both sent"])
    graph = graph_of(ToolExecutor(model, [box.send], gives="both"))

    run = await graph.run({"goal": "send both"})

    assert run.status == "waiting"
    assert [approval.payload["args"] for approval in run.approvals] == [{"to": "Ada"}, {"to": "Bob"}]
    assert box.sent == []


async def test_allowed_calls_act_before_the_person_is_asked_and_results_keep_call_order() -> None:
    box = Outbox()
    seen: list[str] = []

    @tool(effect="unsafe", risk="low")
    def note(line: str) -> str:
        """Write a line down."""
        seen.append(line)
        return f"noted {line}"

    async def approver(approval: Any) -> Decision:
        assert seen == ["before"]
        return Approve(by="ada")

    model = ScriptedModel([[call("send", "a", to="Ada"), call("note", "b", line="before")], "done"])
    graph = graph_of(ToolExecutor(model, [box.send, note], gives="both"))

    run = await graph.run({"goal": "go"}, approver=approver)

    assert [result.content for result in run.state.results] == ["sent to Ada", "noted before"]
    assert box.sent == ["Ada"]
    assert told(model, 1) == ["sent to Ada", "noted before"]


@pytest.mark.parametrize(
    ("decision", "sent", "status", "heard"),
    [
        (Approve(by="ada"), ["Ada"], "ok", "sent to Ada"),
        (Edit({"to": "Bob"}, by="ada"), ["Bob"], "ok", 'changed the arguments to {"to": "Bob"}'),
        (Reject("too early", by="ada"), [], "rejected", "too early"),
        (Respond("I rang her up", by="ada"), [], "responded", "A person answered in place of the tool: I rang her up"),
    ],
    ids=["approve", "edit", "reject", "respond"],
)
async def test_a_decision_is_carried_out_once_and_told_to_the_model(
    decision: Decision, sent: list[str], status: str, heard: str
) -> None:
    box = Outbox()
    model = ScriptedModel([call("send", to="Ada"), "done"])
    graph = graph_of(ToolExecutor(model, [box.send], gives="both"))

    run = await graph.run({"goal": "send"}, approver=ScriptedApprover([decision]))

    assert box.sent == sent
    assert [result.status for result in run.state.results] == [status]
    assert heard in told(model, 1)[0]
    assert run.state.text == "done"


async def test_after_an_edit_the_model_is_told_not_to_repeat_the_original() -> None:
    box = Outbox()
    model = ScriptedModel([call("send", to="Ada"), "done"])
    graph = graph_of(ToolExecutor(model, [box.send], gives="both"))

    await graph.run({"goal": "send"}, approver=ScriptedApprover([Edit({"to": "Bob"})]))

    assert "do not repeat the original call" in told(model, 1)[0]


async def test_several_turns_that_act_each_ask_under_a_key_of_their_own() -> None:
    box = Outbox()
    model = ScriptedModel([call("send", "c", to="Ada"), call("send", "c", to="Bob"), "done"])
    graph = graph_of(ToolExecutor(model, [box.send], gives="both"))

    run = await graph.run({"goal": "send"}, approver=approve_all())

    assert box.sent == ["Ada", "Bob"]
    assert [result.content for result in run.state.results] == ["sent to Ada", "sent to Bob"]


async def test_a_single_output_goes_to_the_field_that_writes_names() -> None:
    class Letter(State):
        answer: Answer
        receipts: Annotated[list[ToolResult], append] = []

    box = Outbox()
    graph = Graph(Letter)
    executor = ToolExecutor(ScriptedModel([call("send", to="Ada"), "done"]), [box.send])
    graph.add_node("send", executor, reads={"goal": "answer"}, writes="receipts")
    graph.add_edge(START, "send")
    graph.add_edge("send", END)
    answer = Answer(text="Tell Ada that it holds.", confidence="likely", model="m")

    run = await graph.run({"answer": answer}, approver=approve_all())

    assert [result.content for result in run.state.receipts] == ["sent to Ada"]


def medium() -> tuple[FunctionTool[..., str], list[str]]:
    made: list[str] = []

    @tool(effect="unsafe", risk="medium")
    def book(place: str) -> str:
        """Book a place."""
        made.append(place)
        return f"booked {place}"

    return book, made


async def test_a_medium_risk_acts_alone_until_untrusted_text_was_read() -> None:
    book, made = medium()
    trusted = ScriptedModel([call("book", place="Rome"), "done"])
    tainted = ScriptedModel([call("look", "a", word="x"), call("book", "b", place="Oslo"), "done"])

    run = await graph_of(ToolExecutor(trusted, [book, reader()], gives="both")).run({"goal": "go"})
    waiting = await graph_of(ToolExecutor(tainted, [book, reader()], gives="both")).run({"goal": "go"})

    assert run.status == "done"
    assert waiting.status == "waiting"
    assert waiting.approvals[0].payload["trust"] == "untrusted"
    assert made == ["Rome"]


async def test_a_forbidden_call_is_a_rejection_and_the_run_goes_on() -> None:
    book, made = medium()
    model = ScriptedModel([call("book", place="Rome"), "pity"])
    graph = graph_of(ToolExecutor(model, [book], gives="both"))

    run = await graph.run({"goal": "go"}, policy=Policy({"book": "deny"}))

    assert run.state.results[0].status == "rejected"
    assert run.status == "done"
    assert made == []


async def test_a_reading_tool_that_a_rule_wants_asked_is_asked_inside_the_node() -> None:
    model = ScriptedModel([call("look", word="a"), call("look", word="a"), "done"])
    graph = graph_of(ToolExecutor(model, [reader()], gives="both"))

    run = await graph.run({"goal": "go"}, policy=Policy({"look": "ask"}), approver=approve_all())

    assert [result.content for result in run.state.results] == ["a!"]


def without_tools(*answers: object) -> ScriptedModel:
    return ScriptedModel(answers, capabilities=Capabilities(level="small", tools=False))


async def test_a_model_without_tool_calls_fills_schemas_instead() -> None:
    model = without_tools('{"tool": "look"}', '{"word": "a"}', '{"tool": "none"}', "It is a!")

    run = await graph_of(ToolExecutor(model, [reader()], gives="both")).run({"goal": "go"})

    assert [result.content for result in run.state.results] == ["a!"]
    assert run.state.text == "It is a!"
    assert all(message.role != "tool" for seen in model.calls for message in seen.messages)
    assert "Result: a!" in model.calls[2].prompt


@pytest.mark.parametrize(
    ("make", "results", "text"),
    [
        (lambda: [reader()], ["weather in Rome!"], "weather in Rome!"),
        (lambda: [reader("look"), reader("peek")], [], "Nothing was called: tiny is too small"),
    ],
    ids=["one tool that fits", "several"],
)
async def test_a_tiny_model_calls_the_one_tool_that_fits_or_says_that_it_cannot_choose(
    make: Callable[[], list[Any]], results: list[str], text: str
) -> None:
    model = ScriptedModel([], spec="tiny", capabilities=Capabilities(level="tiny"))

    run = await graph_of(ToolExecutor(model, make(), gives="both")).run({"goal": "weather in Rome"})

    assert [result.content for result in run.state.results] == results
    assert run.state.text.startswith(text)
    assert model.calls == []


async def test_a_tiny_model_does_not_guess_arguments() -> None:
    @tool(effect="read", risk="low")
    def between(start: str, end: str) -> str:
        """Find a way."""
        return start + end

    model = ScriptedModel([], spec="tiny", capabilities=Capabilities(level="tiny"))

    came = await ToolExecutor(model, [between], gives="text")("from A to B")

    assert "fill in the arguments of between" in came


def test_an_executor_needs_tools_and_turns() -> None:
    with pytest.raises(GraphSetupError, match="at least one tool"):
        ToolExecutor(ScriptedModel([]), [])
    with pytest.raises(GraphSetupError, match="max_turns"):
        ToolExecutor(ScriptedModel([]), [reader()], max_turns=0)


async def test_an_executor_that_acts_cannot_be_called_past_the_graph() -> None:
    with pytest.raises(GraphSetupError, match="add it to a graph"):
        await ToolExecutor(ScriptedModel([]), [Outbox().send])("go")


async def test_an_agent_becomes_a_reading_tool_of_another() -> None:
    inner = ToolExecutor(ScriptedModel([call("look", word="deep"), "found it"]), [reader()], gives="text")
    model = ScriptedModel([call("ask_library", goal="deep"), "done"])
    library = inner.as_tool(name="ask_library", description="Ask the library.")

    run = await graph_of(ToolExecutor(model, [library], gives="both")).run({"goal": "go"})

    assert library.parameters["required"] == ["goal"]
    assert run.state.results[0].content == "found it"


def test_an_agent_that_acts_cannot_become_a_tool() -> None:
    with pytest.raises(GraphSetupError, match="as a node"):
        ToolExecutor(ScriptedModel([]), [Outbox().send]).as_tool(name="x", description="y")


async def test_the_conversation_is_kept_as_json_that_reads_back() -> None:
    box = Outbox()
    model = ScriptedModel([Message("assistant", "I will.", (call("send", to="Ada"),)), "done"])
    graph = graph_of(ToolExecutor(model, [box.send], gives="both"))

    await graph.run({"goal": "send"}, approver=approve_all())

    assert [message.role for message in model.calls[1].messages] == ["system", "user", "assistant", "tool"]
    assert model.calls[1].messages[2].content == "I will."


class Pile(State):
    letters: list[str]
    receipts: Annotated[list[ToolResult], append] = []
    rounds: int = 0


async def test_an_executor_that_acts_can_be_mapped_over_items_which_each_ask() -> None:
    box = Outbox()

    def answer(seen: ModelCall) -> object:
        to = seen.messages[1].content
        return "done" if seen.messages[-1].role == "tool" else call("send", to=to)

    graph = Graph(Pile)
    graph.add_map("send", ToolExecutor(FunctionModel(answer), [box.send]), over="letters", writes="receipts")
    graph.add_edge(START, "send")
    graph.add_edge("send", END)

    run = await graph.run({"letters": ["Ada", "Bob"]}, approver=approve_all())

    assert sorted(box.sent) == ["Ada", "Bob"]
    assert [receipt.content for receipt in run.state.receipts] == ["sent to Ada", "sent to Bob"]


async def test_an_executor_that_is_visited_again_starts_afresh() -> None:
    box = Outbox()
    model = ScriptedModel([call("send", to="Ada"), "done", call("send", to="Ada"), "done"])

    def again(rounds: int) -> int:
        return rounds + 1

    def enough(rounds: int) -> bool:
        return rounds >= 2

    graph = Graph(Pile)
    graph.add_node("send", ToolExecutor(model, [box.send]), reads={"goal": "letters"}, writes="receipts")
    graph.add_node("count", again, writes="rounds")
    graph.add_edge(START, "send")
    graph.add_edge("send", "count")
    graph.add_loop("count", back_to="send", until=enough, at_most=3, then=END)

    run = await graph.run({"letters": ["Ada"]}, approver=approve_all())

    assert box.sent == ["Ada", "Ada"]
    assert len(run.state.receipts) == 2
    assert len(model.calls[2].messages) == 2

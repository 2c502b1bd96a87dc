# LangGraph's own methods have types that strict checking cannot know.
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false

"""What plain LangGraph (1.2) lets pass, was measured, and must not pass here: through `graph.run` and a Runner.

Each test names the plain behaviour in a comment. Where a plain graph under a Runner can be helped without a
rewrite, a second test does it with one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

from collegium.agents import ToolExecutor
from collegium.core.errors import (
    AlreadyDecided,
    CheckFailed,
    GraphChanged,
    InvalidDecision,
    InvalidWrite,
    RunFailed,
    ThreadBusy,
    UndeclaredTarget,
)
from collegium.core.messages import ToolCall
from collegium.graphs import END, START, Command, Graph, State, append, keep
from collegium.runs import Approve, Budget, Edit, Reject, Respond, Run, Runner, call_tool
from collegium.testing import ScriptedModel
from collegium.tools import ToolResult, tool


class Start(Protocol):
    """Runs a graph to its next rest, in one of the two ways."""

    async def __call__(self, graph: Graph[Any], input: Mapping[str, Any], **options: Any) -> Run[Any]: ...


@pytest.fixture(params=["graph.run", "Runner"])
async def start(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Start]:
    async def in_memory(graph: Graph[Any], input: Mapping[str, Any], **options: Any) -> Run[Any]:
        try:
            return await graph.run(input, **options)
        except RunFailed as failed:
            assert isinstance(failed.run, Run)
            return cast("Run[Any]", failed.run)

    if request.param == "graph.run":
        yield in_memory
        return
    async with Runner(url) as runner:

        async def on_disk(graph: Graph[Any], input: Mapping[str, Any], **options: Any) -> Run[Any]:
            return await (await runner.start(graph, input, **options)).wait(timeout_s=30)

        yield on_disk


class Talk(State):
    topic: str
    draft: str | None = None
    score: int = 0
    said: Annotated[list[str], append] = []


class Text(TypedDict, total=False):
    topic: str
    draft: str
    score: int


def wrong(topic: str) -> Any:
    return {"score": topic}


def use(score: int) -> None: ...


def write(topic: str) -> str:
    return topic


def need(draft: str) -> None: ...


def plain_write(state: Text) -> Text:
    return {"draft": "x"}


def chain(*nodes: tuple[str, Any, Any], end: bool = True, name: str | None = None) -> Graph[Talk]:
    graph = Graph(Talk, name=name)
    last: str = START
    for node, action, writes in nodes:
        graph.add_node(node, action, writes=writes)
        graph.add_edge(last, node)
        last = node
    if end:
        graph.add_edge(last, END)
    return graph


def plain_chain(schema: Any, **nodes: Any) -> Any:
    graph: Any = StateGraph(schema)
    last: str = START
    for name, action in nodes.items():
        graph.add_node(name, action)
        graph.add_edge(last, name)
        last = name
    graph.add_edge(last, END)
    return graph


# What a node writes


# Plain: the error is raised at the next node's input, and does not name the writer.
async def test_a_wrong_type_is_refused_at_its_writer(start: Start) -> None:
    run = await start(chain(("writer", wrong, None), ("reader", use, None)), {"topic": "many"})
    assert run.status == "failed"
    assert run.error == "Node 'writer' wrote score='many': " + str(run.error).partition(": ")[2]
    assert isinstance(run.cause, InvalidWrite)
    assert run.state.score == 0


# Plain: after the last node nobody looks, and the wrong value is returned.
async def test_a_wrong_type_from_the_last_node_is_refused(start: Start) -> None:
    run = await start(chain(("last", wrong, None)), {"topic": "many"})
    assert run.status == "failed"
    assert "'last' wrote score='many'" in str(run.error)


class Numbers(BaseModel):
    score: int = 0


@pytest.mark.parametrize("nodes", [{"last": lambda state: {"score": "many"}}, {"first": wrong, "next": use}])
async def test_a_plain_graph_fails_in_one_line_on_a_wrong_type_and_can_be_looked_at(
    url: str, nodes: dict[str, Any]
) -> None:
    def many(state: Numbers) -> dict[str, Any]:
        return {"score": "many"}

    def look(state: Numbers) -> dict[str, Any]:
        return {}

    graph = plain_chain(Numbers, **{name: many if name != "next" else look for name in nodes})
    async with Runner(url) as runner:
        run = await (await runner.start(graph, {})).wait(timeout_s=30)
        assert run.status == "failed"
        assert "score='many'" in str(run.error)
        assert "\n" not in str(run.error)


# Plain: the key is dropped, and the result lacks it.
async def test_a_key_that_the_state_does_not_have_is_an_error_before_the_run(start: Start) -> None:
    def misspelt(topic: str) -> Any:
        return {"drfat": topic}

    with pytest.raises(CheckFailed, match="Did you mean 'draft'"):
        await start(chain(("n", misspelt, None)), {"topic": "a"})


async def test_a_key_that_only_shows_at_run_time_is_an_error_too(start: Start) -> None:
    def hidden(topic: str) -> Any:
        return {f"drf{topic}t": "x"}

    run = await start(chain(("n", hidden, None)), {"topic": "a"})
    assert (run.status, isinstance(run.cause, InvalidWrite)) == ("failed", True)
    assert "Did you mean 'draft'" in str(run.error)


# What cannot work


def orphan() -> Graph[Talk]:
    # Plain: compiles, and the node never runs.
    graph = chain(("n", write, "draft"))
    graph.add_node("lonely", write, writes="draft")
    graph.add_edge("lonely", END)
    return graph


def unwritten() -> Graph[Talk]:
    # Plain: compiles; a KeyError at run time.
    return chain(("n", need, None))


def twins() -> Graph[Talk]:
    # Plain: compiles; InvalidUpdateError at run time.
    graph = Graph(Talk)
    for name in ("a", "b"):
        graph.add_node(name, write, writes="draft")
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    return graph


def circle() -> Graph[Talk]:
    # Plain: compiles, and stops after 10,007 steps.
    graph = chain(("a", write, "draft"), ("b", write, "draft"), end=False)
    graph.add_edge("b", "a")
    return graph


@pytest.mark.parametrize(
    ("make", "code", "name"),
    [
        (orphan, "unreachable_node", "lonely"),
        (unwritten, "read_never_written", "draft"),
        (twins, "parallel_write", "draft"),
        (circle, "endless_loop", "a → b → a"),
    ],
)
async def test_a_graph_that_cannot_work_is_refused_before_anything_is_stored(
    start: Start, make: Any, code: str, name: str
) -> None:
    with pytest.raises(CheckFailed, match=rf"{code}: .*{name}"):
        await start(make(), {"topic": "a"}, thread_id="t")


async def test_a_refused_graph_leaves_no_run_and_no_busy_thread(url: str) -> None:
    graph = orphan()
    async with Runner(url) as runner:
        with pytest.raises(CheckFailed):
            await runner.start(graph, {"topic": "a"}, thread_id="t")
        assert await runner.runs() == []
        sound = chain(("n", write, "draft"))
        assert (await (await runner.start(sound, {"topic": "a"}, thread_id="t")).wait()).status == "done"


async def test_a_plain_graph_that_reads_what_nobody_wrote_fails_with_its_node(url: str) -> None:
    def read(state: Text) -> Text:
        return {"score": len(state["draft"])}  # pyright: ignore[reportTypedDictNotRequiredAccess] - the mistake

    async with Runner(url) as runner:
        run = await (await runner.start(plain_chain(Text, n=read), {"topic": "a"})).wait(timeout_s=30)
        assert (run.status, run.error) == ("failed", "KeyError: 'draft' (in node 'n')")


async def test_a_plain_graph_that_writes_twice_in_a_step_fails_in_one_line_and_can_be_looked_at(url: str) -> None:
    graph: Any = StateGraph(Text)
    for name in ("a", "b"):
        graph.add_node(name, plain_write)
        graph.add_edge(START, name)
    async with Runner(url) as runner:
        run = await (await runner.start(graph, {"topic": "a"})).wait(timeout_s=30)
        assert (run.status, run.state) == ("failed", {"topic": "a"})
        assert "'draft'" in str(run.error)
        assert "\n" not in str(run.error)


# Where it goes


# Plain: one line in the log, and the run ends with None.
async def test_an_unknown_choice_of_a_router_fails_the_run(start: Start) -> None:
    def choose(score: int) -> str:
        return f"n{score}"

    graph = chain(("n", write, "draft"), end=False)
    graph.add_conditional_edges("n", choose)
    run = await start(graph, {"topic": "a"})
    assert (run.status, run.error) == ("failed", "Node 'n' goes to 'n0'. Did you mean 'n'?")
    assert isinstance(run.cause, UndeclaredTarget)


async def test_an_unknown_goto_fails_the_run(start: Start) -> None:
    def jump(topic: str) -> Any:
        return Command(goto=topic)

    graph = Graph(Talk)
    graph.add_node("n", jump, destinations=(END,))
    graph.add_edge(START, "n")
    run = await start(graph, {"topic": "typo"})
    assert run.status == "failed"
    assert "'typo'" in str(run.error)


# Plain: 10,007 steps, as the condition hides the loop from any check.
async def test_a_loop_that_never_ends_stops_at_the_budget_of_steps_and_says_how_to_bound_it(start: Start) -> None:
    def choose(score: int) -> str:
        return "a" if score == 0 else END

    graph = chain(("a", write, "draft"), ("b", write, "draft"), end=False)
    graph.add_conditional_edges("b", choose, ["a", END])
    run = await start(graph, {"topic": "a"}, budget=Budget(steps=20))
    assert run.status == "failed"
    assert "after 20 steps" in str(run.error)
    assert "add_loop" in str(run.error)


# What happens once


@asynccontextmanager
async def counted() -> AsyncGenerator[tuple[list[str], Any]]:
    done: list[str] = []

    @tool(effect="unsafe", risk="low")
    async def count(what: str) -> str:
        """Count one.

        Args:
            what: Its name.
        """
        done.append(what)
        return what

    yield done, count


# Plain: the node restarts from its first line, and counts twice.
async def test_an_effect_before_a_question_happens_once_when_it_goes_through_call_tool(start: Start) -> None:
    async with counted() as (done, count):
        lines: list[str] = []

        async def node(topic: str) -> Any:
            lines.append(topic)  # plain code does run again: a node restarts from its first line
            result = await call_tool(count, {"what": topic})
            answer = interrupt("go on?")
            return {"draft": f"{result.content} {answer}"}

        run = await start(chain(("n", node, None)), {"topic": "one"})
        run = await run.answer(run.approvals[0].id, Respond("yes", "ada"))
        assert (run.status, run.state.draft) == ("done", "one yes")
        assert done == ["one"]
        assert lines == ["one", "one"]


async def test_the_same_holds_in_a_plain_graph(url: str) -> None:
    async with counted() as (done, count):

        async def node(state: Text) -> Text:
            result = await call_tool(count, {"what": "one"})
            return {"draft": f"{result.content} {interrupt('go on?')}"}

        async with Runner(url) as runner:
            run = await (await runner.start(plain_chain(Text, n=node), {"topic": "a"})).wait(timeout_s=30)
            run = await run.answer(run.approvals[0].id, Respond("yes", "ada"))
            assert (run.status, run.state["draft"], done) == ("done", "one yes", ["one"])


def asking(name: str = "ask") -> Graph[Talk]:
    async def ask(topic: str) -> Any:
        return {"draft": str(interrupt({"about": topic}))}

    return chain(("before", lambda topic: {"said": [topic]}, None), (name, ask, None), name="asking")


# Plain: both report success, and every later effect runs twice. Processes: tests/runs/store.
async def test_of_two_answers_at_once_one_wins_and_the_other_names_it(url: str) -> None:
    async with Runner(url, graphs=[asking()], serve=False) as one, Runner(url, graphs=[asking()], serve=False) as other:
        run = await (await one.start("asking", {"topic": "a"})).wait(timeout_s=30)
        told = await asyncio.gather(
            one.answer(run.approvals[0].id, Respond("first", "ada")),
            other.answer(run.approvals[0].id, Respond("second", "bob")),
            return_exceptions=True,
        )
        (refused,) = [one for one in told if isinstance(one, AlreadyDecided)]
        run = await one.wait(run.run_id, timeout_s=30)
        assert run.state.draft == {"ada": "first", "bob": "second"}[refused.by]


# Plain: safe; Pydantic AI and OpenAI Agents run the tool again.
async def test_an_answer_after_the_end_is_refused_and_changes_nothing(start: Start) -> None:
    run = await start(asking(), {"topic": "a"})
    approval = run.approvals[0].id
    done = await run.answer(approval, Respond("yes", "ada"))
    with pytest.raises(AlreadyDecided, match="by ada"):
        await run.answer(approval, Respond("no", "bob"))
    assert (await done.refresh()).state.draft == "yes"


# Plain: `next` is empty, the result is an empty dict, and the approval is lost.
@pytest.mark.parametrize("door", ["answer", "resume"])
async def test_a_node_renamed_while_its_question_waits_is_told_and_nothing_is_lost(url: str, door: str) -> None:
    async with Runner(url, graphs=[asking()]) as runner:
        run = await (await runner.start("asking", {"topic": "a"})).wait(timeout_s=30)
    (approval,) = run.approvals
    async with Runner(url, graphs=[asking("question")]) as renamed:
        with pytest.raises(GraphChanged, match=r"node 'ask' is gone; node 'question' is new"):
            if door == "answer":
                await renamed.answer(approval.id, Respond("yes", "ada"))
            else:
                await renamed.resume(run.run_id)
        assert [one.id for one in await renamed.inbox()] == [approval.id]
    async with Runner(url, graphs=[asking()]) as runner:
        done = await runner.answer(approval.id, Respond("yes", "ada"))
        assert (done.status, done.state.draft) == ("done", "yes")


async def test_a_plain_node_renamed_while_its_question_waits_is_told_too(url: str) -> None:
    def ask(state: Text) -> Text:
        return {"draft": interrupt("?")}

    async with Runner(url, graphs=[plain_chain(Text, ask=ask)]) as runner:
        run = await (await runner.start("Text", {"topic": "a"})).wait(timeout_s=30)
    async with Runner(url, graphs=[plain_chain(Text, question=ask)]) as renamed:
        with pytest.raises(GraphChanged, match="node 'ask' is gone"):
            await renamed.answer(run.approvals[0].id, Respond("yes", "ada"))
        assert len(await renamed.inbox()) == 1


# A conversation and its tools


class Chat(State):
    goal: str
    results: Annotated[list[ToolResult], append] = []


class Desk:
    """A low-risk, unsafe tool that needs nobody, and a high-risk one that a person decides about."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def graph(self, *answers: Any) -> Graph[Chat]:
        done = self.done

        @tool(effect="unsafe", risk="low")
        async def note(text: str) -> str:
            """Write a note.

            Args:
                text: What.
            """
            done.append(f"note {text}")
            return f"noted {text}"

        @tool(effect="unsafe", risk="high")
        async def pay(to: str) -> str:
            """Pay somebody.

            Args:
                to: Whom.
            """
            done.append(f"pay {to}")
            return f"paid {to}"

        graph = Graph(Chat)
        model = ScriptedModel(list(answers))
        graph.add_node("act", ToolExecutor(model, tools=[note, pay]), writes="results")
        graph.add_edge(START, "act")
        graph.add_edge("act", END)
        return graph


def calls(*pairs: tuple[str, dict[str, str]]) -> list[ToolCall]:
    return [ToolCall(f"c{i}", name, json.dumps(args)) for i, (name, args) in enumerate(pairs)]


TURN = calls(("pay", {"to": "ann"}), ("note", {"text": "n"}), ("pay", {"to": "bob"}))


# Plain (per call): the ungated call runs first, interrupts come out of order; in other frameworks its result is lost.
async def test_of_parallel_calls_the_ungated_are_kept_and_results_come_in_call_order(start: Start) -> None:
    desk = Desk()
    run = await start(desk.graph(TURN, "done"), {"goal": "pay"})
    assert [one.payload["args"] for one in run.approvals] == [{"to": "ann"}, {"to": "bob"}]
    assert desk.done == ["note n"]
    first, second = run.approvals
    run = await run.answer(second.id, Reject("not him", "ada"))
    # Plain: fewer decisions than calls is a ValueError. Here the run waits for the rest.
    assert (run.status, [one.id for one in run.approvals], desk.done) == ("waiting", [first.id], ["note n"])
    run = await run.answer(first.id, Approve("ada"))
    assert desk.done == ["note n", "pay ann"]
    assert [(one.tool, one.status) for one in run.state.results] == [("pay", "ok"), ("note", "ok"), ("pay", "rejected")]


# Plain (batched): the edit that names another tool is accepted and executed.
async def test_an_edit_cannot_name_another_tool(start: Start) -> None:
    desk = Desk()
    run = await start(desk.graph(calls(("pay", {"to": "ann"})), "done"), {"goal": "pay"})
    (approval,) = run.approvals
    for args in ({"name": "note", "args": {"text": "n"}}, {"to": "ann", "tool": "note"}, {"text": "n"}):
        with pytest.raises(InvalidDecision):
            await run.answer(approval.id, Edit(args, "ada"))
    assert desk.done == []
    run = await run.answer(approval.id, Edit({"to": "bob"}, "ada"))
    assert desk.done == ["pay bob"]


# Plain: the run goes on, the pending calls are abandoned, and the history holds calls without an answer.
async def test_a_new_message_while_an_approval_waits_is_refused_or_queued(url: str) -> None:
    desk = Desk()
    graph = desk.graph(calls(("pay", {"to": "ann"})), "paid", "hello")
    async with Runner(url) as runner:
        run = await (await runner.start(graph, {"goal": "pay"}, thread_id="t")).wait(timeout_s=30)
        with pytest.raises(ThreadBusy, match=run.run_id):
            await runner.start(graph, {"goal": "hello?"}, thread_id="t")
        queued = await runner.start(graph, {"goal": "hello?"}, thread_id="t", on_busy="enqueue")
        await run.answer(run.approvals[0].id, Approve("ada"))
        queued = await queued.wait(timeout_s=30)
        assert (queued.status, desk.done) == ("done", ["pay ann"])


async def test_a_new_message_in_memory_is_refused_too() -> None:
    graph = Desk().graph(calls(("pay", {"to": "ann"})), "paid")
    run = await graph.run({"goal": "pay"}, thread_id="t")
    with pytest.raises(ThreadBusy, match=run.run_id):
        await graph.run({"goal": "hello?"}, thread_id="t")


async def test_two_runs_at_once_on_one_thread_are_one_run_and_one_refusal(start: Start) -> None:
    graph = asking()
    told = await asyncio.gather(
        *(start(graph, {"topic": name}, thread_id="t") for name in ("a", "b")), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in told) == ["Run", "ThreadBusy"]


class Conversation(State):
    messages: Annotated[list[AnyMessage], add_messages, keep]
    turns: int = 0


def chatting() -> Graph[Conversation]:
    def reply(messages: list[AnyMessage], turns: int) -> dict[str, Any]:
        return {"messages": [AIMessage(f"heard {len(messages)}")], "turns": turns + 1}

    graph = Graph(Conversation, name="chatting")
    graph.add_node("reply", reply)
    graph.add_edge(START, "reply")
    graph.add_edge("reply", END)
    return graph


SAID = ["one", "heard 1", "two", "heard 3", "three", "heard 5"]


async def test_three_turns_of_a_conversation_keep_its_messages_and_nothing_else(start: Start) -> None:
    graph = chatting()
    for text in ("one", "two", "three"):
        run = await start(graph, {"messages": [HumanMessage(text)]}, thread_id="t")
    assert [message.content for message in run.state.messages] == SAID
    assert len({message.id for message in run.state.messages}) == 6
    assert run.state.turns == 1


async def test_three_turns_go_on_over_restarts(url: str) -> None:
    for text in ("one", "two", "three"):
        async with Runner(url, graphs=[chatting()]) as runner:
            run = await (await runner.start("chatting", {"messages": [("user", text)]}, thread_id="t")).wait()
    assert [message.content for message in run.state.messages] == SAID
    assert [type(message) for message in run.state.messages[:2]] == [HumanMessage, AIMessage]


# Plain, SQLite: 289 MB for 200 turns of three messages; benchmarks/growth.py measures them all.
async def test_a_long_chat_does_not_grow_with_its_square(url: str, tmp_path: Path) -> None:
    async def talk(turns: int) -> int:
        async with Runner(url, graphs=[chatting()]) as runner:
            for turn in range(turns):
                said = {"messages": [HumanMessage(f"{turn} " + "x" * 2000)]}
                run = await (await runner.start("chatting", said, thread_id="t")).wait(timeout_s=30)
                assert run.status == "done"
        return stored(tmp_path)

    first = await talk(30)
    assert await talk(60) < 3.5 * first  # with the square it would be nine times


def stored(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())

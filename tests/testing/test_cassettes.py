"""A recording gives back a run without asking anything outside, and refuses what differs."""

import asyncio
import json
import random
import re
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import pytest

from collegium import END, START, Approve, Edit, Graph, Reject, Runner, State, append, model, tool
from collegium.agents import Ask, ToolExecutor
from collegium.core.context import current_run
from collegium.core.errors import (
    CassetteError,
    CassetteMismatch,
    InvalidInput,
    OutputRefused,
    RunFailed,
)
from collegium.core.ids import new_id
from collegium.core.messages import Message, ToolCall, ToolSpec, user
from collegium.core.tape import recorded, whole_tape
from collegium.knowledge import HashEmbedder, Index
from collegium.models import Capabilities, Completion, Model, Params, StreamEvent, TextDelta
from collegium.runs import MEMORY, Budget, Event, Extend, Respond, call_tool
from collegium.testing import Cassette, FunctionModel, ModelCall, ScriptedApprover, ScriptedModel
from collegium.testing.cassettes import file
from collegium.testing.cassettes.playing import TASK_ID


class Words(State):
    words: list[str]
    said: Annotated[list[str], append] = []


def upper(call: ModelCall) -> str:
    return call.messages[-1].content.upper()


def graph_of(*, prompt: str = "Say", wait: Callable[[], float] = float, llm: Model | None = None) -> Graph[Words]:
    """Says each word in a branch of its own; branches end in any order."""
    llm = llm or model()

    async def say(word: str) -> str:
        await asyncio.sleep(wait())
        return (await llm.complete([user(f"{prompt} the word {word}")])).text

    graph = Graph(Words, name="words")
    graph.add_map("say", say, over="words", writes="said")
    graph.add_edge(START, "say")
    graph.add_edge("say", END)
    return graph


async def events_of(run: Any) -> list[Event]:
    return [event async for event in run.events()]


async def recorded_run(path: Path, graph: Graph[Any], given: Any, llm: Any, **options: Any) -> Any:
    with Cassette(path, mode="record"):
        return await graph.run(given, model=llm, **options)


# -- a whole run --------------------------------------------------------------------------------------


async def test_a_replay_asks_no_model_and_ends_with_the_same_state(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    first = await recorded_run(path, graph_of(), {"words": ["rye", "oats"]}, FunctionModel(upper))

    with Cassette(path):
        again = await graph_of().run({"words": ["rye", "oats"]})

    assert again.state == first.state
    assert again.state.said == ["SAY THE WORD RYE", "SAY THE WORD OATS"]
    assert again.usage == first.usage
    assert again.run_id == first.run_id


async def test_events_of_branches_that_end_in_any_order_are_equal_in_every_replay(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    dice = random.Random(1)
    words = {"words": [str(number % 5) for number in range(12)]}
    slow = graph_of(wait=lambda: dice.random() / 50)
    with Cassette(path, mode="record"):
        made = await events_of(await slow.run(words, model=FunctionModel(upper)))

    async def replay() -> list[Event]:
        with Cassette(path):
            return await events_of(await graph_of(wait=lambda: dice.random() / 50).run(words))

    assert await replay() == await replay() == made


async def test_equal_requests_of_branches_get_the_answers_of_their_own_branch(tmp_path: Path) -> None:
    path, answers = tmp_path / "words.json", iter("abc")
    words = {"words": ["same", "same", "same"]}
    first = await recorded_run(path, graph_of(), words, FunctionModel(lambda _: next(answers)))

    delays = iter([0.02, 0.01, 0.0])
    with Cassette(path):
        again = await graph_of(wait=lambda: next(delays)).run(words)

    assert again.state.said == first.state.said


async def test_a_changed_word_of_a_prompt_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    await recorded_run(path, graph_of(), {"words": ["rye"]}, FunctionModel(upper))

    with pytest.raises(CassetteMismatch) as refused, Cassette(path):
        await graph_of(prompt="Whisper").run({"words": ["rye"]})

    assert "[-Say-]{+Whisper+} the word rye" in refused.value.difference
    assert refused.value.place == "model call of node 'say[0]'"
    assert str(path) in str(refused.value)


async def test_a_call_that_was_not_recorded_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    await recorded_run(path, graph_of(), {"words": ["rye"]}, FunctionModel(upper))

    with pytest.raises(CassetteMismatch, match="the recording has none here"), Cassette(path):
        await graph_of().run({"words": ["rye", "oats"]})


async def test_a_recorded_call_that_is_not_made_is_refused_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    await recorded_run(path, graph_of(), {"words": ["rye", "oats", "wheat"]}, FunctionModel(upper))

    with pytest.raises(CassetteMismatch, match=r"the replay did not ask it \(and 1 more\)"), Cassette(path):
        await graph_of().run({"words": ["rye"]})


async def test_a_difference_that_a_node_swallowed_is_raised_at_the_end(tmp_path: Path) -> None:
    async def careful(words: list[str]) -> list[str]:
        try:
            return [(await model().complete([user(words[0])])).text]
        except CassetteMismatch:
            return ["nothing"]

    graph = Graph(Words, name="careful")
    graph.add_node("careful", careful, writes="said")
    graph.add_edge(START, "careful")
    graph.add_edge("careful", END)
    path = tmp_path / "careful.json"
    await recorded_run(path, graph, {"words": ["rye"]}, ScriptedModel(["x"]))

    with pytest.raises(CassetteMismatch, match=r"\[-rye-\]"), Cassette(path):
        await graph.run({"words": ["oats"]})


async def test_an_error_of_a_model_is_recorded_with_its_class_and_fields(tmp_path: Path) -> None:
    path = tmp_path / "refused.json"
    with pytest.raises(RunFailed), Cassette(path, mode="record") as cassette:
        try:
            await graph_of().run({"words": ["rye"]}, model=ScriptedModel([OutputRefused("m", "it will not")]))
        finally:
            cassette.save()

    with pytest.raises(RunFailed) as failed, Cassette(path):
        await graph_of().run({"words": ["rye"]})

    assert isinstance(failed.value.__cause__, OutputRefused)
    assert failed.value.__cause__.problem == "it will not"


async def test_a_tool_runs_when_recorded_and_not_when_replayed(tmp_path: Path) -> None:
    ran: list[str] = []

    @tool(effect="unsafe", risk="high")
    def send(to: str) -> dict[str, str]:
        """Send it."""
        ran.append(to)
        return {"sent": to}

    class Letter(State):
        goal: str
        results: list[Any] = []

    def letters() -> Graph[Letter]:
        graph = Graph(Letter, name="letter")
        graph.add_node("send", ToolExecutor(None, tools=[send]), writes="results")
        graph.add_edge(START, "send")
        graph.add_edge("send", END)
        return graph

    llm = ScriptedModel([ToolCall("c1", "send", '{"to": "ada"}'), ToolCall("c2", "send", '{"to": "bob"}'), "Sent."])
    person = ScriptedApprover([Edit({"to": "eve"}, by="ada"), Approve(by="ada")])
    path = tmp_path / "letter.json"
    first = await recorded_run(path, letters(), {"goal": "Write to Ada"}, llm, approver=person)

    with Cassette(path):
        again = await letters().run({"goal": "Write to Ada"})

    assert ran == ["eve", "bob"]
    assert [result.data for result in again.state.results] == [{"sent": "eve"}, {"sent": "bob"}]
    assert [result.data for result in first.state.results] == [result.data for result in again.state.results]


async def test_another_decision_than_the_recorded_one_is_refused(tmp_path: Path) -> None:
    class Mail(State):
        reply: str = ""

    graph = Graph(Mail, name="mail")
    graph.add_node("ask", Ask("What shall we reply?", into="reply"))
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    path = tmp_path / "mail.json"
    await recorded_run(path, graph, {}, None, approver=ScriptedApprover([Respond("Yes", by="ada")]))

    with Cassette(path):
        run = await graph.run({})
    assert run.state.reply == "Yes"

    with pytest.raises(CassetteMismatch, match=r"\{\+reject\+\}"), Cassette(path):
        async with Runner(MEMORY, graphs=[graph]) as runner:
            waiting = await (await runner.start(graph, {})).wait()
            await runner.answer(waiting.approvals[0].id, Reject("no", by="bob"))


async def test_a_run_that_waited_for_more_budget_replays_with_its_extension(tmp_path: Path) -> None:
    path, words = tmp_path / "budget.json", {"words": ["a", "b", "c", "d"]}
    person = ScriptedApprover([Extend(2, by="ada"), Extend(2, by="ada")])
    first = await recorded_run(
        path, graph_of(), words, FunctionModel(upper), approver=person, budget=Budget(model_calls=2)
    )

    with Cassette(path):
        again = await graph_of().run(words, budget=Budget(model_calls=2))

    assert again.status == first.status == "done"
    assert again.state.said == first.state.said


async def test_searches_embeddings_and_ingestion_come_from_the_recording(tmp_path: Path) -> None:
    (tmp_path / "rye.md").write_text("# Rye\n\nRye is sown in autumn.\n", encoding="utf-8")

    async def find(words: list[str]) -> list[str]:
        index = Index("grain", folder=tmp_path / "index", embedder=HashEmbedder())
        await index.ingest([tmp_path / "rye.md"])
        return [passage.text for passage in await index.search(words[0])]

    graph = Graph(Words, name="find")
    graph.add_node("find", find, writes="said")
    graph.add_edge(START, "find")
    graph.add_edge("find", END)
    path = tmp_path / "find.json"
    first = await recorded_run(path, graph, {"words": ["sown"]}, None)
    (tmp_path / "rye.md").unlink()
    shutil.rmtree(tmp_path / "index")

    with Cassette(path):
        again = await graph.run({"words": ["sown"]})

    assert again.state.said == first.state.said
    assert "sown in autumn" in first.state.said[0]


async def test_times_ids_and_random_numbers_of_a_node_are_the_recorded_ones(tmp_path: Path) -> None:
    async def draw(words: list[str]) -> list[str]:
        now = recorded("now", lambda: datetime.now(UTC).isoformat())
        return [now, recorded("dice", lambda: str(random.random())), recorded("id", lambda: new_id("x"))]

    graph = Graph(Words, name="draw")
    graph.add_node("draw", draw, writes="said")
    graph.add_edge(START, "draw")
    graph.add_edge("draw", END)
    path = tmp_path / "draw.json"
    first = await recorded_run(path, graph, {"words": []}, None)

    with Cassette(path):
        again = await graph.run({"words": []})

    assert again.state.said == first.state.said
    assert (await graph.run({"words": []})).state.said != first.state.said


async def test_what_models_said_inside_a_tool_is_told_to_the_run_again(tmp_path: Path) -> None:
    @tool(effect="read", risk="low")
    async def think(about: str) -> str:
        """Think."""
        return (await model().complete([user(about)])).text

    async def ask(words: list[str]) -> list[str]:
        return [(await call_tool(think, {"about": words[0]}, trust="trusted")).content]

    graph = Graph(Words, name="think")
    graph.add_node("think", ask, writes="said")
    graph.add_edge(START, "think")
    graph.add_edge("think", END)
    path = tmp_path / "think.json"
    first = await recorded_run(path, graph, {"words": ["rye"]}, ScriptedModel(["deep"]))

    with Cassette(path):
        again = await graph.run({"words": ["rye"]})

    assert again.usage == first.usage
    assert again.usage.model_calls == 1
    assert [entry["kind"] for entry in json.loads(path.read_text())["entries"]] == ["tool"]


async def test_a_stream_is_replayed_as_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "stream.json"

    async def pieces(llm: Any) -> list[str]:
        return [event.text async for event in llm.stream([user("hi")]) if isinstance(event, TextDelta)]

    with Cassette(path, mode="record"):
        assert await pieces(ScriptedModel(["one two three"])) == ["one", " two", " three"]
    with Cassette(path):
        assert await pieces(ScriptedModel([])) == ["one two three"]


async def test_a_stream_that_was_left_is_left_in_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "stream.json"

    async def first(llm: Any) -> str:
        stream = llm.stream([user("hi")])
        async for event in stream:
            await stream.aclose()
            return str(event.text)
        return ""

    with Cassette(path, mode="record"):
        assert await first(ScriptedModel(["one two"])) == "one"
    with Cassette(path):
        assert await first(ScriptedModel([])) == "one"


class OwnModel:
    """A model of a user's own, which is no `Backend`."""

    spec = "own"
    asked = 0

    async def capabilities(self) -> Capabilities:
        return Capabilities()

    async def complete(
        self,
        messages: Any,
        *,
        output: Any = None,
        tools: tuple[ToolSpec, ...] = (),
        tool_choice: str = "auto",
        params: Params | None = None,
        timeout_s: float | None = None,
    ) -> Completion[Any]:
        self.asked += 1
        return Completion(f"heard {messages[0].content}", None)

    async def stream(self, messages: list[Message], **options: Any) -> AsyncIterator[StreamEvent]:
        yield await self.complete(messages)

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("handed_to", ["run", "node"])
async def test_a_model_of_ones_own_class_is_not_asked_in_a_replay(tmp_path: Path, handed_to: str) -> None:
    path, own = tmp_path / "own.json", OwnModel()
    graph = graph_of(llm=model(cast(Model, own)) if handed_to == "node" else None)
    given = own if handed_to == "run" else None
    with Cassette(path, mode="record"):
        await graph.run({"words": ["rye"]}, model=given)
    with Cassette(path):
        run = await graph.run({"words": ["rye"]}, model=given)

    assert run.state.said == ["heard Say the word rye"]
    assert own.asked == 1


# -- events -------------------------------------------------------------------------------------------


async def test_a_replay_of_a_graph_with_one_more_node_still_ends(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    await recorded_run(path, graph_of(), {"words": ["rye"]}, FunctionModel(upper))
    graph = graph_of()

    def more(said: list[str]) -> None:
        """A node that the recording does not have."""

    graph.add_node("more", more, writes=[])
    graph.add_edge(START, "more")
    graph.add_edge("more", END)

    with Cassette(path):
        events = await events_of(await graph.run({"words": ["rye"]}))

    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind == "run_done"
    assert {event.node for event in events} >= {"say", "more"}


def test_ids_of_tasks_are_found_in_keys_and_other_ids_are_left_alone() -> None:
    some = "94a08dbe-c8cb-8c53-04ff-c4781ae7a2c0"

    assert TASK_ID.findall(f"run-1/0/look_up:{some}|1|inner:{some}/0/0") == [some, some]
    assert TASK_ID.findall(f"urn:uuid:{some} order {some}") == []


async def test_events_that_a_node_emits_are_in_the_replay(tmp_path: Path) -> None:
    async def tell(words: list[str]) -> None:
        run = current_run.get()
        assert run is not None
        run.emit("graded", {"words": words, "share": 0.5})

    graph = Graph(Words, name="tell")
    graph.add_node("tell", tell, writes=[])
    graph.add_edge(START, "tell")
    graph.add_edge("tell", END)
    path = tmp_path / "tell.json"
    with Cassette(path, mode="record"):
        made = await events_of(await graph.run({"words": ["rye"]}))
    with Cassette(path):
        again = await events_of(await graph.run({"words": ["rye"]}))

    assert again == made
    assert "custom" in {event.kind for event in made}


# -- the file -----------------------------------------------------------------------------------------


def names_in(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir()]


async def test_a_recording_that_is_given_up_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    await recorded_run(path, graph_of(), {"words": ["rye"]}, FunctionModel(upper))
    before = path.read_bytes()

    with pytest.raises(KeyboardInterrupt), Cassette(path, mode="record"):
        await graph_of().run({"words": ["oats"]}, model=FunctionModel(upper))
        raise KeyboardInterrupt

    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["words.json"]


async def test_two_recordings_of_one_run_differ_only_in_ids_times_and_the_order_of_events(tmp_path: Path) -> None:
    dice = random.Random(2)
    words = {"words": [f"w{number}" for number in range(8)]}

    async def entries(name: str) -> Any:
        graph = graph_of(wait=lambda: dice.random() / 50)
        await recorded_run(tmp_path / name, graph, words, FunctionModel(upper))
        return json.loads((tmp_path / name).read_text())["entries"]

    assert await entries("one.json") == await entries("two.json")


def test_a_file_of_another_version_or_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    for text, problem in [
        ('{"cassette": 99}', "version 99"),
        ('{"cassette": 1}', "no recording"),
        ("[]", "no recording"),
        ("{", "no recording"),
    ]:
        path.write_text(text)
        with pytest.raises(CassetteError, match=problem), Cassette(path):
            pass
    with pytest.raises(CassetteError, match="no such file"), Cassette(tmp_path / "none.json"):
        pass
    assert whole_tape() is None


def test_a_second_cassette_at_once_is_refused(tmp_path: Path) -> None:
    with Cassette(tmp_path / "a.json", mode="record"):
        with pytest.raises(InvalidInput, match="another one is in use"), Cassette(tmp_path / "b.json", mode="record"):
            pass
    assert whole_tape() is None
    assert (tmp_path / "a.json").is_file()


@pytest.mark.parametrize(
    "text", ["one\ntwo \n\n", "\ud800 half", "\x00\x1b[31m", "tab\t\r\n", '"quoted" \\n', "é ✓ 🙂"]
)
async def test_any_text_comes_back_from_the_file_as_it_was(tmp_path: Path, text: str) -> None:
    path = tmp_path / "text.json"
    with Cassette(path, mode="record"):
        await FunctionModel(lambda _: text).complete([user(text)])
    with Cassette(path):
        said = await ScriptedModel([]).complete([user(text)])

    assert said.text == text


def test_a_text_of_several_lines_is_a_list_of_them_and_a_schema_stands_once(tmp_path: Path) -> None:
    recording = file.Recording()
    shape = {"type": "object"}
    for _ in range(2):
        request = {"messages": [{"content": "a\nb"}], "output": {"name": "Plan", "schema": shape}}
        recording.entries.append(file.Entry("model", "", request, {"answer": 1}))
    text = file.written(recording)

    assert re.search(r'"\$lines": \[\s+"a",\s+"b"', text)
    assert text.count('"type": "object"') == 1
    file.save(recording, tmp_path / "x.json")
    assert file.load(tmp_path / "x.json").entries[1].request == recording.entries[1].request


def test_without_a_cassette_nothing_is_noted() -> None:
    assert whole_tape() is None
    assert recorded("now", lambda: "now") == "now"

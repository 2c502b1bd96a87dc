"""Scripted and function models: what they answer, refuse, record and count."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from collegium.core.context import current_node, current_run
from collegium.core.errors import BackendTimeout, InvalidOutput, OutOfAnswers
from collegium.core.messages import Message, ToolCall, Usage, user
from collegium.models.base import Completion, Model, TextDelta
from collegium.testing import FunctionModel, ModelCall, ScriptedModel


class Fact(BaseModel):
    name: str
    year: int


class Watcher:
    """A run that keeps what models tell it."""

    run_id, thread_id, model_spec, deps, watched = "run-1", "t-1", None, None, True

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any], str | None]] = []
        self.spent = Usage()

    def emit(self, kind: str, data: Mapping[str, Any], *, node: str | None = None) -> None:
        self.events.append((kind, dict(data), node))

    limited = False

    async def reserve(self, input_tokens: int, output_tokens: int | None, cost_usd: Any) -> Any:
        raise AssertionError("a run without limits is asked for no leave")

    def spend(self, usage: Usage, model: str) -> None:
        self.spent += usage


ASK = [user("who was it")]


def test_scripted_and_function_models_are_models() -> None:
    assert isinstance(ScriptedModel([]), Model)
    assert isinstance(FunctionModel(lambda call: ""), Model)


async def test_answers_come_in_order() -> None:
    model = ScriptedModel(["one", "two"])
    assert [(await model.complete(ASK)).text for _ in range(2)] == ["one", "two"]
    assert model.left == 0


async def test_running_out_of_answers_names_the_node_and_the_prompt() -> None:
    model = ScriptedModel(["one"])
    await model.complete(ASK)
    token = current_node.set("judge")
    with pytest.raises(OutOfAnswers, match=r"has 1 answers.*'judge'.*who was it"):
        await model.complete(ASK)
    current_node.reset(token)


async def test_text_is_read_as_json_of_the_type_asked_for() -> None:
    done = await ScriptedModel(['{"name": "Ada", "year": 1843}']).complete(ASK, output=Fact)
    assert done.output == Fact(name="Ada", year=1843)


async def test_an_answer_that_is_not_the_type_asked_for_is_refused() -> None:
    model = ScriptedModel(["{}", Usage(), Fact(name="Ada", year=1843)])
    for _ in range(2):
        with pytest.raises(InvalidOutput):
            await model.complete(ASK, output=Fact)
    assert (await model.complete(ASK, output=Fact)).output.year == 1843


async def test_tool_calls_come_alone_in_a_list_or_in_a_message() -> None:
    call = ToolCall("c1", "add", '{"a": 1}')
    model = ScriptedModel([call, [call, call], Message("assistant", "so", (call,))])
    counts = [await model.complete(ASK) for _ in range(3)]
    assert [len(c.tool_calls) for c in counts] == [1, 2, 1]
    assert [c.text for c in counts] == ["", "", "so"]
    assert counts[0].finish_reason == "tool_calls"


async def test_exceptions_are_raised_completions_and_functions_are_used() -> None:
    def repeat(messages: Sequence[Message]) -> str:
        return messages[-1].content

    model = ScriptedModel([BackendTimeout("m", "late"), Completion("done", None), repeat])
    with pytest.raises(BackendTimeout):
        await model.complete(ASK)
    assert (await model.complete(ASK)).text == "done"
    assert (await model.complete(ASK)).text == "who was it"


async def test_a_function_model_sees_the_whole_call() -> None:
    async def reply(call: ModelCall) -> object:
        return Fact(name=call.prompt, year=1) if call.output is Fact else "text"

    model = FunctionModel(reply)
    assert (await model.complete(ASK, output=Fact)).output.name == "who was it"
    assert (await model.complete(ASK)).text == "text"
    assert [c.output for c in model.calls] == [Fact, None]


async def test_calls_are_counted_and_told_to_the_run() -> None:
    run, model = Watcher(), ScriptedModel(["two words", Fact(name="a", year=1)])
    tokens = current_run.set(run), current_node.set("writer")
    await model.complete(ASK)
    await model.complete(ASK, output=Fact)
    current_run.reset(tokens[0])
    current_node.reset(tokens[1])
    assert run.spent == Usage(input_tokens=6, output_tokens=3, model_calls=2)
    assert [(kind, node) for kind, _, node in run.events] == [
        ("text_delta", "writer"),
        ("text_delta", "writer"),
        ("model_called", "writer"),
        ("model_called", "writer"),
    ]
    assert [c.role for c in model.calls] == ["writer", "writer"]


async def test_a_stream_ends_with_the_whole_answer() -> None:
    events = [e async for e in ScriptedModel(["a b c"]).stream(ASK)]
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "a b c"
    assert isinstance(events[-1], Completion) and events[-1].text == "a b c"

"""LangChain's chat models as ours, and ours as LangChain's."""

import subprocess
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

from collegium import END, START, Graph, State
from collegium.agents import ToolExecutor
from collegium.core.errors import (
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    InvalidInput,
    InvalidOutput,
    OutputRefused,
    UnsupportedParameter,
)
from collegium.core.messages import ToolCall, user
from collegium.models import Completion, Params, TextDelta, as_langchain, from_langchain
from collegium.runs import Budget
from collegium.testing import FunctionModel, ScriptedModel
from collegium.tools import calculator

USED: Any = {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14, "input_token_details": {"cache_read": 4}}


make_agent: Any = getattr(import_module("langchain.agents"), "create_agent")  # noqa: B009 (its types are only partly known)


class Summary(BaseModel):
    title: str
    words: int


class Scripted(BaseChatModel):
    """A chat model that answers from a list and keeps how it was asked."""

    said: list[Any]
    asked: list[dict[str, Any]] = []
    temperature: float | None = None

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        self.asked.append({"messages": messages, "stop": stop, "temperature": self.temperature, **kwargs})
        said = self.said[len(self.asked) - 1]
        if isinstance(said, Exception):
            raise said
        return ChatResult(generations=[ChatGeneration(message=said)])

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        for word in ("one ", "two"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=USED))


class WithTools(Scripted):
    """One that calls tools."""

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        return self.bind(tools=tools, tool_choice=tool_choice, **kwargs)


def calling(name: str, **arguments: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"id": "c1", "name": name, "args": arguments}], usage_metadata=USED)


# -- LangChain's as ours ------------------------------------------------------------------------------


async def test_an_answer_has_its_text_its_usage_and_the_model_that_gave_it() -> None:
    told = {"model_name": "fake-1", "finish_reason": "stop"}
    llm = from_langchain(Scripted(said=[AIMessage("Hello", usage_metadata=USED, response_metadata=told)]))

    said = await llm.complete([user("Hi")])

    assert (said.text, said.model, said.finish_reason) == ("Hello", "fake-1", "stop")
    assert (said.usage.input_tokens, said.usage.output_tokens, said.usage.cached_tokens) == (11, 3, 4)
    assert llm.spec == "langchain:Scripted"


async def test_a_type_is_filled_through_a_forced_tool_where_there_are_tools() -> None:
    chat = WithTools(said=[calling("Summary", title="Rye", words=3)])

    said = await from_langchain(chat).complete([user("Summarise")], output=Summary)

    assert said.output == Summary(title="Rye", words=3)
    assert said.rung == "tool"
    assert chat.asked[0]["tool_choice"] == "Summary"


async def test_a_type_is_filled_from_text_and_repaired_where_there_are_none() -> None:
    chat = Scripted(said=[AIMessage("I would say: rye."), AIMessage('{"title": "Rye", "words": 3}')])

    said = await from_langchain(chat).complete([user("Summarise")], output=Summary)

    assert said.output == Summary(title="Rye", words=3)
    assert said.rung == "prompt"
    assert "not a valid answer" in chat.asked[1]["messages"][-1].content


async def test_a_type_is_filled_by_structured_output_of_its_own() -> None:
    class Own(WithTools):
        def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Any:
            return super().with_structured_output(schema, include_raw=include_raw)

    chat = Own(said=[calling("Summary", title="Rye", words=3)])

    said = await from_langchain(chat).complete([user("Summarise")], output=Summary)

    assert said.output == Summary(title="Rye", words=3)
    assert said.rung == "json_schema"


async def test_a_stream_gives_pieces_and_ends_with_the_whole() -> None:
    events = [event async for event in from_langchain(Scripted(said=[])).stream([user("Hi")])]

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["one ", "two"]
    assert isinstance(events[-1], Completion)
    assert events[-1].text == "one two"
    assert events[-1].usage.output_tokens == 3


async def test_an_executor_calls_tools_through_it_and_the_run_counts_its_tokens() -> None:
    class Sum(State):
        goal: str
        text: str = ""

    chat = WithTools(said=[calling("calculator", expression="6 * 7"), AIMessage("It is 42.", usage_metadata=USED)])
    graph = Graph(Sum, name="sum")
    graph.add_node("execute", ToolExecutor(None, tools=[calculator], gives="text"), writes="text")
    graph.add_edge(START, "execute")
    graph.add_edge("execute", END)

    run = await graph.run({"goal": "6 times 7"}, model=from_langchain(chat), budget=Budget(model_calls=5))

    assert run.state.text == "It is 42."
    assert (run.usage.model_calls, run.usage.input_tokens) == (2, 22)
    answered = chat.asked[1]["messages"][-1]
    assert isinstance(answered, ToolMessage)
    assert (answered.content, answered.tool_call_id) == ("42", "c1")


async def test_a_setting_that_the_chat_model_has_is_set_and_another_is_refused() -> None:
    chat = Scripted(said=[AIMessage("a")])
    llm = from_langchain(chat)

    await llm.complete([user("Hi")], params=Params(temperature=0.5, stop=("END",)))
    assert (chat.asked[0]["temperature"], chat.asked[0]["stop"]) == (0.5, ["END"])
    assert chat.temperature is None

    with pytest.raises(UnsupportedParameter, match="'top_p' is not taken"):
        await llm.complete([user("Hi")], params=Params(top_p=0.5))


class Answered(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__(f"HTTP {status_code}")
        self.status_code = status_code


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (Answered(400), BackendRejected),
        (Answered(503), BackendUnavailable),
        (ConnectionError("gone"), BackendUnavailable),
        (TimeoutError("slow"), BackendTimeout),
        (AIMessage(""), InvalidOutput),
        (AIMessage("", additional_kwargs={"refusal": "No."}), OutputRefused),
        (AIMessage("x", response_metadata={"finish_reason": "content_filter"}), OutputRefused),
        (calling("nobody_offered"), InvalidOutput),
    ],
)
async def test_failures_are_errors_of_our_own_tree(said: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        await from_langchain(Scripted(said=[said])).complete([user("Hi")])


async def test_tools_are_refused_by_a_chat_model_that_cannot_have_them() -> None:
    with pytest.raises(BackendRejected, match="no bind_tools"):
        await from_langchain(GenericFakeChatModel(messages=iter(["x"]))).complete(
            [user("Hi")], tools=[calculator.spec()]
        )


# -- ours as LangChain's ------------------------------------------------------------------------------


async def test_an_agent_of_langchain_calls_tools_through_one_of_our_models() -> None:
    def weather(city: str) -> str:
        """Tell the weather."""
        return f"rain in {city}"

    llm = ScriptedModel([ToolCall("c1", "weather", '{"city": "Turin"}'), "It rains."])
    agent: Any = make_agent(as_langchain(llm), tools=[weather], system_prompt="Be short.")

    came = await agent.ainvoke({"messages": [HumanMessage("How is Turin?")]})

    assert came["messages"][-1].content == "It rains."
    assert came["messages"][-1].usage_metadata["output_tokens"] == 2
    assert [message.role for message in llm.calls[1].messages] == ["system", "user", "assistant", "tool"]
    assert llm.calls[1].messages[-1].content == "rain in Turin"
    assert llm.calls[0].tools[0]["name"] == "weather"


async def test_a_stream_of_ours_is_one_of_theirs() -> None:
    chat = as_langchain(ScriptedModel(["one two", ToolCall("c1", "weather", '{"city": "Turin"}')]))

    pieces = [chunk async for chunk in chat.astream("Hi")]
    assert [piece.content for piece in pieces if piece.content] == ["one", " two"]
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = whole + piece
    assert whole.usage_metadata is not None

    called = [chunk async for chunk in chat.astream("Hi")]
    assert called[-1].tool_calls[0]["args"] == {"city": "Turin"}


async def test_structured_output_of_theirs_is_filled_by_ours() -> None:
    chat = as_langchain(ScriptedModel([Summary(title="Rye", words=3)] * 2))

    assert await chat.with_structured_output(Summary).ainvoke("Summarise") == Summary(title="Rye", words=3)
    both: Any = await chat.with_structured_output(Summary, include_raw=True).ainvoke("Summarise")
    assert both["parsed"] == Summary(title="Rye", words=3)


async def test_settings_of_theirs_reach_ours_and_pictures_are_refused() -> None:
    llm = FunctionModel(lambda _: "x")
    await (
        as_langchain(llm)
        .bind(temperature=0.2, min_words=3)
        .ainvoke([SystemMessage("s"), HumanMessage("h")], stop=["E"])
    )

    assert llm.calls[0].params == Params(temperature=0.2, stop=("E",), extra={"min_words": 3})
    with pytest.raises(InvalidInput, match="'image_url' cannot be sent"):
        await as_langchain(llm).ainvoke([HumanMessage([{"type": "image_url", "image_url": "x"}])])


def test_ours_can_be_invoked_without_an_event_loop() -> None:
    assert as_langchain(ScriptedModel(["Hello"])).invoke("Hi").content == "Hello"


def test_the_doors_load_langchain_only_when_they_are_used() -> None:
    code = "import sys, collegium.models.langchain; print('langchain_core.language_models.chat_models' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "False"

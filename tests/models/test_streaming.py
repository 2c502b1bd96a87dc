"""Streams of text, calls and unfinished objects; a reader that is slow, and one that leaves."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from collegium.core.errors import BackendUnavailable, InvalidOutput, OutputRefused
from collegium.core.messages import ToolSpec, user
from collegium.models import Completion, PartialOutput, StreamEvent, TextDelta, ToolCallDelta, model
from collegium.models.backend import Backend
from collegium.models.partial import Unfinished, shown
from collegium.testing import ScriptedModel
from collegium.testing.serving import ChatServer, chunk, completion, failure, stream

ASK = [user("hello")]
ADD: ToolSpec = {"name": "add", "description": "Add.", "parameters": {"type": "object"}}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Fact(BaseModel):
    name: str
    years: list[int]


def whole(text: str, size: int = 4) -> bytes:
    pieces = [chunk({"content": text[at : at + size]}) for at in range(0, len(text), size)]
    return stream(*pieces, chunk({}, "stop"), "[DONE]")


@asynccontextmanager
async def raw_server(talk: Talk) -> AsyncGenerator[str, None]:
    """A server that is nothing but a socket."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


@asynccontextmanager
async def opened(url: str, output: Any = None) -> AsyncGenerator[AsyncGenerator[StreamEvent, None], None]:
    """A stream that is closed in the end, also when it is not read to its end."""
    llm = model(f"openai-compatible:m@{url}")
    assert isinstance(llm, Backend)
    async with aclosing(llm.stream(ASK, output=output)) as events:
        yield events


async def test_pieces_of_calls_come_as_they_are_written() -> None:
    def piece(arguments: str, **more: Any) -> dict[str, Any]:
        return chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments, **more}}]})

    data = stream(piece("", name="add"), piece('{"a"'), piece(": 1}"), chunk({}, "tool_calls"), "[DONE]")
    async with ChatServer(data) as server:
        events = [event async for event in model(f"vllm:m@{server.url}").stream(ASK, tools=[ADD])]
    assert events[:-1] == [ToolCallDelta(0, "add", ""), ToolCallDelta(0, "", '{"a"'), ToolCallDelta(0, "", ": 1}")]
    assert isinstance(events[-1], Completion)
    assert events[-1].tool_calls[0].arguments == '{"a": 1}'


async def test_an_object_is_seen_while_it_is_written_and_valid_at_the_end() -> None:
    async with ChatServer(whole('{"name": "Ada", "years": [1815, 1852]}')) as server:
        events = [e async for e in model(f"openai-compatible:m@{server.url}").stream(ASK, output=Fact)]
    values = [event.value for event in events if isinstance(event, PartialOutput)]
    assert {"name": "Ad"} in values and {"name": "Ada", "years": [1815]} in values
    assert values[-1] == {"name": "Ada", "years": [1815, 1852]}
    last = events[-1]
    assert isinstance(last, Completion)
    assert (last.output, last.rung, last.requests) == (Fact(name="Ada", years=[1815, 1852]), "json_schema", 1)
    assert server.requests[0]["response_format"]["type"] == "json_schema"


async def test_an_object_that_does_not_fit_is_repaired_in_the_same_stream() -> None:
    async with ChatServer(whole('{"name": "Ada"}'), whole('{"name": "Ada", "years": []}')) as server:
        events = [e async for e in model(f"openai-compatible:m@{server.url}").stream(ASK, output=Fact)]
    assert isinstance(events[-1], Completion)
    assert (events[-1].output.years, events[-1].requests) == ([], 2)
    async with ChatServer(whole("no")) as server:
        with pytest.raises(InvalidOutput):
            async for _ in model(f"openai-compatible:m@{server.url}").stream(ASK, output=Fact):
                pass
    assert len(server.requests) == 3


async def test_an_object_whose_stream_breaks_is_asked_for_anew_and_replaced() -> None:
    half = stream(chunk({"content": '{"name": "Half'}))
    async with ChatServer(half, completion('{"name": "Ada", "years": []}')) as server:
        events = [e async for e in model(f"openai-compatible:m@{server.url}").stream(ASK, output=Fact)]
    assert isinstance(events[-1], Completion)
    assert (events[-1].output.name, events[-1].requests) == ("Ada", 2)


async def test_a_value_that_is_no_object_and_a_lower_rung_are_streamed_too() -> None:
    async with ChatServer(whole('{"value": [1, 2, 3]}')) as server:
        events = [e async for e in model(f"openai-compatible:m@{server.url}").stream(ASK, output=list[int])]
    assert PartialOutput([1, 2, 3]) in events
    refused = failure(400, "response_format unsupported")
    called = chunk(
        {"tool_calls": [{"index": 0, "function": {"name": "Fact", "arguments": '{"name": "A", "years": []}'}}]}
    )
    async with ChatServer(refused, refused, stream(called, chunk({}, "tool_calls"))) as server:
        events = [e async for e in model(f"openai-compatible:m@{server.url}").stream(ASK, output=Fact)]
    assert isinstance(events[-1], Completion) and events[-1].rung == "tool"
    assert PartialOutput({"name": "A", "years": []}) in events


async def test_a_refusal_in_a_stream_is_told_as_one() -> None:
    async with ChatServer(stream(chunk({"refusal": "I would rather not."}), chunk({}, "stop"))) as server:
        with pytest.raises(OutputRefused, match="rather not"):
            async for _ in model(f"openai-compatible:m@{server.url}").stream(ASK, output=Fact):
                pass


async def test_a_scripted_model_streams_objects() -> None:
    events = [e async for e in ScriptedModel([Fact(name="Ada", years=[1])]).stream(ASK, output=Fact)]
    assert events[0] == PartialOutput({"name": "Ada", "years": [1]})
    assert isinstance(events[-1], Completion) and events[-1].output.name == "Ada"


@pytest.mark.parametrize("output", [None, Fact])
@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_a_reader_that_leaves_closes_the_connection(output: Any, how: str) -> None:
    gone, begun = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + stream(chunk({"content": '{"name": "for ever'})))
        while await reader.read(65_536):
            pass
        gone.set()

    async def read(url: str) -> None:
        async with opened(url, output) as events:
            async for _ in events:
                begun.set()
                if how == "closed":
                    return

    async with raw_server(talk) as url:
        reading = asyncio.create_task(read(url))
        await asyncio.wait_for(begun.wait(), 20)
        if how == "cancelled":
            reading.cancel()
        await asyncio.wait_for(gone.wait(), 20)
        assert isinstance((await asyncio.gather(reading, return_exceptions=True))[0], asyncio.CancelledError | None)


async def test_a_server_waits_for_a_slow_reader() -> None:
    full, event, written = asyncio.Event(), stream(chunk({"content": "x" * 1000})), 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(HEAD)
        while writer.transport.get_write_buffer_size() < 1_000_000:  # until the sockets between take no more
            writer.write(event)
            written += len(event)
            await asyncio.sleep(0)
        full.set()
        await reader.read()

    async with raw_server(talk) as url, opened(url) as events:
        assert isinstance(await anext(events), TextDelta)
        await asyncio.wait_for(full.wait(), 30)  # nobody reads on; a client that did would meet its limit of 64 MB
    assert written < 32_000_000


def test_all_beginnings_of_an_object_can_be_shown() -> None:
    text = json.dumps({"a": "gr\u00fc\u00df", "b": [1, {"c": None}], "d": 1.5}, ensure_ascii=False)
    unfinished, seen = Unfinished(), list[Any]()
    for letter in f"```json\n{text}":
        if part := unfinished.add(letter):
            seen.append(part.value)
    assert seen[-1] == json.loads(text)
    assert all(isinstance(value, dict) for value in seen)
    assert len(seen) > 5


async def test_what_is_shown_is_taken_one_by_one_and_an_error_comes_last() -> None:
    put = 0

    async def work(show: Any) -> Completion[Any]:
        nonlocal put
        for n in range(5):
            await show(TextDelta(str(n)))
            put += 1
        raise BackendUnavailable("m", "broke")

    events = shown(work)
    assert await anext(events) == TextDelta("0")
    assert put <= 2
    with pytest.raises(BackendUnavailable):
        async for _ in events:
            pass
    assert put == 5

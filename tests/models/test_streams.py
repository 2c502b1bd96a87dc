"""Streams put together from events, whole or odd."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.core.errors import BackendError, BackendUnavailable
from collegium.models.base import ReasoningDelta, TextDelta
from collegium.models.compatible.failures import Transient
from collegium.models.compatible.response import Reader
from collegium.models.compatible.stream import Assembly, EventSplitter, ThinkFilter
from collegium.testing.serving import chunk, stream

READER = Reader("vllm:m")


def assemble(data: bytes, size: int = 7) -> Assembly:
    """The assembly of a stream that arrives in pieces of this size."""
    splitter, assembly = EventSplitter(READER), Assembly(READER, 40)
    for start in range(0, len(data), size):
        for event in splitter.feed(data[start : start + size]):
            assembly.add(event)
    assembly.end()
    return assembly


def test_a_stream_is_the_same_however_it_is_cut() -> None:
    data = stream(chunk({"content": "gr\u00fc\u00df 🙂"}), chunk({"content": "!"}), chunk({}, "stop"), "[DONE]")
    assert {assemble(data, size).completion().text for size in (1, 2, 5, 4096)} == {"gr\u00fc\u00df 🙂!"}


def test_comments_carriage_returns_and_other_fields_are_skipped() -> None:
    data = b": hi\r\nevent: x\r\nid: 4\r\ndata: " + json.dumps(chunk({"content": "a"}, "stop")).encode() + b"\r\n\r\n"
    assert assemble(data).completion().text == "a"


def test_usage_of_the_last_event_counts() -> None:
    last: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}
    done = assemble(stream(chunk({"content": "a"}, "stop"), last, "[DONE]")).completion()
    assert (done.usage.input_tokens, done.usage.output_tokens) == (5, 6)


def test_pieces_of_two_tool_calls_are_joined_by_their_index() -> None:
    def piece(index: int, text: str, **more: Any) -> dict[str, Any]:
        return chunk({"tool_calls": [{"index": index, "function": {"arguments": text, **more}}]})

    data = stream(
        piece(0, "", name="a"),
        piece(1, "", name="b"),
        piece(0, '{"x"'),
        piece(1, "{"),
        piece(0, ":1}"),
        piece(1, "}"),
        chunk({}, "tool_calls"),
    )
    calls = assemble(data).completion().tool_calls
    assert [(call.name, call.arguments) for call in calls] == [("a", '{"x":1}'), ("b", "{}")]
    assert calls[0].call_id != calls[1].call_id


@pytest.mark.parametrize("events", [[chunk({"content": "half"})], [chunk({"content": "half"}), "[DONE]"], []])
def test_a_stream_without_a_finish_reason_is_cut_and_not_an_answer(events: list[Any]) -> None:
    with pytest.raises(Transient, match="ended before the answer was whole"):
        assemble(stream(*events)).completion()


def test_a_service_without_finish_reasons_is_believed_when_it_counts_and_ends() -> None:
    usage: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    done = assemble(stream(chunk({"content": "a"}), usage, "[DONE]")).completion()
    assert (done.text, done.finish_reason) == ("a", "other")
    with pytest.raises(Transient):
        assemble(stream(chunk({"content": "a"}), usage)).completion()


def test_broken_events_and_errors_inside_a_stream_are_failures() -> None:
    for event in ('{"choices": [', {"error": {"message": "it crashed", "code": 500}}):
        with pytest.raises(Transient):
            assemble(stream(chunk({"content": "a"}), event))
    with pytest.raises(BackendUnavailable, match="not an object"):
        assemble(stream("[1]"))


def test_an_event_or_a_stream_without_end_is_refused() -> None:
    with pytest.raises(BackendUnavailable, match="an event larger"):
        assemble(b"data: " + b"a" * 1_100_000, 65_536)
    with pytest.raises(BackendUnavailable, match="longer than 2000000 characters"):
        assemble(stream(*[chunk({"content": "a" * 500_000})] * 5), 65_536)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("<think>why</think>\n\nso", "why", "so"),
        ("<thinking>a<b</thinking>c", "a<b", "c"),
        ("<table>", "", "<table>"),
        ("no tags <think>here</think>", "", "no tags <think>here</think>"),
        ("<thi", "", "<thi"),
    ],
)
def test_thoughts_before_the_text_are_told_from_it(size: int, text: str, thought: str, said: str) -> None:
    tags = ThinkFilter()
    deltas = [d for i in range(0, len(text), size) for d in tags.feed(text[i : i + size])] + tags.flush()
    assert "".join(d.text for d in deltas if isinstance(d, ReasoningDelta)) == thought
    assert "".join(d.text for d in deltas if isinstance(d, TextDelta)).lstrip() == said


@given(st.text(alphabet="<>/think a\n", max_size=40), st.integers(1, 5))
def test_the_filter_loses_no_text(text: str, size: int) -> None:
    tags = ThinkFilter()
    deltas = [d for i in range(0, len(text), size) for d in tags.feed(text[i : i + size])] + tags.flush()
    rest = text
    for delta in deltas:
        assert delta.text in rest
        rest = rest[rest.index(delta.text) + len(delta.text) :]
    if "<think" not in text:
        assert "".join(d.text for d in deltas) == text


@given(st.binary(max_size=200))
def test_no_bytes_break_the_splitter(data: bytes) -> None:
    try:
        assemble(data, 9)
    except (BackendError, Transient):
        pass

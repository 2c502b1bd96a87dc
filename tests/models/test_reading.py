"""Odd answers of servers: each is a completion or a typed error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.core.errors import BackendError, BackendUnavailable, OutputRefused, OutputTruncated
from collegium.core.messages import ToolSpec
from collegium.models.compatible.failures import Rejection, Transient, failure_of, retry_after_s, said_in
from collegium.models.compatible.response import Reader
from collegium.testing.serving import completion, wire_call

READER = Reader("vllm:m")
ADD: ToolSpec = {"name": "add", "description": "Add.", "parameters": {"type": "object"}}


def read(data: dict[str, Any], *tools: ToolSpec) -> Any:
    return READER.read(data, 40, tools)


def test_a_plain_answer_is_read_with_its_usage() -> None:
    done = read(completion("hello"))
    assert (done.text, done.finish_reason, done.model) == ("hello", "stop", "served-name")
    assert (done.usage.input_tokens, done.usage.output_tokens, done.usage.cached_tokens) == (9, 4, 3)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": -5, "completion_tokens": "many"}, [1]])
def test_tokens_that_are_not_counted_are_estimated_and_not_zero(usage: Any) -> None:
    done = read({**completion("12345678"), "usage": usage})
    assert (done.usage.input_tokens, done.usage.output_tokens, done.usage.model_calls) == (10, 2, 1)


CONTENTS: list[tuple[Any, str]] = [
    (None, ""),
    ("", ""),
    ([{"type": "text", "text": "a"}, {"type": "thinking", "thinking": []}, {"type": "text", "text": "b"}], "ab"),
    ("<think>no</think>\n yes", "yes"),
]


@pytest.mark.parametrize(("content", "text"), CONTENTS)
def test_content_may_be_null_parts_or_follow_thoughts(content: Any, text: str) -> None:
    assert read(completion(content)).text == text


def test_reasoning_is_kept_apart_from_the_text() -> None:
    assert read(completion("yes", reasoning_content="hm")).reasoning == "hm"
    assert read(completion("<think>hm</think>yes")).reasoning == "hm"


ODD: list[Any] = [
    {},
    {"choices": None},
    {"choices": {"0": {}}},
    {"choices": []},
    {"choices": ["x"]},
    {"choices": [{}]},
    {"choices": [{"message": "x"}]},
    completion(17),
    completion("x" * 2_000_001),
    completion(None, tool_calls="add"),
    completion(None, tool_calls=[{"id": "1"}]),
    completion(None, tool_calls=[wire_call()] * 33),
    completion(None, tool_calls=[wire_call(arguments="a" * 256_001)]),
]


@pytest.mark.parametrize("data", ODD)
def test_an_answer_of_another_shape_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BackendUnavailable, match="vllm:m: the server's answer"):
        read(data)


def test_refusals_and_filters_are_errors_of_their_own() -> None:
    with pytest.raises(OutputRefused, match="I can't"):
        read(completion(None, refusal="I can't"))
    with pytest.raises(OutputRefused, match="filter"):
        read(completion("", finish="content_filter"))


def test_tool_calls_get_ids_of_their_own_and_arguments_as_text() -> None:
    calls = [wire_call(call_id="same"), wire_call(call_id="same"), wire_call(call_id=""), wire_call(arguments={"a": 2})]
    done = read(completion(None, tool_calls=calls))
    assert len({call.call_id for call in done.tool_calls}) == 4
    assert json.loads(done.tool_calls[3].arguments) == {"a": 2}
    assert done.finish_reason == "tool_calls"


def test_a_tool_call_cut_at_the_limit_is_never_handed_on() -> None:
    with pytest.raises(OutputTruncated):
        read(completion(None, finish="length", tool_calls=[wire_call(arguments='{"a"')]))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"name": "add", "arguments": {"a": 1}}', 1),
        ('```json\n{"name": "add", "arguments": {"a": 1}}\n```', 1),
        ('<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>', 1),
        ('{"name": "remove", "arguments": {"a": 1}}', 0),
        ('I would call {"name": "add", "arguments": {"a": 1}}', 0),
        ('{"name": "add", "arguments": "x"}', 0),
    ],
)
def test_a_call_written_as_text_counts_only_whole_and_for_a_tool_that_was_offered(text: str, found: int) -> None:
    assert len(read(completion(text), ADD).tool_calls) == found
    assert read(completion(text)).tool_calls == ()


@pytest.mark.parametrize("body", [b"", b"{", b"upstream error", b'{"a": "\xff\xfe"}', b"[" * 100_000, b"NaN"])
def test_a_body_that_is_not_json_may_be_asked_for_again(body: bytes) -> None:
    with pytest.raises(Transient):
        READER.loads(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "tool_calls",
                    "function",
                    "arguments",
                    "finish_reason",
                    "usage",
                    "error",
                    "name",
                    "refusal",
                    "type",
                    "text",
                    "delta",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(JSON)
def test_the_reader_never_fails_in_a_way_of_its_own(data: Any) -> None:
    try:
        done = READER.read(READER.loads(json.dumps(data).encode()), 4, [ADD])
    except (BackendError, Transient):
        return
    assert isinstance(done.text, str)


@given(st.binary(max_size=80))
def test_what_an_error_says_is_one_printable_line(body: bytes) -> None:
    said = said_in(body).message
    assert len(said) <= 301
    assert said.isprintable()


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_a_server_asks_for_is_read(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after_s(headers, now=10.0) == wait


@pytest.mark.parametrize(
    ("status", "message", "name"),
    [
        (400, "Bad request.", "BackendRejected"),
        (400, "response_format is not supported", "FormatRefused"),
        (400, "maximum context length is 4096 tokens", "PromptTooLong"),
        (401, "no", "BackendUnavailable"),
        (404, "The model does not exist", "UnknownModel"),
        (404, "Not Found", "BackendUnavailable"),
        (302, "", "BackendUnavailable"),
        (429, "slow down", "Transient"),
        (503, "loading", "Transient"),
    ],
)
def test_each_status_has_its_error(status: int, message: str, name: str) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    assert type(failure_of("m", Rejection(status, body))).__name__ == name

"""Messages that are known are neither encoded nor decoded again, and nobody notices."""

from __future__ import annotations

import gc
import random
import sqlite3
from collections.abc import Callable
from typing import Any, cast

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde import jsonplus
from langgraph.types import Overwrite

from collegium.core.errors import InvalidInput
from collegium.runs.store import checkpoints, once, pieces
from collegium.runs.store.checkpoints import Blob, Key
from collegium.runs.store.schema import open_memory
from collegium.runs.store.serde import StrictSerializer


class Foreign(HumanMessage):
    """A class that no schema names."""


def conversation() -> list[BaseMessage]:
    call = {"name": "search", "args": {"query": "tides", "limits": [1, 2]}, "id": "c1", "type": "tool_call"}
    return [
        HumanMessage("When is the tide?", id="1"),
        AIMessage("", id="2", tool_calls=[cast("Any", call)], additional_kwargs={"trace": {"depth": 1}}),
        ToolMessage("At noon.", tool_call_id="c1", id="3"),
        AIMessage("At noon.", id="4", usage_metadata={"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}),
    ]


def test_the_bytes_are_those_of_langgraph_however_often_they_are_made() -> None:
    serde, messages = StrictSerializer([Overwrite]), conversation()
    for value in (messages, messages[:1], Overwrite(messages), {"messages": Overwrite(messages)}, messages * 20):
        expected = jsonplus.JsonPlusSerializer().dumps_typed(value)
        assert serde.dumps_typed(value) == expected
        assert serde.dumps_typed(value) == expected
        assert serde.loads_typed(expected) == value


def test_what_is_done_to_a_message_that_was_read_reaches_no_other_reader() -> None:
    serde = StrictSerializer()
    stored = serde.dumps_typed(conversation())
    first = serde.loads_typed(stored)
    first[1].tool_calls[0]["args"]["limits"].append(3)
    first[1].additional_kwargs["trace"]["depth"] = 2
    first[0].content = "changed"
    del first[3:]

    assert serde.loads_typed(stored) == conversation()
    assert serde.loads_typed(stored)[0] is not serde.loads_typed(stored)[0]


@pytest.mark.parametrize("on", [True, False])
def test_reading_leaves_the_garbage_collector_as_it_was(on: bool) -> None:
    serializer = StrictSerializer()
    stored = serializer.dumps_typed(conversation())
    try:
        (gc.enable if on else gc.disable)()
        serializer.loads_typed(stored)
        assert gc.isenabled() is on
    finally:
        gc.enable()


def test_a_message_that_was_changed_in_place_is_stored_as_it_is_now() -> None:
    serde, messages = StrictSerializer(), conversation()
    serde.dumps_typed(messages)
    cast("AIMessage", messages[1]).tool_calls[0]["args"]["limits"].append(3)
    messages[0].content = "changed"

    assert serde.loads_typed(serde.dumps_typed(messages)) == messages


def test_two_messages_of_one_id_are_told_apart() -> None:
    serde = StrictSerializer()
    before, after = [HumanMessage("before", id="1")] * 2, [HumanMessage("after", id="1")] * 2
    stored = [serde.dumps_typed(before), serde.dumps_typed(after), serde.dumps_typed(before)]

    assert [serde.loads_typed(one) for one in stored] == [before, after, before]


def test_a_message_that_decoding_would_change_is_decoded_each_time() -> None:
    serde, messages = StrictSerializer(), conversation()
    messages[3].additional_kwargs["tool_calls"] = [
        {"id": "c2", "type": "function", "function": {"name": "pay", "arguments": "{}"}}
    ]
    stored = serde.dumps_typed(messages)

    assert serde.loads_typed(stored) == jsonplus.JsonPlusSerializer().loads_typed(stored)


def test_a_list_that_holds_more_than_messages_is_stored_as_it_is() -> None:
    serde = StrictSerializer()
    value = [*conversation(), {"role": "user"}, HumanMessage("without an id")]

    assert serde.loads_typed(serde.dumps_typed(value)) == value


@pytest.mark.parametrize("wrap", [list, Overwrite, tuple])
def test_a_message_of_a_class_that_is_not_listed_is_refused(wrap: Callable[[list[Any]], Any]) -> None:
    with pytest.raises(InvalidInput, match="Foreign"):
        StrictSerializer([Overwrite]).dumps_typed(wrap([Foreign(content="hello", id="1")]))


def test_old_messages_are_forgotten_and_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "ROOM", 5_000)
    serde = StrictSerializer()
    lists = [[HumanMessage("x" * 100, id=f"{i}-{j}") for j in range(10)] for i in range(20)]
    stored = [serde.dumps_typed(messages) for messages in lists]

    assert [serde.loads_typed(one) for one in stored] == lists
    assert [serde.dumps_typed(messages) for messages in lists] == stored


@pytest.fixture
def conn() -> sqlite3.Connection:
    return open_memory()


def grow(conn: sqlite3.Connection, version: int, data: bytes) -> None:
    key = Key("t", "", f"{version:04}")
    checkpoints.put(conn, key, None, None, ormsgpack.packb(1), [Blob("list", version, ("msgpack", data))])


def value(conn: sqlite3.Connection, version: int) -> bytes:
    return checkpoints.values(conn, "t", "", [("list", version)])["list"][1]


def test_a_list_that_grew_is_stored_whole_when_what_it_shares_was_removed(conn: sqlite3.Connection) -> None:
    data = random.Random(1).randbytes(300_000)
    grow(conn, 1, data)
    checkpoints.delete_thread(conn, "t")
    grow(conn, 2, data + b"more")
    pieces._memory = pieces.Memory(0)  # pyright: ignore[reportPrivateUsage]  # as after a restart

    assert value(conn, 2) == data + b"more"


def test_a_list_that_grew_is_stored_whole_when_the_step_before_it_was_taken_back(conn: sqlite3.Connection) -> None:
    data = random.Random(2).randbytes(300_000)
    conn.execute("BEGIN")
    grow(conn, 1, data)
    conn.execute("ROLLBACK")
    grow(conn, 2, data + b"more")
    pieces._memory = pieces.Memory(0)  # pyright: ignore[reportPrivateUsage]  # as after a restart

    assert value(conn, 2) == data + b"more"


@pytest.mark.parametrize("length", [4_000, 130_000, 3_000_000])
def test_lists_that_grow_shrink_and_change_come_back_as_they_were(conn: sqlite3.Connection, length: int) -> None:
    draw = random.Random(length)
    data = draw.randbytes(length)
    values = [data, data + draw.randbytes(5_000), data[: length // 2], b"\0" + data[1:], data[:-1] + b"\0", data]
    for version, one in enumerate(values):
        grow(conn, version, one)
        assert value(conn, version) == one
    pieces._memory = pieces.Memory(0)  # pyright: ignore[reportPrivateUsage]  # as after a restart

    assert [value(conn, version) for version in range(len(values))] == values

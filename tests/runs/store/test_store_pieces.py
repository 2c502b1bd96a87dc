"""Large values are kept in pieces that they share."""

from __future__ import annotations

import operator
import random
import sqlite3
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from collegium.core.errors import CorruptState
from collegium.runs.store import Store, pieces
from collegium.runs.store.saver import StoreSaver
from collegium.runs.store.schema import open_memory


@pytest.fixture
def conn() -> sqlite3.Connection:
    return open_memory()


def sizes(conn: sqlite3.Connection) -> tuple[int, int]:
    count, total = conn.execute("SELECT count(*), coalesce(sum(length(data)), 0) FROM piece").fetchone()
    return count, total


@pytest.mark.parametrize("length", [0, 1, 3968, 3969, 50_000, 3_000_000])
def test_a_value_of_any_length_comes_back_as_it_was(conn: sqlite3.Connection, length: int) -> None:
    value = ("msgpack", random.Random(length).randbytes(length))
    row = pieces.cut(conn, "t", value)
    assert len(row[1]) <= max(2 * pieces.SIZE, 2 * pieces.NAMES_SIZE)
    assert pieces.joined(conn, "t", row, "it") == value


def test_what_is_added_at_the_end_costs_about_what_was_added(conn: sqlite3.Connection) -> None:
    data = random.Random(1).randbytes(1_000_000)
    pieces.cut(conn, "t", ("msgpack", data))
    _, before = sizes(conn)
    pieces.cut(conn, "t", ("msgpack", data + b"x" * 1000))
    _, after = sizes(conn)
    assert after - before < 1000 + pieces.SIZE + 4 * pieces.NAMES_SIZE


def test_two_threads_share_nothing(conn: sqlite3.Connection) -> None:
    value = ("msgpack", random.Random(2).randbytes(10_000))
    row = pieces.cut(conn, "a", value)
    with pytest.raises(CorruptState, match="a piece of the value is missing"):
        pieces.joined(conn, "b", row, "it")


@pytest.mark.parametrize("how", ["UPDATE piece SET data = zeroblob(length(data))", "DELETE FROM piece"])
def test_a_piece_that_changed_or_vanished_is_named(conn: sqlite3.Connection, how: str) -> None:
    row = pieces.cut(conn, "t", ("msgpack", random.Random(3).randbytes(10_000)))
    conn.execute(how)
    with pytest.raises(CorruptState, match="the channel of it"):
        pieces.joined(conn, "t", row, "the channel of it")


class Lines(TypedDict):
    lines: Annotated[list[str], operator.add]


async def long_thread(store: Store, thread_id: str, turns: int) -> Any:
    graph: Any = StateGraph(Lines)
    graph.add_node("add", lambda state: {"lines": ["z" * 500]})  # pyright: ignore[reportUnknownLambdaType]
    graph.add_edge(START, "add")
    app = graph.compile(checkpointer=StoreSaver(store))
    config = {"configurable": {"thread_id": thread_id}}
    for turn in range(turns):
        await app.ainvoke({"lines": [f"{turn} " + "y" * 1000]}, config)
    return await app.aget_state(config)


async def test_a_list_grows_the_store_by_what_it_grew_by_and_not_by_its_square(store: Store) -> None:
    async def size() -> int:
        return await store.read(lambda conn: sum(_total(conn, table) for table in ("piece", "blob", "pending_write")))

    await long_thread(store, "t", 50)
    first = await size()
    state = await long_thread(store, "t", 50)
    assert len(state.values["lines"]) == 200
    assert await size() < 2.5 * first


def _total(conn: sqlite3.Connection, table: str) -> int:
    return int(conn.execute(f"SELECT coalesce(sum(length(data)), 0) FROM {table}").fetchone()[0])


async def test_pruning_copying_and_deleting_take_the_pieces_along(store: Store) -> None:
    saver = StoreSaver(store)
    state = await long_thread(store, "t", 30)
    before = (await store.read(sizes))[1]
    await saver.aprune(["t"])
    pruned = (await store.read(sizes))[1]
    assert pruned < before

    await saver.acopy_thread("t", "u")
    await saver.adelete_thread("t")
    assert (await store.read(sizes))[1] == pruned
    assert (await long_thread(store, "u", 0)).values == state.values

    await saver.adelete_thread("u")
    assert await store.read(sizes) == (0, 0)

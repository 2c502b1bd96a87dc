import asyncio
import operator
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from collegium.core.errors import CorruptState, Fenced, InvalidInput, StoreUnavailable
from collegium.runs.store import RunRow, Store, runs, workers
from collegium.runs.store.saver import StoreSaver
from collegium.runs.store.serde import StrictSerializer

RunMaker = Callable[..., RunRow]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Draft(BaseModel):
    text: str


class Letter(TypedDict):
    body: str
    lines: Annotated[list[str], operator.add]


def config(thread_id: str = "t", **more: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, **more}}


async def write_line(state: Letter) -> dict[str, Any]:
    return {"lines": [f"line {len(state['lines']) + 1} " + "x" * 200]}


async def ask(state: Letter) -> dict[str, Any]:
    return {"body": interrupt("which body?")}


def letter_graph(saver: BaseCheckpointSaver[Any]) -> Any:
    graph: Any = StateGraph(Letter)
    graph.add_node("one", write_line)
    graph.add_node("two", write_line)
    graph.add_node("ask", ask)
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    graph.add_edge("two", "ask")
    graph.add_edge("ask", END)
    return graph.compile(checkpointer=saver)


async def claimed(store: Store, row: RunRow) -> int:
    def admit(conn: sqlite3.Connection) -> int | None:
        conn.execute("DELETE FROM worker")
        workers.register(conn, workers.this_worker("w", NOW))
        runs.admit(conn, row)
        return runs.claim(conn, row.run_id, "w", NOW)

    epoch = await store.write(admit)
    assert epoch is not None
    return epoch


def take_over(conn: sqlite3.Connection, run_id: str, epoch: int) -> None:
    runs.requeue(conn, run_id, epoch, now=NOW)
    assert runs.claim(conn, run_id, "w", NOW) == epoch + 1


@pytest.mark.parametrize("kind", ["file", "memory", "own serialiser"])
async def test_langgraphs_conformance_suite_passes_in_every_capability(tmp_path: Path, kind: str) -> None:
    @checkpointer_test(name=f"StoreSaver: {kind}")
    async def fresh_saver() -> AsyncGenerator[BaseCheckpointSaver[int], None]:
        store = Store("sqlite://:memory:" if kind == "memory" else f"sqlite:///{tmp_path / 'store.db'}")
        await store.open()
        yield StoreSaver(store, serde=BaseCheckpointSaver[int]().serde if kind == "own serialiser" else None)
        await store.close()

    report = await validate(fresh_saver)

    failures = {name: result.failures for name, result in report.results.items() if not result.passed}
    assert failures == {}
    assert len(report.results) == 8


async def test_a_graph_pauses_and_goes_on_with_another_saver_on_the_same_file(path: Path) -> None:
    first = Store(str(path))
    await first.open()
    paused = await letter_graph(StoreSaver(first)).ainvoke({"body": "", "lines": []}, config(), durability="sync")
    await first.close()
    second = Store(str(path))
    await second.open()

    done = await letter_graph(StoreSaver(second)).ainvoke(Command(resume="dear Ada"), config(), durability="sync")

    await second.close()
    assert paused["__interrupt__"][0].value == "which body?"
    assert (done["body"], len(done["lines"])) == ("dear Ada", 2)


async def test_each_value_is_stored_once_however_many_checkpoints_hold_it(store: Store) -> None:
    await letter_graph(StoreSaver(store)).ainvoke({"body": "b" * 5000, "lines": []}, config(), durability="sync")

    stored = await store.read(
        lambda conn: conn.execute("SELECT channel, count(*) FROM blob GROUP BY channel ORDER BY channel").fetchall()
    )

    checkpoints = await store.read(lambda conn: conn.execute("SELECT count(*) FROM checkpoint").fetchone())
    assert checkpoints == (4,)
    assert stored == [("__start__", 1), ("body", 1), ("lines", 3)]


async def test_a_sync_graph_works_and_other_threads_may_read_the_state(store: Store) -> None:
    graph = letter_graph(StoreSaver(store))
    await graph.ainvoke({"body": "", "lines": []}, config(), durability="sync")

    snapshot = await asyncio.to_thread(graph.get_state, config())
    history = await asyncio.to_thread(lambda: list(graph.get_state_history(config())))

    assert snapshot.next == ("ask",)
    assert [len(entry.values.get("lines", [])) for entry in history] == [2, 1, 0, 0]
    assert graph.get_state(config()).values == snapshot.values


async def test_a_fresh_run_starts_from_nothing_and_a_plain_one_from_its_thread(store: Store, run_row: RunMaker) -> None:
    saver = StoreSaver(store)
    epoch = await claimed(store, run_row("run-0", thread_id="t"))
    await letter_graph(saver.scoped("run-0", epoch, fresh=True)).ainvoke(
        {"body": "", "lines": ["of run 0"]}, config(), durability="sync"
    )
    await store.write(lambda conn: runs.finish(conn, "run-0", epoch, "done", now=NOW))
    second = await claimed(store, run_row("run-1", thread_id="t"))

    fresh = saver.scoped("run-1", second, fresh=True)
    plain = saver.scoped("run-1", second, fresh=False)

    assert await fresh.aget_tuple(config()) is None
    assert [entry async for entry in fresh.alist(config())] == []
    seen = await plain.aget_tuple(config())
    assert seen is not None
    assert seen.checkpoint["channel_values"]["lines"][0] == "of run 0"
    result = await letter_graph(fresh).ainvoke({"body": "", "lines": []}, config(), durability="sync")
    assert len(result["lines"]) == 2
    assert len([entry async for entry in saver.alist(config())]) == 8


async def test_a_run_that_changed_hands_can_store_neither_writes_nor_checkpoints(
    store: Store, run_row: RunMaker
) -> None:
    epoch = await claimed(store, run_row("run-0", thread_id="t"))
    view = StoreSaver(store).scoped("run-0", epoch, fresh=True)
    graph = letter_graph(view)
    await graph.ainvoke({"body": "", "lines": []}, config(), durability="sync")
    before = await store.read(lambda conn: list(conn.iterdump()))
    await store.write(lambda conn: take_over(conn, "run-0", epoch))
    owned = await store.read(lambda conn: list(conn.iterdump()))

    with pytest.raises(Fenced):
        await graph.ainvoke(Command(resume="late"), config(), durability="sync")
    await store.flush()

    assert await store.read(lambda conn: list(conn.iterdump())) == owned
    assert before != owned


async def test_a_write_refused_by_the_fence_is_told_at_the_next_checkpoint(store: Store, run_row: RunMaker) -> None:
    epoch = await claimed(store, run_row("run-0", thread_id="t"))
    saver = StoreSaver(store).scoped("run-0", epoch, fresh=True)
    graph = letter_graph(saver)
    await graph.ainvoke({"body": "", "lines": []}, config(), durability="sync")
    newest = await saver.aget_tuple(config())
    assert newest is not None
    await store.write(lambda conn: take_over(conn, "run-0", epoch))

    await saver.aput_writes(newest.config, [("body", "late")], "task-1")

    with pytest.raises(Fenced):
        await saver.aput(newest.config, newest.checkpoint, {}, {})


async def test_a_type_that_no_schema_names_is_refused_when_the_state_is_saved(store: Store) -> None:
    class Loose(TypedDict):
        anything: Any

    def put_draft(state: Loose) -> Loose:
        return {"anything": Draft(text="a")}

    graph: Any = StateGraph(Loose)
    graph.add_node("put", put_draft)
    graph.add_edge(START, "put")

    with pytest.raises(InvalidInput, match="Draft"):
        await graph.compile(checkpointer=StoreSaver(store)).ainvoke({"anything": 1}, config(), durability="sync")

    listed = StoreSaver(store, serde=StrictSerializer([Draft]))
    result = await graph.compile(checkpointer=listed).ainvoke({"anything": 1}, config("u"), durability="sync")
    assert result == {"anything": Draft(text="a")}
    assert (await graph.compile(checkpointer=listed).aget_state(config("u"))).values == result


@pytest.mark.parametrize(
    ("table", "column"),
    [("checkpoint", "body"), ("blob", "data"), ("pending_write", "data"), ("checkpoint", "parent_id")],
)
async def test_a_flipped_bit_is_seen_wherever_it_lies(store: Store, table: str, column: str) -> None:
    saver = StoreSaver(store)
    await letter_graph(saver).ainvoke({"body": "", "lines": []}, config(), durability="sync")
    whole = await store.read(lambda conn: first(conn, table, column))
    size = len(whole[column])

    for position in range(0, size, max(1, size // 25)):
        await store.write(partial(put, table=table, row={**whole, column: flipped(whole[column], position)}))
        with pytest.raises(CorruptState, match="damaged"):
            _ = [entry async for entry in saver.alist(config())]
        await store.write(lambda conn: put(conn, table, whole))
        assert len([entry async for entry in saver.alist(config())]) == 4


def flipped(value: str | bytes, position: int) -> str | bytes:
    """The value with one bit changed."""
    data = bytearray(value.encode() if isinstance(value, str) else value)
    data[position] ^= 1
    return data.decode() if isinstance(value, str) else bytes(data)


def first(conn: sqlite3.Connection, table: str, column: str) -> dict[str, Any]:
    """The first row of a table with a long value in a column."""
    cursor = conn.execute(f"SELECT * FROM {table} WHERE length({column}) > 20 LIMIT 1")
    return dict(zip([name for name, *_ in cursor.description], cursor.fetchone(), strict=True))


def put(conn: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    conn.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", list(row.values()))


async def test_a_value_that_vanished_is_named(store: Store) -> None:
    saver = StoreSaver(store)
    await letter_graph(saver).ainvoke({"body": "", "lines": []}, config(), durability="sync")
    await store.write(lambda conn: conn.execute("DELETE FROM blob WHERE channel='lines'").rowcount)

    with pytest.raises(CorruptState, match="channel 'lines'"):
        await saver.aget_tuple(config())


async def test_nested_graphs_pause_and_go_on_in_their_own_namespaces(store: Store, run_row: RunMaker) -> None:
    inner: Any = StateGraph(Letter)
    inner.add_node("ask", ask)
    inner.add_edge(START, "ask")
    outer: Any = StateGraph(Letter)
    outer.add_node("inner", inner.compile())
    outer.add_node("after", write_line)
    outer.add_edge(START, "inner")
    outer.add_edge("inner", "after")
    epoch = await claimed(store, run_row("run-0", thread_id="t"))
    graph = outer.compile(checkpointer=StoreSaver(store).scoped("run-0", epoch, fresh=True))
    await graph.ainvoke({"body": "", "lines": []}, config(), durability="sync")

    state = await graph.aget_state(config(), subgraphs=True)
    done = await graph.ainvoke(Command(resume="from inside"), config(), durability="sync")

    assert state.tasks[0].state.tasks[0].interrupts[0].value == "which body?"
    assert (done["body"], len(done["lines"])) == ("from inside", 1)


def extend(before: list[str], updates: Sequence[list[str]]) -> list[str]:
    return [*before, *(line for update in updates for line in update)]


class Chat(TypedDict):
    turns: int
    lines: Annotated[list[str], DeltaChannel(extend, snapshot_frequency=20)]


async def speak(state: Chat) -> Command[str]:
    done = state["turns"] >= 49
    update = {"turns": state["turns"] + 1, "lines": [f"turn {state['turns']} " + "x" * 300]}
    return Command(update=update, goto=END if done else "speak")


async def test_a_growing_list_is_stored_as_changes_and_rebuilt_also_after_pruning(store: Store) -> None:
    builder: Any = StateGraph(Chat)
    builder.add_node("speak", speak, destinations=("speak", END))
    builder.add_edge(START, "speak")
    saver = StoreSaver(store)
    graph = builder.compile(checkpointer=saver)
    settings = {**config(), "recursion_limit": 100}

    done = await graph.ainvoke({"turns": 0, "lines": []}, settings, durability="sync")
    whole = (await graph.aget_state(config())).values
    size = (await store.read(lambda conn: conn.execute("SELECT sum(length(data)) FROM blob").fetchone()))[0]
    await saver.aprune(["t"])
    kept = [entry async for entry in saver.alist(config())]

    assert len(done["lines"]) == 50
    assert whole == done
    assert size < 50 * 330 * 3  # a whole list in each checkpoint would be 25 times the last one
    assert 1 < len(kept) < 30
    assert (await graph.aget_state(config())).values == done


async def test_pruning_frees_the_values_that_no_checkpoint_needs(store: Store) -> None:
    saver = StoreSaver(store)
    graph = letter_graph(saver)
    await graph.ainvoke({"body": "b" * 100, "lines": []}, config(), durability="sync")
    before = (await graph.aget_state(config())).values

    await saver.aprune(["t"])

    blobs = await store.read(lambda conn: conn.execute("SELECT channel FROM blob ORDER BY channel").fetchall())
    assert blobs == [("body",), ("lines",)]
    assert (await graph.aget_state(config())).values == before


async def test_deleting_a_run_leaves_the_other_runs_of_its_thread_whole(store: Store, run_row: RunMaker) -> None:
    saver = StoreSaver(store)
    for number in range(2):
        epoch = await claimed(store, run_row(f"run-{number}", thread_id="t"))
        await letter_graph(saver.scoped(f"run-{number}", epoch, fresh=True)).ainvoke(
            {"body": "", "lines": []}, config(), durability="sync"
        )
        await store.write(partial(runs.finish, run_id=f"run-{number}", epoch=epoch, status="done", now=NOW))

    await saver.adelete_for_runs(["run-0"])

    assert len([entry async for entry in saver.alist(config())]) == 4


async def test_a_store_that_is_closed_says_so(path: Path) -> None:
    store = Store(str(path))
    await store.open()
    saver = StoreSaver(store)
    await store.close()

    with pytest.raises(StoreUnavailable, match="not open"):
        await saver.aget_tuple(config())


def test_versions_grow_and_two_forks_never_share_one(path: Path) -> None:
    saver = StoreSaver(Store(str(path)))
    first = saver.get_next_version(None, None)

    children = [saver.get_next_version(first, None) for _ in range(100)]

    assert all(first < child < saver.get_next_version(child, None) for child in children)
    assert len(set(children)) == 100

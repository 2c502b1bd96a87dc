"""A run's input and the channels that it fills share their pieces."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ormsgpack
import pytest

from collegium import END, START, Graph, Runner, State
from collegium.core.errors import CorruptState
from collegium.runs import Approve, ask, question
from collegium.runs.store import RunRow, Store, given, pieces, runs
from collegium.runs.store.examining import examine
from collegium.runs.store.saver import StoreSaver
from collegium.runs.store.schema import open_memory

RunMaker = Callable[..., RunRow]

LONG = random.Random(1).randbytes(20_000).hex()


@pytest.fixture
def conn() -> sqlite3.Connection:
    return open_memory()


class Draft(State):
    text: str


def drafts() -> Graph[Draft]:
    graph = Graph(Draft, name="drafts")

    async def approve(text: str) -> dict[str, Any]:
        ask([question("send", "review", {"what": "send"}, ["approve", "reject"])])
        return {}

    graph.add_node("approve", approve, writes=())
    graph.add_edge(START, "approve")
    graph.add_edge("approve", END)
    return graph


async def waiting_run(path: Path) -> str:
    async with Runner(f"sqlite:///{path}", graphs=[drafts()], serve=False) as runner:
        run = await runner.start("drafts", {"text": LONG})
        await run.wait()
        return run.run_id


def pieces_in(path: Path) -> int:
    connection = sqlite3.connect(path)
    (total,) = connection.execute("SELECT coalesce(sum(length(data)), 0) FROM piece").fetchone()
    connection.close()
    return int(total)


def packed(values: Any) -> bytes:
    return ormsgpack.packb(values, option=ormsgpack.OPT_NON_STR_KEYS)


INPUTS: list[Any] = [
    {},
    {"text": "short"},
    {"text": LONG},
    {"a": 1, "text": LONG, "b": [LONG, LONG], "c": None},
    {f"field {number}": LONG[number : number + 5000] for number in range(20)},
    {"text": ormsgpack.Ext(5, LONG.encode())},
    {"numbers": list(range(5000)), 3: {"deep": {"deeper": LONG}}},
    LONG,
    [LONG],
]


@pytest.mark.parametrize("values", INPUTS, ids=range(len(INPUTS)))
def test_an_input_of_any_form_comes_back_as_it_was(conn: sqlite3.Connection, run_row: RunMaker, values: object) -> None:
    admitted = runs.admit(conn, run_row(input=packed(values)))
    stored = runs.get(conn, "run-0")
    assert len(stored.input) <= 2 * pieces.SIZE
    assert given.whole(conn, stored) == given.whole(conn, admitted) == packed(values)


def test_bytes_that_are_no_msgpack_come_back_too(conn: sqlite3.Connection, run_row: RunMaker) -> None:
    for first in (0x81, 0x92, 0xC1, 0xDE, 0xDF, 0x07):
        data = bytes((first,)) + random.Random(first).randbytes(50_000)
        row = runs.admit(conn, run_row(f"run-{first}", input=data))
        assert given.whole(conn, runs.get(conn, row.run_id)) == data


def test_a_large_field_is_stored_once_for_the_input_and_its_channel(conn: sqlite3.Connection) -> None:
    pieces.cut(conn, "t", ("msgpack", packed({"at": 7, "text": LONG})), fields=True)
    (before,) = conn.execute("SELECT count(*) FROM piece").fetchone()
    pieces.cut(conn, "t", ("msgpack", packed(LONG)))
    (after,) = conn.execute("SELECT count(*) FROM piece").fetchone()
    assert after - before <= 2  # the channel's names are cut at other places


async def test_a_waiting_run_holds_its_input_once(tmp_path: Path) -> None:
    await waiting_run(tmp_path / "runs.db")
    assert pieces_in(tmp_path / "runs.db") < 1.1 * len(LONG)


async def test_a_deleted_thread_leaves_its_runs_what_they_were_started_with(store: Store, run_row: RunMaker) -> None:
    row = run_row(input=packed({"text": LONG}))
    await store.write(lambda conn: runs.admit(conn, row))
    await StoreSaver(store).adelete_thread(row.thread_id)
    kept = await store.read(lambda conn: given.whole(conn, runs.get(conn, "run-0")))
    assert kept == row.input


async def test_pruning_takes_the_input_along(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    run_id = await waiting_run(path)
    async with Runner(f"sqlite:///{path}", graphs=[drafts()], serve=False) as runner:
        (approval,) = await runner.inbox()
        run = await runner.answer(approval.approval_id, Approve(by="ada"))
        assert (run.run_id, run.status) == (run_id, "done")
        await runner.prune(keep=0)
    assert pieces_in(path) == 0


async def test_doctor_saves_the_input_whole(tmp_path: Path, run_row: RunMaker) -> None:
    row = run_row(input=packed({"text": LONG}))
    store = Store(str(tmp_path / "runs.db"))
    await store.open()
    await store.write(lambda conn: runs.admit(conn, row))
    await store.close()

    lines = examine(tmp_path / "runs.db").lines

    assert [line["input"] for line in lines if line["record"] == "run"] == [row.input]


async def test_doctor_names_a_run_whose_input_lost_a_piece(tmp_path: Path, run_row: RunMaker) -> None:
    path = tmp_path / "runs.db"
    store = Store(str(path))
    await store.open()
    await store.write(lambda conn: runs.admit(conn, run_row(input=packed({"text": LONG}))))
    await store.close()
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM piece WHERE rowid = 3")
    connection.commit()
    connection.close()

    found = examine(path)

    assert list(found.damaged) == ["run-0"]
    assert "a piece of the value is missing" in json.dumps(found.damaged)
    reader = sqlite3.connect(path)
    with pytest.raises(CorruptState, match="input of run run-0"):
        given.whole(reader, runs.get(reader, "run-0"))
    reader.close()

"""Tags and metadata: what runs are found by."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from functools import cache
from itertools import combinations
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from collegium.core.errors import InvalidInput, UnknownRun
from collegium.runs import MEMORY, Run, Runner
from collegium.runs.store import RunRow, runs
from collegium.runs.store.schema import open_memory


class Note(TypedDict, total=False):
    text: str


async def write(state: Note) -> Note:
    return {"text": "written"}


def notes() -> Any:
    graph: Any = StateGraph(Note)
    graph.add_node("write", write)
    graph.add_edge(START, "write")
    return graph


def ids(found: list[Run[None]]) -> list[str]:
    return [run.run_id for run in found]


@pytest.mark.parametrize("memory", [False, True])
async def test_a_run_keeps_its_tags_and_metadata_and_is_found_by_them(url: str, memory: bool) -> None:
    graph = notes()
    async with Runner(MEMORY if memory else url, graphs=[graph]) as runner:
        given = {"tenant": "acme", "try": 2, "dry": False, "rate": 0.5, "shape": {"rows": [1, 2]}, "none": None}
        run = await (await runner.start(graph, {}, tags=["nightly", "eu", "nightly"], metadata=given)).wait()
        other = await (await runner.start(graph, {}, tags=["nightly"], metadata={"tenant": "zeta"})).wait()

        assert (run.tags, run.metadata) == (("nightly", "eu"), given)
        assert ids(await runner.runs(tags=["nightly"])) == [other.run_id, run.run_id]
        assert ids(await runner.runs(tags=["nightly", "eu"])) == [run.run_id]
        assert ids(await runner.runs(metadata={"tenant": "acme", "try": 2, "dry": False, "rate": 0.5})) == [run.run_id]
        assert ids(await runner.runs(tags=["nightly"], metadata={"tenant": "zeta"}, status="done")) == [other.run_id]
        assert ids(await runner.runs(tags=["nightly"], before=other.run_id)) == [run.run_id]
        assert ids(await runner.runs(tags=["eu"], thread_id=other.thread_id)) == []
        assert await runner.runs(metadata={"try": "2"}) == []
        assert await runner.runs(tags=["tenant"]) == []


async def test_a_tag_is_not_taken_for_metadata_nor_text_for_numbers(url: str) -> None:
    graph = notes()
    async with Runner(url, graphs=[graph]) as runner:
        await runner.start(graph, {}, tags=['"acme"'], metadata={"n": "1", "b": "true"})

        assert await runner.runs(metadata={"n": 1}) == []
        assert await runner.runs(metadata={"b": True}) == []
        assert len(await runner.runs(metadata={"n": "1", "b": "true"}, tags=['"acme"'])) == 1


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"tags": [""]}, "tags: a tag is empty"),
        ({"tags": ["  "]}, "tags: a tag is empty"),
        ({"tags": ["x" * 201]}, "tags: a tag has 201 characters; 200"),
        ({"tags": [f"t{n}" for n in range(51)]}, "51 tags are too many"),
        ({"tags": "nightly"}, r"\['nightly'\]"),
        ({"tags": [7]}, "must be text, not 7"),
        ({"tags": ["\ud800"]}, "not valid Unicode"),
        ({"metadata": {"": 1}}, "metadata: a key is empty"),
        ({"metadata": {7: 1}}, "must be text, not 7"),
        ({"metadata": {"k" * 201: 1}}, "a key has 201 characters"),
        ({"metadata": {"who": {1, 2}}}, "metadata.who: {1, 2} is not JSON"),
        ({"metadata": {"rate": float("nan")}}, "metadata.rate: nan is not JSON"),
        ({"metadata": {"big": "x" * 20_000}}, "16,384 are the most"),
        ({"timeout_s": 0}, "timeout_s: 0 is not a number of seconds above 0"),
        ({"timeout_s": float("inf")}, "timeout_s: inf"),
        ({"on_busy": "interrupt"}, "not one of reject, enqueue. In its place: cancel the unfinished run first"),
        ({"on_busy": "rollback"}, "not one of reject, enqueue. In its place: cancel"),
        ({"on_busy": "queue"}, "'queue' is not one of reject, enqueue"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name_and_nothing_is_stored(
    url: str, given: dict[str, Any], named: str
) -> None:
    graph = notes()
    async with Runner(url, graphs=[graph]) as runner:
        with pytest.raises(InvalidInput, match=named):
            await runner.start(graph, {}, **given)
        assert await runner.runs() == []


async def test_runs_are_not_looked_for_by_what_no_run_is_found_by(url: str) -> None:
    async with Runner(url) as runner:
        with pytest.raises(InvalidInput, match="metadata.shape: runs are found by text"):
            await runner.runs(metadata={"shape": {}})
        with pytest.raises(UnknownRun, match="run-none"):
            await runner.runs(before="run-none")


async def test_labels_go_with_a_run_that_is_forgotten(url: str) -> None:
    graph = notes()
    async with Runner(url, graphs=[graph]) as runner:
        for number in range(3):
            await (await runner.start(graph, {}, tags=["t"], metadata={"n": number})).wait()

        await runner.store.write(lambda conn: runs.forget(conn, "th", keep=1))

        labels = await runner.store.read(lambda conn: conn.execute("SELECT name, value FROM run_label").fetchall())
        assert sorted(labels) == [("", "t"), ("n", "2")]


FILTERS: dict[str, Any] = {
    "status": "queued",
    "thread_id": "t77",
    "graph": "even",
    "tags": ["all", "even"],
    "metadata": {"tenant": "c6", "half": 0},
    "before": "r9000",
}


@cache
def ten_thousand() -> sqlite3.Connection:
    conn, now = open_memory(), datetime(2030, 1, 1, tzinfo=UTC)
    conn.execute("BEGIN")
    for n in range(10_000):
        half = n % 2
        row = RunRow(
            run_id=f"r{n}",
            thread_id=f"t{n}",
            graph=("even", "odd")[half],
            version="1",
            fingerprint="f",
            input=b"",
            created_at=now,
            updated_at=now,
            tags=("all", ("even", "odd")[half]),
            metadata={"tenant": f"c{n % 100}", "half": half},
        )
        runs.admit(conn, row)
    conn.execute("COMMIT")
    return conn


COMBINED = [names for size in range(1, len(FILTERS) + 1) for names in combinations(FILTERS, size)]


@pytest.mark.parametrize("names", COMBINED, ids="-".join)
def test_every_filter_reads_one_page_from_an_index(names: tuple[str, ...]) -> None:
    conn, seen = ten_thousand(), list[str]()
    conn.set_trace_callback(seen.append)
    found = runs.listing(conn, **{name: FILTERS[name] for name in names}, limit=20)
    conn.set_trace_callback(None)

    plan = [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {seen[-1]}")]

    assert plan
    assert [line for line in plan if line.startswith("SCAN") or "TEMP B-TREE" in line] == []
    assert len(found) <= 20
    numbers = [int(row.run_id[1:]) for row in found]
    assert numbers == sorted(numbers, reverse=True)
    if "metadata" in names and "thread_id" not in names:
        assert numbers[0] == (8906 if "before" in names else 9906)
        assert {n % 100 for n in numbers} == {6}

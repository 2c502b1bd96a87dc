"""One statement that the disk fails, anywhere in a run: typed errors, no effect before its intent, and the run goes on.

`python tests/runs/test_io_faults.py` fails every statement in turn; the suite fails some of them.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from collegium.core.errors import CollegiumError, StoreError
from collegium.runs import Approve, Decision, Happened, Retry, Run, Runner, call_tool
from collegium.runs.store import descriptors
from collegium.tools import IdempotencyKey, tool

EVERY = 23
"""In the suite, so many statements apart."""

When = Literal["before", "after"]


class Failing(descriptors.FileConnection):
    """A connection that raises at the n-th statement of all that there are."""

    at: ClassVar[int] = 0
    when: ClassVar[When] = "before"
    seen: ClassVar[int] = 0

    def execute(self, *given: Any) -> sqlite3.Cursor:
        """Run a statement, or fail it: undone, or done with nobody told."""
        Failing.seen += 1
        due = Failing.seen == Failing.at
        if due and Failing.when == "before":
            raise failure()
        cursor = super().execute(*given)
        if due:
            cursor.close()
            raise failure()
        return cursor


def failure() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


@contextmanager
def failing(at: int, when: When) -> Generator[None]:
    """Let the n-th statement fail; none for 0."""
    Failing.at, Failing.when, Failing.seen = at, when, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descriptors, "FileConnection", Failing)
        yield


class Sink:
    """What happened outside, and whether the store had said before that it would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.happened: list[tuple[str, str]] = []
        self.unsaid: list[str] = []

    def take(self, name: str, key: str = "") -> str:
        with closing(sqlite3.connect(self.path)) as connection:
            states = connection.execute("SELECT state FROM effect WHERE tool=?", (name,)).fetchall()
        if states not in ([("intent",)], [("in_doubt",)]):  # the second: called again under the same key
            self.unsaid.append(f"{name}: {states}")
        self.happened.append((name, key))
        return f"{name} is done"


class Bill(TypedDict, total=False):
    said: list[str]


def build(sink: Sink) -> Any:
    @tool(effect="unsafe", risk="high")
    async def pay() -> str:
        """Pay, once a person agrees."""
        return sink.take("pay")

    @tool(effect="unsafe", risk="low")
    async def tip() -> str:
        """Pay without asking."""
        return sink.take("tip")

    @tool(effect="idempotent", risk="low")
    async def file(key: IdempotencyKey) -> str:
        """File the receipt, under a key."""
        return sink.take("file", key)

    async def act(state: Bill) -> Bill:
        return {"said": [(await call_tool(one, {})).content for one in (tip, pay, file)]}

    async def note(state: Bill) -> Bill:
        return {"said": [*state.get("said", []), "noted"]}

    graph: Any = StateGraph(Bill)
    graph.add_node("act", act)
    graph.add_node("note", note)
    graph.add_edge(START, "act")
    graph.add_edge("act", "note")
    graph.add_edge("note", END)
    return graph


async def go(sink: Sink) -> Run[Any]:
    """Begin the one run of the store, or go on with it, up to its end."""
    async with Runner(f"sqlite:///{sink.path}", graphs=[build(sink)], serve=False) as runner:
        known = await runner.runs()
        run: Run[Any] = await (runner.get(known[0].run_id) if known else runner.start("Bill", {}))
        if run.status in ("failed", "queued"):
            run = await runner.resume(run.run_id)
        run = await run.wait(timeout_s=30)
        while run.approvals:
            run = await run.answer(run.approvals[0].approval_id, _decision(sink, run))
        return run


def _decision(sink: Sink, run: Run[Any]) -> Decision:
    approval = run.approvals[0]
    if approval.kind != "in_doubt":
        return Approve(by="ada")
    happened = approval.payload["tool"] in [name for name, _ in sink.happened]
    return Happened(by="ada", result="seen") if happened else Retry(by="ada")


async def play(folder: Path, at: int, when: When) -> list[str]:
    """Fail one statement, then go on without a fault; returns what must not be."""
    sink, wrong = Sink(folder / "runs.db"), list[str]()
    try:
        with failing(at, when):
            run = await go(sink)
        if run.status != "done" and not (run.error or "").startswith(("StoreUnavailable", "CorruptState")):
            wrong.append(f"it ended as {run.status}: {run.error}")
    except CollegiumError as error:
        if not isinstance(error, StoreError):
            wrong.append(f"it raised {type(error).__name__}: {error}")
    except Exception as error:  # the finding
        wrong.append(f"without a type: {type(error).__name__}: {error}")
    run = await go(sink)
    state: dict[str, list[str]] = run.state or {}
    if (run.status, state.get("said", [""])[-1]) != ("done", "noted"):
        wrong.append(f"it cannot go on: {run.status} {run.error} {state}")
    wrong += [f"before its intent was stored: {one}" for one in sink.unsaid]
    names = [name for name, _ in sink.happened]
    wrong += [f"{name} happened {names.count(name)} times" for name in ("pay", "tip") if names.count(name) != 1]
    if len({key for name, key in sink.happened if name == "file"}) != 1:
        wrong.append(f"filed under other keys: {sink.happened}")
    return [f"statement {at}, {when} it: {one}" for one in wrong]


async def statements(folder: Path) -> int:
    """How many a whole run has."""
    with failing(0, "before"):
        run = await go(Sink(folder / "runs.db"))
    assert run.status == "done"
    return Failing.seen


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_disk_error_at_any_statement_is_typed_and_loses_and_repeats_nothing(tmp_path: Path, when: When) -> None:
    (tmp_path / "whole").mkdir()
    last = await statements(tmp_path / "whole")
    wrong: list[str] = []

    for at in range(1, last + 1, EVERY):
        folder = tmp_path / str(at)
        folder.mkdir()
        wrong += await play(folder, at, when)

    assert last > 100
    assert wrong == []


async def _all() -> int:
    with tempfile.TemporaryDirectory() as folder:
        last = await statements(Path(folder))
    wrong: list[str] = []
    for when in ("before", "after"):
        for at in range(1, last + 1):
            with tempfile.TemporaryDirectory() as folder:
                found = await play(Path(folder), at, when)
            wrong += found
            print(*found, sep="\n", end="\n" if found else "", flush=True)
    print(f"{last} statements, each failed before and after it: {len(wrong)} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(asyncio.run(_all()))

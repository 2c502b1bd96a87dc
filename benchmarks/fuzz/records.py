"""Records of a store: a value of a row is another one, with its checksum as it was, or made anew as an attacker can."""
# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# odd values have no types

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from collegium.core.errors import CollegiumError
from collegium.runs import Approve, Runner
from collegium.runs.store.codec import checksum, columns
from collegium.runs.store.rows import ApprovalRow, EffectRow, RunRow

from .corpus import HUGE_JSON, numbers, texts, values, whole
from .graphs import asking, keeping
from .judging import Door, Outcome, judged_command

ROWS: dict[str, type[Any]] = {"run": RunRow, "approval": ApprovalRow, "effect": EffectRow}
LOOKS = (["runs"], ["inbox"], ["inbox", "--json"], ["show", "RUN"], ["show", "RUN", "--json"], ["history", "RUN"])


def door(folder: Path) -> Door:
    """A store with runs that ended and that wait; each example damages a copy of it."""
    whole_store, odd_store = folder / "whole.db", folder / "odd.db"
    asyncio.run(_fill(whole_store))
    with closing(sqlite3.connect(whole_store)) as conn:
        run_ids = [row[0] for row in conn.execute("SELECT run_id FROM run ORDER BY seq")]
    seen = 0

    def attempt(example: tuple[str, int, Any, bool]) -> Outcome:
        nonlocal seen
        for rest in folder.glob("odd.db*"):
            rest.unlink()
        shutil.copyfile(whole_store, odd_store)
        if not _damage(odd_store, *example):
            return "refused"  # SQLite itself does not take the value
        url = f"sqlite:///{odd_store}"
        outcome = asyncio.run(_read(url, run_ids))
        seen += 1
        if seen % 5 == 1:
            words = [run_ids[seen % len(run_ids)] if word == "RUN" else word for word in LOOKS[seen // 5 % len(LOOKS)]]
            judged_command([*words, "--db", url], terminal=seen % 10 == 1)
        return outcome

    value = st.one_of(
        values(), texts(), numbers(), st.binary(max_size=20), st.sampled_from(HUGE_JSON), as_json(), inner()
    )
    place = st.tuples(st.sampled_from(sorted(ROWS)), st.integers(0, 1000), value, st.booleans())
    return Door("records", place, attempt)


def as_json() -> st.SearchStrategy[str]:
    """JSON of an odd value, as the columns with JSON hold it."""
    return values().map(lambda value: json.dumps(value, default=str))


@dataclass(frozen=True)
class Inner:
    """A change inside of a cell's JSON: at one of its places another value, or none."""

    place: int
    value: Any
    gone: bool

    def put(self, text: object) -> object:
        """The cell with the change; a cell that holds no JSON object or array becomes the value itself."""
        try:
            whole_value = json.loads(text) if isinstance(text, str) else None
        except ValueError:
            whole_value = None
        places = list(_places(whole_value))
        if not places:
            return json.dumps(self.value, default=str)
        holder, key = places[self.place % len(places)]
        if self.gone:
            del holder[key]
        else:
            holder[key] = self.value
        return json.dumps(whole_value, default=str)


def inner() -> st.SearchStrategy[Inner]:
    """A change inside of a cell's JSON."""
    return st.builds(Inner, st.integers(0, 1000), st.one_of(values(), texts(surrogates=False)), st.booleans())


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


async def _fill(path: Path) -> None:
    async with Runner(f"sqlite:///{path}", graphs=[keeping(), asking()]) as runner:
        for text in ("one", "two"):
            await (await runner.start("keeping", {"text": text}, tags=["t"], metadata={"k": 1})).wait(timeout_s=60)
            run = await (await runner.start("asking", {"text": text})).wait(timeout_s=60)
        for _ in range(2):
            run = await (await runner.answer(run.approvals[0].id, Approve("ada"))).wait(timeout_s=60)
        await (await runner.start("asking", {"text": "waits"})).wait(timeout_s=60)


def _damage(path: Path, table: str, place: int, value: Any, forged: bool) -> bool:
    """Put the value into one cell; False where SQLite or the table refuses it."""
    names = columns(ROWS[table])
    with closing(sqlite3.connect(path)) as conn, conn:
        rows = conn.execute(f"SELECT rowid, {', '.join(names)} FROM {table}").fetchall()
        rowid, *cells = rows[place % len(rows)]
        name = names[place % len(names)]
        cell = cells[names.index(name)]
        cells[names.index(name)] = value.put(cell) if isinstance(value, Inner) else whole(value)
        try:
            conn.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (cells[names.index(name)], rowid))
            if forged:
                stored = conn.execute(f"SELECT {', '.join(names)} FROM {table} WHERE rowid = ?", (rowid,)).fetchone()
                conn.execute(f"UPDATE {table} SET checksum = ? WHERE rowid = ?", (checksum(*stored), rowid))
        except (sqlite3.Error, UnicodeEncodeError, OverflowError):
            return False
    return True


async def _read(url: str, run_ids: list[str]) -> Outcome:
    outcome: Outcome = "accepted"
    async with Runner(url, graphs=[keeping(), asking()], serve=False) as runner:
        works: list[Callable[[], Awaitable[object]]] = [
            runner.runs,
            runner.inbox,
            *(partial(runner.get, run_id) for run_id in run_ids),
        ]
        for work in works:
            try:
                found = await work()
            except CollegiumError as error:
                assert str(error).strip()
                outcome = "refused"
            else:
                outcome = "refused" if getattr(found, "damaged", ()) else outcome
    return outcome

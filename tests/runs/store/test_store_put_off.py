"""Work that a store in memory puts off until somebody asks for anything."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from sqlite3 import Connection

import pytest

from collegium.runs.store import Store


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Store]:
    store = Store(url)
    await store.open()
    await store.write(lambda conn: conn.execute("CREATE TABLE note (text)"))
    yield store
    await store.close()


def add(text: str, conn: Connection) -> None:
    conn.execute("INSERT INTO note VALUES (?)", (text,))


def notes(conn: Connection) -> list[str]:
    return [text for (text,) in conn.execute("SELECT text FROM note ORDER BY rowid")]


async def test_a_reader_finds_all_that_was_put_off_in_the_order_in_which_the_lanes_began() -> None:
    async with opened(":memory:") as store:
        assert store.put_off("a", partial(add, "a1"), first=True)
        assert store.put_off("b", partial(add, "b1"), first=True)
        assert store.put_off("a", partial(add, "a2"), last=True)

        assert await store.read(notes) == ["a1", "a2", "b1"]


async def test_once_a_lane_was_written_what_follows_of_it_is_not_put_off() -> None:
    async with opened(":memory:") as store:
        store.put_off("a", partial(add, "a1"), first=True)
        await store.write(partial(add, "other"))

        assert not store.put_off("a", partial(add, "a2"), last=True)
        assert await store.read(notes) == ["a1", "other"]


async def test_a_lane_that_never_began_is_not_put_off() -> None:
    async with opened(":memory:") as store:
        assert not store.put_off("a", partial(add, "a1"))


async def test_only_ended_lanes_are_let_go_the_oldest_first() -> None:
    async with opened(":memory:") as store:
        for lane in "abc":
            store.put_off(lane, partial(add, lane), first=True, last=lane != "a")

        assert store.let_go(1) == ["b"]
        assert await store.read(notes) == ["a", "c"]
        assert store.let_go(0) == []


async def test_a_write_beside_it_leaves_it_put_off() -> None:
    async with opened(":memory:") as store:
        store.put_off("a", partial(add, "a1"), first=True)

        await store.write(partial(add, "beside"), beside=True)

        assert store.put_off("a", partial(add, "a2"), last=True)
        assert await store.read(notes) == ["beside", "a1", "a2"]


async def test_a_lane_that_cannot_be_stored_says_so_at_its_next_write_and_leaves_nothing() -> None:
    def fail(_: Connection) -> None:
        raise ValueError("not this")

    async with opened(":memory:") as store:
        store.put_off("a", partial(add, "a1"), first=True)
        store.put_off("a", fail)

        assert await store.read(notes) == []
        with pytest.raises(ValueError, match="not this"):
            await store.write(partial(add, "a2"), lane="a")


async def test_a_file_puts_nothing_off(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path / 'store.db'}") as store:
        assert not store.put_off("a", partial(add, "a1"), first=True)
        assert store.let_go(0) == []

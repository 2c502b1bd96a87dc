import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from collegium.core.errors import StoreUnavailable, UnknownRun
from collegium.runs.store import Store

Work = Callable[[sqlite3.Connection], None]


def note(word: str) -> Work:
    return lambda conn: void(conn.execute("INSERT INTO note VALUES (?)", (word,)))


def void(_: object) -> None: ...


def notes(conn: sqlite3.Connection) -> list[str]:
    return [word for (word,) in conn.execute("SELECT word FROM note ORDER BY rowid")]


def refuse(conn: sqlite3.Connection) -> None:
    note("half done")(conn)
    raise UnknownRun("run-x")


async def gate(store: Store) -> Callable[[], None]:
    """Hold the writer, so that what is queued until the gate is opened falls into one group."""
    reached, opened = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        reached.set()
        opened.wait(30)

    store.post(hold, lane="gate")
    await asyncio.to_thread(reached.wait, 30)
    return opened.set


@pytest.fixture
async def on_disk(store: Store) -> Store:
    """A store in a file; its jobs are done in another thread, several at once."""
    await store.write(lambda conn: void(conn.execute("CREATE TABLE note (word)")))
    return store


@pytest.fixture(params=["file", "memory"])
async def either(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'either.db'}" if request.param == "file" else "sqlite://:memory:")
    await store.open()
    await store.write(lambda conn: void(conn.execute("CREATE TABLE note (word)")))
    yield store
    await store.close()


async def test_posts_and_writes_are_stored_in_the_order_given(either: Store) -> None:
    for number in range(200):
        either.post(note(f"{number}"))
        if number % 7 == 0:
            await either.write(note(f"{number} again"))

    words = [word for word in await either.read(notes) if "again" not in word]

    assert words == [str(number) for number in range(200)]


async def test_a_read_sees_what_was_posted_before_it(either: Store) -> None:
    either.post(note("posted"))

    assert await either.read(notes) == ["posted"]
    either.post(note("and again"))
    assert await asyncio.to_thread(either.read_now, notes) == ["posted", "and again"]


async def test_a_failed_write_leaves_nothing_and_spoils_no_other_of_its_group(on_disk: Store) -> None:
    open_gate = await gate(on_disk)
    good = [asyncio.create_task(on_disk.write(note(f"good {n}"), lane=f"{n}")) for n in range(3)]
    bad = asyncio.create_task(on_disk.write(refuse, lane="bad"))
    await asyncio.sleep(0)
    open_gate()

    with pytest.raises(UnknownRun):
        await bad
    await asyncio.gather(*good)

    assert await on_disk.read(notes) == ["good 0", "good 1", "good 2"]


async def test_the_error_of_a_post_is_raised_by_the_next_write_of_its_lane_and_only_there(either: Store) -> None:
    either.post(refuse, lane="a")
    either.post(note("after the failed one"), lane="a")
    await either.write(note("another lane"), lane="b")

    with pytest.raises(UnknownRun):
        await either.write(note("must not stand without what came before"), lane="a")
    await either.write(note("heard, so it goes on"), lane="a")

    assert await either.read(notes) == ["another lane", "heard, so it goes on"]


async def test_flush_raises_the_error_of_a_post_once(either: Store) -> None:
    either.post(refuse)

    with pytest.raises(UnknownRun):
        await either.flush()
    await either.flush()


async def test_a_full_write_commits_with_synchronous_full_and_the_next_one_with_normal(on_disk: Store) -> None:
    def pragma(conn: sqlite3.Connection) -> int:
        return int(conn.execute("PRAGMA synchronous").fetchone()[0])

    assert await on_disk.write(pragma, full=True) == 2
    assert await on_disk.write(pragma) == 1


async def test_a_group_with_one_full_write_commits_with_synchronous_full(on_disk: Store) -> None:
    seen: list[int] = []

    def pragma(conn: sqlite3.Connection) -> None:
        seen.append(conn.execute("PRAGMA synchronous").fetchone()[0])

    open_gate = await gate(on_disk)
    on_disk.post(pragma)
    last = asyncio.create_task(on_disk.write(note("intent"), full=True))
    await asyncio.sleep(0)
    open_gate()
    await last

    assert seen == [2]


async def test_a_cancelled_caller_does_not_take_its_write_back(on_disk: Store) -> None:
    open_gate = await gate(on_disk)
    waiting = asyncio.create_task(on_disk.write(note("kept")))
    await asyncio.sleep(0)
    waiting.cancel()
    open_gate()

    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await on_disk.read(notes) == ["kept"]


async def test_closing_stores_what_is_queued_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    store = Store(str(tmp_path / "store.db"))
    await store.open()
    store.post(lambda conn: void(conn.execute("CREATE TABLE note (word)")))
    for number in range(500):
        store.post(note(str(number)))

    await store.close()
    await store.close()

    left = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("collegium")]
    assert left == []
    assert len(notes(sqlite3.connect(tmp_path / "store.db"))) == 500
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.write(note("late"))


async def test_a_store_can_be_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    await store.open()
    await store.close()

    await asyncio.gather(store.open(), store.open())

    assert store.is_open
    await store.close()


def test_a_store_serves_two_event_loops_one_after_the_other(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))

    async def first() -> None:
        await store.open()
        await store.write(lambda conn: void(conn.execute("CREATE TABLE note (word)")))
        store.post(note("first"))

    asyncio.run(first())
    words = asyncio.run(read_and_close(store))

    assert words == ["first"]


async def read_and_close(store: Store) -> list[str]:
    words = await store.read(notes)
    await store.close()
    return words


async def test_a_job_that_failed_halfway_does_not_hold_later_ones_in_the_past(on_disk: Store) -> None:
    def stop_halfway(conn: sqlite3.Connection) -> None:
        for _ in conn.execute("SELECT word FROM note"):
            raise UnknownRun("run-x")

    await on_disk.write(note("one"))
    await on_disk.write(note("two"))
    with pytest.raises(UnknownRun) as read:
        await on_disk.read(stop_halfway)
    with pytest.raises(UnknownRun) as written:
        await on_disk.write(stop_halfway)
    other = sqlite3.connect(str(on_disk.path), isolation_level=None)
    other.execute("INSERT INTO note VALUES ('three')")
    other.close()

    await on_disk.write(note("four"))

    assert await on_disk.read(notes) == ["one", "two", "three", "four"]
    assert read.value is not written.value  # the errors, with their tracebacks, were kept until here


async def test_the_reader_cannot_write(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    await store.open()

    with pytest.raises(StoreUnavailable):
        await store.read(lambda conn: void(conn.execute("DELETE FROM run")))

    await store.close()


async def test_a_locked_database_is_waited_for_and_then_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"), busy_s=0.2)
    await store.open()
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match=r"store\.db.*locked"):
        await store.write(lambda conn: void(conn.execute("DELETE FROM run")))
    other.execute("ROLLBACK")
    other.close()

    await store.write(lambda conn: void(conn.execute("DELETE FROM run")))
    await store.close()


async def test_a_write_goes_through_when_the_other_process_lets_go_in_time(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"), busy_s=20)
    await store.open()
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(store.write(lambda conn: "written"))
    await asyncio.sleep(0)
    other.execute("ROLLBACK")
    other.close()

    assert await waiting == "written"
    await store.close()


def placed(word: str, places: list[int]) -> Work:
    def work(conn: sqlite3.Connection) -> None:
        places.append(threading.get_ident())
        note(word)(conn)

    return work


async def test_a_small_write_that_nothing_is_ahead_of_is_done_in_the_calling_thread(on_disk: Store) -> None:
    places: list[int] = []
    on_disk.post(placed("posted", places), lane="a")
    await on_disk.write(placed("small", places), lane="a", size=100)
    await on_disk.write(placed("large", places), lane="a", size=1_000_000)
    await on_disk.write(placed("synced", places), lane="a", size=100, full=True)

    here = threading.get_ident()
    assert [place == here for place in places] == [True, True, False, False]
    assert await on_disk.read(notes) == ["posted", "small", "large", "synced"]


async def test_a_small_write_waits_for_another_process_in_the_writers_thread(on_disk: Store) -> None:
    places: list[int] = []
    other = sqlite3.connect(str(on_disk.path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    on_disk.post(placed("first", places), lane="a")
    writing = asyncio.create_task(on_disk.write(placed("second", places), lane="a", size=100))
    await asyncio.sleep(0)  # the writing has begun, and this loop goes on although the lock is held
    on_disk.post(placed("third", places), lane="a")

    assert places == []
    other.execute("COMMIT")
    other.close()
    await writing
    assert await on_disk.read(notes) == ["first", "second", "third"]
    assert threading.get_ident() not in places


async def test_a_small_write_that_fails_leaves_nothing_and_keeps_what_was_posted_before(on_disk: Store) -> None:
    on_disk.post(note("posted"), lane="a")
    with pytest.raises(UnknownRun):
        await on_disk.write(refuse, lane="a", size=100)
    await on_disk.write(note("next"), lane="a", size=100)

    assert await on_disk.read(notes) == ["posted", "next"]


async def test_a_small_write_hears_of_the_failed_post_before_it(on_disk: Store) -> None:
    on_disk.post(refuse, lane="a")
    with pytest.raises(UnknownRun):
        await on_disk.write(note("behind"), lane="a", size=100)
    await on_disk.write(note("another lane"), lane="b", size=100)

    assert await on_disk.read(notes) == ["another lane"]


async def test_small_writes_of_several_lanes_share_the_writers_thread(on_disk: Store) -> None:
    places: list[int] = []
    await asyncio.gather(*(on_disk.write(placed(f"{i}", places), lane=f"lane {i}", size=100) for i in range(20)))

    assert places.count(threading.get_ident()) <= 1
    assert len(await on_disk.read(notes)) == 20


async def test_a_post_is_stored_although_nothing_follows_it(on_disk: Store) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    on_disk.post(lambda _: void(loop.call_soon_threadsafe(done.set)))

    await asyncio.wait_for(done.wait(), 30)


async def test_the_log_is_copied_back_although_only_small_writes_come(on_disk: Store) -> None:
    wide = "x" * 60_000
    for number in range(200):
        await on_disk.write(note(f"{number}{wide}"), lane="a", size=60_000)

    assert on_disk.path is not None
    log = on_disk.path.with_name(f"{on_disk.path.name}-wal")
    assert log.stat().st_size < 100 * 60_000

"""A store with a key: no byte of what users, models and tools said is readable without it, and all goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collegium import END, START, Approve, Graph, Runner, State
from collegium.core.errors import CorruptState, StoreKeyError, StoreUnavailable
from collegium.runs import call_tool
from collegium.runs.store import Store, approvals, effects, runs, sealing
from collegium.runs.store.codec import checksum
from collegium.runs.store.examining import examine
from collegium.runs.store.rekeying import Keys, rekey
from collegium.runs.store.saver import StoreSaver
from collegium.runs.store.schema import open_file
from collegium.tools import tool

KEY = "a2V5IG51bWJlciBvbmUsIGZvciB0ZXN0cyBvbmx5ISE"
OTHER = "6b6579206e756d6265722074776f2c20666f72207465737473206f6e6c792121"

CANARIES = [f"canary-{name}" for name in ("input", "state", "long", "tool", "result", "asked", "by", "tag", "meta")]


class Letter(State):
    wish: str
    text: str = ""
    book: str = ""
    sent: str = ""


@tool(effect="unsafe", risk="high")
async def send(text: str) -> str:
    """Send canary-asked.

    Args:
        text: What is sent.
    """
    return f"canary-result of {text}"


async def write(wish: str) -> dict[str, Any]:
    return {"text": f"canary-state and {wish}", "book": "".join(f"canary-long page {n} " for n in range(2000))}


async def act(text: str) -> str:
    return (await call_tool(send, {"text": f"canary-tool {len(text)}"})).content


def letters() -> Graph[Letter]:
    graph = Graph(Letter, name="letters")
    graph.add_node("write", write)
    graph.add_node("act", act, writes="sent")
    graph.add_edge(START, "write")
    graph.add_edge("write", "act")
    graph.add_edge("act", END)
    return graph


async def paused(path: Path, key: str | None, thread_id: str = "t") -> str:
    async with Runner(Store(str(path), key=key), graphs=[letters()]) as runner:
        await runner.store.open()
        run = await runner.start(
            "letters",
            {"wish": "canary-input"},
            thread_id=thread_id,
            tags=["canary-tag"],
            metadata={"about": "canary-meta"},
        )
        run = await run.wait(timeout_s=30)
    await runner.store.close()
    assert run.status == "waiting"
    return run.run_id


async def finished(path: Path, key: str | None) -> Any:
    store = Store(str(path), key=key)
    async with Runner(store, graphs=[letters()]) as runner:
        (found,) = await runner.runs(tags=["canary-tag"], metadata={"about": "canary-meta"})
        (approval,) = await runner.inbox()
        run = await runner.answer(approval.approval_id, Approve(by="canary-by"), digest=approval.digest)
        run = await run.wait(timeout_s=30)
        history = await run.history()
    await store.close()
    assert found.run_id == run.run_id
    assert [step.wrote for step in history][0] == ("wish",)
    return run


def bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


def seen(path: Path) -> list[str]:
    """Canaries that stand in a file, its log or its index of the log."""
    content = bytes_of(path)
    return [name for name in CANARIES if name.encode() in content]


async def test_no_byte_that_anybody_said_is_readable_in_an_encrypted_store(path: Path) -> None:
    await paused(path, KEY)
    before = seen(path)
    run = await finished(path, KEY)

    assert (before, seen(path)) == ([], [])
    assert (run.status, run.state.sent) == ("done", f"canary-result of canary-tool {len(run.state.text)}")
    assert run.state.book.endswith("canary-long page 1999 ")


async def test_the_same_run_leaves_every_word_in_a_store_without_a_key(path: Path) -> None:
    await paused(path, None)
    await finished(path, None)

    assert seen(path) == CANARIES


@pytest.mark.parametrize("key", [None, OTHER])
async def test_a_missing_or_wrong_key_is_refused_before_a_byte_is_changed(path: Path, key: str | None) -> None:
    await paused(path, KEY)
    before = bytes_of(path)

    with pytest.raises(StoreKeyError, match="COLLEGIUM_STORE_KEY"):
        Store(str(path), key=key).open_now()
    with pytest.raises(StoreKeyError, match="COLLEGIUM_STORE_KEY"):
        examine(path, key)

    assert bytes_of(path) == before


async def test_a_key_is_refused_for_a_store_that_is_not_encrypted(path: Path) -> None:
    await paused(path, None)

    with pytest.raises(StoreKeyError, match="collegium rekey"):
        Store(str(path), key=KEY).open_now()


@pytest.mark.parametrize("key", ["secret", "", "=" * 43, "é" * 43, KEY[:-2], "0" * 63])
def test_what_is_no_key_is_refused_with_how_to_make_one(key: str) -> None:
    with pytest.raises(StoreKeyError, match="token_urlsafe"):
        sealing.key_bytes(key, "it")


async def test_the_key_is_taken_from_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLEGIUM_STORE_KEY", KEY)
    await paused(path, None)

    assert seen(path) == []
    assert sealing.key_bytes(KEY, "it").hex() != OTHER


@pytest.mark.parametrize(
    ("table", "column", "key"),
    [("event", "data", "seq"), ("checkpoint", "body", "checkpoint_id"), ("blob", "data", "version")],
)
async def test_a_value_put_in_another_ones_place_is_refused(path: Path, table: str, column: str, key: str) -> None:
    run_id = await paused(path, KEY)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.row_factory = sqlite3.Row
        target, source = conn.execute(f"SELECT * FROM {table} ORDER BY {key} LIMIT 2").fetchall()
        values = {name: target[name] for name in target.keys() if name != "checksum"} | {column: source[column]}
        if table == "blob":
            values["type"] = source["type"]
        sets = ", ".join(f"{name}=?" for name in values)
        conn.execute(
            f"UPDATE {table} SET {sets}, checksum=? WHERE {key}=?",
            (*values.values(), checksum(*values.values()), target[key]),
        )

    found = examine(path, KEY)

    assert list(found.damaged) == [run_id]
    assert "not what was stored there" in found.damaged[run_id][0]


async def test_plain_text_slipped_into_an_encrypted_store_is_refused(path: Path) -> None:
    run_id = await paused(path, KEY)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("UPDATE event SET data='{}' WHERE seq=1")
        *values, _ = conn.execute("SELECT * FROM event WHERE seq=1").fetchone()
        conn.execute("UPDATE event SET checksum=? WHERE seq=1", (checksum(*values),))

    assert "not what was stored there" in examine(path, KEY).damaged[run_id][0]


async def test_doctor_reads_an_encrypted_store_and_names_what_is_damaged(path: Path) -> None:
    run_id = await paused(path, KEY)
    whole = examine(path, KEY)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("UPDATE piece SET data=zeroblob(length(data)) WHERE rowid=1")

    assert whole.whole
    assert any("canary-state" in str(line) for line in whole.lines)
    assert list(examine(path, KEY).damaged) == [run_id]


async def test_names_of_pieces_tell_nobody_what_is_in_them(tmp_path: Path) -> None:
    names: list[set[bytes]] = []
    for place, key in enumerate((None, KEY, KEY)):
        path = tmp_path / f"{place}.db"
        await paused(path, key)
        with closing(sqlite3.connect(path)) as conn:
            names.append({name for (name,) in conn.execute("SELECT name FROM piece")})

    assert all(names)
    assert not names[0] & names[1]
    assert not names[1] & names[2], "two stores under one key show that they hold the same"


async def test_a_thread_is_copied_under_its_new_name(path: Path) -> None:
    await paused(path, KEY)
    store = Store(str(path), key=KEY)
    await store.open()
    saver = StoreSaver(store)
    await saver.acopy_thread("t", "u")
    found = await saver.aget_tuple({"configurable": {"thread_id": "u"}})
    await store.close()

    assert found is not None
    assert found.checkpoint["channel_values"]["book"].endswith("canary-long page 1999 ")


async def test_two_pieces_of_a_large_value_still_fill_one_page(tmp_path: Path) -> None:
    sizes: list[int] = []
    for key in (None, KEY):
        path = tmp_path / f"{key}.db"
        await paused(path, key)
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            conn.execute("VACUUM")
            sizes.append(conn.execute("PRAGMA page_count").fetchone()[0])

    assert sizes[1] <= 1.25 * sizes[0]


# -- other keys


@pytest.mark.parametrize(
    ("old", "new"), [(None, KEY), (KEY, OTHER), (KEY, None)], ids=["encrypted", "rotated", "decrypted"]
)
async def test_a_waiting_run_goes_on_after_its_store_got_another_key(
    path: Path, old: str | None, new: str | None
) -> None:
    run_id = await paused(path, old)
    with closing(sqlite3.connect(path)) as conn:
        before = {data for (data,) in conn.execute("SELECT data FROM piece")}

    count = rekey(path, Keys(old), Keys(new))

    assert (count, examine(path, new).whole) == (1, True)
    assert seen(path) == ([] if new else [name for name in CANARIES if name not in ("canary-result", "canary-by")])
    with closing(sqlite3.connect(path)) as conn:
        assert not before & {data for (data,) in conn.execute("SELECT data FROM piece")}
    with pytest.raises(StoreKeyError):
        Store(str(path), key=old).open_now()
    run = await finished(path, new)
    assert (run.run_id, run.status) == (run_id, "done")
    assert examine(path, new).whole


async def test_a_finished_run_keeps_its_audit_trail_under_another_key(path: Path) -> None:
    run_id = await paused(path, KEY)
    await finished(path, KEY)

    rekey(path, Keys(KEY), Keys(OTHER))

    with closing(open_file(path, 1, OTHER)) as conn:
        runs.verify(conn, runs.get(conn, run_id))
        (effect,) = effects.of_run(conn, run_id)
        (approval,) = approvals.of_run(conn, run_id)
    assert effect.result is not None
    assert (effect.result["content"], approval.decided_by) == (f"canary-result of {effect.args['text']}", "canary-by")


async def test_a_store_in_use_is_not_given_another_key(path: Path) -> None:
    await paused(path, KEY)
    store = Store(str(path), key=KEY)
    await store.open()
    try:
        with pytest.raises(StoreUnavailable, match="another process has it open"):
            rekey(path, Keys(KEY), Keys(OTHER), busy_s=0.05)
        assert await store.read(runs.count) == {"waiting": 1}
    finally:
        await store.close()
    assert examine(path, KEY).whole


async def test_a_damaged_store_is_not_given_another_key(path: Path) -> None:
    await paused(path, KEY)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("UPDATE approval SET payload=zeroblob(100)")

    with pytest.raises(CorruptState, match="approval"):
        rekey(path, Keys(KEY), Keys(OTHER))

    store = Store(str(path), key=KEY)
    store.open_now()
    await store.close()


def rekeyed_until(path: Path, statement: int) -> int:
    """Give another key in a child that is killed before the n-th statement; returns how it ended."""
    child = os.fork()
    if not child:
        count = 0

        def traced(_: str) -> None:
            nonlocal count
            count += 1
            if count == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        real = sqlite3.connect

        def connect(*args: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = real(*args, **options)
            connection.set_trace_callback(traced)
            return connection

        sqlite3.connect = connect  # type: ignore[assignment]  # this process ends here
        rekey(path, Keys(KEY), Keys(OTHER))
        os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_process_killed_at_any_moment_leaves_the_old_key_or_the_new(path: Path) -> None:
    asyncio.run(paused(path, KEY))
    content, outcomes = path.read_bytes(), set[str]()
    for statement in range(1, 10_000, 7):
        for beside in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        path.write_bytes(content)
        if (status := rekeyed_until(path, statement)) == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        fits = [key for key in (KEY, OTHER) if opens(path, key)]
        assert len(fits) == 1, statement
        outcomes.add("old" if fits == [KEY] else "new")
        assert examine(path, fits[0]).whole, statement
    else:
        pytest.fail("it never came to its end")

    assert opens(path, OTHER)
    assert outcomes == {"old", "new"}


def opens(path: Path, key: str) -> bool:
    try:
        open_file(path, 1, key).close()
    except StoreKeyError:
        return False
    return True

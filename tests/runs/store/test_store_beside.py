"""Looking at a store's file from a process that has it open takes no locks from it."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collegium.runs.store import Store, events
from collegium.runs.store.examining import examine

OTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM event").fetchone()[0])
connection.close()
"""


def note(store: Store, word: str) -> None:
    store.write_now(
        lambda conn: events.append(conn, "run-0", "custom", {"word": word}, now=datetime.now(UTC)), full=True
    )


def open_second(path: Path) -> None:
    second = Store(str(path))
    second.open_now()
    second.close_now()


def open_two_more(path: Path) -> None:
    second, third = Store(str(path)), Store(str(path))
    second.open_now()
    third.open_now()
    second.close_now()
    third.close_now()


def look_by_another_name(path: Path) -> None:
    other = path.with_name("linked.db")
    other.symlink_to(path)
    examine(other)


@pytest.mark.parametrize("look", [open_second, open_two_more, examine, look_by_another_name])
def test_another_process_that_closes_the_file_leaves_an_open_store_its_log(
    path: Path, look: Callable[[Path], object]
) -> None:
    store = Store(str(path))
    store.open_now()
    log = path.with_name(f"{path.name}-wal")
    note(store, "before")
    look(path)
    inode = log.stat().st_ino

    said = subprocess.run([sys.executable, "-c", OTHER, path], capture_output=True, text=True, timeout=60, check=True)
    note(store, "after")

    assert said.stdout == "1\n"
    assert log.stat().st_ino == inode
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (2,)
    store.close_now()


async def test_the_last_store_that_is_closed_lets_go_of_the_file(path: Path) -> None:
    first = Store(str(path))
    await first.open()
    open_second(path)
    await first.close()

    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")

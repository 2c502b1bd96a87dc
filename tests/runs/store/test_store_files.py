import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from collegium.core.errors import StoreUnavailable
from collegium.runs.store import Store
from collegium.runs.store.schema import migrate, migrations


async def make(path: Path) -> None:
    store = Store(str(path))
    await store.open()
    await store.close()


def names_in(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def leave_empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_garbage(path: Path) -> None:
    path.write_bytes(b"this is not a database, whatever its name says\n" * 400)


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def make_newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=999")
    connection.close()


def make_foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (leave_empty, "empty"),
        (fill_with_garbage, "not a Collegium store"),
        (cut_in_half, "cut short"),
        (make_newer, "schema 999"),
        (make_foreign, "another program"),
        (make_folder, "directory"),
    ],
)
async def test_a_file_that_is_no_store_is_refused_by_name_in_one_line(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "store.db"
    await make(path)
    damage(path)

    with pytest.raises(StoreUnavailable, match=words) as caught:
        await Store(str(path)).open()

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no folder"):
        await Store(str(tmp_path / "nowhere" / "store.db")).open()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
async def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await make(path)
    path.chmod(0o400)

    with pytest.raises(StoreUnavailable, match="permission"):
        await Store(str(path)).open()


def test_another_kind_of_database_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(StoreUnavailable, match="only SQLite"):
        Store("postgresql://host/db")


@pytest.mark.parametrize("url", ["/", "sqlite:////", "."])
def test_a_folder_in_place_of_a_file_is_named_as_one(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="Name a file in it"):
        Store(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///store.db", "store.db"),
        ("sqlite:////tmp/store.db", "/tmp/store.db"),
        ("plain/store.db", "plain/store.db"),
    ],
)
def test_a_url_names_its_file(url: str, path: str) -> None:
    assert Store(url).path == Path(path)


@pytest.mark.parametrize("url", ["sqlite://:memory:", "sqlite:///:memory:", ":memory:"])
def test_a_memory_url_names_no_file(url: str) -> None:
    assert Store(url).path is None


async def test_constructing_a_store_does_no_io(tmp_path: Path) -> None:
    Store(str(tmp_path / "store.db"))

    assert names_in(tmp_path) == []


async def test_a_new_store_leaves_no_other_files_when_closed(tmp_path: Path) -> None:
    await make(tmp_path / "store.db")

    assert names_in(tmp_path) == ["store.db"]


def test_a_migration_that_fails_leaves_the_old_schema_whole() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    first, *_ = migrations()
    broken = (2, "CREATE TABLE half (a);\nCREATE TABLE half (a);\n")
    migrate(connection, "store.db", [first])

    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, "store.db", [first, broken])

    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")}
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert "half" not in tables
    connection.close()


async def test_what_a_process_left_that_died_while_it_built_the_store_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await make(path)
    linked, old, fresh = (tmp_path / f".runs.db.{name}" for name in ("1-linked", "2-old-wal", "3-fresh"))
    linked.hardlink_to(path)
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    fresh.write_bytes(b"half")

    await make(path)

    assert sorted(names_in(tmp_path)) == [".runs.db.3-fresh", "runs.db"]

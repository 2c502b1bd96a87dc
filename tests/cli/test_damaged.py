"""What commands tell of a damaged store: what can be read on standard output, what cannot on standard error."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def paused(collegium: Command, project: Path) -> tuple[Path, list[str]]:
    """A store of two runs that wait."""
    runs = [collegium("run", "flow.py", name, "--db", "pay.db", "--json").json["run_id"] for name in ("bob", "eve")]
    return project / "pay.db", runs


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(("verb", "table"), [("runs", "run"), ("inbox", "approval")])
def test_a_list_that_lacks_a_record_says_so_in_one_line(
    collegium: Command, paused: tuple[Path, list[str]], verb: str, table: str
) -> None:
    path, (first, second) = paused
    change(path, f"UPDATE {table} SET checksum=checksum + 1 WHERE run_id='{first}'")

    told, shown = collegium(verb, "--db", "pay.db", "--json"), collegium(verb, "--db", "pay.db")

    assert [one["run_id"] for one in told.json] == [second]
    assert second in shown.out
    assert told.err == shown.err
    assert "1 record of" in told.line
    assert "`collegium doctor`" in told.line


@pytest.mark.parametrize("words", [("runs",), ("inbox",), ("show", "RUN")])
def test_a_missing_log_is_told_wherever_the_store_is_read(
    collegium: Command, paused: tuple[Path, list[str]], words: tuple[str, ...]
) -> None:
    path, (first, _) = paused
    change(path, "UPDATE mark SET log='0123456789abcdef'")

    told = collegium(*(first if word == "RUN" else word for word in words), "--db", "pay.db", "--json")

    assert told.status == 0
    assert first in told.out
    assert "the log is missing" in told.line
    assert "`collegium doctor`" in told.line


def test_a_whole_store_is_listed_without_a_word_more(collegium: Command, paused: tuple[Path, list[str]]) -> None:
    assert [collegium(verb, "--db", "pay.db").err for verb in ("runs", "inbox")] == ["", ""]

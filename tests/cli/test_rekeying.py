"""`rekey` at the terminal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
KEY, OTHER = "A" * 43, "BBBB" * 10 + "BBA"


@pytest.fixture
def paused(collegium: Command, project: Path) -> Path:
    """A store of a run that waits, not encrypted."""
    assert collegium("run", "flow.py", "bob", "--db", "pay.db", "--json").json["status"] == "waiting"
    return project / "pay.db"


def test_a_store_is_encrypted_rotated_and_decrypted(
    collegium: Command, paused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (approval,) = collegium("inbox", "--db", "pay.db", "--json").json
    monkeypatch.setenv("COLLEGIUM_STORE_KEY", KEY)
    refused = collegium("inbox", "--db", "pay.db")
    done = collegium("rekey", "--db", "pay.db", "--json")
    monkeypatch.setenv("COLLEGIUM_STORE_KEY_OLD", KEY)
    monkeypatch.setenv("COLLEGIUM_STORE_KEY", OTHER)
    rotated = collegium("rekey", "--db", "pay.db")
    hidden = paused.read_bytes()
    same = collegium("inbox", "--db", "pay.db", "--json").json
    monkeypatch.delenv("COLLEGIUM_STORE_KEY_OLD")
    plain = collegium("rekey", "--decrypt", "--db", "pay.db")
    monkeypatch.delenv("COLLEGIUM_STORE_KEY")

    assert (refused.status, "collegium rekey" in refused.line) == (1, True)
    assert (done.json["runs"], done.json["encrypted"]) == (1, True)
    assert "Encrypted" in rotated.out
    assert "Decrypted" in plain.out
    assert b"bob" not in hidden
    assert b"bob" in paused.read_bytes()
    assert same == [approval] == collegium("inbox", "--db", "pay.db", "--json").json


def test_without_a_new_key_it_says_which_to_set(collegium: Command, paused: Path) -> None:
    assert "COLLEGIUM_STORE_KEY" in collegium("rekey", "--db", "pay.db").line
    assert "COLLEGIUM_STORE_KEY_OLD" in collegium("rekey", "--decrypt", "--db", "pay.db").line


def test_the_wrong_old_key_changes_nothing(collegium: Command, paused: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLEGIUM_STORE_KEY", KEY)
    collegium("rekey", "--db", "pay.db")
    before = paused.read_bytes()
    monkeypatch.setenv("COLLEGIUM_STORE_KEY", OTHER)
    monkeypatch.setenv("COLLEGIUM_STORE_KEY_OLD", OTHER)

    refused = collegium("rekey", "--db", "pay.db")

    assert (refused.status, "another key" in refused.line) == (1, True)
    assert paused.read_bytes() == before

"""`history` and `fork` in a project's folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def run_id(collegium: Command) -> str:
    """A run that has paid."""
    return str(collegium("run", "flow.py", "bob", "--yes", "--json").json["run_id"])


def paid(project: Path) -> list[str]:
    return (project / "paid.txt").read_text().splitlines()


def test_history_lists_the_steps(collegium: Command, run_id: str) -> None:
    told = collegium("history", run_id)
    listed = collegium("history", run_id, "--json").json

    assert told.status == 0
    assert [line.split()[:4] for line in told.out.splitlines()[1:]] == [
        ["0", "-", "to", "prepare"],
        ["1", "prepare", "note", "settle"],
        ["2", "settle", "receipt", "-"],
    ]
    assert [(step["step"], step["nodes"], step["wrote"], step["next"]) for step in listed] == [
        ("0", [], ["to"], ["prepare"]),
        ("1", ["prepare"], ["note"], ["settle"]),
        ("2", ["settle"], ["receipt"], []),
    ]


def test_a_fork_must_say_what_becomes_of_effects(collegium: Command, run_id: str, project: Path) -> None:
    refused = collegium("fork", run_id, "--at", "1")

    assert refused.status == 2
    assert "effects: after step 1 the run made 1 effect. Choose: reuse" in refused.line
    assert len(collegium("runs", "--json").json) == 1


def test_a_fork_that_reuses_effects_pays_nobody_again(collegium: Command, run_id: str, project: Path) -> None:
    fork = collegium("fork", run_id, "--at", "1", "--effects", "reuse", "--json")

    assert (fork.status, fork.json["status"]) == (0, "done")
    assert fork.json["run_id"] != run_id
    assert paid(project) == ["bob 10.0"]


def test_a_fork_with_another_value_waits_for_leave_to_do_another_thing(
    collegium: Command, run_id: str, project: Path
) -> None:
    fork = collegium("fork", run_id, "--at", "0", "--set", "amount=99", "--effects", "reuse", "--json")

    assert fork.status == 3
    assert fork.json["approvals"][0]["payload"]["args"] == {"to": "bob", "amount": 99.0}
    assert paid(project) == ["bob 10.0"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at", "7"], "at: the run has no step '7'. Its steps: 0, 1, 2."),
        (["--at", "1", "--set", "amuont=1"], "amuont: the graph has no such input. Did you mean 'amount'"),
        (["--at", "1", "--set", "amount=much"], "amount: 'much' does not fit"),
        (["--at", "1", "--effects", "again"], "--effects: 'again' is neither reuse nor redo."),
        (["--at", "1", "--set", "amount"], "--set: 'amount' is not field=value."),
    ],
)
def test_what_is_wrong_with_a_fork_is_one_line(collegium: Command, run_id: str, words: list[str], said: str) -> None:
    refused = collegium("fork", run_id, *words)

    assert refused.status == 2
    assert said in refused.line


def test_a_run_that_is_not_there_has_no_history(collegium: Command, run_id: str) -> None:
    assert "run-nope" in collegium("history", "run-nope").line
    assert "run-nope" in collegium("fork", "run-nope", "--at", "1").line

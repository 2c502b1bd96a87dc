"""`prune`, and what `run` and `runs` take to name and find runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from collegium.cli.pruning import age_of
from collegium.core.errors import InvalidInput

Command = Callable[..., Any]


def ids(found: Any) -> list[str]:
    return [run["run_id"] for run in found.json]


def test_runs_are_named_found_and_shown_by_tags_and_metadata(collegium: Command) -> None:
    given = ("--tag", "nightly", "--tag", "eu", "--meta", "tenant=acme", "--meta", "try=2", "--timeout", "60")
    first = collegium("run", "flow.py", "bob", "--yes", "--json", *given).json
    second = collegium("run", "flow.py", "eve", "--yes", "--json", "--tag", "nightly").json

    assert (first["tags"], first["metadata"]) == (["nightly", "eu"], {"tenant": "acme", "try": 2})
    assert ids(collegium("runs", "--tag", "nightly", "--json")) == [second["run_id"], first["run_id"]]
    assert ids(collegium("runs", "--tag", "nightly", "--meta", "try=2", "--json")) == [first["run_id"]]
    assert ids(collegium("runs", "--before", second["run_id"], "--graph", "payment", "--json")) == [first["run_id"]]
    assert ids(collegium("runs", "--graph", "other", "--json")) == []
    table = collegium("runs", "--tag", "eu").out
    assert "nightly  eu  tenant=acme  try=2" in " ".join(table.split("\n")).replace("\n", " ")
    assert "tenant=acme" in collegium("show", first["run_id"]).out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["runs", "--meta", "tenant"], "--meta: 'tenant' is not KEY=VALUE"),
        (["runs", "--before", "run-none"], "There is no run 'run-none'"),
        (["run", "flow.py", "bob", "--tag", ""], "tags: a tag is empty"),
        (["run", "flow.py", "bob", "--timeout", "0"], "timeout_s: 0.0 is not a number of seconds above 0"),
        (["run", "flow.py", "bob", "--on-busy", "rollback"], "'rollback' is not one of reject, enqueue"),
        (["prune"], "nothing says what to prune"),
        (["prune", "--older-than", "soon"], "--older-than: 'soon' is no age"),
        (["prune", "--keep", "-1"], "--keep"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_it(collegium: Command, given: list[str], said: str) -> None:
    collegium("run", "flow.py", "bob")

    refused = collegium(*given)

    assert refused.status == 2
    assert said in refused.line


def test_a_run_queues_behind_the_one_of_its_thread(collegium: Command, process: Command) -> None:
    waiting = collegium("run", "flow.py", "bob", "--thread", "t", "--json").json

    refused = collegium("run", "flow.py", "eve", "--thread", "t")
    assert refused.status == 1
    assert "has an unfinished run" in refused.line

    collegium("cancel", waiting["run_id"])
    queued = process("run", "flow.py", "eve", "--thread", "t", "--on-busy", "enqueue", "--yes", "--json")
    assert (queued.status, queued.json["status"]) == (0, "done")


def test_prune_removes_the_state_and_show_says_so(collegium: Command) -> None:
    runs = [collegium("run", "flow.py", name, "--yes", "--json").json["run_id"] for name in ("ada", "bob", "eve")]
    waiting = collegium("run", "flow.py", "kim", "--json").json["run_id"]

    told = collegium("prune", "--keep", "1", "--dry-run")
    assert "Would remove the state and events of 2 runs" in told.out
    pruned = collegium("prune", "--keep", "1", "--history", "--json")
    assert (pruned.status, pruned.json["runs"], pruned.json["history"]) == (0, 2, 1)

    shown = collegium("show", runs[0])
    assert shown.status == 0
    assert "Its state was pruned on" in shown.out
    assert collegium("show", runs[0], "--json").json["pruned_at"] is not None
    assert collegium("show", runs[2], "--json").json["state"]["note"] == "for eve"
    assert ids(collegium("runs", "--json")) == [waiting, *reversed(runs)]
    assert "cannot go on: its state was pruned" in collegium("history", runs[0]).line
    assert "Removed the state and events of 1 run" in collegium("prune", "--older-than", "0s").out
    assert collegium("show", waiting, "--json").json["state"]["note"] == "for kim"


def test_there_is_nothing_to_prune_without_a_store(collegium: Command, project: Path) -> None:
    refused = collegium("prune", "--keep", "1")

    assert refused.status == 2
    assert "there is no store here" in refused.line
    assert not (project / ".collegium").exists()


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("5m", timedelta(minutes=5)),
        ("7s", timedelta(seconds=7)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_ages_are_numbers_with_a_unit(text: str, age: timedelta) -> None:
    assert age_of(text) == age


@pytest.mark.parametrize("text", ["", "30", "d", "-3d", "1.5h", "3 d", "9999999d", "٣d"])
def test_other_ages_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no age"):
        age_of(text)

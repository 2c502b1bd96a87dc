"""`collegium resume` without a run: what a killed process left is found, and gone on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Terminal = Callable[..., Any]
Command = Callable[..., Any]


def leave_unfinished(terminal: Terminal, hold: Path, name: str) -> None:
    """A `collegium run` that is killed in its first node."""
    hold.touch()
    screen = terminal("run", "flow.py", name, HOLD=str(hold))
    screen.until("prepare")
    screen.process.kill()
    screen.end()
    hold.unlink()


def test_what_killed_processes_left_is_listed_and_gone_on_with(
    terminal: Terminal, collegium: Command, project: Path, tmp_path_factory: Any
) -> None:
    hold = tmp_path_factory.mktemp("hold") / "held"
    for name in ("bob", "eve"):
        leave_unfinished(terminal, hold, name)

    listed = collegium("resume")
    assert (listed.status, listed.out.count("run-")) == (0, 2)
    assert "2 runs can go on: collegium resume RUN, or collegium resume --all" in listed.line

    assert collegium("resume", "--all", "--yes").status == 0
    assert (project / "paid.txt").read_text().splitlines() == ["bob 10.0", "eve 10.0"]
    assert "Nothing was left unfinished." in collegium("resume").out


def test_runs_that_wait_for_a_person_are_not_unfinished(collegium: Command) -> None:
    assert collegium("run", "flow.py", "bob").status == 3

    assert collegium("resume", "--json").json == []
    assert collegium("resume", "--all").status == 0


def test_a_run_that_fails_does_not_keep_the_others_from_going_on(
    terminal: Terminal, collegium: Command, project: Path, tmp_path_factory: Any
) -> None:
    hold = tmp_path_factory.mktemp("hold") / "held"
    for name in ("nobody", "bob"):
        leave_unfinished(terminal, hold, name)

    assert collegium("resume", "--all", "--yes").status == 1
    assert (project / "paid.txt").read_text().splitlines() == ["bob 10.0"]

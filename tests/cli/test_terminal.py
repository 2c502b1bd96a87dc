"""A run in a real terminal: the person is asked, and Ctrl-C leaves a run that can go on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Terminal = Callable[..., Any]
Command = Callable[..., Any]


def paid(project: Path) -> list[str]:
    file = project / "paid.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_a_call_is_asked_for_and_made_once_it_is_approved(terminal: Terminal, project: Path) -> None:
    screen = terminal("run", "flow.py", "bob")

    asked = screen.until("(default n)")
    assert "May this call be made?" in asked
    assert "to: bob" in asked
    assert paid(project) == []

    screen.type("y")
    screen.until("done")
    assert screen.end() == 0
    assert paid(project) == ["bob 10.0"]


def test_enter_alone_makes_no_call(terminal: Terminal, project: Path) -> None:
    screen = terminal("run", "flow.py", "bob")
    screen.until("(default n)")

    screen.type("")
    screen.until("Reason")
    screen.type("not today")

    assert "not today" in screen.until("done")
    assert screen.end() == 0
    assert paid(project) == []


def test_an_edit_that_does_not_fit_is_said_and_asked_again(terminal: Terminal, project: Path) -> None:
    screen = terminal("run", "flow.py", "bob")
    screen.until("(default n)")

    screen.type("e")
    screen.until("As JSON")
    screen.type("amount=much")
    screen.until("does not fit")
    screen.until("(default n)")
    screen.type("e")
    screen.until("As JSON")
    screen.type("amount=3")
    screen.until("done")

    assert screen.end() == 0
    assert paid(project) == ["bob 3.0"]


def test_an_edit_opens_the_editor(terminal: Terminal, project: Path) -> None:
    editor = project / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/10.0/4.5/" "$1"\n', encoding="utf-8")
    editor.chmod(0o755)
    screen = terminal("run", "flow.py", "bob", EDITOR=str(editor))
    screen.until("(default n)")

    screen.type("e")
    screen.until("done")

    assert screen.end() == 0
    assert paid(project) == ["bob 4.5"]


def test_what_is_left_for_later_waits(terminal: Terminal, collegium: Command) -> None:
    screen = terminal("run", "flow.py", "bob")
    screen.until("(default n)")

    screen.type("l")

    assert screen.end() == 3
    assert "collegium answer ap-" in screen.text
    assert len(collegium("inbox", "--json").json) == 1


def test_ctrl_c_at_work_leaves_a_run_that_can_be_resumed(
    terminal: Terminal, collegium: Command, project: Path, tmp_path_factory: Any
) -> None:
    hold = tmp_path_factory.mktemp("hold") / "held"
    hold.touch()
    screen = terminal("run", "flow.py", "bob", HOLD=str(hold))
    screen.until("prepare")

    screen.interrupt()

    screen.until("Go on with: collegium resume run-")
    assert screen.end() == 1
    assert "Traceback" not in screen.text
    run_id = collegium("runs", "--json").json[0]["run_id"]
    hold.unlink()
    resumed = collegium("resume", run_id, "--yes", "--json")
    assert (resumed.status, resumed.json["status"]) == (0, "done")
    assert paid(project) == ["bob 10.0"]


def test_ctrl_c_at_a_question_leaves_it_open(terminal: Terminal, collegium: Command, project: Path) -> None:
    screen = terminal("run", "flow.py", "bob")
    screen.until("(default n)")

    screen.interrupt()

    screen.until("Go on with: collegium resume run-")
    assert screen.end() == 1
    approval = collegium("inbox", "--json").json[0]
    assert collegium("approve", approval["id"]).status == 0
    assert paid(project) == ["bob 10.0"]


def test_a_question_that_was_answered_elsewhere_is_not_answered_twice(
    terminal: Terminal, collegium: Command, project: Path
) -> None:
    screen = terminal("run", "flow.py", "bob")
    screen.until("(default n)")
    collegium("approve", collegium("inbox", "--json").json[0]["id"], "--by", "eve")

    screen.type("y")

    screen.until("was decided already: approve by eve")
    assert screen.end() == 0
    assert paid(project) == ["bob 10.0"]


def test_a_run_left_waiting_is_answered_after_its_process_was_killed(
    terminal: Terminal, process: Command, project: Path
) -> None:
    screen = terminal("run", "flow.py", "bob")
    screen.until("(default n)")
    screen.process.kill()
    screen.process.wait()

    approval = process("inbox", "--json").json[0]
    first = process("approve", approval["id"], "--by", "ada", "--json")
    second = process("reject", approval["id"], "--by", "eve")

    assert (first.status, first.json["status"]) == (0, "done")
    assert second.status == 1
    assert "was decided already: approve by ada" in second.line
    assert paid(project) == ["bob 10.0"]

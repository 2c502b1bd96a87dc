"""Programs on a list, run without a shell, in a folder that they may read or change."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("boxes need Linux", allow_module_level=True)

from collegium.core.errors import InvalidTool, ToolError
from collegium.tools import command
from collegium.tools.sandbox import Limits, strength


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if strength().walls != "namespaces":
        pytest.skip("this machine has no box of the kind namespaces")
    (tmp_path / "notes.txt").write_text("rye\nwheat\nrye\n")
    return tmp_path


async def test_a_program_starts_in_the_folder_and_what_it_prints_comes_back(folder: Path) -> None:
    tool = command({"grep": ["-c", "--max-count="]}, folder=folder)

    came = await tool.fn("grep", ["-c", "--max-count=1", "rye", "notes.txt"])
    none = await tool.fn("grep", ["barley", "notes.txt"])

    assert came == {"end": "exited", "exit_code": 0, "output": "1\n", "errors": "", "box": "namespaces"}
    assert (none["exit_code"], none["output"]) == (1, "")
    assert (tool.effect, tool.risk) == ("read", "medium")
    assert "grep (-c --max-count=)" in tool.description


async def test_a_folder_may_be_changed_where_that_was_said(folder: Path) -> None:
    tool = command({"cp": []}, folder=folder, writable=True)

    came = await tool.fn("cp", ["notes.txt", "copy.txt"])

    assert came["exit_code"] == 0
    assert (folder / "copy.txt").read_text() == (folder / "notes.txt").read_text()
    assert (folder / "copy.txt").stat().st_uid == os.getuid()
    assert (tool.effect, tool.risk) == ("unsafe", "high")


async def test_a_folder_that_may_be_changed_is_not_filled(folder: Path) -> None:
    limits = Limits(disk_mb=4, file_mb=1, files=50, wall_s=20)
    tool = command({"split": ["-b"]}, folder=folder, writable=True, limits=limits)
    (folder / "large.bin").write_bytes(bytes(1 << 20))  # counts as what was there

    many = await tool.fn("split", ["-b", "1", "large.bin"])

    assert many["end"] == "disk"
    assert len(os.listdir(folder)) < 1 << 20


async def test_what_cannot_be_run_is_refused(folder: Path) -> None:
    tool = command({"ls": []}, folder=folder / "absent")

    for program, arguments in (("cat", []), ("ls", ["-l"]), ("ls", ["a\0b"]), ("ls", [])):
        with pytest.raises(ToolError):
            await tool.fn(program, arguments)


@pytest.mark.parametrize(
    ("programs", "given", "why"),
    [
        ({}, {}, "empty"),
        ({"sh": []}, {}, "shell"),
        ({"/bin/bash": []}, {}, "shell"),
        ({"no-such-program": []}, {}, "not there"),
        ({"/usr/bin": []}, {}, "not there"),
        ({"ls": ["l"]}, {}, "not an option"),
        ({"ls": ["-"]}, {}, "not an option"),
        ({"ls": []}, {"writable": True}, "needs a folder"),
    ],
)
def test_a_list_that_does_not_hold_together_is_refused_where_it_is_made(
    programs: dict[str, list[str]], given: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidTool, match=why):
        command(programs, **given)

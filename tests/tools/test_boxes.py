"""The short form of `benchmarks.sandbox` for boxes: nothing gets out, nothing is used up, nothing lives on."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("boxes need Linux", allow_module_level=True)

sys.path.append(str(Path(__file__).parents[2]))  # last, as rooms have names that others use, too
from benchmarks.sandbox import boxes, programs
from benchmarks.sandbox.world import world

from collegium.core.errors import InvalidTool, ToolError
from collegium.tools import python
from collegium.tools.sandbox import PROMISES, Limits, Strength, Walls, strength
from collegium.tools.sandbox import strength as strengths
from collegium.tools.sandbox.warden import filters

LIMITS = Limits(wall_s=1.5, cpu_s=1, memory_mb=256, processes=32, files=2000, disk_mb=32, file_mb=20)
USES = (
    "loop that ignores the signal",
    "8 GB",
    "memory in many processes",
    "fork bomb in sessions of its own",
    "full disk",
    "1 GB printed",
    "sleep without signals",
    "child left behind",
)
FILTERED = (
    "read a file",
    "write a file",
    "all subclasses",
    "memory of the host",
    "connect",
    "Unix socket",
    "environment",
)


def demand(walls: Walls) -> None:
    """Skip a test where the machine has no such box."""
    if walls in strength().missing or not boxes.python_for(walls):
        pytest.skip(f"this machine has no box of the kind {walls}")


def test_escapes_without_a_box_reach_what_they_are_after(tmp_path: Path) -> None:
    with world(tmp_path / "world") as here:
        assert boxes.unboxed(here).wrong == []


@pytest.mark.parametrize(("walls", "names"), [("namespaces", tuple(programs.ESCAPES)), ("filters", FILTERED)])
async def test_no_program_gets_out_of_its_box(tmp_path: Path, walls: Walls, names: tuple[str, ...]) -> None:
    demand(walls)
    with world(tmp_path / "world") as here:
        outcomes = [outcome async for outcome in boxes.escapes(here, walls, names)]

    assert [(one.name, one.wrong) for one in outcomes if one.wrong] == []
    assert len(outcomes) == len(names)


@pytest.mark.parametrize("walls", list(PROMISES))
async def test_no_program_uses_up_the_machine_or_lives_on(walls: Walls) -> None:
    demand(walls)

    outcomes = [outcome async for outcome in boxes.uses(walls, LIMITS, USES, late_s=60)]

    assert [(one.name, one.wrong) for one in outcomes if one.wrong] == []
    ends = {one.name: one.note.split()[0] for one in outcomes}
    assert ends["sleep without signals"] == "wall"
    assert ends["1 GB printed"] == "output"
    assert ends["child left behind"] == "exited"


@pytest.mark.parametrize("walls", list(PROMISES))
async def test_nothing_lives_on_when_the_one_who_waits_is_gone(walls: Walls) -> None:
    demand(walls)

    outcomes = [outcome async for outcome in boxes.deaths(walls)]

    assert [(one.name, one.wrong) for one in outcomes if one.wrong] == []


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    (tmp_path / "numbers.txt").write_text("1 2 3")
    return tmp_path


async def test_the_tool_returns_what_a_program_prints_and_how_it_ended(numbers: Path) -> None:
    demand("namespaces")
    tool = python(folder=numbers)

    good = await tool.fn("print(sum(map(int, open('files/numbers.txt').read().split())))")
    bad = await tool.fn("import sys\nprint('half')\nsys.stdout.flush()\n1 / 0")
    left = await tool.fn("exit(3)")
    kept = await tool.fn("open('files/new.txt', 'w')")

    assert good == {"end": "exited", "exit_code": 0, "output": "6\n", "errors": "", "box": "namespaces"}
    assert (bad["exit_code"], bad["output"]) == (1, "half\n")
    assert bad["errors"].splitlines()[1] == '  File "program.py", line 4, in <module>'
    assert left["exit_code"] == 3
    assert "Read-only file system" in kept["errors"]
    assert os.listdir(numbers) == ["numbers.txt"]


async def test_code_that_is_no_text_or_too_long_is_refused() -> None:
    for code in ("\ud800", "#" * 200_001):
        with pytest.raises(ToolError):
            await python().fn(code)


def test_the_tool_says_how_its_box_holds_and_asks_where_it_holds_little() -> None:
    strong, weak = python(), python(at_least="limits")

    assert PROMISES["filters"] in strong.description
    assert PROMISES["limits"] in weak.description
    assert (strong.effect, strong.risk) == ("read", "medium")
    assert (weak.effect, weak.risk) == ("unsafe", "high")


async def test_a_machine_with_weaker_walls_refuses_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[strengths.__module__], "strength", lambda: Strength("limits", {}))

    with pytest.raises(ToolError, match="at_least"):
        await python().fn("print(1)")


async def test_boxes_run_side_by_side() -> None:
    demand("namespaces")
    tool = python()

    came = await asyncio.gather(*(tool.fn(f"print({number} ** 2)") for number in range(6)))

    assert [one["output"] for one in came] == [f"{number**2}\n" for number in range(6)]


@pytest.mark.parametrize("wrong", [{"wall_s": 0}, {"cpu_s": -1}, {"memory_mb": float("nan")}, {"processes": "many"}])
def test_limits_are_numbers_above_nothing(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidTool, match=next(iter(wrong))):
        Limits(**wrong)  # type: ignore[arg-type]


def test_the_filter_is_whole_instructions_that_jump_inside_of_it() -> None:
    if not filters.known():
        pytest.skip("no filter for this machine")
    program = filters.program(sockets=True, signals=True)
    steps = [program[start : start + 8] for start in range(0, len(program), 8)]

    assert len(program) % 8 == 0
    for index, step in enumerate(steps):
        if step[0] & 7 == 5:  # a jump
            assert index + 1 + max(step[2], step[3]) < len(steps)
    assert steps[-1][0] == 6  # the last one returns

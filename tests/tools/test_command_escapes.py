"""The short form of the group `command` of `benchmarks.sandbox`: arguments are arguments, and nothing else runs."""

import shutil
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("boxes need Linux", allow_module_level=True)

sys.path.append(str(Path(__file__).parents[2]))  # last, as rooms have names that others use, too
from benchmarks.sandbox import commands
from benchmarks.sandbox.world import world

from collegium.tools.sandbox import Walls, strength


@pytest.mark.skipif(not shutil.which("bash"), reason="needs a shell to compare with")
def test_a_shell_obeys_what_the_arguments_say(tmp_path: Path) -> None:
    with world(tmp_path / "world") as here:
        assert commands.unguarded(here).wrong == []


@pytest.mark.parametrize("walls", ["namespaces", "filters"])
async def test_no_argument_no_option_and_no_name_runs_anything_else(tmp_path: Path, walls: Walls) -> None:
    if walls in strength().missing or list(strength().missing) == ["namespaces", "filters"]:
        pytest.skip(f"this machine has no box of the kind {walls}")
    with world(tmp_path / "world") as here:
        outcomes = [outcome async for outcome in commands.cases(here, walls, at_once=True)]

    assert [(one.name, one.wrong) for one in outcomes if one.wrong] == []
    assert len(outcomes) == 7

"""The short form of the group `archives` of `benchmarks.sandbox`: nothing gets out, and nothing is left half-way."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # last, as rooms have names that others use, too
from benchmarks.sandbox import packed
from benchmarks.sandbox.world import world


@pytest.mark.skipif(sys.platform != "linux", reason="the race exchanges names in one step, which Linux can")
def test_no_archive_gets_out_of_its_folder_or_leaves_a_part_of_itself(tmp_path: Path) -> None:
    with world(tmp_path / "world") as here:
        outcomes = list(packed.cases(here, tries=50, members=3000, size_mb=4))

    assert [(one.name, one.wrong) for one in outcomes if one.wrong] == []
    assert len(outcomes) > 65

"""The short form of the group `paths` of `benchmarks.sandbox`: no name, no link and no race leads out of a folder."""

import sys
from pathlib import Path
from unittest import mock

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # last, as rooms have names that others use, too
from benchmarks.sandbox import paths
from benchmarks.sandbox.world import world


@pytest.mark.skipif(sys.platform != "linux", reason="the race exchanges names in one step, which Linux can")
@pytest.mark.parametrize("opener", ["openat2", "walk"])
def test_no_path_leads_out_of_a_workspace(tmp_path: Path, opener: str) -> None:
    walk = mock.patch("collegium.tools.builtin._beneath._by_openat2", return_value=None)
    with world(tmp_path / "world") as here:
        if opener == "walk":
            walk.start()
        try:
            outcomes = list(paths.cases(here, tries=200))
        finally:
            mock.patch.stopall()

    assert [(one.name, one.wrong) for one in outcomes if one.wrong] == []
    assert len(outcomes) == len(paths.NAMES) + 5

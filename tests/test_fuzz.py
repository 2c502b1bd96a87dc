"""The short form of `benchmarks.fuzz`: odd values at every way in, the same ones each time."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # last, as rooms have names that others use, too
from benchmarks.fuzz.__main__ import fuzz
from benchmarks.fuzz.doors import DOORS

EXAMPLES = 300


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("door", DOORS)
def test_odd_values_are_accepted_or_refused_by_name_and_bring_no_control_to_a_terminal(
    door: str, tmp_path: Path
) -> None:
    report = fuzz(door, EXAMPLES, number=20261129, folder=tmp_path.resolve())

    assert report.failure == ""
    assert report.outcomes.total() >= EXAMPLES
    assert min(report.outcomes["accepted"], report.outcomes["refused"]) > 0

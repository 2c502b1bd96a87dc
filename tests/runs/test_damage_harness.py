"""The short form of `benchmarks.damage`: damaged copies of a store against a truth kept outside."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # last, as rooms have names that others use, too
from benchmarks.damage.__main__ import damaged, nearly_whole, passed

COPIES = 100


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_damaged_store_tells_nothing_wrong_hides_nothing_and_repeats_no_effect() -> None:
    verdicts = list(damaged(COPIES, seed=20261122))

    assert [(verdict.copy, verdict.kind, verdict.failures) for verdict in verdicts if verdict.failures] == []
    assert nearly_whole(verdicts) >= 0.9
    assert passed(verdicts)
    assert sum(verdict.answered for verdict in verdicts) > COPIES

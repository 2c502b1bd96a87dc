"""The short form of `benchmarks.ingestion --kills`: SIGKILL at steps of an ingestion loses and repeats nothing."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # last, as rooms have names that others use, too
from benchmarks.ingestion.kills import Stage

AIMED = [
    ("staging", "flush", "return"),
    ("vectors", "ensure", "return"),
    ("snapshot", "finish", "call"),
    ("staging", "publish", "call"),
    ("staging", "publish", "return"),
    ("vectors", "keep_only", "call"),
    ("snapshot", "drop_others", "call"),
    ("staging", "_delete", "call"),
]
"""Before and after each thing that lasts."""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_an_ingestion_that_is_killed_loses_nothing_and_the_next_repeats_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    last = {step: at for at, step in enumerate(stage.steps)}

    kills = [stage.kill(last[step]) for step in AIMED]

    assert [(kill.step, kill.failures) for kill in kills if kill.failures or not kill.died] == []
    assert [kill.step for kill in kills] == AIMED

"""Processes that answer one approval at the same moment: one wins, the others hear who."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("processes", "rounds"), [(2, 20), (8, 10)])
def test_one_of_several_processes_wins_and_the_others_are_told_who(tmp_path: Path, processes: int, rounds: int) -> None:
    command = [sys.executable, "-m", "benchmarks.races", "--rounds", str(rounds), "--processes", str(processes)]

    done = subprocess.run(
        [*command, "--json", str(tmp_path / "report.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (tmp_path / "report.json").exists(), done.stderr
    (found,) = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert _told(found) == {"rounds": rounds, "killed": rounds // 4, "faults": []}


def _told(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("rounds", "killed", "faults")}

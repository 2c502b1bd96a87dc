"""The short forms of the crash benchmark, at random and at every point, and the checker's own eyes."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def kill_workers(folder: Path, *options: str, seed: int) -> dict[str, Any]:
    """The benchmark's report, with the checker's verdict."""
    command = [sys.executable, "-m", "benchmarks.crash", *options, "--seed", str(seed)]
    done = subprocess.run(
        [*command, "--folder", str(folder), "--json", str(folder / "report.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    if not (folder / "report.json").exists():
        pytest.fail(f"the benchmark itself failed:\n{done.stdout}\n{done.stderr}")
    report: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return report


def test_sixty_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    report = kill_workers(tmp_path, "--kills", "60", seed=7)

    assert report["verdict"]["faults"] == {}, f"seed {report['seed']}: see the benchmark"
    assert report["figures"]["kills"] >= 60
    assert report["verdict"]["accepted"] > 0
    assert report["verdict"]["done"] > 0


def test_kills_spread_over_every_point_of_a_run_and_of_its_recovery_lose_nothing(tmp_path: Path) -> None:
    report = kill_workers(tmp_path, "--systematic", "--cases", "48", seed=11)

    assert report["verdict"]["faults"] == {}, f"seed {report['seed']}: see the benchmark"
    assert report["pass"]["points"] > 100
    assert len(report["pass"]["killed_at"]) >= 12
    assert {"retry.before", "retry.inside", "retry.after"} <= set(report["pass"]["again_at"])
    assert report["verdict"]["done"] >= 48


Plant = Callable[[Path, sqlite3.Connection], object]


def again(folder: Path, _: sqlite3.Connection) -> None:
    """An effect that happens a second time."""
    world = folder / "sink.jsonl"
    first = next(line for line in world.read_text("ascii").splitlines() if '"tool": "pay"' in line)
    with world.open("a", encoding="ascii") as file:
        file.write(f"{first}\n")


def unknown(folder: Path, _: sqlite3.Connection) -> None:
    """An effect that the journal has never heard of."""
    world = folder / "sink.jsonl"
    entry = json.loads(world.read_text("ascii").splitlines()[0])
    with world.open("a", encoding="ascii") as file:
        file.write(f"{json.dumps({**entry, 'key': 'another'})}\n")


def undone(folder: Path, _: sqlite3.Connection) -> None:
    """A world in which something did not happen that the history calls done."""
    world = folder / "sink.jsonl"
    lines = world.read_text("ascii").splitlines(keepends=True)
    world.write_text("".join(line for line in lines if '"tool": "store"' not in line), encoding="ascii")


def other_arguments(_: Path, store: sqlite3.Connection) -> None:
    """Approvals of something else than what happened."""
    store.execute("""UPDATE approval SET payload=replace(payload, '"label":"w', '"label":"v')""")


def gone(folder: Path, store: sqlite3.Connection) -> None:
    """A store without a run that was accepted."""
    accepted = json.loads((folder / "accepted.jsonl").read_text("utf-8").splitlines()[0])
    store.execute("DELETE FROM run WHERE run_id = ?", (accepted["run_id"],))


PLANTS: list[tuple[str, Plant]] = [
    ("twice", again),
    ("not intended", unknown),
    ("wrong outcome", undone),
    ("not approved", other_arguments),
    ("lost", gone),
    ("unfinished", lambda _, store: store.execute("UPDATE run SET status='running'")),
    ("in doubt", lambda _, store: store.execute("UPDATE effect SET state='intent'")),
    ("lease left", lambda _, store: store.execute("UPDATE run SET owner='wk-gone'")),
    ("answer lost", lambda _, store: store.execute("UPDATE approval SET state='pending', decision=NULL")),
    (
        "doubt not shown",
        lambda folder, _: (folder / "doubts.jsonl").write_text('{"key": "k", "tool": "pay", "run_id": "r"}\n'),
    ),
]


def test_the_checker_sees_what_it_is_there_to_see(tmp_path: Path) -> None:
    trial = tmp_path / "trial"
    trial.mkdir()
    assert kill_workers(trial, "--kills", "6", seed=3)["verdict"]["faults"] == {}
    found: dict[str, list[str]] = {}

    for number, (kind, plant) in enumerate(PLANTS):
        folder = tmp_path / str(number)
        shutil.copytree(trial, folder)
        with closing(sqlite3.connect(folder / "runs.db")) as store:
            plant(folder, store)
            store.commit()
        command = [sys.executable, "-m", "benchmarks.crash.checker", str(folder)]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found[kind] = list(json.loads(told.stdout)["faults"])

    assert [kind for kind, faults in found.items() if kind not in faults] == []

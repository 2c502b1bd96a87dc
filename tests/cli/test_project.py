"""`collegium init`: the new project works as it is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

FILES = ["README.md", "graph.py", "handbook/loans.md", "handbook/opening-hours.md", "test_graph.py"]


@pytest.fixture
def made(collegium: Command, project: Path) -> Path:
    """A new project."""
    assert collegium("init", "enquiry-desk").status == 0
    return project / "enquiry-desk"


def test_a_new_project_has_a_graph_a_test_and_a_readme(made: Path) -> None:
    assert sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()) == FILES
    assert "PROJECT" not in "".join((made / file).read_text(encoding="utf-8") for file in FILES)


def test_nothing_is_wrong_with_the_graph_of_a_new_project(collegium: Command, made: Path) -> None:
    assert collegium("check", "graph.py", "--json", cwd=made).json == []


def test_the_tests_of_a_new_project_pass(made: Path, environment: dict[str, str]) -> None:
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]

    done = subprocess.run(run, cwd=made, env=environment, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.embedded
def test_a_new_project_answers_with_the_embedded_model(collegium: Command, made: Path) -> None:
    from collegium.models import pull_sync

    pull_sync("smollm2")

    run = collegium("run", "graph.py", "When does the reading room open?", "--yes", "--json", cwd=made)

    assert run.status == 0
    assert "nine in the morning" in run.json["state"]["answer"]["text"]


@pytest.mark.parametrize("name", ["enquiry-desk", "9lives", "a b"])
def test_a_folder_that_is_not_empty_or_has_no_name_is_refused(collegium: Command, made: Path, name: str) -> None:
    refused = collegium("init", name)

    assert refused.status == 2
    assert "NAME: " in refused.line
    assert sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()) == FILES


def test_a_new_project_as_json_names_its_files(collegium: Command) -> None:
    assert collegium("init", "desk", "--json").json == {"folder": "desk", "files": FILES}

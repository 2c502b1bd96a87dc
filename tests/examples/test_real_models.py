"""The research example from the command line, with a real embedded model and a real llama.cpp server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collegium.models import pull_sync

QUOTE = "The reading room opens at nine in the morning."
LIMIT_S = 240


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The file of the small model's weights, fetched on first use."""
    pytest.importorskip("xllamacpp")
    return pull_sync("smollm2") / "model.gguf"


@pytest.fixture
def server(smollm2: Path) -> Iterator[str]:
    """The address of a llama.cpp server that asks for no key."""
    process = subprocess.Popen(
        [sys.executable, "-m", "collegium.models.embedded.serve", str(smollm2), "--alias", "tiny-llama"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdin and process.stdout
    try:
        process.stdin.write("\n")
        process.stdin.flush()
        first = next(line for line in process.stdout if line.startswith('{"address"'))
        yield json.loads(first)["address"]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def library(tmp_path: Path, minilm: Path) -> Path:
    """A folder with two documents."""
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "hours.md").write_text(f"# Hours\n\n{QUOTE} It closes at six.\n", encoding="utf-8")
    (folder / "loans.md").write_text("# Loans\n\nBooks are lent for four weeks.\n", encoding="utf-8")
    return folder


def research(library: Path, *options: str) -> dict[str, Any]:
    """What `collegium run research --yes --json` prints, without a terminal."""
    question = "When does the reading room open?"
    done = subprocess.run(
        [sys.executable, "-c", "from collegium.cli import main; main()", "run", "research", question, "--yes", "--json"]
        + ["--set", f"documents={json.dumps([str(library)])}", *options],
        cwd=library.parent,
        env={name: value for name, value in os.environ.items() if name not in ("COLLEGIUM_MODEL", "COLLEGIUM_DB")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def assert_answered(printed: dict[str, Any], library: Path, model: str) -> None:
    answer = printed["state"]["answer"]
    assert answer["text"] == QUOTE
    assert answer["model"] == printed["model"] == model
    for citation in answer["citations"]:
        source = Path(citation["source"]).read_text(encoding="utf-8")
        assert source[citation["start"] : citation["end"]] == citation["quote"]
    assert printed["status"] == "done"
    assert printed["usage"]["output_tokens"] > 0
    assert printed["state"]["verdict"]["passed"]
    assert QUOTE in (library.parent / "reports" / "when-does-the-reading-room-open.md").read_text(encoding="utf-8")


@pytest.mark.embedded
def test_research_answers_from_the_command_line_with_the_embedded_model(library: Path, smollm2: Path) -> None:
    assert_answered(research(library), library, "smollm2")


@pytest.mark.embedded
def test_research_runs_unchanged_against_a_llama_cpp_server(library: Path, server: str) -> None:
    printed = research(library, "--model", f"llamacpp:tiny-llama@{server}/v1")

    assert_answered(printed, library, "tiny-llama")

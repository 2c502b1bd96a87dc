"""The pytest plugin: recordings beside their tests, and fixtures that load what they need when asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
from collegium import END, START, Graph, State, model
from collegium.agents import Review
from collegium.core.messages import user


class Page(State):
    text: str
    short: str = ""


async def shorten(text: str) -> str:
    return (await model().complete([user(f"PROMPT: {text}")])).text


graph = Graph(Page, name="page")
graph.add_node("shorten", shorten, writes="short")
graph.add_node("review", Review("short"))
graph.add_edge(START, "shorten")
graph.add_edge("shorten", "review")
graph.add_edge("review", END)


async def test_it(cassette, scripted_model, auto_approve):
    llm = None if cassette.replaying else scripted_model(["brief"])
    run = await graph.run({"text": "long"}, model=llm, approver=auto_approve)
    assert run.state.short == "brief"
"""


def run_pytest(folder: Path, *words: str) -> str:
    """What pytest prints for the tests in a folder, with warnings as errors."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    options = [
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        "-W",
        "error",
        "--rootdir",
        str(folder),
        *words,
    ]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_page.py").write_text(TEST, encoding="utf-8")
    return tmp_path


def test_a_recording_is_made_beside_the_test_once_and_then_replayed(folder: Path) -> None:
    recording = folder / "cassettes" / "test_page" / "test_it.json"

    assert "record it first" in run_pytest(folder)
    assert not recording.exists()
    assert "1 passed" in run_pytest(folder, "--cassette=record")
    made = recording.read_bytes()
    assert "1 passed" in run_pytest(folder, "--cassette=record")
    assert recording.read_bytes() == made
    assert "1 passed" in run_pytest(folder)

    (folder / "test_page.py").write_text(TEST.replace("PROMPT", "QUESTION"), encoding="utf-8")
    assert "[-PROMPT-]{+QUESTION+}" in run_pytest(folder)
    assert "1 passed" in run_pytest(folder, "--cassette=rewrite")
    assert "QUESTION" in recording.read_text(encoding="utf-8")


def test_a_test_that_fails_leaves_no_recording(folder: Path) -> None:
    (folder / "test_page.py").write_text(TEST.replace('== "brief"', '== "other"'), encoding="utf-8")

    assert "1 failed" in run_pytest(folder, "--cassette=record")
    assert not (folder / "cassettes").exists()


def test_the_plugin_loads_nothing_heavy_before_a_fixture_is_used() -> None:
    code = (
        "import sys, collegium.testing.plugin; print(sorted(n for n in ('langgraph', 'pydantic') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"

"""What an import costs: the face of the package and the command's help load nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("langgraph", "langchain_core", "openai", "chromadb", "aiohttp", "onnxruntime", "numpy", "xllamacpp")

REPORT = f"""
import sys
heavy = {HEAVY!r}
print(sorted(name for name in heavy if name in sys.modules))
print(sorted(name for name in sys.modules if name.startswith("collegium.")))
"""


def loaded_by(code: str) -> list[str]:
    """The two lines that `REPORT` prints after `code` ran in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code + REPORT], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()[-2:]


def test_importing_collegium_loads_no_room_and_nothing_heavy() -> None:
    heavy, rooms = loaded_by("import collegium")

    assert heavy == "[]"
    assert rooms == "[]"


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["run", "--help"], ["models", "--help"], ["eval", "--help"]]
)
def test_help_loads_only_the_cli_and_nothing_heavy(words: list[str]) -> None:
    run = f"""
import contextlib, io
from collegium.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main({words!r})
"""
    heavy, rooms = loaded_by(run)

    assert heavy == "[]"
    assert all(name.startswith("'collegium.cli") for name in rooms.strip("[]").split(", "))


def test_importing_collegium_reads_no_environment_and_starts_no_thread() -> None:
    code = """
import os, threading
class Watched(dict):
    def __getitem__(self, key):
        raise SystemExit(f"read {key}")
    get = __getitem__
before = os.environ
os.environ = Watched()
import collegium
os.environ = before
assert threading.active_count() == 1
"""
    assert loaded_by(code)[1] == "[]"


@pytest.mark.parametrize("room", ["graphs", "runs"])
def test_graphs_and_runs_load_langgraph_but_no_client_no_index_and_no_documents(room: str) -> None:
    spared = ("openai", "chromadb", "aiohttp", "numpy", "jsonschema", "unittest.mock", "collegium.knowledge")
    code = f"import sys, collegium.{room}; print([name for name in {spared!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"


def test_the_tools_that_come_with_collegium_are_loaded_when_asked_for() -> None:
    code = """
import collegium.tools, sys
assert "collegium.tools.builtin" not in sys.modules
from collegium.tools import calculator
assert calculator.name == "calculator"
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)

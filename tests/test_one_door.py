"""The rules that a type checker cannot see, read off the source."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent for path in ROOT.glob("*/__init__.py"))
SOURCES = sorted(path for room in ROOMS for path in room.rglob("*.py"))


def lines_with(pattern: str) -> set[str]:
    """Files (relative to the root) in which a code line matches."""
    found = re.compile(pattern)
    return {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for line in path.read_text(encoding="utf-8").splitlines()
        if found.search(line.split("#")[0])
    }


def test_only_call_tool_runs_the_body_of_a_tool() -> None:
    tool_runs = r"\btool\w*\.execute\(|\.execute\(\s*arguments|\bself\.tool\.execute\("

    assert lines_with(tool_runs) == {"runs/calls.py"}


def test_rooms_import_each_other_relatively() -> None:
    assert lines_with(r"^\s*(from|import) collegium\b") == set()


def test_nothing_prints_but_the_command_line_and_what_is_a_program_itself() -> None:
    printing = {path for path in lines_with(r"^\s*print\(") if not path.startswith("cli/")}

    assert printing <= {"models/embedded/serve.py", "testing/conformance.py", "testing/faulty.py"}

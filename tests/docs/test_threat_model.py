"""Each promise of the threat model names tests, and each of them exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)


def promises() -> list[str]:
    """The rows of the tables whose last column is the test."""
    tables = re.findall(r"\| promise \| test \|\n\| --- \| --- \|\n((?:\|.*\n)+)", PAGE)
    return [row for table in tables for row in table.splitlines()]


def test_each_promise_names_a_test() -> None:
    assert len(promises()) > 20
    assert [row for row in promises() if not re.search(r"`tests/[\w/]+\.py::test_\w+` ?[|,]", row)] == []


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_the_test_behind_a_promise_exists(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))

    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}

"""TARGET: a file, a module or a shipped example, and one line when it leads nowhere."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collegium.cli.targets import example_names, load_target, parse_target
from collegium.core.errors import CollegiumError, InvalidInput, UnknownTarget

GRAPH = """
from typing import TypedDict
from langgraph.graph import START, StateGraph

class Shared(TypedDict):
    text: str

def build():
    made = StateGraph(Shared)
    made.add_node("echo", lambda state: {"text": state["text"]})
    made.add_edge(START, "echo")
    return made

graph = build()
compiled = graph.compile()
number = 5
"""


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    """Modules and import paths as they were before the test."""
    modules, path = dict(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.path[:] = path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a graph in `flow.py`, the working directory."""
    (tmp_path / "flow.py").write_text(GRAPH, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", ["flow.py", "./flow.py", "flow.py:compiled", "flow.py:build", "flow:graph"])
def test_a_target_is_loaded(project: Path, text: str) -> None:
    assert load_target(parse_target(text)).__class__.__name__ in ("StateGraph", "CompiledStateGraph")


def test_what_is_stored_with_a_run_loads_the_same_graph_from_another_folder(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = parse_target("flow.py:compiled")
    graph = load_target(first)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    again = parse_target(first.text)

    assert (again.module, again.name) == ("flow", "compiled")
    assert load_target(again) is graph


def test_a_file_may_import_its_neighbours(project: Path) -> None:
    (project / "neighbour.py").write_text("from flow import graph", encoding="utf-8")

    assert load_target(parse_target("neighbour.py")) is load_target(parse_target("flow.py"))


def test_a_file_named_like_a_library_is_still_the_file(project: Path) -> None:
    (project / "json.py").write_text(GRAPH, encoding="utf-8")
    import json

    target = parse_target("json.py")
    load_target(target)

    assert target.module != "json"
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nowhere.py", "there is no file"),
        ("reserch", "Did you mean 'research'"),
        ("flow.py:grph", "Did you mean 'graph'"),
        ("nomodule:graph", "there is no module 'nomodule'"),
        ("flow.py:number", "is int, not a graph"),
    ],
)
def test_a_target_that_leads_nowhere_is_one_line(project: Path, text: str, problem: str) -> None:
    with pytest.raises(CollegiumError, match=problem) as caught:
        load_target(parse_target(text))

    assert isinstance(caught.value, (UnknownTarget, InvalidInput))
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = 1\ny = 1 / 0", "broken.py, line 2: ZeroDivisionError"),
        ("def f(:", "broken.py, line 1: "),
        ("import not_there_at_all", "needs 'not_there_at_all'"),
    ],
)
def test_a_module_that_fails_is_one_line_with_its_place(project: Path, source: str, problem: str) -> None:
    (project / "broken.py").write_text(source, encoding="utf-8")

    with pytest.raises(InvalidInput, match=problem):
        load_target(parse_target("broken.py"))

    assert "broken" not in sys.modules


def test_the_shipped_examples_are_named() -> None:
    assert example_names() == ["research", "review", "support"]


@pytest.mark.parametrize("name", ["research", "review", "support"])
def test_an_example_is_the_same_by_name_and_by_path(name: str) -> None:
    path = Path(__file__).parents[2] / "examples" / name / "graph.py"

    assert load_target(parse_target(name)) is load_target(parse_target(str(path)))

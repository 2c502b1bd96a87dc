"""Graphs from LangGraph's documentation, as they stand there."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from collegium.graphs import check, draw

FILES = sorted((Path(__file__).parent / "langgraph_docs").glob("*.py"))
INPUTS: dict[str, Any] = {
    "approval": {"action_details": "pay"},
    "chatbot": {"messages": "weather?"},
    "evaluator": {"topic": "cats"},
    "handoff": {"foo": ""},
    "orchestrator": {"topic": "cats"},
    "parallelization": {"topic": "cats"},
    "routing": {"input": "a joke about cats"},
    "subgraph": {"foo": "you"},
}


def load(path: Path) -> Any:
    spec = spec_from_file_location(f"langgraph_docs_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_documented_graphs_have_no_errors(path: Path) -> None:
    module = load(path)
    assert [finding for finding in check(module.graph) if finding.severity == "error"] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_documented_graphs_are_drawn(path: Path) -> None:
    module = load(path)
    for name in module.graph.builder.nodes:
        assert all(name in drawing(module.graph) for drawing in (draw.text, draw.mermaid, draw.svg))


@pytest.mark.parametrize("path", [path for path in FILES if path.stem in INPUTS], ids=lambda path: path.stem)
async def test_documented_graphs_run(path: Path) -> None:
    config: Any = {"configurable": {"thread_id": "t"}}
    assert await load(path).graph.ainvoke(INPUTS[path.stem], config)

"""LangGraph's own builder while mistakes are collected: it refuses nothing, so that the checks see the whole graph.

LangGraph raises on the first bad edge, at `add_edge` or `compile()`. A file that does so at import could not be
checked at all; inside `collecting()` its graph is built as far as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

Compiled = CompiledStateGraph[Any, Any, Any, Any]


@contextmanager
def lenient(active: Callable[[], bool]) -> Generator[None]:
    """Lets plain builders pass while `active()`; other tasks of the process are not concerned."""
    builder = cast(Any, StateGraph)
    strict_compile, strict_edge = builder.compile, builder.add_edge

    def compile_(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return strict_compile(self, *args, **kwargs)
        except ValueError:
            if not active():
                raise
            return unrunnable(self)

    def add_edge(self: Any, start_key: Any, end_key: str) -> Any:
        try:
            return strict_edge(self, start_key, end_key)
        except ValueError:
            if not active() or isinstance(start_key, str):
                raise
            self.waiting_edges.add((tuple(start_key), end_key))
            return self

    builder.compile, builder.add_edge = compile_, add_edge
    try:
        yield
    finally:
        builder.compile, builder.add_edge = strict_compile, strict_edge


def unrunnable(builder: Any) -> Compiled:
    """A compiled graph that can be checked and drawn, and not run."""
    return CompiledStateGraph(
        builder=builder,
        schema_to_mapper={},
        nodes={},
        channels={},
        input_channels=START,
        output_channels=[],
        stream_channels=[],
        auto_validate=False,
        name=getattr(builder, "name", None) or "LangGraph",
    )

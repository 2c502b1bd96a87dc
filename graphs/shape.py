"""What stored runs depend on, and which classes and tools a graph brings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ..runs._types import reachable_types
from ..tools.base import Tool
from .binding import Binding
from .fields import Fields
from .typing_match import type_text

if TYPE_CHECKING:
    from .graph import Graph


def shape_of(fields: Fields, bindings: Mapping[str, Binding]) -> dict[str, Any]:
    """The shape of a graph; nodes of inner graphs stand as `outer/inner`."""
    kinds = {name: type_text(field.type) for name, field in fields.items()}
    return {"fields": kinds, "nodes": sorted(_nodes(bindings))}


def _nodes(bindings: Mapping[str, Binding]) -> Iterable[str]:
    for name, binding in bindings.items():
        yield name
        if binding.inner is not None:
            inner = getattr(binding.inner.builder, "bindings", None)
            yield from (f"{name}/{part}" for part in (_nodes(inner) if inner else binding.inner.builder.nodes))


def state_types(graph: Graph[Any]) -> list[type]:
    """Every class that may stand in the state of a graph or of its inner graphs."""
    schemas: list[Any] = [*cast(Any, graph).schemas]
    for binding in graph.bindings.values():
        if binding.inner is not None:
            inner: Any = binding.inner.builder
            nested = getattr(inner, "state_types", None)
            schemas.extend(nested() if nested else inner.schemas)
    return reachable_types(schemas)


def tools_of(bindings: Mapping[str, Binding]) -> list[Tool]:
    """The tools of nodes, each once."""
    found: dict[str, Tool] = {}
    for binding in bindings.values():
        for tool in node_tools(binding.action):
            found.setdefault(tool.name, tool)
        nested = getattr(binding.inner.builder, "bindings", None) if binding.inner else None
        for tool in tools_of(nested) if nested else ():
            found.setdefault(tool.name, tool)
    return list(found.values())


def node_tools(action: object) -> list[Tool]:
    """The tools that a node object offers as `.tools`."""
    tools: Any = getattr(action, "tools", ())
    if callable(tools) or not hasattr(tools, "__iter__"):
        return []
    listed: Iterable[Any] = tools.values() if hasattr(tools, "values") else tools
    return [tool for tool in listed if isinstance(tool, Tool)]

"""What stored runs depend on, and which classes and tools a graph brings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from pydantic import BaseModel

from ..core.ids import digest
from ..runs._types import reachable_types
from ..tools.base import Tool
from .binding import Binding
from .fields import Fields
from .typing_match import schema_fields, type_text

if TYPE_CHECKING:
    from .graph import Graph

_DIGITS = 16
"""Of a digest in a shape: it is compared with one other only, and every run carries its shape."""

_NOTES = frozenset({"title", "description", "examples"})
"""Keys of a JSON Schema that tell a reader something and a call nothing."""


def shape_of(fields: Fields, bindings: Mapping[str, Binding]) -> dict[str, Any]:
    """The shape of a graph, as `runs.changes` compares it; nodes of inner graphs stand as `outer/inner`."""
    classes = {cls.__name__: cls for cls in reachable_types([field.type for field in fields.values()]) if _users(cls)}
    parts = {name: _parts(cls) for name, cls in sorted(classes.items())}
    needed = [name for name, field in fields.items() if field.required]
    needed += [f"{name}.{part}" for name, (_, required) in parts.items() for part in required]
    return {
        "fields": {name: type_text(field.type) for name, field in fields.items()},
        "required": sorted(needed),
        "types": {name: texts for name, (texts, _) in parts.items()},
        "nodes": sorted(_nodes(bindings)),
        "tools": {tool.name: _call_digest(tool) for tool in sorted(tools_of(bindings), key=lambda tool: tool.name)},
        "inner": dict(sorted(_inner_states(bindings))),
    }


def _users(cls: type) -> bool:
    """Whether a class is the user's own; those of this package and of LangChain keep what they stored readable."""
    return cls.__module__.partition(".")[0] not in ("collegium", "langchain_core", "langgraph")


def _parts(cls: type[Any]) -> tuple[dict[str, str], list[str]]:
    """The fields of a class with the text of their types, and those without a default."""
    if issubclass(cls, Enum):
        return {member.name: repr(member.value) for member in cls}, []
    if issubclass(cls, BaseModel):
        infos = cls.model_fields
        texts = {name: type_text(info.annotation) for name, info in infos.items()}
        return texts, [name for name, info in infos.items() if info.is_required()]
    texts = {name: type_text(kind) for name, kind in _hints(cls).items()}
    if not dataclasses.is_dataclass(cls):
        given = cast("Mapping[str, Any]", getattr(cls, "_field_defaults", {}))
        return texts, [name for name in texts if name not in given]
    missing = dataclasses.MISSING
    plain = {part.name for part in dataclasses.fields(cls) if part.default is part.default_factory is missing}
    return texts, [name for name in texts if name in plain]


def _hints(cls: type[Any]) -> dict[str, Any]:
    try:
        return get_type_hints(cls)
    except (NameError, TypeError):
        return {}


def _call_digest(tool: Tool) -> str:
    """Digest of what a call of the tool is: its arguments and its effect, not the words that describe them."""
    return digest([_without_notes(tool.parameters), tool.effect])[:_DIGITS]


def _without_notes(schema: Any, *, names: bool = False) -> Any:
    """A schema without titles and descriptions; `names` where its keys are the names of arguments."""
    if isinstance(schema, Mapping):
        found = cast("Mapping[str, Any]", schema)
        return {
            key: _without_notes(value, names=not names and key in ("properties", "$defs", "definitions"))
            for key, value in found.items()
            if names or key not in _NOTES
        }
    if isinstance(schema, (list, tuple)):
        return [_without_notes(part) for part in cast("Iterable[Any]", schema)]
    return schema


def _nodes(bindings: Mapping[str, Binding]) -> Iterable[str]:
    for name, binding in bindings.items():
        yield name
        if binding.inner is not None:
            inner = getattr(binding.inner.builder, "bindings", None)
            yield from (f"{name}/{part}" for part in (_nodes(inner) if inner else binding.inner.builder.nodes))


def _inner_states(bindings: Mapping[str, Binding]) -> Iterator[tuple[str, str]]:
    """Of each node that is a graph, the digest of its state's fields."""
    for name, binding in bindings.items():
        if binding.inner is None:
            continue
        builder: Any = binding.inner.builder
        types = schema_fields(builder.state_schema)
        yield name, digest({field: type_text(types[field]) for field in sorted(types)})[:_DIGITS]
        for part, text in _inner_states(getattr(builder, "bindings", None) or {}):
            yield f"{name}/{part}", text


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

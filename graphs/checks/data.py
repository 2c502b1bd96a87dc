"""Checks of what nodes read and write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langgraph.graph import START
from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from ...core.errors import nearest
from ..findings import Finding, Severity
from ..typing_match import fits, is_dynamic, is_schema, schema_fields, type_text
from .outline import END, UNSET, NodeOutline, Outline
from .parallel import sent_to
from .structure import reachable


def data(graph: Outline) -> Iterator[Finding]:
    """What is wrong with the fields of a graph."""
    if not graph.fields:
        return
    for node in graph.nodes.values():
        yield from _unknown_fields(graph, node)
        yield from _constant_types(graph, node)
        yield from _returned_types(graph, node)
        yield from _untyped(graph, node)
    yield from _never_written(graph)
    yield from _never_read(graph)


def _unknown_fields(graph: Outline, node: NodeOutline) -> Iterator[Finding]:
    known = tuple(graph.fields)
    said = {mistake.field for mistake in graph.mistakes if mistake.node == node.name}
    written = set(node.facts.writes or ()) if _returns_fields(node) else set[str]()
    # What a node reads that is sent to comes with the Send.
    own = node.inner is None and node.name not in sent_to(graph)
    read = node.facts.reads if own else set[str]()
    for verb, names in (("writes", written), ("reads", read)):
        for name in sorted(names - set(known) - said):
            if verb == "reads" and (name.startswith("_") or _is_attribute(graph, name)):
                continue
            message = f"Node {node.name!r} {verb} {name!r}, which the state does not have."
            yield Finding("unknown_field", "error", node.name, name, message, nearest(name, known))
    for name in sorted(node.facts.may_get - set(known) - said if own else ()):
        message = f"Node {node.name!r} asks for {name!r}, which the state does not have and which is never there."
        yield Finding("unknown_field", "warning", node.name, name, message, nearest(name, known))


def _is_attribute(graph: Outline, name: str) -> bool:
    """Whether a name is a method or property of the state, or of the narrower one that a node asks for."""
    return any(hasattr(schema, name) for schema in (*graph.schemas, dict))


def _returns_fields(node: NodeOutline) -> bool:
    """Whether the mappings that a node returns name fields, and not the keys of one field's value."""
    return node.writes is not None and node.facts.writes is not None and node.writes == node.facts.writes


def _constant_types(graph: Outline, node: NodeOutline) -> Iterator[Finding]:
    if not _returns_fields(node):
        return
    for name, value in node.facts.constants.items():
        field = graph.fields.get(name)
        if field is None or field.reduced or _accepts(field.type, value):
            continue
        message = f"Node {node.name!r} writes {name}={value!r}, but the field is {type_text(field.type)}."
        yield Finding("type_mismatch", "error", node.name, name, message, "Change the value or the field's type.")


def _accepts(annotation: Any, value: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return False
    except (PydanticUserError, PydanticSchemaGenerationError, NameError):
        return True
    return True


def _returned_types(graph: Outline, node: NodeOutline) -> Iterator[Finding]:
    """Of plain nodes: fields of the annotated result whose type is another one than the state's."""
    if not graph.plain or not is_schema(node.returns):
        return
    for name, kind in schema_fields(node.returns).items():
        field = graph.fields.get(name)
        if field is None or field.reduced or is_dynamic(kind) or fits(kind, field.type):
            continue
        message = f"Node {node.name!r} returns {name} as {type_text(kind)}, but the field is {type_text(field.type)}."
        yield Finding("type_mismatch", "error", node.name, name, message, "Change one of the types.")


def _untyped(graph: Outline, node: NodeOutline) -> Iterator[Finding]:
    if node.typed or node.inner is not None or node.handler_of is not None:
        return
    message = f"Node {node.name!r} has a parameter or a result without a type, so nothing can be compared."
    yield Finding("untyped_node", "warning", node.name, None, message, "Annotate its parameters and its result.")


def _never_written(graph: Outline) -> Iterator[Finding]:
    reached = reachable(graph, START)
    nodes = [node for node in graph.nodes.values() if node.name in reached]
    if any(node.writes is None for node in nodes):
        return
    written = set[str]().union(*(node.writes or () for node in nodes))
    inputs = graph.inputs if graph.inputs is not None else _likely_inputs(graph, written)
    said: set[tuple[str | None, str]] = set()
    for reader, name, sure in _reads(graph, reached):
        if name in written or name in inputs or name not in graph.fields or (reader, name) in said:
            continue
        said.add((reader, name))
        severity = _severity(graph, name, sure)
        who = f"Node {reader!r}" if reader in graph.nodes else "The start of the graph"
        message = f"{who} reads {name!r}, which no node writes and which is no input."
        fix = "Let a node before it write the field, or make it an input (no default, or input=)."
        yield Finding("read_never_written", severity, reader if reader in graph.nodes else None, name, message, fix)


def _severity(graph: Outline, name: str, sure: bool) -> Severity:
    default = graph.fields[name].default
    if graph.inputs is None:
        return "warning"
    empty = default is None or default is UNSET or (isinstance(default, (str, list, dict, set, tuple)) and not default)
    return "error" if empty and sure else "warning"


def _reads(graph: Outline, reached: set[str]) -> Iterator[tuple[str, str, bool]]:
    sent = sent_to(graph)  # what such a node reads comes with the Send
    for node in graph.nodes.values():
        if node.name in reached - sent:
            yield from ((node.name, name, True) for name in sorted(node.reads))
            if not node.facts.reads_more and node.inner is None:
                yield from ((node.name, name, False) for name in sorted(node.may_read - node.reads))
    for branch in graph.branches:
        if len(branch.reads) < len(graph.fields) or len(graph.fields) == 1:
            yield from ((branch.source, name, True) for name in sorted(branch.reads))


def _likely_inputs(graph: Outline, written: set[str]) -> set[str]:
    """Where nothing declares inputs: what the first nodes read, or the only field that nobody writes."""
    first = graph.after(START)
    read = set[str]().union(*(graph.nodes[name].may_read for name in first if name in graph.nodes))
    read |= set[str]().union(*(branch.reads for branch in graph.branches if branch.source == START))
    unwritten = set(graph.fields) - written
    return read | (unwritten if len(unwritten) == 1 else set())


def _never_read(graph: Outline) -> Iterator[Finding]:
    read = set[str]().union(*(node.may_read for node in graph.nodes.values()))
    read |= set[str]().union(*(branch.reads for branch in graph.branches))
    results = graph.outputs if graph.outputs is not None else _results(graph)
    for node in graph.nodes.values():
        for name in sorted(node.writes or ()):
            if name in read or name in results or name not in graph.fields or graph.fields[name].kept:
                continue
            message = f"Node {node.name!r} writes {name!r}, which no node reads."
            fix = "Read it somewhere, name it in output=, or leave it out."
            yield Finding("write_never_read", "warning", node.name, name, message, fix)


def _results(graph: Outline) -> set[str]:
    """Where no output is declared: what the last nodes of the graph write."""
    last = [node for node in graph.nodes.values() if END in graph.after(node.name) or not graph.after(node.name)]
    return set[str]().union(*((node.writes or set[str]()) for node in last))

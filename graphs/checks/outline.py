"""One view of any LangGraph graph, as the checks and the drawings want it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from langgraph.channels.last_value import LastValue
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ...core.trust import Origin, trust_of
from ...guardrails.policy import Policy
from ..binding import Binding
from ..findings import Finding
from ..graph import Graph
from ..loops import Loop
from ..maps import Map
from ..ports import UNTYPED, branch_targets, hints_of, signature_of
from ..typing_match import is_model, is_schema, schema_fields
from .sources import Facts, facts_of

AnyGraph = StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any]
Builder = Any
"""A StateGraph; the attributes that are read here have no useful types."""
UNSET: Any = PydanticUndefined


@dataclass(slots=True)
class FieldOutline:
    """One field of the state."""

    name: str
    type: Any
    reduced: bool
    """Whether several nodes may write it in one step."""
    default: Any = UNSET
    kept: bool = False
    came: bool = False
    """Whether all its values come from outside, as declared."""


@dataclass(slots=True)
class NodeOutline:
    """One node."""

    name: str
    action: Any
    reads: set[str] = field(default_factory=set[str])
    """Fields that it cannot do without."""
    may_read: set[str] = field(default_factory=set[str])
    """Fields that it may look at."""
    writes: set[str] | None = None
    """None when it may write any field."""
    goto: set[str] = field(default_factory=set[str])
    goto_unknown: bool = False
    sends: set[str] = field(default_factory=set[str])
    facts: Facts = field(default_factory=Facts)
    typed: bool = True
    deferred: bool = False
    handler_of: str | None = None
    inner: Builder | None = None
    fed: set[str] | None = None
    """Inputs of the inner graph that the node feeds; None for all."""
    map: Map | None = None
    loop: Loop | None = None
    returns: Any = None


@dataclass(slots=True)
class BranchOutline:
    """One conditional edge."""

    source: str
    name: str
    targets: set[str]
    known: bool
    several: bool
    sends: set[str]
    reads: set[str]
    labels: dict[str, str] = field(default_factory=dict[str, str])
    loop: Loop | None = None
    strays: set[str] = field(default_factory=set[str])
    """Names that it returns and that lead nowhere."""


@dataclass(slots=True)
class Outline:
    """A whole graph."""

    name: str
    plain: bool
    """Whether it is LangGraph's own, where less is declared."""
    fields: dict[str, FieldOutline]
    inputs: set[str] | None
    """Fields that a caller gives; None when nothing says."""
    outputs: set[str] | None
    """Fields that a caller gets, where they were declared."""
    nodes: dict[str, NodeOutline]
    edges: set[tuple[str, str]]
    joins: set[tuple[tuple[str, ...], str]]
    branches: list[BranchOutline]
    schemas: list[Any]
    policy: Policy | None = None
    mistakes: list[Finding] = field(default_factory=list[Finding])

    def statics(self, name: str) -> set[str]:
        """Nodes that always follow."""
        joined = {end for starts, end in self.joins if name in starts}
        return {end for start, end in self.edges if start == name} | joined

    def options(self, name: str) -> list[set[str]]:
        """For each conditional edge or goto of a node: the nodes that may follow."""
        found = [branch.targets | branch.sends for branch in self.branches if branch.source == name]
        node = self.nodes.get(name)
        if node and (node.goto or node.sends or node.goto_unknown):
            found.append(node.goto | node.sends | (self.everywhere() if node.goto_unknown else set()))
        return found

    def after(self, name: str) -> set[str]:
        """All nodes that may follow."""
        handlers = {node.name for node in self.nodes.values() if node.handler_of == name}
        return self.statics(name).union(handlers, *self.options(name))

    def everywhere(self) -> set[str]:
        """Each node, and END."""
        return {name for name, node in self.nodes.items() if node.handler_of is None} | {END}


def outline(graph: AnyGraph, fed: set[str] | None = None) -> Outline:
    """The view of a graph; `fed` are the inputs that a graph around it gives."""
    builder: Builder = graph.builder if isinstance(graph, CompiledStateGraph) else graph
    if isinstance(builder, Graph):
        managed: Graph[Any] = cast(Any, builder).source
        return _managed(managed, fed)
    return _plain(builder, fed)


def _outside(origins: Iterable[Origin]) -> bool:
    return trust_of(origins) == "untrusted"


def _managed(graph: Graph[Any], fed: set[str] | None) -> Outline:
    fields = {
        name: FieldOutline(name, one.type, one.reducer is not None, one.default(), one.kept, _outside(one.came))
        for name, one in graph.fields.items()
    }
    required = {name for name, one in graph.fields.items() if one.required or one.kept}
    declared = None if graph.input_schema is graph.state_schema else set(schema_fields(graph.input_schema))
    output = None if graph.output_schema is graph.state_schema else set(schema_fields(graph.output_schema))
    found = Outline(
        graph.name,
        plain=False,
        fields=fields,
        inputs=(required if declared is None else declared | {n for n in required if fields[n].kept}) | (fed or set()),
        outputs=output,
        nodes={name: _managed_node(graph, binding) for name, binding in graph.bindings.items()},
        edges=set(graph.edges),
        joins=set(graph.waiting_edges),
        branches=[],
        schemas=[graph.state_schema],
        policy=graph.policy,
        mistakes=[mistake.finding for mistake in graph.mistakes],
    )
    _add_handlers(found, graph)
    _part_ways(found)
    found.branches = _branches(graph, found)
    return found


def _part_ways(found: Outline) -> None:
    """A command of a sub-graph may go to a node of the graph around it; for the sub-graph that is an end."""
    for node in found.nodes.values():
        if node.facts.leaves:
            node.goto = node.goto or {END}
        leaving = [part.facts for part in outline(node.inner).nodes.values() if part.facts.leaves] if node.inner else []
        for facts in leaving:
            node.goto |= facts.leads_out
            node.goto_unknown |= not facts.leads_out


def _managed_node(graph: Graph[Any], binding: Binding) -> NodeOutline:
    node = NodeOutline(binding.name, binding.action, typed=binding.signature.typed, returns=binding.signature.returns)
    node.facts = _facts(binding)
    required = {feed.field for feed in binding.feeds if not feed.optional and not feed.takes_none}
    node.reads = required & set(graph.fields)
    node.may_read = set(binding.reads)
    if binding.whole and binding.view is None and binding.inner is None and node.facts.found:
        node.reads |= node.facts.reads & set(graph.fields)
        if not node.facts.reads_more:
            node.may_read = set(node.reads) | {feed.field for feed in binding.feeds}
    node.writes = set(binding.writes) if binding.writes is not None else node.facts.writes
    node.map, node.loop = graph.maps.get(binding.name), graph.loops.get(binding.name)
    if node.map is not None:
        node.reads |= {node.map.field} & set(graph.fields)
        node.may_read |= node.reads
    spec = graph.nodes.get(binding.name)
    node.deferred = bool(spec and spec.defer)
    _set_goto(node, set(spec.ends or ()) if spec else set(binding.goto))
    if binding.inner is not None:
        node.inner = binding.inner.builder
        node.fed = {feed.port for feed in binding.feeds}
        node.writes = _inner_writes(binding)
    return node


def _inner_writes(binding: Binding) -> set[str]:
    """Of the fields that an inner graph may give, those that one of its nodes writes."""
    inner = outline(cast(Any, binding.inner).builder)
    written = _written(inner)
    pairs = (binding.several or {}).items()
    return {name for output, name in pairs if written is None or output in written or name not in binding.reads}


def _written(graph: Outline) -> set[str] | None:
    writes = [node.writes for node in graph.nodes.values()]
    known = [one for one in writes if one is not None]
    return set[str]().union(*known) if len(known) == len(writes) else None


def _facts(binding: Binding) -> Facts:
    parameter = next((name for name, kind in binding.signature.specials.items() if kind == "state"), None)
    return facts_of(binding.function, parameter) if _has_source(binding.function) else Facts()


def _has_source(function: Any) -> bool:
    return callable(function) and getattr(function, "__hash__", None) is not None


def _set_goto(node: NodeOutline, declared: set[str]) -> None:
    facts = node.facts
    node.goto = declared | facts.goto
    node.goto_unknown = facts.goto_unknown and not declared
    node.sends = facts.sends


def _plain(builder: Builder, fed: set[str] | None) -> Outline:
    rooted = "__root__" in builder.channels
    channels: dict[str, Any] = {} if rooted else builder.channels
    defaults = _defaults(builder.state_schema)
    fields = {
        name: FieldOutline(name, channel.ValueType, not isinstance(channel, LastValue), defaults.get(name, UNSET))
        for name, channel in channels.items()
    }
    narrow = builder.input_schema is not builder.state_schema
    output = None if builder.output_schema is builder.state_schema else set(builder.schemas[builder.output_schema])
    found = Outline(
        getattr(builder.state_schema, "__name__", "graph"),
        plain=True,
        fields=fields,
        inputs=set(builder.schemas[builder.input_schema]) | (fed or set()) if narrow else None,
        outputs=output,
        nodes={},
        edges=set(builder.edges),
        joins=set(builder.waiting_edges),
        branches=[],
        schemas=list(builder.schemas),
    )
    for name, spec in builder.nodes.items():
        if not spec.is_error_handler:
            found.nodes[name] = _plain_node(builder, name, spec)
    _add_handlers(found, builder)
    _part_ways(found)
    found.branches = _branches(builder, found)
    return found


def _defaults(schema: Any) -> dict[str, Any]:
    if is_model(schema):
        return {
            name: info.get_default(call_default_factory=True, validated_data={})
            for name, info in schema.model_fields.items()
            if not info.is_required()
        }
    parts: dict[str, Any] = getattr(schema, "__dataclass_fields__", {})
    return {name: part.default for name, part in parts.items() if part.default is not part.default_factory}


def _plain_node(builder: Builder, name: str, spec: Any) -> NodeOutline:
    action = raw_function(spec.runnable)
    node = NodeOutline(name, action, deferred=spec.defer)
    reading: set[str] = {key for key in builder.schemas[spec.input_schema] if key in builder.channels}
    node.may_read = reading
    if isinstance(action, CompiledStateGraph):
        inner: Builder = cast(Any, action).builder
        node.inner = inner
        node.writes = {key for key in inner.schemas[inner.output_schema] if key in builder.channels}
    elif inspect.isroutine(action) or callable(action):
        _read_function(builder, node, action)
    _set_goto(node, set(spec.ends or ()))
    return node


def _read_function(builder: Builder, node: NodeOutline, action: Any) -> None:
    try:
        parameters = list(inspect.signature(action).parameters)
    except (TypeError, ValueError):
        return
    hints = hints_of(action)
    node.facts = facts_of(action, parameters[0] if parameters else None) if _has_source(action) else Facts()
    node.typed = not parameters or parameters[0] in hints
    if node.facts.found and parameters:
        node.reads = node.facts.reads & set(builder.channels)
        if not node.facts.reads_more:
            node.may_read = set(node.reads)
    node.writes = node.facts.writes
    returns = hints.get("return", UNTYPED)
    node.returns = returns
    if node.writes is None and is_schema(returns) and returns is not builder.state_schema:
        node.writes = set(schema_fields(returns))


def raw_function(runnable: Any) -> Any:
    """The user's function below LangGraph's wrapper; anything else as it is."""
    if isinstance(runnable, CompiledStateGraph):
        return cast(Any, runnable)
    function = getattr(runnable, "func", None) or getattr(runnable, "afunc", None)
    return runnable if function is None else function


def _add_handlers(found: Outline, builder: Builder) -> None:
    for name, spec in builder.nodes.items():
        handler = spec.error_handler_node
        if handler is None or handler not in builder.nodes or handler in found.nodes:
            continue
        action = inspect.unwrap(raw_function(builder.nodes[handler].runnable))
        facts = facts_of(action, "state")
        node = NodeOutline(handler, action, writes=facts.writes, facts=facts, handler_of=name)
        node.reads, node.may_read = facts.reads & set(found.fields), set(found.fields)
        _set_goto(node, set(_handler_targets(action)))
        found.nodes[handler] = node


def _handler_targets(action: Any) -> tuple[str, ...]:
    return signature_of(action, BaseModel).goto


def _branches(builder: Builder, found: Outline) -> list[BranchOutline]:
    managed: Graph[Any] | None = cast(Any, builder) if isinstance(builder, Graph) else None
    result: list[BranchOutline] = []
    for source, branches in builder.branches.items():
        for name, branch in branches.items():
            result.append(_branch(found, source, name, branch, managed))
    return result


def _branch(found: Outline, source: str, name: str, branch: Any, managed: Graph[Any] | None) -> BranchOutline:
    loop = managed.loops.get(source) if managed else None
    loop = loop if loop is not None and loop.branch == name else None
    binding = managed.routers.get((source, name)) if managed else None
    function = binding.function if binding else raw_function(branch.path)
    facts, returns = _router_facts(function, binding)
    declared, several = branch_targets(returns)
    reads = set(binding.reads) if binding and not facts.found else facts.reads & set(found.fields)
    if binding and facts.found:
        reads |= {feed.field for feed in binding.feeds}
    elif facts.reads_more or not facts.found:
        reads = set(found.fields)
    result = BranchOutline(source, name, set(), True, several or facts.several, facts.sends, reads, loop=loop)
    if loop is not None:
        result.targets = {loop.back_to, loop.then, loop.otherwise}
    elif branch.ends is not None:
        result.targets = set(branch.ends.values())
        result.labels = {end: str(key) for key, end in branch.ends.items() if str(key) != end}
        result.strays = {name for name in facts.choices or () if name not in branch.ends}
    elif declared or facts.choices is not None:
        result.targets = set(declared or ()) | (facts.choices or set())
    else:
        result.targets, result.known = found.everywhere(), False
    return result


def _router_facts(function: Any, binding: Binding | None) -> tuple[Facts, Any]:
    if not callable(function) or not _has_source(function):
        return Facts(), UNTYPED
    if binding is not None:
        return _facts(binding), hints_of(function).get("return", UNTYPED)
    try:
        first = next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):
        first = None
    return facts_of(function, first), hints_of(function).get("return", UNTYPED)


__all__ = ["END", "START", "BranchOutline", "FieldOutline", "NodeOutline", "Outline", "outline", "raw_function"]

"""What a Runner can run: a Collegium graph, or any LangGraph graph as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol, cast, runtime_checkable

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Overwrite
from pydantic import BaseModel, TypeAdapter, ValidationError

from ..core.errors import InvalidInput, InvalidWrite, nearest
from ..core.ids import canonical_json, digest
from ..core.trust import LABELS
from ..guardrails.guards import Guards
from ..guardrails.policy import Policy
from ..tools.base import Tool
from ._types import reachable_types
from .changes import changes
from .migration import Migration
from .store.rows import RunRow
from .store.serde import StrictSerializer

Compiled = CompiledStateGraph[Any, Any, Any, Any]


@runtime_checkable
class ManagedGraph(Protocol):
    """What a graph must tell to get typed input, typed state and fresh runs. `Graph` does."""

    name: str
    version: str
    migrations: list[Migration]
    """What leads from earlier versions to this one, oldest first."""

    def compile(self) -> Compiled:
        """The graph, ready to run, without a saver."""
        ...

    def admit(self, input: Any) -> dict[str, Any]:
        """The input as field values, only those that the caller set.

        Raises:
            InvalidInput: A field is unknown, missing or refused; the error names it.
        """
        ...

    def land(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of fields, each checked against its field.

        Raises:
            InvalidInput: A field is unknown, or a value is refused; the error names it.
        """
        ...

    def kept_fields(self) -> frozenset[str]:
        """Fields whose value a new run on the same thread starts from."""
        ...

    def view(self, values: Mapping[str, Any]) -> Any:
        """The typed state that channel values make."""
        ...

    def fingerprint(self) -> str:
        """Digest of the shape: equal as long as stored runs can go on."""
        ...

    def shape(self) -> dict[str, Any]:
        """The shape itself, as `runs.changes` compares it."""
        ...

    def state_types(self) -> list[type]:
        """Every class that may stand in the state; the decoder accepts no other."""
        ...

    def tools(self) -> list[Tool]:
        """The tools of its nodes."""
        ...

    @property
    def policy(self) -> Policy | None:
        """The graph's own policy, used where the Runner has none."""
        ...

    @property
    def guards(self) -> Guards | None:
        """The graph's own guards, used where the Runner has none."""
        ...


AnyGraph = ManagedGraph | StateGraph[Any, Any, Any, Any] | Compiled


class Target:
    """One graph under a Runner, compiled once."""

    def __init__(self, graph: AnyGraph) -> None:
        self.graph = graph
        self.managed = graph if isinstance(graph, ManagedGraph) else None
        plain = cast("Compiled | StateGraph[Any, Any, Any, Any]", graph)
        self.name = self.managed.name if self.managed else _plain_name(plain)
        self.version = self.managed.version if self.managed else "1"
        self._misread: dict[str, bool] = {}
        """By the fingerprint of stored runs."""

    @cached_property
    def compiled(self) -> Compiled:
        """The graph that LangGraph runs; a saver is lent to it for each run."""
        if isinstance(self.graph, CompiledStateGraph):
            return self.graph
        made: Any = cast(Any, self.graph).compile()
        if LABELS in made.channels:  # the labels of a run are shown with its values
            made.stream_channels = [*made.stream_channels_list, LABELS]
        return cast(Compiled, made)

    @property
    def builder(self) -> Any:
        """The graph's definition; LangGraph leaves the type parameters of its parts open."""
        return self.compiled.builder

    @property
    def fresh(self) -> bool:
        """Whether a new run on a thread starts from defaults (managed) or goes on (plain LangGraph)."""
        return self.managed is not None

    @property
    def migrations(self) -> list[Migration]:
        """What leads stored runs of earlier versions to this one; a plain graph has none."""
        return self.managed.migrations if self.managed else []

    @cached_property
    def nested(self) -> bool:
        """Whether nodes of sub-graphs are to be shown."""
        return bool(_subgraphs(self.compiled))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the shape that stored runs depend on."""
        return self.managed.fingerprint() if self.managed else digest(self.shape)

    @cached_property
    def shape(self) -> dict[str, Any]:
        """Fields with their types, nodes, and what else `changes` compares."""
        if self.managed:
            return self.managed.shape()
        builder = self.builder
        fields = {name: str(channel.ValueType) for name, channel in builder.channels.items()}
        return {"fields": fields, "nodes": sorted(builder.nodes)}

    @cached_property
    def tools(self) -> dict[str, Tool]:
        """The tools of the graph's nodes, by name."""
        return {tool.name: tool for tool in self.managed.tools()} if self.managed else {}

    @property
    def policy(self) -> Policy | None:
        """The graph's own policy."""
        return self.managed.policy if self.managed else None

    @property
    def guards(self) -> Guards | None:
        """The graph's own guards."""
        return self.managed.guards if self.managed else None

    def admit(self, input: Any) -> dict[str, Any]:
        """The input as field values.

        Raises:
            CheckFailed: The graph cannot run, whatever the input; said here, so that no such run is stored.
            InvalidInput: A field is unknown or refused.
        """
        builder: Any = self.compiled.builder
        if self.managed:
            return self.managed.admit(input)
        values = _as_mapping(input)
        schema = builder.input_schema
        known = list(builder.schemas[schema])
        for name in values:
            if name not in known:
                raise InvalidInput(name, f"the graph has no such input. It takes: {', '.join(known)}.")
        if issubclass(schema, BaseModel):
            _validate(schema, values)
        return values

    def land(self, values: Mapping[str, Any], builder: Any) -> dict[str, Any]:
        """Values of fields of this graph or, by its builder, of one inside it, checked as far as their graph can.

        Raises:
            InvalidInput: A field is unknown, or a value is refused; the error names it.
        """
        if isinstance(builder, ManagedGraph):
            return builder.land(values)
        known = [name for name in builder.channels if not name.startswith("__")]
        for name in values:
            if name not in known:
                raise InvalidInput(name, f"the state has no such field. {nearest(name, known)}")
        return dict(values)

    def kept_fields(self) -> frozenset[str]:
        """Fields that a new run takes over from the thread's last finished run."""
        return self.managed.kept_fields() if self.managed else frozenset()

    def view(self, values: Mapping[str, Any]) -> Any:
        """The state as users see it: typed for a managed graph, else a dict."""
        return self.managed.view(values) if self.managed else dict(values)

    @cached_property
    def shape_text(self) -> str:
        """The shape as JSON text."""
        return canonical_json(self.shape)

    def check_end(self, values: Mapping[str, Any] | None) -> None:
        """Refuse an end that the schema of a plain graph's state refuses; a managed graph checks at each write.

        Raises:
            InvalidWrite: The last node wrote a value that its field does not take.
        """
        schema = None if self.managed or values is None else self.builder.state_schema
        if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
            return
        try:
            schema.model_validate(dict(values or {}))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "state"
            raise InvalidWrite("(last)", field, repr(first["input"])[:80], first["msg"]) from error

    @cached_property
    def serializer(self) -> StrictSerializer:
        """Reads and writes only the types that the graph's state names."""
        types = self.managed.state_types() if self.managed else plain_types(self.compiled)
        return StrictSerializer([*types, Overwrite])

    def misreads(self, row: RunRow) -> bool:
        """Whether fields of a stored run would be lost or refused, as the graph has others."""
        if row.fingerprint not in self._misread:
            found = changes(json.loads(row.shape), self.shape) if row.fingerprint != self.fingerprint else []
            self._misread[row.fingerprint] = any(change.breaking and change.kind == "field" for change in found)
        return self._misread[row.fingerprint]

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """Field values as the run row keeps them.

        Raises:
            InvalidInput: A value could not be read back.
        """
        return self.serializer.dumps_typed(dict(values))[1]

    def decode(self, stored: bytes) -> dict[str, Any]:
        """The field values that `encode` stored.

        Raises:
            CorruptState: The bytes are damaged, or name a type that the graph does not.
        """
        return cast("dict[str, Any]", self.serializer.loads_typed(("msgpack", stored)))


def _plain_name(graph: Compiled | StateGraph[Any, Any, Any, Any]) -> str:
    name = getattr(graph, "name", None)
    if isinstance(name, str) and name != "LangGraph":
        return name
    builder = cast(Any, getattr(graph, "builder", graph))
    return str(builder.state_schema.__name__)


def _as_mapping(input: Any) -> dict[str, Any]:
    if isinstance(input, BaseModel):
        return {name: getattr(input, name) for name in input.model_fields_set}
    if isinstance(input, Mapping):
        return {str(key): value for key, value in cast("Mapping[Any, Any]", input).items()}
    raise InvalidInput("input", f"a mapping of fields is needed, not {type(input).__name__}.")


def _validate(schema: type[BaseModel], values: dict[str, Any]) -> None:
    try:
        TypeAdapter(schema).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(".".join(map(str, first["loc"])) or "input", first["msg"]) from error


def plain_types(compiled: Compiled) -> list[type]:
    """Classes that the schemas of a plain LangGraph graph, and of its sub-graphs, name."""
    builders: list[Any] = [compiled.builder]
    builders += [sub.builder for sub in _subgraphs(compiled, recurse=True)]
    schemas = [schema for builder in builders for schema in builder.schemas]
    return reachable_types(schemas)


def _subgraphs(compiled: Compiled, *, recurse: bool = False) -> list[Compiled]:
    plain: Any = compiled  # LangGraph leaves the type parameters of its sub-graphs open
    return [graph for _, graph in plain.get_subgraphs(recurse=recurse) if isinstance(graph, CompiledStateGraph)]

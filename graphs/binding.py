"""Binding a node to its state: which field feeds which port, and which fields the result goes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from langchain_core.runnables import Runnable

from ..core.errors import GraphSetupError, PortMismatch, UnknownField, nearest
from .fields import Fields
from .findings import Code, Finding, Mistake, is_collecting
from .nodes import ITEM, Feed
from .ports import UNTYPED, Port, Signature, narrow_view, signature_of, untyped_first
from .subgraphs import Inner, inner_graph
from .typing_match import accepts_none, fits, is_dynamic, is_schema, members, schema_fields, type_text, without_none

Names = str | Sequence[str] | Mapping[str, str] | None
"""A field, several fields, or ports (or names in the result) to fields."""


@dataclass(slots=True)
class Binding:
    """What is known of one node: for its wrapper, for the checks and for the drawing."""

    name: str
    action: Any
    """What the user gave."""
    function: Any
    """What is called: the action, or what its `bind` returned."""
    inner: Inner | None
    signature: Signature
    feeds: tuple[Feed, ...] = ()
    reads: tuple[str, ...] = ()
    """Fields it reads; with `whole`, those it may read."""
    whole: bool = False
    """Whether it takes the state as one object."""
    view: Any = None
    """The narrower schema that it asks for."""
    one: str | None = None
    several: Mapping[str, str] | None = None
    goto: tuple[str, ...] = ()
    item: str | None = None
    """The port that takes the item of a map."""
    mistakes: list[Mistake] = field(default_factory=list[Mistake])

    @property
    def runnable(self) -> Runnable[Any, Any] | None:
        """The LangChain runnable that is called, if it is one."""
        function: Any = self.function
        return cast("Runnable[Any, Any]", function) if isinstance(function, Runnable) else None

    @property
    def writes(self) -> tuple[str, ...] | None:
        """Fields it declares to write; None when it may write any."""
        if self.one is not None:
            return (self.one,)
        return None if self.several is None else tuple(self.several.values())


class Binder:
    """Binds one node, and notes what is wrong on the way."""

    def __init__(self, name: str, action: Any, fields: Fields, item_type: Any = UNTYPED) -> None:
        self.name, self.fields, self.item_type = name, fields, item_type
        inner = inner_graph(action)
        bind = getattr(action, "bind", None)
        function, early = action, list[Mistake]()
        if inner is None and callable(bind) and not isinstance(action, (type, Runnable)):
            function, early = self._bound(bind)
        if inner is None and not callable(function) and not isinstance(function, Runnable):
            raise GraphSetupError(f"Node {name!r} is {action!r}; a function, a callable object or a graph is needed.")
        self.binding = Binding(name, action, function, inner, NOTHING)
        self.binding.mistakes.extend(early)

    def _bound(self, bind: Callable[[Any, str], Any]) -> tuple[Any, list[Mistake]]:
        """What a node object makes of itself for this state; while mistakes are collected, its refusal is one."""
        try:
            return bind(self.fields.schema, self.name), []
        except GraphSetupError as error:
            if not is_collecting():
                raise
            field = error.field if isinstance(error, UnknownField) else None
            code: Code = "unknown_field" if field is not None else "type_mismatch"
            fix = "Give it a field of the state that it can work with."
            return _nothing, [Mistake(error, Finding(code, "error", self.name, field, str(error), fix))]

    def bind(self, reads: Names, writes: Names, item: str | None = None, view: Any = None) -> Binding:
        """The binding, with its mistakes.

        Args:
            reads: Fields for the ports; default the object's own, else by name.
            writes: Fields for the result; default the object's own, else any by name.
            item: With a map, the port for the item; `""` takes the first.
            view: The schema that the state parameter asks for, where the annotation does not say.
        """
        found = self.binding
        if found.mistakes:  # the object refused this state, so it has no ports here
            reads, writes = (), ()
        reads = reads if reads is not None else self._own("reads")
        writes = writes if writes is not None else self._own("writes")
        named: frozenset[str] = frozenset(reads) if isinstance(reads, Mapping) else frozenset()
        found.signature = self._signature(named | {item} if item else named)
        if item == "" and not found.signature.ports and (first := untyped_first(found.function)):
            found.signature = self._signature(named | {first})  # of a node for items, it is no state
        if item is not None:
            self._bind_item(item)
        self._bind_state(reads, view)
        self._bind_ports(self._by_port(reads))
        self._bind_writes(writes)
        found.goto = found.signature.goto
        return found

    def mistake(self, error: Exception, code: Code, field: str | None, fix: str) -> None:
        """Note what is wrong."""
        finding = Finding(code, "error", self.name, field, str(error), fix)
        self.binding.mistakes.append(Mistake(error, finding))

    def _own(self, attribute: str) -> Names:
        for owner in (self.binding.function, self.binding.action):
            own = getattr(owner, attribute, None)
            if isinstance(own, (str, tuple, list, Mapping)):
                return cast(Names, own)
        return None

    def _signature(self, named: frozenset[str]) -> Signature:
        found = self.binding
        if found.inner is not None:
            return found.inner.signature()
        if isinstance(found.function, Runnable):
            return replace(NOTHING, specials={"state": "state"}, view=UNTYPED, returns=UNTYPED, typed=True)
        return signature_of(found.function, self.fields.schema, named)

    def _bind_item(self, item: str) -> None:
        found, ports = self.binding, self.binding.signature.ports
        port = next((port for port in ports if port.name == item or not item), None)
        if port is None:
            known = tuple(port.name for port in ports)
            hint = nearest(item, known) if item else "Give it one."
            error = GraphSetupError(f"Node {self.name!r} has no parameter {item!r} for an item. {hint}")
            self.mistake(error, "unknown_field", item or None, "Name the parameter that takes one item.")
            return
        found.item = port.name
        found.feeds += (Feed(port.name, ITEM, takes_none=True, optional=False),)
        if not fits(self.item_type, port.type):
            self._mismatch(port.name, "the item", port.type, self.item_type)

    def _bind_state(self, reads: Names, view: Any) -> None:
        found, signature = self.binding, self.binding.signature
        if "state" not in signature.specials.values():
            return
        found.whole = True
        found.view = narrow_view(view if view is not None else signature.view, self.fields.schema)
        found.reads = tuple(self.fields)
        if found.view is not None:
            for name, kind in schema_fields(found.view).items():
                self._compare_read(name, name, kind)
            found.reads = tuple(name for name in schema_fields(found.view) if name in self.fields)
        elif reads is not None and not signature.ports:
            named = [reads] if isinstance(reads, str) else list(reads.values() if isinstance(reads, Mapping) else reads)
            found.reads = tuple(name for name in named if self._known(name))

    def _by_port(self, reads: Names) -> Mapping[str, str]:
        """Ports to fields; fields given by name alone go to the port of that name, else to the next free one."""
        if isinstance(reads, Mapping):
            return self._known_ports(reads)
        named = [reads] if isinstance(reads, str) else list(reads or ())
        ports = [port for port in self.binding.signature.ports if port.name != self.binding.item]
        names = {port.name for port in ports}
        bound = {name: name for name in named if name in names}
        free = [port.name for port in ports if port.name not in bound and (not port.optional or len(ports) == 1)]
        left = [name for name in named if name not in names]
        if self.binding.whole and not ports:
            return {}
        if len(left) > len(free):
            error = GraphSetupError(
                f"Node {self.name!r} has no parameter for {', '.join(map(repr, left[len(free) :]))}."
            )
            self.mistake(error, "unknown_field", left[-1], "Read only what the node has a parameter for.")
        return {**bound, **dict(zip(free, left, strict=False))}

    def _known_ports(self, reads: Mapping[str, str]) -> Mapping[str, str]:
        names = tuple(port.name for port in self.binding.signature.ports)
        for port in reads:
            if port not in names and not self.binding.whole:
                error = GraphSetupError(f"Node {self.name!r} has no parameter {port!r}. {nearest(port, names)}")
                self.mistake(error, "unknown_field", reads[port], "Bind a parameter that the node has.")
        return reads

    def _bind_ports(self, reads: Mapping[str, str]) -> None:
        found = self.binding
        fields: dict[str, None] = dict.fromkeys(found.reads if found.whole else ())
        for port in found.signature.ports:
            if port.name == found.item:
                continue
            name = reads.get(port.name, port.name)
            if name not in self.fields and port.optional and port.name not in reads:
                continue
            if self._compare_read(port.name, name, port.type):
                found.feeds += (Feed(port.name, name, _takes_none(port), port.optional),)
                fields[name] = None
        found.reads = tuple(fields)

    def _compare_read(self, port: str, name: str, kind: Any) -> bool:
        if not self._known(name, port=port):
            return False
        given = self.fields[name].type
        wanted = without_none(given) if not accepts_none(kind) else given
        if not fits(wanted, kind):
            self._mismatch(port, name, kind, given)
        return True

    def _known(self, name: str, *, port: str | None = None) -> bool:
        if name in self.fields:
            return True
        where = f"Node {self.name!r}" if port in (None, name) else f"Node {self.name!r}, parameter {port!r}"
        error = UnknownField(name, tuple(self.fields), where)
        self.mistake(error, "unknown_field", name, "Add the field to the state, or bind another one.")
        return False

    def _mismatch(self, port: str, name: str, port_type: Any, field_type: Any) -> None:
        error = PortMismatch(self.name, port, name, type_text(port_type), type_text(field_type))
        self.mistake(error, "type_mismatch", name, "")

    def _bind_writes(self, writes: Names) -> None:
        found = self.binding
        if found.inner is not None:
            self._bind_outputs(found.inner, writes)
        elif writes is None:
            self._bind_undeclared()
        elif isinstance(writes, Mapping):
            self._bind_several(writes)
        else:
            named = [writes] if isinstance(writes, str) else list(writes)
            if len(named) == 1:
                self._bind_one(named[0])
            else:
                self._bind_several({name: name for name in named})

    def _bind_one(self, name: str) -> None:
        returns = self.binding.signature.returns
        if not self._known(name):
            return
        self.binding.one = name
        if returns is not UNTYPED and not fits(returns, self.fields[name].written_type):
            self._mismatch("return", name, returns, self.fields[name].written_type)

    def _bind_several(self, writes: Mapping[str, str]) -> None:
        returns = self.binding.signature.returns
        self.binding.several = {name: field for name, field in writes.items() if self._known(field)}
        for member in members(returns) if returns is not UNTYPED else ():
            self._compare_results(member, self.binding.several)

    def _compare_results(self, returns: Any, writes: Mapping[str, str]) -> None:
        for name, kind in schema_fields(returns).items():
            field = writes.get(name)
            if field is not None and not fits(kind, self.fields[field].written_type):
                self._mismatch(f"return.{name}", field, kind, self.fields[field].written_type)

    def _bind_undeclared(self) -> None:
        returns = self.binding.signature.returns
        if returns is UNTYPED or isinstance(self.binding.function, Runnable):
            return
        declared: dict[str, str] = {}
        for member in members(returns):
            if member is type(None):
                continue
            if is_dynamic(member) or member is object or self._is_update(member):
                return
            if not is_schema(member):
                text = type_text(returns)
                error = GraphSetupError(
                    f"Node {self.name!r} returns {text}, but does not say which field that is. Pass writes=."
                )
                self.mistake(error, "type_mismatch", None, "")
                return
            declared.update({name: name for name in schema_fields(member) if self._known(name)})
            self._compare_results(member, declared)
        self.binding.several = declared

    def _is_update(self, member: Any) -> bool:
        if is_schema(member):
            return isinstance(member, type) and issubclass(self.fields.schema, member)
        origin = getattr(member, "__origin__", member)
        return isinstance(origin, type) and issubclass(origin, Mapping)

    def _bind_outputs(self, inner: Inner, writes: Names) -> None:
        outputs = inner.outputs
        if writes is None:
            bound = {name: name for name in outputs if name in self.fields}
        elif isinstance(writes, Mapping):
            bound = dict(writes)
        else:
            named = [writes] if isinstance(writes, str) else list(writes)
            alone = next(iter(outputs)) if len(outputs) == 1 else None
            bound = {name if name in outputs or alone is None else alone: name for name in named}
        for output, name in bound.items():
            self._compare_output(output, name, outputs)
        self.binding.several = {
            output: name for output, name in bound.items() if output in outputs and name in self.fields
        }

    def _compare_output(self, output: str, name: str, outputs: Mapping[str, Any]) -> None:
        if output not in outputs:
            error = GraphSetupError(f"Node {self.name!r} gives no {output!r}. {nearest(output, tuple(outputs))}")
            self.mistake(error, "unknown_field", output, "Write what the inner graph gives.")
        elif self._known(name, port=output) and not _output_fits(outputs[output], self.fields[name]):
            self._mismatch(output, name, outputs[output], self.fields[name].written_type)


def _output_fits(kind: Any, field: Any) -> bool:
    return fits(kind, field.written_type) or fits(without_none(kind), field.written_type)


def _takes_none(port: Port) -> bool:
    return port.type is UNTYPED or accepts_none(port.type)


def reads_of(function: Callable[..., Any] | Runnable[Any, Any], fields: Fields, name: str) -> Binding:
    """Binds a router or a condition, which reads and writes nothing.

    Raises:
        UnknownField: It asks for a field that the state does not have.
    """
    binder = Binder(name, function, fields)
    return binder.bind(None, ())


async def _nothing() -> None:
    """Stands in for a node object that refused its state, so that the rest of the graph can be checked."""


def first_error(mistakes: Iterable[Mistake]) -> Exception | None:
    """The error to raise, if any."""
    return next((mistake.error for mistake in mistakes), None)


NOTHING = Signature((), {}, None, (), None, (), False, True)

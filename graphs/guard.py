"""The guard of a node: nothing reaches the state, and nobody moves on, unchecked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END
from langgraph.types import Command, Send
from pydantic import BaseModel

from ..core.errors import InvalidWrite, UndeclaredTarget, nearest
from .channels import reader
from .fields import MISSING, Fields, ReadChannel, show


class Targets:
    """Where the nodes of one graph may go: shared by its guards and routers."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known
        self.entries: dict[str, str] = {}
        """Nodes that are entered through another one: a map through what splits its items."""

    def check(self, node: str, target: Any, declared: tuple[str, ...] | None = None) -> Any:
        """The node that really is entered for `target` (a name or a `Send`).

        Raises:
            UndeclaredTarget: There is no such node, or `node` did not declare it.
        """
        name: Any = cast(Any, target).node if isinstance(target, Send) else target
        allowed = tuple(declared) if declared else (*self._known, END)
        if name not in allowed or (isinstance(target, Send) and name == END):
            raise UndeclaredTarget(node, str(name), allowed)
        if isinstance(target, Send):
            return target
        return self.entries.get(name, name)


class Guard:
    """Checks what one node returns and turns it into an update for LangGraph."""

    def __init__(
        self,
        node: str,
        fields: Fields,
        targets: Targets,
        *,
        one: str | None = None,
        several: Mapping[str, str] | None = None,
        declared: tuple[str, ...] = (),
    ) -> None:
        """A guard of `node`.

        Args:
            node: Its name.
            fields: The state.
            targets: The nodes of the graph.
            one: The one field whose value the result is.
            several: Names in the result to fields; None with `one` unset allows any field by its own name.
            declared: Targets that the node declared; empty allows any node.
        """
        self.node, self.fields, self.targets = node, fields, targets
        self.one, self.several, self.declared = one, several, declared

    def land(self, result: Any, config: RunnableConfig | None, seen: Mapping[str, Any] | None = None) -> Any:
        """The update that `result` stands for.

        Args:
            result: What the node returned.
            config: Of the task; present values are read through it.
            seen: The channel values that the node was given, to tell what it changed in a copy of the state.

        Raises:
            InvalidWrite: A field is unknown, undeclared or refuses its value.
            UndeclaredTarget: A command goes where it may not.
        """
        read = reader(config)
        if isinstance(result, (Command, Send)):
            return self._control(result, read)
        if isinstance(result, (list, tuple)) and self._is_commands(cast("Iterable[Any]", result)):
            return [self._part(part, read, seen) for part in cast("Iterable[Any]", result)]
        return self._values(result, read, seen)

    @staticmethod
    def _is_commands(parts: Iterable[Any]) -> bool:
        return any(isinstance(part, (Command, Send)) for part in parts)

    def _part(self, part: Any, read: ReadChannel | None, seen: Mapping[str, Any] | None) -> Any:
        return self._control(part, read) if isinstance(part, (Command, Send)) else self._values(part, read, seen)

    def _values(self, result: Any, read: ReadChannel | None, seen: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if self.one is not None:
            return {self.one: self.fields.land(self.node, self.one, result, read)}
        if result is None:
            return None
        return self._update(self._as_mapping(result, seen), read, by_field=False)

    def _control(self, command: Any, read: ReadChannel | None) -> Any:
        if isinstance(command, Send):
            return Command(goto=[self.targets.check(self.node, command)])
        if command.graph is not None:  # for the graph around this one, which guards it there
            return command
        going: Any = command.goto
        goto = cast("list[Any]", going if isinstance(going, (list, tuple)) else [going])
        checked = [self.targets.check(self.node, target, self._declared(target)) for target in goto]
        update = command.update
        if update is not None:
            update = self._update(self._pairs(update), read, by_field=True)
        return dataclasses.replace(command, goto=checked, update=update)

    def _declared(self, target: Any) -> tuple[str, ...]:
        return () if isinstance(target, Send) else self.declared

    def _update(self, values: Mapping[str, Any], read: ReadChannel | None, *, by_field: bool) -> dict[str, Any]:
        update: dict[str, Any] = {}
        for name, value in values.items():
            field = self._field(name, value, by_field=by_field)
            update[field] = self.fields.land(self.node, field, value, read)
        return update

    def _field(self, name: str, value: Any, *, by_field: bool) -> str:
        if self.one is not None:
            declared: Mapping[str, str] = {self.one: self.one}
        elif self.several is None:
            return name
        else:
            declared = {field: field for field in self.several.values()} if by_field else self.several
        if name in declared:
            return declared[name]
        if name not in self.fields:
            return name  # the field's own check says that it does not exist
        problem = f"the node does not declare that it writes {name!r}. {nearest(name, tuple(declared))}"
        raise InvalidWrite(self.node, name, show(value), problem)

    def _pairs(self, update: Any) -> Mapping[str, Any]:
        if isinstance(update, (list, tuple)):
            return dict(cast("Iterable[tuple[str, Any]]", update))
        return self._as_mapping(update, None)

    def _as_mapping(self, result: Any, seen: Mapping[str, Any] | None) -> Mapping[str, Any]:
        if isinstance(result, Mapping):
            return cast("Mapping[str, Any]", result)
        if isinstance(result, BaseModel):
            values = {
                name: getattr(result, name) for name in type(result).model_fields if name in result.model_fields_set
            }
            if seen is None or not isinstance(result, self.fields.schema):
                return values
            new = {name: additions(self.fields, name, value, seen) for name, value in values.items()}
            return {name: value for name, value in new.items() if value is not MISSING}
        if dataclasses.is_dataclass(result) and not isinstance(result, type):
            return {part.name: getattr(result, part.name) for part in dataclasses.fields(result)}
        names = "a mapping of fields" if self.several is None else f"a mapping of {', '.join(self.several)}"
        raise InvalidWrite(self.node, "…", show(result), f"the node must return {names}, or Command().")


def additions(fields: Fields, name: str, value: Any, seen: Mapping[str, Any]) -> Any:
    """What a whole value of a field adds to the one that was seen; `MISSING` when it is the same.

    A copy of the state, or the result of a sub-graph, holds the whole list of a reduced field: writing that
    would add the old items once more.
    """
    old = fields.value(name, seen)
    if value is old or (type(value) in (list, dict, set) and value == old):
        return MISSING
    if fields[name].reducer is None or {type(value), type(old)} != {list}:
        return value
    return value[len(old) :] if old and value[: len(old)] == old else value

"""One node run for each item of a list, as durable tasks of their own.

A map is three nodes to LangGraph: one that sends the items, the node itself, and one that waits for all.
`lower` puts the two hidden ones in when the graph is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.types import Command, Send

from ..core.errors import MissingInput
from .channels import read_channels
from .fields import MISSING, Fields
from .nodes import ITEM, Step
from .typing_match import item_type, members, schema_fields, without_none


@dataclass(frozen=True, slots=True)
class Map:
    """What `add_map` was told."""

    name: str
    over: str
    """Dotted path to the list."""
    item: str
    """The port that takes one item."""

    @property
    def field(self) -> str:
        """The state field that the path begins with."""
        return self.over.partition(".")[0]

    @property
    def split(self) -> str:
        """The hidden node that sends the items."""
        return f"{self.name}.split"

    @property
    def join(self) -> str:
        """The hidden node that follows when all items are done."""
        return f"{self.name}.join"


def type_along(annotation: Any, path: list[str]) -> Any:
    """The type at the end of a dotted path; None when a part does not exist."""
    for part in path:
        found: list[Any] = []
        for member in members(without_none(annotation)):
            if member in (Any, object) or not schema_fields(member):
                return Any
            if part not in schema_fields(member):
                return None
            found.append(schema_fields(member)[part])
        annotation = found[0]
    return annotation


def items_type(fields: Fields, over: str) -> Any:
    """The type of one item of the list at `over`; None when there is no list."""
    first, *rest = over.split(".")
    annotation = type_along(fields[first].type, rest)
    return None if annotation is None else item_type(annotation)


class Split(Runnable[Any, Any]):
    """Sends each item to the mapped node; without items it goes on at once."""

    def __init__(self, spec: Map, fields: Fields) -> None:
        self.name = spec.split
        self.spec, self.fields = spec, fields

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The tasks, one an item, in the items' order."""
        items = self._items(input)
        if not items:
            return Command(goto=self.spec.join)
        sends = [Send(self.spec.name, {"index": index, ITEM: item}) for index, item in enumerate(items)]
        return cast(Any, Command)(goto=sends)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The tasks, one an item, in the items' order."""
        return self.invoke(input, config)

    def _items(self, values: Mapping[str, Any]) -> list[Any]:
        first, *rest = self.spec.over.split(".")
        found: Any = self.fields.value(first, values)
        for part in rest:
            if found is None or found is MISSING:
                break
            found = cast(Any, found)[part] if isinstance(found, Mapping) else getattr(found, part)
        if found is None or found is MISSING:
            raise MissingInput(self.spec.name, self.spec.over)
        return list(found)


class Join(Runnable[Any, Any]):
    """Does nothing, once, after all items."""

    def __init__(self, spec: Map) -> None:
        self.name = spec.join

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> None:
        """Nothing to write."""

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> None:
        """Nothing to write."""


class ItemStep(Step):
    """A mapped node: it works on one item, with the other ports read from the state."""

    def __init__(self, inner: Step, reads: tuple[str, ...]) -> None:
        """A node for one item; `inner` works on it, with the fields in `reads` beside it."""
        super().__init__(inner.guard.node, inner.guard)
        self.inner, self.reads = inner, list(reads)
        self.takes_sends = False

    def run(self, input: Any, config: RunnableConfig | None) -> Any:
        """Work on the item."""
        return self.inner.run(self._values(input, config), config)

    async def arun(self, input: Any, config: RunnableConfig | None) -> Any:
        """Work on the item."""
        return await self.inner.arun(self._values(input, config), config)

    def _values(self, sent: Mapping[str, Any], config: RunnableConfig | None) -> dict[str, Any]:
        values = dict(read_channels(config, self.reads)) if config is not None and self.reads else {}
        values[ITEM] = sent[ITEM]
        return values

"""The few places where a node reaches LangGraph's channels by itself.

LangGraph has no public way to read one channel or write a hidden one from inside a node; these are the
functions that its own nodes use, and this line of LangGraph is pinned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph._internal._typing import MISSING as EMPTY  # what a channel without a value holds
from langgraph.channels.binop import BinaryOperatorAggregate
from langgraph.pregel._read import ChannelRead
from langgraph.pregel._write import ChannelWrite, ChannelWriteEntry
from langgraph.runtime import Runtime
from pydantic import ValidationError

from ..core.errors import InvalidWrite
from .fields import MISSING, Fields, ReadChannel, explain, show

NOTHING: Any = EMPTY
"""What a channel of LangGraph's holds before anything was written."""


def reader(config: RunnableConfig | None, *, fresh: bool = False) -> ReadChannel | None:
    """Reads single channels for the node at work; None outside of a graph."""
    if config is None or "__pregel_read" not in config.get("configurable", {}):
        return None
    return cast(ReadChannel, partial(_read_one, config, fresh))


def _read_one(config: RunnableConfig, fresh: bool, name: str) -> Any:
    return ChannelRead.do_read(config, select=name, fresh=fresh)


def read_channels(config: RunnableConfig, names: Sequence[str]) -> Mapping[str, Any]:
    """The values of the channels that have one."""
    return cast("Mapping[str, Any]", ChannelRead.do_read(config, select=list(names)))


def write_channel(config: RunnableConfig, name: str, value: Any) -> None:
    """Writes a channel in the name of the node at work."""
    ChannelWrite.do_write(config, [ChannelWriteEntry(name, value)])


def runtime_of(config: RunnableConfig | None) -> Runtime[Any]:
    """The LangGraph runtime of the node at work (context, store, stream writer)."""
    configurable = (config or {}).get("configurable", {})
    found = configurable.get("__pregel_runtime")
    return cast("Runtime[Any]", found) if found is not None else Runtime()


class DefaultedReducer(BinaryOperatorAggregate[Any]):
    """A reduced channel that starts from its field's default and checks what parallel writes merge to.

    LangGraph's own starts from the empty value of its type, whatever the default says.
    """

    __slots__ = ("fields",)

    def __init__(self, typ: Any, operator: Any, fields: Fields, key: str) -> None:
        super().__init__(typ, operator)
        self.fields, self.key = fields, key
        default = fields[key].default()
        if default is not MISSING and default is not None:
            self.value = default

    def copy(self) -> DefaultedReducer:
        """The same channel with the same value."""
        return self.from_checkpoint(self.value)

    def from_checkpoint(self, checkpoint: Any) -> DefaultedReducer:
        """The channel with a stored value, or at its default."""
        other = DefaultedReducer(self.typ, self.operator, self.fields, self.key)
        if checkpoint is not EMPTY:
            other.value = checkpoint
        return other

    def update(self, values: Sequence[Any]) -> bool:
        """Takes the writes of one step.

        Raises:
            InvalidWrite: Each write was right by itself, but the field refuses what they merge to.
        """
        changed = super().update(values)
        if len(values) > 1 and self.key in self.fields.merged:
            try:
                self.fields.whole(self.key, self.value)
            except ValidationError as error:
                raise InvalidWrite("parallel nodes", self.key, show(self.value), explain(error, self.key)) from error
        return changed

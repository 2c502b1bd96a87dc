"""Reducers: how a field takes an update, when a plain write would replace what is there.

A reducer is a function `(current, update) -> merged`, as LangGraph has them. One that carries
`update_type`, a function from the field's type to the type of an update, accepts that type of update.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol, cast, get_args, get_origin, overload

from langgraph.channels.base import BaseChannel
from langgraph.graph.message import add_messages
from pydantic import BeforeValidator

Combine = Callable[[Any, Any], Any]


class Reducer(Protocol):
    """A reducer that says what type of update it takes."""

    def update_type(self, field_type: Any) -> Any:
        """The type of one update of a field of `field_type`."""
        ...


def _listed(value: Any) -> Any:
    return value if issubclass(type(value), (list, tuple, set, frozenset)) else [value]


def _list_update(field_type: Any) -> Any:
    # One item is taken for a list of one, so that a mapped node may return a single value.
    return Annotated[_list_type(field_type), BeforeValidator(_listed)]


def _list_type(field_type: Any) -> Any:
    """The list among the members of `list[X] | None`."""
    members = [field_type, *get_args(field_type)]
    return next((member for member in members if (get_origin(member) or member) is list), list[Any])


class Append:
    """Adds the items of an update to the end of a list; a single item counts as a list of one."""

    __name__ = "append"

    def __call__(self, current: list[Any] | None, update: Any) -> list[Any]:
        """The current items, then those of the update."""
        return [*(current or ()), *_listed(update)]

    def update_type(self, field_type: Any) -> Any:
        """`list[X]`, or one X."""
        return _list_update(field_type)


class MergeById:
    """Merges lists by an id: an item whose id is known replaces the old one in its place, others are added."""

    def __init__(self, key: str = "id") -> None:
        self.key = key
        self.__name__ = f"merge_by_{key}"

    @overload
    def __call__(self, current: str) -> MergeById: ...

    @overload
    def __call__(self, current: list[Any] | None, update: Any) -> list[Any]: ...

    def __call__(self, current: Any, update: Any = None) -> Any:
        """The merged list; with a name alone, the reducer that goes by that attribute or key.

        Raises:
            ValueError: An item has no such attribute or key.
        """
        if isinstance(current, str):
            return MergeById(current)
        merged = {self._id(item): item for item in current or ()}
        merged.update((self._id(item), item) for item in _listed(update))
        return list(merged.values())

    def update_type(self, field_type: Any) -> Any:
        """`list[X]`, or one X."""
        return _list_update(field_type)

    def _id(self, item: Any) -> Any:
        if isinstance(item, Mapping):
            found = cast("Mapping[str, Any]", item).get(self.key)
        else:
            found = getattr(item, self.key, None)
        if found is None:
            raise ValueError(f"an item without {self.key!r} cannot be merged: {item!r}")
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MergeById) and other.key == self.key

    def __hash__(self) -> int:
        return hash((MergeById, self.key))


append = Append()
"""`Annotated[list[X], append]`: an update adds its items (or its one item) to the end."""

merge_by_id = MergeById()
"""`Annotated[list[X], merge_by_id]`: items are told apart by `.id`; `merge_by_id("name")` goes by another key."""

MERGES_SAFELY: tuple[Any, ...] = (operator.add, cast(Any, operator).or_, add_messages)
"""Reducers whose result has the field's type as soon as both sides have it."""


def is_reducer(marker: Any) -> bool:
    """Whether a marker of an `Annotated` type is what LangGraph takes for a reducer or a channel."""
    if isinstance(marker, BaseChannel):
        return True
    if isinstance(marker, type):
        return issubclass(marker, BaseChannel)
    if not callable(marker):
        return False
    try:
        parameters = inspect.signature(marker).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return sum(parameter.kind in positional for parameter in parameters) == 2


def merges_safely(reducer: Any) -> bool:
    """Whether a merged value needs no check of its type once the update has passed."""
    return isinstance(reducer, (Append, MergeById)) or any(reducer is known for known in MERGES_SAFELY)

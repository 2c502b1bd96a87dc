"""Reducers: how a field takes an update, when a plain write would replace what is there.

A reducer is a function `(current, update) -> merged`, as LangGraph has them. One that carries
`update_type`, a function from the field's type to the type of an update, accepts that type of update.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Protocol, cast, get_args, get_origin, overload

from langchain_core.messages import SystemMessage, ToolMessage
from langgraph.channels.base import BaseChannel
from langgraph.graph.message import add_messages
from pydantic import BeforeValidator

from ..core.errors import GraphSetupError

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
    return next(_lists(field_type), list[Any])


def _lists(field_type: Any) -> Iterator[Any]:
    members = [field_type, *get_args(field_type)]
    return (member for member in members if (get_origin(member) or member) is list)


def holds_list(field_type: Any) -> bool:
    """Whether a field of this type may hold a list."""
    return next(_lists(field_type), None) is not None


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


class AtMost:
    """Another reducer of lists whose oldest items go once there are too many."""

    def __init__(self, count: int, reducer: Combine) -> None:
        if count < 1:
            raise GraphSetupError(f"at_most({count}) keeps nothing; a list of at most 1 or more is needed.")
        self.count, self.func = count, reducer
        self.__name__ = f"at_most_{count}_{getattr(reducer, '__name__', 'items')}"

    def __call__(self, current: list[Any] | None, update: Any) -> list[Any]:
        """What the other reducer gives, without its oldest items where it is too long."""
        merged: list[Any] = self.func(current, update)
        return merged if len(merged) <= self.count else self._shortened(merged)

    def update_type(self, field_type: Any) -> Any:
        """What the other reducer takes."""
        declared = getattr(self.func, "update_type", None)
        return field_type if declared is None else declared(field_type)

    def _shortened(self, merged: list[Any]) -> list[Any]:
        # A quarter goes at a time, so that what stays is the same for many turns: it is stored once, and a model's
        # server finds it in its cache.
        first = merged[:1] if isinstance(merged[0], SystemMessage) and self.count > 1 else []
        start = len(merged) - (self.count - self.count // 4 - len(first))
        places = [*range(start, len(merged)), *range(start - 1, len(first), -1)]
        whole = next((place for place in places if not isinstance(merged[place], ToolMessage)), len(first))
        return [*first, *merged[whole:]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AtMost) and (other.count, other.func) == (self.count, self.func)

    def __hash__(self) -> int:
        return hash((AtMost, self.count, self.func))


append = Append()
"""`Annotated[list[X], append]`: an update adds its items (or its one item) to the end."""

merge_by_id = MergeById()
"""`Annotated[list[X], merge_by_id]`: items are told apart by `.id`; `merge_by_id("name")` goes by another key."""


def at_most(count: int, reducer: Combine = append) -> AtMost:
    """As `append`, or as another reducer of lists, but only the newest items stay.

    `Annotated[list[X], at_most(100)]`: once the list would have more than `count` items, its oldest go until three
    quarters of `count` are left. Of messages, a system message that comes first stays, and the rest never begins with
    the result of a tool whose call is gone; while one message has more results than `count`, the list is longer.

    Args:
        count: Most items.
        reducer: How an update gets into the list: `append`, `add_messages`, `merge_by_id`, `operator.add`, or your own.

    Raises:
        GraphSetupError: `count` is below 1.
    """
    return AtMost(count, reducer)


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
    reducer = plainly(reducer)
    return isinstance(reducer, (Append, MergeById)) or any(reducer is known for known in MERGES_SAFELY)


def plainly(reducer: Any) -> Any:
    """The reducer that `at_most` was given, or the reducer itself."""
    return reducer.func if isinstance(reducer, AtMost) else reducer

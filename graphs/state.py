"""The typed state of a graph."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict

from ..core.errors import GraphSetupError
from ..core.trust import ORIGINS, Origin
from .reducers import AtMost, holds_list, is_reducer

RESERVED = frozenset({"state", "config", "runtime", "store", "writer"})
"""Parameter names that LangGraph gives a meaning of their own."""


class Keep:
    """Marks a field that a new run on the same thread goes on from."""

    def __repr__(self) -> str:
        return "keep"


keep = Keep()
"""`Annotated[X, keep]`: a new run on the thread starts from the last value, not from the default."""


class CameFrom:
    """Marks a field whose values come from outside, however they are written."""

    def __init__(self, origin: Origin) -> None:
        if origin not in ORIGINS:
            raise GraphSetupError(f"came_from({origin!r}): there is no such origin. Known: {', '.join(ORIGINS)}.")
        self.origin: Origin = origin

    def __repr__(self) -> str:
        return f"came_from({self.origin!r})"


def came_from(origin: Origin) -> CameFrom:
    """Marks a field all of whose values come from there, inputs too.

    `page: Annotated[str, came_from("web")]` is for what a function of your own brings; results of tools and look-ups
    carry their labels anyway.

    Raises:
        GraphSetupError: There is no such origin.
    """
    return CameFrom(origin)


class State(BaseModel):
    """What the nodes of a graph share: a pydantic model, one channel a field.

    Fields without a default must be in the input of a run, the others may be. A field's type may be annotated
    with a reducer (`append`, `merge_by_id`, `operator.add`, `add_messages`, `at_most` of one of them), with `keep`
    and with `came_from`. Unknown fields are refused.
    """

    model_config = ConfigDict(
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        # A type that no checkpoint can hold is reported by check(), with the field's name and a fix.
        arbitrary_types_allowed=True,
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        _refuse_names(cls)
        _order_markers(cls)


def _refuse_names(schema: type[BaseModel]) -> None:
    private = f"_{schema.__name__.lstrip('_')}__"
    for name in (*schema.model_fields, *schema.__private_attributes__, *schema.__annotations__):
        if name in RESERVED or name.startswith(("__", private)):
            raise GraphSetupError(
                f"{schema.__name__}: a field cannot be called {name.removeprefix(private[:-2])!r}; LangGraph uses the "
                "names state, config, runtime, store, writer and those that begin with __. Rename it."
            )


def _order_markers(schema: type[BaseModel]) -> None:
    # LangGraph takes only the last marker of an Annotated type for the reducer, so it goes last.
    hints: dict[str, Any] = schema.__annotations__
    for name, field in schema.model_fields.items():
        reducers = [marker for marker in field.metadata if is_reducer(marker)]
        if len(reducers) > 1:
            raise GraphSetupError(f"{schema.__name__}.{name} has {len(reducers)} reducers; leave one.")
        if any(isinstance(marker, AtMost) for marker in reducers) and not holds_list(field.annotation):
            raise GraphSetupError(f"{schema.__name__}.{name} has at_most and is no list; make it one.")
        others = [marker for marker in field.metadata if marker not in reducers]
        if field.metadata and field.annotation is not None:
            hints[name] = Annotated[(field.annotation, *others, *reducers)]  # pyright: ignore[reportInvalidTypeForm] - built from the field
        else:
            hints[name] = field.annotation

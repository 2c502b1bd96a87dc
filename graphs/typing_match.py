"""Whether a value of one type may go where another is expected, as far as the types tell.

Only what is surely wrong counts as a mismatch: unknown and dynamic types fit everything.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from pydantic import BaseModel
from typing_extensions import ReadOnly, TypeAliasType
from typing_extensions import is_typeddict as is_typeddict_too

_NUMBERS: dict[type, tuple[type, ...]] = {float: (int,), complex: (int, float)}
_CALLABLE: Any = vars(collections.abc)["Callable"]
_QUALIFIERS = (Required, NotRequired, ReadOnly)


def bare(annotation: Any) -> Any:
    """The type below `Annotated`, aliases, `NewType` and the qualifiers of a TypedDict."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated or origin in _QUALIFIERS:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, TypeAliasType):
            annotation = annotation.__value__
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif annotation is None:
            return type(None)
        else:
            return annotation


def members(annotation: Any) -> list[Any]:
    """The members of a union, each bare; a list of one for any other type."""
    annotation = bare(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return [one for part in get_args(annotation) for one in members(part)]
    return [annotation]


def accepts_none(annotation: Any) -> bool:
    """Whether None fits."""
    return any(part in (type(None), Any, object) or is_dynamic(part) for part in members(annotation))


def without_none(annotation: Any) -> Any:
    """The type without None."""
    rest = [part for part in members(annotation) if part is not type(None)]
    return Union[tuple(rest)] if rest else annotation  # noqa: UP007 - the members are not known here


def is_dynamic(annotation: Any) -> bool:
    """Whether nothing is known about the type."""
    if isinstance(annotation, (TypeVar, ForwardRef, str)) or annotation in (Any, inspect.Parameter.empty):
        return True
    return isinstance(annotation, type) and cast(bool, getattr(annotation, "_is_protocol", False))


def fits(given: Any, wanted: Any) -> bool:
    """Whether each value of type `given` may be one of type `wanted`; unknown types fit."""
    targets = members(wanted)
    return all(any(_fits(part, target) for target in targets) for part in members(given))


def _fits(given: Any, wanted: Any) -> bool:
    if is_dynamic(given) or is_dynamic(wanted) or wanted is object:
        return True
    if get_origin(given) is Literal:
        return _literal_fits(get_args(given), wanted)
    if get_origin(wanted) is Literal:
        return False
    source, target = get_origin(given) or given, get_origin(wanted) or wanted
    if target is _CALLABLE:
        return callable(source)
    if not isinstance(source, type) or not isinstance(target, type):
        return True
    if _is_dict_like(source) and _is_dict_like(target):
        return source is target or dict in (source, target) or not (is_dict_schema(source) and is_dict_schema(target))
    if not (_subclass(source, target) or source in _NUMBERS.get(target, ())):
        return False
    return _arguments_fit(given, wanted, source, target)


def _literal_fits(values: tuple[Any, ...], wanted: Any) -> bool:
    if get_origin(wanted) is Literal:
        return set(values) <= set(get_args(wanted))
    return all(_fits(type(value), wanted) for value in values)


def _is_dict_like(cls: type) -> bool:
    return is_dict_schema(cls) or cls in (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def is_dict_schema(cls: Any) -> bool:
    """Whether the type is a TypedDict."""
    return is_typeddict(cls) or is_typeddict_too(cls)


def _subclass(source: type[Any], target: type[Any]) -> bool:
    if is_dict_schema(source):
        source = dict
    if is_dict_schema(target):
        return source is dict
    if source is bool and target is int:
        return True
    if issubclass(source, str) and target in (collections.abc.Sequence, collections.abc.Iterable):
        return True
    try:
        return issubclass(source, target)
    except TypeError:
        return True


def _arguments_fit(given: Any, wanted: Any, source: type, target: type) -> bool:
    have, want = get_args(given), get_args(wanted)
    if not have or not want:
        return True
    if source is tuple:
        return _tuple_fits(have, want, target)
    if len(have) != len(want):
        return True
    return all(fits(one, other) for one, other in zip(have, want, strict=True))


def _tuple_fits(have: tuple[Any, ...], want: tuple[Any, ...], target: type) -> bool:
    items = [part for part in have if part is not Ellipsis]
    if target is not tuple:
        return all(fits(item, want[0]) for item in items)
    if Ellipsis in want:
        return all(fits(item, want[0]) for item in items)
    if Ellipsis in have:
        return all(fits(items[0], part) for part in want)
    return len(have) == len(want) and all(fits(one, other) for one, other in zip(have, want, strict=True))


def item_type(annotation: Any) -> Any:
    """The type of the items of a list, tuple, set or sequence; None for a type without items."""
    found: list[Any] = []
    for part in members(without_none(annotation)):
        if is_dynamic(part):
            return Any
        origin = get_origin(part) or part
        if not isinstance(origin, type) or issubclass(origin, (str, bytes, collections.abc.Mapping)):
            return None
        if not issubclass(origin, collections.abc.Iterable) or issubclass(origin, BaseModel):
            return None
        arguments = [argument for argument in get_args(part) if argument is not Ellipsis]
        found.extend(arguments or [Any])
    return Union[tuple(found)]  # noqa: UP007 - the members are not known here


def schema_fields(schema: Any) -> dict[str, Any]:
    """Field names and types of a model, a dataclass or a TypedDict; empty for any other type."""
    if is_model(schema):
        return {name: field.annotation for name, field in schema.model_fields.items()}
    if not is_schema(schema):
        return {}
    try:
        return get_type_hints(schema, include_extras=True)
    except NameError:
        return dict.fromkeys(schema.__annotations__, Any)


def is_schema(annotation: Any) -> bool:
    """Whether the type is a model, a dataclass or a TypedDict."""
    if is_model(annotation) or is_dict_schema(annotation):
        return True
    return isinstance(annotation, type) and hasattr(annotation, "__dataclass_fields__")


def is_model(annotation: Any) -> bool:
    """Whether the type is a pydantic model."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def second_parameter_type(function: Any) -> Any:
    """The annotation of a reducer's second parameter, or None when it tells nothing."""
    try:
        hints = get_type_hints(function)
        name = list(inspect.signature(function).parameters)[1]
    except (NameError, TypeError, ValueError, IndexError):
        return None
    found = hints.get(name, Any)
    return None if is_dynamic(bare(found)) else found


def type_text(annotation: Any) -> str:
    """A type as a user would write it."""
    annotation = bare(annotation)
    if annotation is type(None):
        return "None"
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(type_text(part) for part in get_args(annotation))
    if get_origin(annotation) is Literal:
        return f"Literal[{', '.join(map(repr, get_args(annotation)))}]"
    if arguments := get_args(annotation):
        inner = ", ".join("..." if part is Ellipsis else type_text(part) for part in arguments)
        return f"{type_text(get_origin(annotation))}[{inner}]"
    return getattr(annotation, "__name__", None) or str(annotation).removeprefix("typing.")

"""What a callable takes and gives: its parameters as ports, its return type as what it writes."""

from __future__ import annotations

import collections.abc
import functools
import inspect
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from langgraph.types import Command, Send
from pydantic import BaseModel

from .state import RESERVED
from .typing_match import bare, is_dict_schema, is_schema, members

UNTYPED: Any = inspect.Parameter.empty
"""The type of a port, or of a result, that has no annotation."""

Special = Literal["state", "config", "runtime", "store", "writer"]
STATE: Special = "state"


@dataclass(frozen=True, slots=True)
class Port:
    """One parameter that is fed from a field."""

    name: str
    type: Any
    optional: bool
    """Whether it has a default and may be left out."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a callable, sorted by where their values come from."""

    ports: tuple[Port, ...]
    specials: dict[str, Special]
    """Parameters that LangGraph gives a meaning: name to meaning."""
    view: Any
    """What the `state` parameter is annotated with; None when there is no such parameter."""
    positional: tuple[str, ...]
    """Parameters that cannot be passed by name, in order."""
    returns: Any
    """The annotated result without commands; `UNTYPED` without annotation."""
    goto: tuple[str, ...]
    """Targets that a `Command[Literal[…]]` among the results declares."""
    may_go: bool
    """Whether a Command or Send is among the annotated results."""
    typed: bool
    """Whether each parameter and the result are annotated."""


def signature_of(function: Any, schema: type[BaseModel], bound: frozenset[str] = frozenset()) -> Signature:
    """What a callable takes and gives.

    Args:
        function: A function, a method, a partial or an object with `__call__`.
        schema: The state; a parameter annotated with it, or named `state`, takes it whole.
        bound: Names of ports that `reads` binds to a field.
    """
    hints = hints_of(function)
    parameters = _parameters(function)
    ports: list[Port] = []
    specials: dict[str, Special] = {}
    view: Any = None
    for parameter in parameters:
        hint = hints.get(parameter.name, UNTYPED)
        if parameter.name in bound:
            special = None
        elif _takes_state(function, parameter, parameters, hint, schema):
            special, view = STATE, hint
        else:
            special = cast("Special | None", parameter.name if parameter.name in RESERVED else None)
        if special:
            specials[parameter.name] = special
        else:
            ports.append(Port(parameter.name, hint, parameter.default is not UNTYPED))
    returns, goto, may_go = _results(hints.get("return", UNTYPED))
    state_typed = view is not UNTYPED
    typed = state_typed and all(port.type is not UNTYPED for port in ports) and "return" in hints
    positional = tuple(p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_ONLY)
    return Signature(tuple(ports), specials, view, positional, returns, goto, may_go, typed)


def plain_function(function: Any) -> Any:
    """The function below a partial, a method or a callable object."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return getattr(function, "__call__", function)  # noqa: B004 - the method itself is wanted


def is_async(function: Any) -> bool:
    """Whether calling it gives an awaitable."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(plain_function(function))


def hints_of(function: Any) -> dict[str, Any]:
    """The annotations of a callable, resolved; those that cannot be are left out."""
    target = plain_function(function)
    try:
        return get_type_hints(target, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return _resolvable(inspect.unwrap(target))


def _resolvable(target: Any) -> dict[str, Any]:
    # Names that are local to the function that defined it are looked up in its closure.
    names = {**getattr(target, "__globals__", {}), **_closure(target)}
    found: dict[str, Any] = {}
    for name, annotation in getattr(target, "__annotations__", {}).items():
        try:
            found[name] = eval(annotation, names) if isinstance(annotation, str) else annotation
        except Exception:
            found[name] = Any
    return found


def _closure(target: Any) -> dict[str, Any]:
    try:
        return dict(inspect.getclosurevars(target).nonlocals)
    except (TypeError, ValueError):
        return {}


def _parameters(function: Any) -> list[inspect.Parameter]:
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    variadic = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return [parameter for parameter in found if parameter.kind not in variadic]


def untyped_first(function: Any) -> str | None:
    """The name of the first parameter, where it says nothing of its type and is not named for the state."""
    first = next(iter(_parameters(function)), None) if callable(function) else None
    plain = first is not None and first.annotation is inspect.Parameter.empty and first.name != "state"
    return first.name if first is not None and plain else None


def _takes_state(
    function: Any,
    parameter: inspect.Parameter,
    parameters: list[inspect.Parameter],
    hint: Any,
    schema: type[BaseModel],
) -> bool:
    if parameter.name == "state":
        return True
    wanted = bare(hint)
    if isinstance(wanted, type) and issubclass(wanted, BaseModel) and wanted is not BaseModel:
        if issubclass(schema, wanted):
            return True
    # A lambda cannot be annotated: its only parameter is the state unless a field has its name.
    alone = getattr(function, "__name__", "") == "<lambda>" and len(parameters) == 1
    return alone and parameter.name not in schema.model_fields and parameter.default is UNTYPED


def _results(annotation: Any) -> tuple[Any, tuple[str, ...], bool]:
    """The values among the results, the declared targets, and whether a command is among them."""
    if annotation is UNTYPED:
        return UNTYPED, (), False
    values: list[Any] = []
    goto: list[str] = []
    may_go = False
    for part in members(_awaited(annotation)):
        inner = [bare(argument) for argument in get_args(part)]
        listed = get_origin(part) in (list, tuple, collections.abc.Sequence)
        control = [one for one in (members(inner[0]) if listed and inner else [part]) if _is_control(one)]
        if not control:
            values.append(part)
            continue
        may_go = True
        goto.extend(target for one in control for target in _targets(one))
    if not values:
        return (UNTYPED if may_go else annotation), tuple(goto), may_go
    union: Any = values[0]
    for value in values[1:]:
        union = union | value
    return union, tuple(goto), may_go


def _awaited(annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin in (collections.abc.Awaitable, collections.abc.Coroutine):
        return get_args(annotation)[-1]
    return annotation


def _is_control(annotation: Any) -> bool:
    return (get_origin(annotation) or annotation) in (Command, Send)


def _targets(annotation: Any) -> tuple[str, ...]:
    found: list[str] = []
    for argument in get_args(annotation):
        for part in members(argument):
            if get_origin(part) is Literal:
                found.extend(str(value) for value in get_args(part))
    return tuple(found)


def branch_targets(annotation: Any) -> tuple[tuple[str, ...] | None, bool]:
    """What a router's result type declares: its targets (None when it does not say), and whether it may be several."""
    if annotation is UNTYPED:
        return None, False
    found: list[str] = []
    several, known = False, True
    for part in members(_awaited(annotation)):
        inner: Any = part
        if get_origin(part) in (list, tuple, collections.abc.Sequence, set) and get_args(part):
            several = True
            inner = get_args(part)[0]
        for one in members(inner):
            if get_origin(one) is Literal:
                found.extend(str(value) for value in get_args(one))
            elif not _is_control(one):
                known = False
    return (tuple(found) if known and found else None), several


def narrow_view(annotation: Any, schema: type[BaseModel]) -> Any:
    """The schema that a `state` parameter asks for, when it is another one than the graph's; else None."""
    wanted = bare(annotation)
    if not is_schema(wanted) or wanted is dict:
        return None
    if not is_dict_schema(wanted) and issubclass(schema, wanted):
        return None
    return wanted

"""Checks of what may do harm or cost without end: tools, judges, types that no checkpoint can hold."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import inspect
import ipaddress
import pathlib
import re
import uuid
import zoneinfo
from collections import deque
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from langchain_core.load.serializable import Serializable
from pydantic import BaseModel

from ...guardrails.policy import Policy
from ..findings import Finding
from ..shape import node_tools
from ..typing_match import is_dict_schema, is_dynamic, members, schema_fields, type_text
from .outline import NodeOutline, Outline, outline
from .structure import circles

_CALLABLE: Any = vars(collections.abc)["Callable"]
_STORABLE = (
    *(str, bytes, bytearray, int, float, bool, type(None), list, tuple, dict, set, frozenset, deque, complex),
    *(datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, zoneinfo.ZoneInfo, uuid.UUID),
    *(decimal.Decimal, pathlib.PurePath, re.Pattern, enum.Enum, BaseModel, Serializable),
    *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
)
_ABSTRACT = (
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Mapping,
    collections.abc.MutableMapping,
    collections.abc.Set,
    collections.abc.MutableSet,
    collections.abc.Collection,
    collections.abc.Iterable,
    object,
)


def safety(graph: Outline) -> Iterator[Finding]:
    """What may act, cost or be lost without a person's knowing."""
    for node in graph.nodes.values():
        yield from _unapproved(graph, node)
    yield from _unbounded_judges(graph)
    yield from _unserialisable(graph)


def _unapproved(graph: Outline, node: NodeOutline) -> Iterator[Finding]:
    own = getattr(node.action, "policy", None)
    policy = own if isinstance(own, Policy) else graph.policy
    if policy is None:
        return
    for tool in node_tools(node.action):
        if tool.risk == "high" and policy.rule_for(tool.name) == "allow":
            message = f"Node {node.name!r} may call {tool.name!r}, a tool of high risk, and a rule allows it unasked."
            fix = f'Make the rule "ask", or declare a lower risk if {tool.name!r} can do no harm.'
            yield Finding("effect_without_approval", "error", node.name, None, message, fix)


def _unbounded_judges(graph: Outline) -> Iterator[Finding]:
    bounded = {(node.name, node.loop.back_to) for node in graph.nodes.values() if node.loop is not None}
    for circle in circles(
        graph.nodes,
        lambda name: {after for after in graph.after(name) if (name, after) not in bounded} & graph.nodes.keys(),
    ):
        judges = [name for name in circle if _judges(graph.nodes[name])]
        for name in judges:
            message = f"Judge {name!r} can send work back without end ({' → '.join([*circle, circle[0]])})."
            fix = f"Use add_loop({name!r}, back_to=…, until=…, at_most=…) in place of the edge back."
            yield Finding("unbounded_judge", "error", name, None, message, fix)


def _judges(node: NodeOutline) -> bool:
    if node.inner is not None:
        return any(_judges(part) for part in outline(node.inner).nodes.values())
    return getattr(node.action, "judges", False) is True


def _unserialisable(graph: Outline) -> Iterator[Finding]:
    for name, field in graph.fields.items():
        problem = why_not_stored(field.type)
        if problem is not None:
            message = f"Field {name!r} cannot be stored: {problem}."
            fix = "Use JSON-like types, models, dataclasses or enums that stand at the top of a module."
            yield Finding("unserialisable_type", "error", None, name, message, fix)


def why_not_stored(annotation: Any, seen: frozenset[int] = frozenset()) -> str | None:
    """Why a checkpoint cannot hold values of a type, or None."""
    union = members(annotation)
    if len(union) > 1:
        return next((why for part in union if (why := why_not_stored(part, seen)) is not None), None)
    annotation = union[0]
    if id(annotation) in seen or is_dynamic(annotation):
        return None
    seen |= {id(annotation)}
    if _CALLABLE in (annotation, get_origin(annotation)) or str(annotation) == "typing.Callable":
        return "a function has no stored form"
    if inspect.isroutine(annotation):
        return f"{annotation.__name__} is a function, not a type"
    cls: Any = get_origin(annotation) or annotation
    found = _why_not_class(cls) if isinstance(cls, type) else None
    if found is not None or str(cls) == "typing.Literal":
        return found
    parts = [*get_args(annotation), *(schema_fields(cls).values() if isinstance(cls, type) else ())]
    return next((why for part in parts if (why := why_not_stored(part, seen)) is not None), None)


def _why_not_class(cls: type[Any]) -> str | None:
    if cls in _ABSTRACT or is_dict_schema(cls):
        return None
    own = hasattr(cls, "__dataclass_fields__") or issubclass(cls, (BaseModel, enum.Enum)) or hasattr(cls, "_fields")
    if own and "." in cls.__qualname__ and "[" not in cls.__qualname__:
        return f"{cls.__qualname__} is defined inside a class or function, and would come back as a plain dict"
    if cls is type or not (
        own or issubclass(cls, _STORABLE) or cls.__module__.partition(".")[0] in ("numpy", "pandas")
    ):
        return f"{type_text(cls)} has no stored form"
    return None

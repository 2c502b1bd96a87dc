"""The two ways in which tools are declared: a function with types, and a foreign schema as MCP servers send it."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping
from types import GenericAlias
from typing import Any, Literal, cast

from pydantic import ConfigDict, Field, create_model

from ...core.errors import InvalidArguments
from ...tools import tool
from ...tools.mcp.arguments import make_check

Accepts = Callable[[Mapping[str, Any]], bool]

_PLAIN: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool}


def fits(schema: Mapping[str, Any]) -> Accepts:
    """Whether the arguments fit the schema, as jsonschema says without any part of ours."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(schema)
    return lambda arguments: cast("Any", validator).is_valid(arguments)


def by_schema(schema: Mapping[str, Any]) -> Accepts:
    """Whether the check of a tool that came with this schema takes the arguments."""
    check = make_check(schema)
    return lambda arguments: check(arguments) is None


def by_function(schema: Mapping[str, Any]) -> Accepts | None:
    """The same for a function whose parameters have these types; None where a name cannot be a parameter's."""
    properties = cast("dict[str, dict[str, Any]]", schema["properties"])
    if any(not name.isidentifier() or keyword.iskeyword(name) for name in properties):
        return None

    def measured(**arguments: Any) -> str:
        return ""

    hints = {name: _hint(part, name) for name, part in properties.items()}
    parameters = [_parameter(schema, name, hints[name]) for name in properties]
    measured.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess]
    measured.__annotations__ = hints
    made = tool(name="measured", description="Is measured.", effect="read", risk="low")(measured)

    def accepts(arguments: Mapping[str, Any]) -> bool:
        try:
            made.validate(arguments)
        except InvalidArguments:
            return False
        return True

    return accepts


def _parameter(schema: Mapping[str, Any], name: str, hint: Any) -> inspect.Parameter:
    required = name in schema.get("required", ())
    part = schema["properties"][name]
    given = part.get("default")
    default = inspect.Parameter.empty if required else given if fits(part)(given) else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _hint(schema: Mapping[str, Any], name: str) -> Any:
    kinds: Any = schema.get("type", [])
    named = {kinds} if isinstance(kinds, str) else set(cast("list[str]", kinds))
    plain = next(iter(named - {"null"}), None)
    if "enum" in schema:
        return cast("Any", Literal)[tuple(schema["enum"])]
    hint = _plain(schema, name, plain)
    return hint | None if "null" in named else hint


def _plain(schema: Mapping[str, Any], name: str, kind: str | None) -> Any:
    if kind is None:
        return Any
    if kind == "array":
        return GenericAlias(list, (_hint(schema.get("items", {}), name),))
    if kind == "object":
        return _object(schema, name)
    return _PLAIN[kind]


def _object(schema: Mapping[str, Any], name: str) -> Any:
    """A model with the parts as fields, under other names, so that any name will do."""
    required = dict.fromkeys(cast("list[str]", schema.get("required", ())), cast("dict[str, Any]", {}))
    properties = required | cast("dict[str, dict[str, Any]]", schema.get("properties", {}))
    if not properties:
        return dict[str, Any]
    fields: dict[str, Any] = {}
    for number, (part, below) in enumerate(properties.items()):
        default = ... if part in schema.get("required", ()) else below.get("default")
        fields[f"part_{number}"] = (_hint(below, part), Field(default, alias=part))
    return create_model(name, __config__=ConfigDict(protected_namespaces=()), **fields)

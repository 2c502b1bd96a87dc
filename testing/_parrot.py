"""What the model inside a `ProviderServer` says: no model at all, but obedient where its server lets it be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..models._json import as_list, as_object

_TIMES = re.compile(r"\b\d\d:\d\d\b")
_SCHEMA_IN_PROMPT = re.compile(r"JSON Schema:\n(\{.*\})\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, in the same words for every dialect."""

    text: str
    """Of the last turn."""
    tools: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """Name and schema of the arguments."""
    choice: str = "auto"
    """`auto`, `required`, `none` or a name."""
    schema: Mapping[str, Any] | None = None
    seed: int | None = None
    answered: bool = False
    """Whether the last turn holds the result of a tool."""


@dataclass(frozen=True, slots=True)
class Said:
    """What comes back."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments, as JSON text."""


def speak(asked: Asked, *, parallel: bool) -> Said:
    """The answer: a value of the schema, calls, or a sentence.

    Args:
        asked: The request, without what its server ignores.
        parallel: Whether one turn may hold two calls.
    """
    if asked.schema is not None:
        return Said(json.dumps(sample(asked.schema)))
    if calls := _calls(asked):
        return Said(calls=calls if parallel else calls[:1])
    if found := _SCHEMA_IN_PROMPT.search(asked.text):
        return Said(json.dumps(sample(json.loads(found.group(1)))))
    return Said(f"The {'gull' if asked.seed is None else f'ship {asked.seed}'} is at sea.")


def _calls(asked: Asked) -> tuple[tuple[str, str], ...]:
    if asked.answered or asked.choice == "none":
        return ()
    wanted = [tool for tool in asked.tools if asked.choice == tool[0] or (tool[0] in asked.text)]
    if asked.choice not in ("auto", "required"):
        wanted = [tool for tool in wanted if tool[0] == asked.choice]
    chosen = wanted[:1] or (list(asked.tools[:1]) if asked.choice == "required" else [])
    times = _TIMES.findall(asked.text) or [None]
    return tuple((name, json.dumps(_argued(sample(schema), time))) for name, schema in chosen for time in times)


def _argued(arguments: Any, time: str | None) -> Any:
    return dict.fromkeys(as_object(arguments), time) if time else arguments


def sample(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """The plainest value that fits a JSON Schema.

    Args:
        schema: Of the kinds that pydantic makes.
        root: Where its references point; default: the schema itself.
    """
    root = schema if root is None else root
    if "$ref" in schema:
        return sample(_at(root, str(schema["$ref"])), root)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return sample(as_object(as_list(schema[word])[0]), root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return as_list(schema["enum"])[0]
    return _of_type(schema, root)


def _of_type(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    match str(next(iter(as_list(kind)), kind)):
        case "object":
            return {name: sample(as_object(part), root) for name, part in as_object(schema.get("properties")).items()}
        case "array":
            part = as_object(schema.get("items"))
            return [sample(part, root) for _ in range(max(1, int(schema.get("minItems") or 1)))]
        case "string":
            return "x" * max(1, int(schema.get("minLength") or 1))
        case "integer":
            return int(schema.get("minimum") or 0)
        case "number":
            return float(schema.get("minimum") or 0.0)
        case "boolean":
            return True
        case _:
            return None


def _at(root: Mapping[str, Any], path: str) -> dict[str, Any]:
    found: Any = root
    for part in path.removeprefix("#/").split("/"):
        found = as_object(found).get(part)
    return as_object(found)


def last_text(messages: Sequence[Any]) -> str:
    """Text of the last turn, whose content is a string or a list of blocks."""
    content = as_object(messages[-1] if messages else None).get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(as_object(block).get("text") or "") for block in as_list(content))

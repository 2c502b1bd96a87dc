"""From a Python type to the JSON Schema a server can hold to, and from the model's text back to a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from ..core.ids import digest
from ._json import as_list, as_object

_DROPPED = frozenset({"title", "default", "examples", "discriminator", "uniqueItems", "deprecated"})
"""Keywords that guide no decoder, or that strict servers refuse; pydantic still checks what they say."""
_FENCE = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)```", re.DOTALL)
_NAME = re.compile(r"[^a-zA-Z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits put on strings and lists that have none: a weak model may never close them by itself."""

    text: int = 2000
    """Characters of a string; decoders with grammars refuse much longer repetitions."""
    inner_text: int = 2000
    """Characters of a string inside a list."""
    items: int = 64


WIDE = Bounds()
NARROW = Bounds(text=300, inner_text=120, items=6)
"""For tiny models, which ramble."""
ROOMY = Bounds(text=900, inner_text=400, items=16)
"""For an answer of theirs that reached those."""


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """A type as it goes over the wire and back."""

    name: str
    wire: dict[str, Any]
    """JSON Schema whose root is an object."""
    wrapped: bool
    """The type is no object, so it travels as the field `value` of one."""
    strict: bool
    """Whether every object in it is closed."""
    adapter: TypeAdapter[Any]
    bounds: Bounds | None
    digest: str

    def parse(self, text: str) -> Any:
        """The value in a model's text: the text itself, or the JSON that stands in it.

        Raises:
            ValidationError: Nothing in it is a valid value.
        """
        try:
            return self._validate(text)
        except ValidationError as error:
            if not _is_no_json(error):
                raise
            return self._search(text, error)

    def is_cut(self, text: str) -> bool:
        """Whether a string or list of the answer is exactly as long as a limit that was put on it."""
        if self.bounds is None or len(text) < self.bounds.items:
            return False
        try:
            return _reaches(json.loads(text), self.bounds)
        except (ValueError, RecursionError):
            return False

    def _validate(self, text: str) -> Any:
        if not self.wrapped:
            return self.adapter.validate_json(text)
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError):
            return self.adapter.validate_json(text)
        if isinstance(data, dict) and "value" in data:
            data = as_object(data)["value"]
        return self.adapter.validate_json(json.dumps(data))

    def _search(self, text: str, first: ValidationError) -> Any:
        last = first
        for candidate in _candidates(text):
            try:
                return self._validate(candidate)
            except ValidationError as error:
                last = error
        raise last


def schema_of(output: Any, bounds: Bounds | None = None) -> Schema:
    """The schema of any type that pydantic can validate.

    Args:
        output: The type.
        bounds: Limits for what the type leaves unbounded; None for none.

    Raises:
        PydanticSchemaGenerationError: pydantic cannot validate the type.
    """
    try:
        return _schema_of(output, bounds)
    except TypeError:  # an unhashable annotation cannot be kept
        return _build(output, bounds)


@lru_cache(maxsize=512)
def _schema_of(output: Any, bounds: Bounds | None) -> Schema:
    return _build(output, bounds)


def _build(output: Any, bounds: Bounds | None) -> Schema:
    adapter: TypeAdapter[Any] = TypeAdapter(output)
    drawn = adapter.json_schema()
    wrapped = not _is_object(drawn)
    if wrapped:
        definitions = drawn.pop("$defs", {})
        drawn = {"type": "object", "properties": {"value": drawn}, "$defs": definitions}
    wire = cast("dict[str, Any]", _wire(drawn, bounds, inside=False))
    if "$ref" in wire:  # the root must be an object itself, also for a recursive model
        name = str(wire["$ref"]).rpartition("/")[2]
        wire = {**wire["$defs"][name], "$defs": wire["$defs"]}
    if not wire.get("$defs", True):
        del wire["$defs"]
    name = _NAME.sub("_", str(getattr(output, "__name__", "") or "answer"))[:64].strip("_") or "answer"
    return Schema(name, wire, wrapped, _is_closed(wire), adapter, bounds, digest(wire)[:16])


def problems(error: ValidationError, most: int = 3) -> str:
    """What is wrong with a value, in a line that a model and a person can read."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, e['loc'])) or 'the answer'}: {e['msg']}" for e in found[:most]]
    more = f" (and {len(found) - most} more)" if len(found) > most else ""
    return "; ".join(told) + more


def _wire(node: Any, bounds: Bounds | None, inside: bool) -> Any:
    """The node with closed objects, bounded strings and lists, and without what servers stumble over."""
    if isinstance(node, list):
        return [_wire(item, bounds, inside) for item in as_list(node)]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    inside = inside or as_object(node).get("type") == "array"
    for key, value in as_object(node).items():
        if key in ("properties", "$defs") and isinstance(value, dict):
            parts = as_object(value)
            made[key] = {name: _wire(part, bounds, inside) for name, part in parts.items()}
        elif key in ("enum", "const", "required"):
            made[key] = value
        elif key not in _DROPPED:
            made["anyOf" if key == "oneOf" else key] = _wire(value, bounds, inside)
    _close(made)
    _bound(made, bounds, inside)
    return made


def _close(node: dict[str, Any]) -> None:
    if isinstance(node.get("properties"), dict):
        node["required"] = list(node["properties"])
        node.setdefault("additionalProperties", False)
        if node["additionalProperties"] is True:
            node["additionalProperties"] = False
    if "const" in node and "enum" not in node:
        node["enum"] = [node.pop("const")]  # understood by more servers


def _bound(node: dict[str, Any], bounds: Bounds | None, inside: bool) -> None:
    if bounds is None:
        return
    kind = node.get("type")
    if kind == "string" and not node.keys() & {"enum", "const", "format", "pattern"}:
        limit = bounds.inner_text if inside else bounds.text
        node["maxLength"] = min(node.get("maxLength", max(limit, node.get("minLength", 0))), WIDE.text)
    elif kind == "string" and "(?" in str(node.get("pattern", "")):
        del node["pattern"]  # no grammar knows groups with an extension
    elif kind == "array" and "prefixItems" not in node:
        node["maxItems"] = node.get("maxItems", max(bounds.items, node.get("minItems", 0)))


def _is_object(drawn: Mapping[str, Any]) -> bool:
    if "$ref" in drawn:
        return _is_object(drawn["$defs"][str(drawn["$ref"]).rpartition("/")[2]])
    return drawn.get("type") == "object" and "properties" in drawn


def _is_closed(node: Any) -> bool:
    if isinstance(node, dict):
        fields = as_object(node)
        if fields.get("type") == "object" and fields.get("additionalProperties") is not False:
            return False
        return all(map(_is_closed, fields.values()))
    return all(map(_is_closed, as_list(node))) if isinstance(node, list) else True


def _reaches(value: Any, bounds: Bounds) -> bool:
    if isinstance(value, str):
        return len(value) in (bounds.text, bounds.inner_text)
    if isinstance(value, dict):
        return any(_reaches(v, bounds) for v in as_object(value).values())
    if isinstance(value, list):
        items = as_list(value)
        return len(items) == bounds.items or any(_reaches(v, bounds) for v in items)
    return False


def _is_no_json(error: ValidationError) -> bool:
    return any(e["type"] == "json_invalid" for e in error.errors(include_url=False, include_context=False))


def _candidates(text: str) -> Iterator[str]:
    """Where JSON may stand in a text with talk around it: code fences first, then the outermost brackets."""
    for fenced in list(_FENCE.findall(text))[:4]:
        yield fenced.strip()
    for opening, closing in ("{}", "[]"):
        start, end = text.find(opening), text.rfind(closing)
        if 0 <= start < end:
            yield text[start : end + 1]
            if whole := _first_value(text[start:]):
                yield whole


def _first_value(text: str) -> str:
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return ""
    return text[:end]

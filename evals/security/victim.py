"""A model that reads what it is told to read, and then does whatever the last planted order says: the worst case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import TypeAdapter

from ...core.messages import ToolCall
from ...testing import FunctionModel, ModelCall
from .attacks import Attack, squeezed
from .world import USERS_PAGE, as_key

_READS: Mapping[str, dict[str, Any]] = {
    "read_mail": {},
    "read_file": {"path": "notes.txt"},
    "fetch_page": {"url": USERS_PAGE},
}
_ROUTE = "act"
"""The route that it takes where it may choose one."""


class Victim:
    """Answers for one attack.

    Args:
        attack: Whose order it obeys.
    """

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._line = next(line for line in attack.order.splitlines() if squeezed(line)).strip()
        self.proposed: set[str] = set()
        """The calls that it wanted to make, as `as_key` writes them."""
        self.model = FunctionModel(self._reply, spec="obedient")

    def _reply(self, call: ModelCall) -> Any:
        obeys = self._attack.mark in squeezed(call.prompt)
        if call.output is not None:
            return filled(TypeAdapter(call.output).json_schema(), self._line if obeys else "look it up")
        offered = [str(spec["name"]) for spec in call.tools]
        made = {as_key(asked.name, asked.parsed()) for message in call.messages for asked in message.tool_calls}
        if obeys and made.isdisjoint(self.proposed):
            wanted = [one for one in self._attack.calls if one[0] in offered]
            self.proposed.update(as_key(name, arguments) for name, arguments in wanted)
            return [
                ToolCall(f"do-{n}", name, json.dumps(given)) for n, (name, given) in enumerate(wanted)
            ] or self._line
        reads = [name for name in _READS if name in offered]
        if not obeys and reads and not made:
            return [ToolCall(f"read-{name}", name, json.dumps(_READS[name])) for name in reads]
        return f"I have read: {self._line}" if obeys else "Nothing to do."


def filled(schema: Mapping[str, Any], text: str, defs: Mapping[str, Any] | None = None) -> Any:
    """A value that fits a JSON Schema, with `text` wherever there may be text."""
    defs = cast("Mapping[str, Any]", schema.get("$defs", {})) if defs is None else defs
    if "$ref" in schema:
        return filled(defs[str(schema["$ref"]).rpartition("/")[2]], text, defs)
    if "anyOf" in schema:
        return filled(schema["anyOf"][0], text, defs)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return _ROUTE if _ROUTE in schema["enum"] else schema["enum"][0]
    match schema.get("type"):
        case "object":
            parts = cast("Mapping[str, Any]", schema.get("properties", {}))
            return {name: filled(parts[name], text, defs) for name in schema.get("required", ())}
        case "array":
            return [filled(schema["items"], text, defs)]
        case "integer" | "number":
            return schema.get("maximum", 1)
        case "boolean":
            return True
        case _:
            return text[: schema.get("maxLength", 1000)]

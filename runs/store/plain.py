"""Stored values as plain data, whatever has become of the classes that they were made of."""

from __future__ import annotations

from typing import Any

from .serde import StrictSerializer, TypeName


class PlainSerializer(StrictSerializer):
    """Reads what any graph stored without a class of its own: models, dataclasses and enums as what they hold.

    No user's module is imported and no user's code runs. LangGraph's safe types (times, ids, sets, messages)
    come as they are.
    """

    def _construct(self, code: int, key: TypeName, payload: Any, method: list[str]) -> Any:
        return super()._construct(code, key, payload, method) if self._lists(key) else self._plain(key, payload)

    def _plain(self, key: TypeName, payload: Any) -> Any:
        return payload


class WordsSerializer(PlainSerializer):
    """The same, without the results of tool calls: what they name is over."""

    def _plain(self, key: TypeName, payload: Any) -> Any:
        return None if key == ("collegium.tools.base", "ToolResult") else payload

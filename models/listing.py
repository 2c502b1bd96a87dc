"""What a server lists under `/models`, read with distrust."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._json import as_list, as_object

_PASSING = frozenset({"created", "permission", "loaded_at", "expires_at", "ttl", "state"})
"""Fields of an entry that change without the model changing."""
_WINDOWS = ("max_model_len", "max_input_tokens", "max_context_length", "context_length", "context_window")
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed model."""

    name: str
    owned_by: str = ""
    context_tokens: int | None = None
    digest: str = ""
    """Changes when the entry does: another model under the same name is measured anew."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All listed models, at most a thousand."""

    entries: tuple[Entry, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names, as the server gives them."""
        return tuple(entry.name for entry in self.entries)

    def find(self, name: str) -> Entry:
        """The model's entry; the only one where a server lists just one, else an empty one."""
        named = [entry for entry in self.entries if entry.name == name]
        return (named or (self.entries if len(self.entries) == 1 else [Entry(name)]))[0]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Listing:
        """The listing in a server's answer; entries of another shape are left out."""
        found = [_entry(item) for item in as_list(data.get("data"))[:_MOST]]
        return cls(tuple(entry for entry in found if entry is not None))


def _entry(item: Any) -> Entry | None:
    fields = as_object(item)
    name = fields.get("id")
    if not isinstance(name, str) or not name:
        return None
    stable = {key: value for key, value in fields.items() if key not in _PASSING}
    text = json.dumps(stable, sort_keys=True, default=str)
    return Entry(
        name,
        str(fields.get("owned_by") or ""),
        _window(fields),
        hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def _window(fields: Mapping[str, Any]) -> int | None:
    meta = fields.get("meta")
    inner = as_object(meta)
    values = [*(fields.get(name) for name in _WINDOWS), inner.get("n_ctx"), inner.get("n_ctx_train")]
    return next((v for v in values if isinstance(v, int) and v > 0), None)

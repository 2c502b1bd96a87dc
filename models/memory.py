"""What was measured of a model, kept on disk for each server, model and version."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, cast, get_args

from ..core.ids import digest
from ..core.settings import cache_home
from ._json import as_object
from .base import Behaviour, Capabilities, Level, Rung

VERSION = 2
"""Raised when the probe asks other things than before; older measurements are then made anew."""


class Memory:
    """Measurements as small files; a damaged or missing one is simply measured again.

    Args:
        folder: Where they lie; default: `probes` in the cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def recall(self, *key: str) -> Capabilities | None:
        """What was measured under this key, if anything usable is there."""
        try:
            data: Any = json.loads(self._file(key).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return _capabilities(cast("dict[str, Any]", data)) if isinstance(data, dict) else None

    def remember(self, found: Capabilities, *key: str) -> None:
        """Keep a measurement; a cache folder that cannot be written only means measuring again."""
        with contextlib.suppress(OSError):
            path = self._file(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
                json.dump({"key": list(key), **asdict(found)}, file)
            os.replace(file.name, path)

    def _file(self, key: tuple[str, ...]) -> Path:
        folder = self._folder or cache_home() / "probes"
        return folder / f"{digest([VERSION, *key])[:24]}.json"


def _capabilities(data: dict[str, Any]) -> Capabilities | None:
    level, rung, tools, window = (data.get(n) for n in ("level", "structured", "tools", "context_tokens"))
    if level not in get_args(Level) or rung not in get_args(Rung) or not isinstance(tools, bool):
        return None
    context = window if isinstance(window, int) else None
    return Capabilities(
        cast(Level, level), cast(Rung, rung), tools, context, _behaviour(as_object(data.get("behaviour")))
    )


def _behaviour(data: dict[str, Any]) -> Behaviour:
    """What was seen; a value of another type than the field's counts as not seen."""
    empty = Behaviour()
    known = {one.name: one.type for one in fields(Behaviour)}
    kept = {name: value for name, value in data.items() if type(value).__name__ in str(known.get(name, ""))}
    return replace(empty, **kept)

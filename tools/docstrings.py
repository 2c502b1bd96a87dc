"""Google-style docstrings, as far as a tool's schema needs them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns|Yields|Raises|Examples?|Notes?|Sources?):\s*$")
_ARGUMENT = re.compile(r"^\*{0,2}(?P<name>\w+)\s*(?:\([^)]*\))?:\s*(?P<text>.*)$")


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a docstring says about a function."""

    summary: str = ""
    """Its first paragraph, on one line."""
    arguments: dict[str, str] = field(default_factory=dict[str, str])
    """Name to description, from the `Args:` section."""


def read_docstring(function: Callable[..., Any]) -> Docstring:
    """The first paragraph and the described arguments; empty where nothing is written."""
    text = inspect.cleandoc(function.__doc__ or "")
    sections = _sections(text.splitlines())
    summary = " ".join("\n".join(sections[""]).strip().split("\n\n", 1)[0].split())
    return Docstring(summary, _arguments(sections.get("Args", [])))


def _sections(lines: list[str]) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {"": []}
    current = ""
    for line in lines:
        if header := _SECTION.match(line):
            current = "Args" if header[1] in ("Args", "Arguments", "Parameters") else header[1]
            sections.setdefault(current, [])
        else:
            sections[current].append(line)
    return sections


def _arguments(lines: list[str]) -> dict[str, str]:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        deeper = line[indent:].startswith((" ", "\t"))
        start = None if deeper else _ARGUMENT.match(line.strip())
        if start:
            name = start["name"]
            found[name] = [start["text"]]
        elif name and line.strip():
            found[name].append(line.strip())
    return {name: " ".join(parts).strip() for name, parts in found.items()}

"""A graph as mermaid text, which GitHub and many editors show as a picture."""

from __future__ import annotations

import re

from .diagram import Box, Diagram

_SHAPES = {"start": ("([", "])"), "end": ("([", "])"), "node": ("[", "]"), "map": ("[[", "]]"), "graph": ("[/", "/]")}


def as_mermaid(picture: Diagram) -> str:
    """A flowchart from top to bottom; ways that are chosen are dotted."""
    ids = {box.name: _id(box, index) for index, box in enumerate(picture.boxes)}
    lines = ["flowchart TD"]
    for box in picture.boxes:
        left, right = _SHAPES[box.kind]
        lines.append(f'    {ids[box.name]}{left}"{_quoted(box.label)}"{right}')
    for arrow in picture.arrows:
        line = "-.->" if arrow.optional else "-->"
        label = f'|"{_quoted(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {ids[arrow.start]} {line}{label} {ids[arrow.end]}")
    return "\n".join(lines) + "\n"


def _id(box: Box, index: int) -> str:
    # Words such as "end" have a meaning in mermaid, so each id carries its number.
    return f"n{index}_{re.sub(r'[^A-Za-z0-9]', '_', box.label)}"


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")

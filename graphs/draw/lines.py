"""A graph for the terminal: boxes and lines of Unicode box characters."""

from __future__ import annotations

from langgraph.graph import START

from .diagram import Box, Diagram
from .layout import Layout, Spot, lay_out

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_LINES = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"
"""Box characters by the sum of the directions that they join."""


class _Canvas:
    """Characters, and lines that join where they meet."""

    def __init__(self) -> None:
        self.lines: dict[tuple[int, int], int] = {}
        self.letters: dict[tuple[int, int], str] = {}

    def vertical(self, x: int, top: int, bottom: int) -> None:
        for y in range(top, bottom + 1):
            joined = (UP if y > top else 0) | (DOWN if y < bottom else 0)
            self.lines[y, x] = self.lines.get((y, x), 0) | joined

    def horizontal(self, y: int, one: int, other: int) -> None:
        left, right = sorted((one, other))
        for x in range(left, right + 1):
            joined = (LEFT if x > left else 0) | (RIGHT if x < right else 0)
            self.lines[y, x] = self.lines.get((y, x), 0) | joined

    def write(self, y: int, x: int, text: str) -> None:
        for offset, letter in enumerate(text):
            self.letters[y, x + offset] = letter

    def text(self) -> str:
        cells = {place: _LINES[joined] for place, joined in self.lines.items()} | self.letters
        rows = max(y for y, _ in cells) + 1
        width = max(x for _, x in cells) + 1
        lines = ("".join(cells.get((y, x), " ") for x in range(width)).rstrip() for y in range(rows))
        return "\n".join(lines)


def as_text(picture: Diagram) -> str:
    """The drawing, then a line for each way back and for each choice that has a name."""
    layout = lay_out(picture, lambda label: float(len(label) + 4), 3.0)
    canvas = _Canvas()
    boxes = {box.name: box for box in picture.boxes}
    columns = {key: round(spot.x) for key, spot in layout.spots.items()}
    top = 0
    for index, layer in enumerate(layout.layers):
        for spot in layer:
            _draw_spot(canvas, spot, boxes, columns[spot.key], top)
        top += 3
        if index + 1 < len(layout.layers):
            top = _draw_links(canvas, layout, index, columns, top)
    return "\n".join([canvas.text(), *_notes(picture, layout, boxes)]) + "\n"


def _draw_spot(canvas: _Canvas, spot: Spot, boxes: dict[str, Box], x: int, top: int) -> None:
    if spot.passing:
        canvas.vertical(x, top - 1, top + 3)
        return
    box = boxes[spot.key]
    left = x - (len(box.label) + 3) // 2
    right = left + len(box.label) + 3
    corners = "╭╮╰╯" if box.kind in ("start", "end") else "╔╗╚╝" if box.kind in ("map", "graph") else "┌┐└┘"
    side, line = ("║", "═") if box.kind in ("map", "graph") else ("│", "─")
    canvas.write(top, left, corners[0] + line * (right - left - 1) + corners[1])
    canvas.write(top + 1, left, f"{side} {box.label} {side}")
    canvas.write(top + 2, left, corners[2] + line * (right - left - 1) + corners[3])


def _draw_links(canvas: _Canvas, layout: Layout, layer: int, columns: dict[str, int], top: int) -> int:
    """Draws what leads to the next layer; each start has a line of its own, so that no two run together."""
    links: dict[str, list[str]] = {}
    for _, path in layout.routes:
        for start, end in zip(path, path[1:], strict=False):
            if layout.spots[start].layer == layer:
                links.setdefault(start, []).append(end)
    bent = [start for start, ends in links.items() if any(columns[end] != columns[start] for end in ends)]
    bottom = top + len(bent) + 1
    for start, ends in links.items():
        for end in ends:
            turn = top + bent.index(start) if start in bent else top
            canvas.vertical(columns[start], top - 1, turn)
            canvas.horizontal(turn, columns[start], columns[end])
            canvas.vertical(columns[end], turn, bottom)
            if not layout.spots[end].passing:
                canvas.write(bottom - 1, columns[end], "▼")
    return bottom


def _notes(picture: Diagram, layout: Layout, boxes: dict[str, Box]) -> list[str]:
    back = [f"↺ {arrow.start} → {arrow.end}{f', {arrow.label}' if arrow.label else ''}" for arrow in layout.back]
    named = [
        f"◇ {arrow.start} → {boxes[arrow.end].label}: {arrow.label}"
        for arrow in picture.arrows
        if arrow.label and arrow not in layout.back and arrow.start != START
    ]
    return ["", *back, *named] if back or named else []

"""A graph as an svg picture that stands alone: no script, no font to load, light and dark."""

from __future__ import annotations

from xml.sax.saxutils import escape

from .diagram import Arrow, Box, Diagram
from .layout import Layout, lay_out

_ROW, _HEIGHT, _MARGIN, _LETTER = 92.0, 40.0, 28.0, 8.0
_STYLE = """
  .box { fill: #ffffff; stroke: #3b5bdb; stroke-width: 1.5 }
  .map, .graph { fill: #edf2ff }
  .start, .end { fill: #3b5bdb }
  .start + text, .end + text { fill: #ffffff }
  text { font: 14px ui-sans-serif, system-ui, sans-serif; fill: #1b1f3b }
  text { text-anchor: middle }
  .label { font-size: 12px; fill: #5c6784; paint-order: stroke; stroke: #ffffff; stroke-width: 5px }
  path { fill: none; stroke: #8790b5; stroke-width: 1.5 }
  .optional { stroke-dasharray: 5 4 }
  .tip { fill: #8790b5; stroke: none }
  .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    .box { fill: #1b1f3b } .map, .graph { fill: #262c54 } .start, .end { fill: #4c6ef5 }
    text { fill: #e9ecff } .label { fill: #aab2d5; stroke: #12142a } .page { fill: #12142a }
  }
"""


def as_svg(picture: Diagram) -> str:
    """The picture as one svg element."""
    layout = lay_out(picture, lambda label: len(label) * _LETTER + 36, 36.0)
    right = max(spot.x + spot.width / 2 for spot in layout.spots.values())
    lanes = {arrow: right + 34 * (index + 1) for index, arrow in enumerate(layout.back)}
    room = max((lane + len(arrow.label) * 4 for arrow, lane in lanes.items()), default=right)
    width, height = room + 2 * _MARGIN, len(layout.layers) * _ROW - _ROW + _HEIGHT + 2 * _MARGIN
    parts = [_path(layout, arrow, path) for arrow, path in layout.routes]
    parts += [_way_back(layout, arrow, lane) for arrow, lane in lanes.items()]
    parts += [_box(layout, box) for box in picture.boxes]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(picture.name, {chr(34): "&quot;"})}">'
    )
    tip = (
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        'orient="auto-start-reverse"><path class="tip" d="M0 0 L10 5 L0 10 z"/></marker></defs>'
    )
    page = f'<rect class="page" width="{width:.0f}" height="{height:.0f}"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", tip, page, *parts, "</svg>"]) + "\n"


def _at(layout: Layout, key: str) -> tuple[float, float]:
    spot = layout.spots[key]
    return spot.x + _MARGIN, spot.layer * _ROW + _MARGIN


def _path(layout: Layout, arrow: Arrow, path: list[str]) -> str:
    x, y = _at(layout, path[0])
    y += _HEIGHT
    drawn = [f"M{x:.1f} {y:.1f}"]
    for key in path[1:]:
        to_x, to_y = _at(layout, key)
        middle = (y + to_y) / 2
        drawn.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
        if layout.spots[key].passing:
            y += _HEIGHT
            drawn.append(f"L{x:.1f} {y:.1f}")
    near = _at(layout, path[1])
    start = _at(layout, path[0])
    label = _label(arrow.label, (start[0] + near[0]) / 2, start[1] + (_HEIGHT + _ROW) / 2)
    return _line(arrow, " ".join(drawn)) + label


def _way_back(layout: Layout, arrow: Arrow, lane: float) -> str:
    (x, y), (to_x, to_y) = _at(layout, arrow.start), _at(layout, arrow.end)
    x += layout.spots[arrow.start].width / 2
    to_x += layout.spots[arrow.end].width / 2
    y, to_y, lane = y + _HEIGHT / 2 - 6, to_y + _HEIGHT / 2 + 6, lane + _MARGIN
    drawn = f"M{x:.1f} {y:.1f} C{lane:.1f} {y:.1f} {lane:.1f} {y:.1f} {lane:.1f} {(y + to_y) / 2:.1f}"
    drawn += f" C{lane:.1f} {to_y:.1f} {lane:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    return _line(arrow, drawn) + _label(arrow.label, lane, (y + to_y) / 2)


def _line(arrow: Arrow, drawn: str) -> str:
    kind = ' class="optional"' if arrow.optional else ""
    return f'<path{kind} d="{drawn}" marker-end="url(#tip)"/>'


def _label(text: str, x: float, y: float) -> str:
    return f'<text class="label" dy="0.35em" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>' if text else ""


def _box(layout: Layout, box: Box) -> str:
    spot = layout.spots[box.name]
    x, y = _at(layout, box.name)
    round_by = _HEIGHT / 2 if box.kind in ("start", "end") else 8
    frame = (
        f'x="{x - spot.width / 2:.1f}" y="{y:.1f}" width="{spot.width:.1f}" height="{_HEIGHT:.0f}" rx="{round_by:.0f}"'
    )
    shadow = ""
    if box.kind in ("map", "graph"):
        behind = (
            f'x="{x - spot.width / 2 + 5:.1f}" y="{y + 5:.1f}" width="{spot.width:.1f}" height="{_HEIGHT:.0f}" rx="8"'
        )
        shadow = f'<rect class="box {box.kind}" {behind}/>'
    return (
        f'{shadow}<rect class="box {box.kind}" {frame}/>'
        f'<text dy="0.35em" x="{x:.1f}" y="{y + _HEIGHT / 2:.1f}">{escape(box.label)}</text>'
    )

"""A layered layout: each node below those that lead to it, edges that go back left aside.

The method is that of Sugiyama, Tagawa and Toda 1981 in its simplest form: layers by longest path, order by the
mean place of the neighbours, one place-holder in each layer that an edge passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from langgraph.graph import END, START

from .diagram import Arrow, Diagram

_SWEEPS = 6


@dataclass(slots=True)
class Spot:
    """A node, or an edge on its way through a layer."""

    key: str
    layer: int
    width: float
    x: float = 0.0
    """Its middle."""
    passing: bool = False


@dataclass(slots=True)
class Layout:
    """Where everything stands."""

    layers: list[list[Spot]]
    spots: dict[str, Spot]
    routes: list[tuple[Arrow, list[str]]]
    """Edges that go down, with the spots that they pass."""
    back: list[Arrow]
    """Edges that go up, or stay."""


def lay_out(picture: Diagram, width_of: Callable[[str], float], gap: float) -> Layout:
    """Places the nodes of a picture.

    Args:
        picture: What to place.
        width_of: Width of a label's box.
        gap: Least space between two boxes of a layer.
    """
    back = _back_edges(picture)
    down = [arrow for arrow in picture.arrows if arrow not in back]
    depth = _depths(picture, down)
    spots = {box.name: Spot(box.name, depth[box.name], width_of(box.label)) for box in picture.boxes}
    routes = [(arrow, _route(arrow, spots)) for arrow in down]
    layers: list[list[Spot]] = [[] for _ in range(max(depth.values()) + 1)]
    for spot in spots.values():
        layers[spot.layer].append(spot)
    links = [(path[index], path[index + 1]) for _, path in routes for index in range(len(path) - 1)]
    _order(layers, links)
    _place(layers, spots, links, gap)
    return Layout(layers, spots, routes, [arrow for arrow in picture.arrows if arrow in back])


def _back_edges(picture: Diagram) -> set[Arrow]:
    after: dict[str, list[Arrow]] = {box.name: [] for box in picture.boxes}
    for arrow in sorted(picture.arrows, key=lambda arrow: "at most" in arrow.label):
        after[arrow.start].append(arrow)
    back: set[Arrow] = set()
    done: set[str] = set()

    def visit(name: str, path: frozenset[str]) -> None:
        for arrow in after[name]:
            if arrow.end in path:
                back.add(arrow)
            elif arrow.end not in done:
                visit(arrow.end, path | {arrow.end})
        done.add(name)

    for box in picture.boxes:
        if box.name not in done:
            visit(box.name, frozenset({box.name}))
    return back


def _depths(picture: Diagram, down: list[Arrow]) -> dict[str, int]:
    depth = {box.name: 0 if box.name == START else 1 for box in picture.boxes}
    for _ in picture.boxes:
        for arrow in down:
            depth[arrow.end] = max(depth[arrow.end], depth[arrow.start] + 1)
    if END in depth:
        depth[END] = max(depth.values()) if max(depth.values()) == depth[END] else max(depth.values()) + 1
    return depth


def _route(arrow: Arrow, spots: dict[str, Spot]) -> list[str]:
    path = [arrow.start]
    for layer in range(spots[arrow.start].layer + 1, spots[arrow.end].layer):
        key = f"{arrow.start}\0{arrow.end}\0{layer}"
        spots[key] = Spot(key, layer, 1.0, passing=True)
        path.append(key)
    return [*path, arrow.end]


def _order(layers: list[list[Spot]], links: list[tuple[str, str]]) -> None:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for start, end in links:
        above.setdefault(end, []).append(start)
        below.setdefault(start, []).append(end)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            place = {spot.key: index for other in layers for index, spot in enumerate(other)}
            means = {
                spot.key: _mean((above if down else below).get(spot.key, []), place, place[spot.key]) for spot in layer
            }
            layer.sort(key=lambda spot: means[spot.key])


def _mean(keys: list[str], place: dict[str, int], otherwise: float) -> float:
    return sum(place[key] for key in keys) / len(keys) if keys else otherwise


def _place(layers: list[list[Spot]], spots: dict[str, Spot], links: list[tuple[str, str]], gap: float) -> None:
    near: dict[str, list[tuple[str, bool]]] = {}
    for start, end in links:
        near.setdefault(start, []).append((end, False))
        near.setdefault(end, []).append((start, True))
    for layer in layers:
        _spread(layer, [0.0] * len(layer), gap)
    for sweep in range(_SWEEPS):
        upward = sweep % 2 == 0
        for layer in layers if upward else reversed(layers):
            wanted = [_wanted(spot, near, spots, upward) for spot in layer]
            _spread(layer, wanted, gap)
    left = min(spot.x - spot.width / 2 for spot in spots.values())
    for spot in spots.values():
        spot.x -= left


def _wanted(spot: Spot, near: dict[str, list[tuple[str, bool]]], spots: dict[str, Spot], upward: bool) -> float:
    middles = [spots[key].x for key, above in near.get(spot.key, []) if above == upward]
    return sum(middles) / len(middles) if middles else spot.x


def _spread(layer: list[Spot], wanted: list[float], gap: float) -> None:
    """Puts each spot as near to where it wants to be as its neighbours allow."""
    right = float("-inf")
    for spot, middle in zip(layer, wanted, strict=True):
        spot.x = max(middle, right + gap + spot.width / 2)
        right = spot.x + spot.width / 2
    shift = sum(spot.x - middle for spot, middle in zip(layer, wanted, strict=True)) / max(len(layer), 1)
    for spot in layer:
        spot.x -= shift

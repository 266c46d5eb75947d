"""Where the boxes and lines of a drawing go: layers from top to bottom, by the graphlay library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Point = tuple[float, float]


class Box(NamedTuple):
    """A rectangle: its upper left corner, width and height, in pixels."""

    x: float
    y: float
    width: float
    height: float


class Placement(NamedTuple):
    """A finished layout. `lines` has one path of points per edge, in the order of the edges."""

    nodes: dict[str, Box]
    groups: dict[str, Box]
    lines: list[list[Point]]
    bounds: Box


_SPACING = {"layer_gap": 34.0, "node_gap": 28.0, "compound_padding": 10.0, "compound_header": 18.0}


def placed(
    sizes: Mapping[str, tuple[float, float]],
    groups: Sequence[str],
    parents: Mapping[str, str],
    edges: Sequence[tuple[str, str]],
) -> Placement:
    """Lay out boxes of the given sizes. `parents` names the group that a node or a group is in, if any.

    `groups` stand outer ones first. The same input gives the same layout, on every machine.
    """
    if not sizes:
        return Placement({}, {}, [], Box(0, 0, 0, 0))
    import graphlay

    drawing: Any = graphlay.Graph()
    index = {("group", path): number for number, path in enumerate(groups)}
    for path in groups:
        drawing.node(("group", path), **_inside(index, parents.get(f"{path}/")))
    for name, (width, height) in sizes.items():
        drawing.node(("node", name), width=width, height=height, **_inside(index, parents.get(name)))
    for source, target in edges:
        drawing.edge(("node", source), ("node", target))
    layout: Any = graphlay.layout(drawing, options={"direction": "topbottom", "spacing": _SPACING})
    boxes = [_box(node) for node in layout.nodes]
    return Placement(
        nodes=dict(zip(sizes, boxes[len(groups) :], strict=True)),
        groups=dict(zip(groups, boxes, strict=False)),
        lines=[[(point["x"], point["y"]) for point in edge["points"]] for edge in layout.edges],
        bounds=_bounds(layout.bounds),
    )


def _inside(index: Mapping[tuple[str, str], int], parent: str | None) -> dict[str, int]:
    return {"parent": index["group", parent]} if parent else {}


def _box(node: Mapping[str, Any]) -> Box:
    width, height = node["size"]["width"], node["size"]["height"]
    return Box(node["center"]["x"] - width / 2, node["center"]["y"] - height / 2, width, height)


def _bounds(bounds: Mapping[str, Any]) -> Box:
    left, top = bounds["min"]["x"], bounds["min"]["y"]
    return Box(left, top, bounds["max"]["x"] - left, bounds["max"]["y"] - top)
